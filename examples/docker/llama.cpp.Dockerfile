# llama.cpp on ROCm 7 with the shim, in one stage: what an existing Dockerfile gets is marked below.
#
#   docker build --file docker/shim.Dockerfile --tag rocblas-shim .
#   docker build --file examples/docker/llama.cpp.Dockerfile --tag llama examples/docker
#
# The image has all of ROCm's compilers in it, 30 GB; docker/Dockerfile makes a small one.

ARG SHIM_IMAGE=rocblas-shim
ARG ROCM_IMAGE=docker.io/rocm/dev-ubuntu-24.04:7.0.2-complete

FROM ${SHIM_IMAGE} AS shim
FROM ${ROCM_IMAGE}
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
ARG LLAMA_REPOSITORY=https://github.com/ggml-org/llama.cpp
ARG LLAMA_COMMIT=05fa625eac5bbdbe88b43f857156c35501421d6e
WORKDIR /llama.cpp
# Versions are the image's.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends cmake git libssl-dev \
    && rm -rf /var/lib/apt/lists/* \
    && git init --quiet . \
    && git fetch --quiet --depth 1 "$LLAMA_REPOSITORY" "$LLAMA_COMMIT" \
    && git checkout --quiet FETCH_HEAD
RUN HIPCXX="$(hipconfig -l)/clang" HIP_PATH="$(hipconfig -R)" cmake -S . -B build \
        -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
        -DGGML_HIP=ON -DAMDGPU_TARGETS=gfx906 -DGPU_TARGETS=gfx906 \
        -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF \
    && cmake --build build --parallel "$(nproc)" --target llama-server --target llama-cli \
    && install build/bin/llama-server build/bin/llama-cli /usr/local/bin/

ARG ROCBLAS_URL=https://repo.radeon.com/rocm/apt/6.3/pool/main/r/rocblas/rocblas_4.3.0.60300-39~24.04_amd64.deb
ARG ROCBLAS_SHA256=4859f43ce53e3adaed9a7c6c4bfc453fbf1264a65afb1778207e98f84d6bf41a
# From here: the shim.
COPY --from=shim / /opt/rocblas-shim/
RUN curl --fail --silent --show-error --location --output /tmp/rocblas.deb "$ROCBLAS_URL" \
    && echo "$ROCBLAS_SHA256 */tmp/rocblas.deb" | sha256sum --check \
    && /opt/rocblas-shim/installer apply --backend /tmp/rocblas.deb --gpu gfx906 --not-needed-ok --built /usr/local/bin \
    && rm /tmp/rocblas.deb
# To here.

ENTRYPOINT ["llama-server"]
