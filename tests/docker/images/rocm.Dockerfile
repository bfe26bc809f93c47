# Stands in for AMD's image: compilers, the recording HIP runtime in place of AMD's, and apt sources with
# rocBLAS and the other packages. The build context contains them as `srv`.
ARG BASE
FROM ${BASE}
COPY srv/ /srv/
RUN cp /srv/rocm.asc /etc/apt/trusted.gpg.d/rocm.asc \
    && echo 'deb file:///srv/rocm/7.0.2 noble main' > /etc/apt/sources.list.d/rocm.list \
    && apt-get update \
    && apt-get install --yes --no-install-recommends \
        ca-certificates curl gcc g++ make hip-runtime-amd hip-dev rocm-core
ENV PATH=/opt/rocm/bin:$PATH
