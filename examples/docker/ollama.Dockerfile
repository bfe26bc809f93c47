# Ollama's image with the shim in its bundle of ROCm libraries.
#
#   docker build --file docker/shim.Dockerfile --tag rocblas-shim .
#   docker build --file examples/docker/ollama.Dockerfile --tag ollama-gfx906 examples/docker
#   docker run --device /dev/kfd --device /dev/dri --publish 127.0.0.1:11434:11434 ollama-gfx906
#
# The bundle has to be ROCm 7's, with librocblas.so.5; `installer inspect /usr/lib/ollama` says what it has.

ARG SHIM_IMAGE=rocblas-shim
ARG OLLAMA_IMAGE=docker.io/ollama/ollama:rocm
# Any image with curl.
ARG FETCH_IMAGE=docker.io/library/buildpack-deps:noble-curl

FROM ${SHIM_IMAGE} AS shim

FROM ${FETCH_IMAGE} AS rocblas
ARG ROCBLAS_URL=https://repo.radeon.com/rocm/apt/6.3/pool/main/r/rocblas/rocblas_4.3.0.60300-39~24.04_amd64.deb
ARG ROCBLAS_SHA256=4859f43ce53e3adaed9a7c6c4bfc453fbf1264a65afb1778207e98f84d6bf41a
WORKDIR /rocblas
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
RUN curl --fail --silent --show-error --location --output rocblas.deb "$ROCBLAS_URL" \
    && echo "$ROCBLAS_SHA256 *rocblas.deb" | sha256sum --check

FROM ${OLLAMA_IMAGE}
COPY --from=shim / /opt/rocblas-shim/
COPY --from=rocblas /rocblas/rocblas.deb /opt/rocblas-shim/
ARG BUNDLE=/usr/lib/ollama/rocm
# Ollama leaves out a GPU whose Tensile file is not beside the bundle's libraries: the link is for its eyes.
RUN /opt/rocblas-shim/installer apply --rocm "$BUNDLE" --backend /opt/rocblas-shim/rocblas.deb --gpu gfx906 --not-needed-ok \
    && mkdir --parents "$BUNDLE/rocblas/library" \
    && ln --symbolic --relative --target-directory="$BUNDLE/rocblas/library" \
        "$BUNDLE/rocblas-shim/backends/6.3.0/lib/rocblas/library/TensileLibrary_lazy_gfx906.dat"
