# A base image for docker/shim.Dockerfile with the machine's own Rust, because no other can be downloaded
# everywhere. The build context contains its sysroot as `rust`, and the machine's own certificates.
ARG BASE
FROM ${BASE}
COPY certificates/ /usr/local/share/ca-certificates/
COPY rust/ /usr/local/rust/
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && update-ca-certificates \
    && mkdir --parents /usr/local/cargo/bin \
    && ln --symbolic /usr/local/rust/bin/cargo /usr/local/rust/bin/rustc /usr/local/cargo/bin/
