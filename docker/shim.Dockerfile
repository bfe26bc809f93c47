# The shim and the installer, in an image to copy from:
#
#   docker build --file docker/shim.Dockerfile --tag rocblas-shim .
#
# and then, in any Dockerfile, `COPY --from=rocblas-shim / /opt/rocblas-shim/`. Builds of the same commit with
# the same arguments are bit-for-bit identical: see SHA256SUMS.

# Built on a system with an old glibc (22.04 has 2.35), so that it runs on newer ones too.
ARG BASE_IMAGE=docker.io/library/ubuntu:22.04

FROM ${BASE_IMAGE} AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]

ENV CARGO_HOME=/usr/local/cargo \
    RUSTUP_HOME=/usr/local/rustup \
    PATH=/usr/local/cargo/bin:$PATH

# A C compiler links, and compiles parts of compression libraries. Its version is the base image's.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

ARG RUST_VERSION=1.95.0
ARG RUSTUP_URL=https://static.rust-lang.org/rustup/archive/1.29.0/x86_64-unknown-linux-gnu/rustup-init
ARG RUSTUP_SHA256=4acc9acc76d5079515b46346a485974457b5a79893cfb01112423c89aeb5aa10
# A base image may contain this version of Rust; any other is rejected, to keep the checksums reproducible.
RUN if [ ! -x "$CARGO_HOME/bin/cargo" ]; then \
        curl --proto '=https' --fail --silent --show-error --location --output /tmp/rustup-init "$RUSTUP_URL" \
        && echo "$RUSTUP_SHA256 */tmp/rustup-init" | sha256sum --check \
        && chmod +x /tmp/rustup-init \
        && /tmp/rustup-init -y --no-modify-path --profile minimal --default-toolchain "$RUST_VERSION" \
        && rm /tmp/rustup-init; \
    fi \
    && rustc --version | grep --fixed-strings "rustc $RUST_VERSION "

WORKDIR /src
COPY . .
# `installer --version` says it: --build-arg INSTALLER_COMMIT="$(git rev-parse HEAD)". The repository
# itself is not here.
ARG INSTALLER_COMMIT=unknown
# File times are part of an image's digest, and `installer` recognises the placed shim by its time.
ARG SOURCE_DATE_EPOCH=0
# `off` and 16 build in less time, for trials; the files are larger and their checksums differ.
ARG CARGO_PROFILE_RELEASE_LTO=fat
ARG CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1
RUN cargo build --locked --release --package rocblas-shim --package installer
WORKDIR /out
# Most licences require that their text is distributed with a program that contains the work.
RUN set -- "$CARGO_HOME"/registry/src/* \
    && cargo tree --manifest-path /src/Cargo.toml --locked --package rocblas-shim --package installer \
        --edges normal,no-proc-macro --prefix none --format '{p}' \
    | sed --quiet --regexp-extended '/ \(\//d; s/^([^ ]+) v([^ ]+).*/\1-\2/p' | sort --unique \
    | xargs --replace find "$1/{}" -maxdepth 2 -type f \
        '(' -iname 'LICEN[CS]E*' -o -iname 'COPYING*' -o -iname 'COPYRIGHT*' -o -iname 'NOTICE*' ')' \
    | sort | xargs tail --lines=+1 | sed "s|^==> $1/|==> |" > /out/THIRD-PARTY-LICENSES
RUN cp /src/target/release/installer /src/target/release/librocblas.so /src/LICENSE-* . \
    && strip --strip-unneeded installer librocblas.so \
    && sha256sum --binary -- * > /tmp/SHA256SUMS \
    && mv /tmp/SHA256SUMS . \
    && touch --date="@$SOURCE_DATE_EPOCH" -- *

FROM scratch
LABEL org.opencontainers.image.title="rocBLAS shim" \
      org.opencontainers.image.description="librocblas.so.5 for ROCm 7 that forwards to the rocBLAS of ROCm 6.3, and its installer" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /out/ /
