# The image, for people with Docker: the same content as `make image` makes without it.
#   docker build -t atoll:0.1.0 .
FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends clang libclang1-14 libclang-common-14-dev python3 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /atoll
COPY . .
RUN cargo build --locked --workspace --release --bin atoll --target-dir /target \
    && python3 scripts/image.py --tree /image --program /target/release/atoll=/usr/local/bin/atoll

# No shell, nothing to write to, no root: run it with a read-only root file system and a volume for data.
FROM scratch
COPY --from=build /image /
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/atoll"]
