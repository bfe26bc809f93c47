# PyTorch's wheel, which brings its own ROCm in torch/lib, with the shim in it.
#
#   docker build --file docker/shim.Dockerfile --tag rocblas-shim .
#   docker build --file examples/docker/pytorch.Dockerfile --tag torch-gfx906 examples/docker
#   docker run --rm --device /dev/kfd --device /dev/dri torch-gfx906 \
#       python -c 'import torch; a = torch.rand(64, 64, device="cuda"); print(torch.linalg.solve_triangular(a.triu(), a, upper=True))'
#
# PyTorch's own kernels have to be for the GPU too: `torch.cuda.get_arch_list()` says for which a wheel has
# some. Where gfx906 is not among them, build one with PYTORCH_ROCM_ARCH=gfx906.

ARG SHIM_IMAGE=rocblas-shim
# Its glibc has to be as new as Ubuntu 24.04's, for which the backend's package is.
ARG PYTHON_IMAGE=docker.io/library/python:3.12-slim-trixie
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

FROM ${PYTHON_IMAGE}
# A wheel's file, an address, or a requirement that the index has.
ARG TORCH=torch==2.9.1
ARG TORCH_INDEX=https://download.pytorch.org/whl/rocm7.0
# The version is an argument.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir --index-url "$TORCH_INDEX" "$TORCH"
COPY --from=shim / /opt/rocblas-shim/
COPY --from=rocblas /rocblas/rocblas.deb /opt/rocblas-shim/
RUN /opt/rocblas-shim/installer apply --backend /opt/rocblas-shim/rocblas.deb --gpu gfx906 --not-needed-ok \
        --rocm "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torch/lib"
