# Stands in for a Python image and provides a wheel built like PyTorch's: its ROCm libraries have file names
# without versions, all other libraries in it refer to them by these names, and their RPATH points to them. It
# has no Tensile library, because AMD's wheel has nothing for this GPU.
ARG BASE
FROM ${BASE}
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
RUN apt-get update \
    && apt-get install --yes --no-install-recommends patchelf python3-venv rocblas-dev zip \
    && python3 -m venv /usr/local
COPY . /wheel/
WORKDIR /wheel
RUN mkdir torch/lib \
    && gcc -shared -fPIC -DNDEBUG -D__HIP_PLATFORM_AMD__ -I/opt/rocm/include -o torch/lib/libtorch_hip.so \
        torch_hip.c -L/opt/rocm/lib -lrocblas -lamdhip64 \
    && renamed=() \
    && for name in librocblas.so.5 libamdhip64.so.7 libhsa-runtime64.so.1 libroctx64.so.4; do \
        cp "/opt/rocm/lib/$name" "torch/lib/${name%.*}"; \
        renamed+=(--replace-needed "$name" "${name%.*}"); \
    done \
    && patchelf --force-rpath --set-rpath '$ORIGIN' "${renamed[@]}" torch/lib/* \
    && touch torch-2.9.1.dist-info/RECORD \
    && zip --recurse-paths -1 /srv/torch-2.9.1-py3-none-any.whl torch torch-2.9.1.dist-info \
    && rm -r /wheel /opt/rocm-7.0.2 /opt/rocm /etc/ld.so.conf.d/10-rocm.conf && ldconfig
