# syntax=docker/dockerfile:1

# Build:  docker build -t marketplace-sso .
# Run:    see deploy/compose, or docs/operating.md
#
# The image holds one program and nothing secret. It has no shell, runs as user
# 65532, and writes nothing to disk, so a read-only root file system is fine.
# The program is built without the `playground` command.

ARG RUST_VERSION=1.95

# ---- Dependencies: built once, and again only when Cargo.toml, Cargo.lock or .cargo change.
# The slim image has the C compiler and the C headers that aws-lc needs.
FROM rust:${RUST_VERSION}-slim-bookworm AS dependencies
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY .cargo/config.toml ./.cargo/
# Benchmarks and tests are not built here, so their entries leave the manifest:
# Cargo insists on a file for each of them. The package itself is an empty
# program; its build output is removed, so that it is never used in place of the real one.
RUN awk '/^\[/ { skip = ($0 ~ /^\[\[(bench|test|example)\]\]/) } !skip' Cargo.toml > Cargo.slim.toml \
    && mv Cargo.slim.toml Cargo.toml \
    && mkdir src \
    && echo 'fn main() {}' > src/main.rs \
    && echo '' > src/lib.rs \
    && cargo build --release --locked --no-default-features --bin marketplace-sso \
    && cargo clean --release --package marketplace-sso \
    && rm -r src

# ---- The program.
FROM dependencies AS build
COPY src ./src
COPY config ./config
COPY templates ./templates
COPY docs/openapi.json ./docs/
COPY docs/examples ./docs/examples
COPY build.rs ./
COPY packages/embed/embed.js packages/embed/embed.d.ts ./packages/embed/
RUN cargo build --release --locked --no-default-features --bin marketplace-sso

# ---- The image: the C library, and the program.
FROM gcr.io/distroless/cc-debian12:nonroot
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="marketplace-sso" \
      org.opencontainers.image.description="Signs logged-in users on to an embedded Pandium marketplace" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="gcr.io/distroless/cc-debian12:nonroot"
COPY --from=build --chown=0:0 --chmod=0555 /build/target/release/marketplace-sso /marketplace-sso

# Other containers must reach it, so it listens on every address. This setting overrides the
# configuration file. Health is on this port too. The admin listener stays on 127.0.0.1:9090 inside
# the container; to let Prometheus scrape it, set SSO_SERVER__ADMIN_LISTEN=0.0.0.0:9090 on a private
# network.
ENV SSO_SERVER__LISTEN=0.0.0.0:8080
EXPOSE 8080

USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["/marketplace-sso", "healthcheck"]
ENTRYPOINT ["/marketplace-sso"]
CMD ["serve"]
