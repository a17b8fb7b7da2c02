# librdkafka, OpenSSL and zstd are built from source: this image has the C
# compiler, make and perl that they need.
FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked && cp target/release/turnstile /turnstile

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 turnstile \
    && mkdir /lake /state && chown turnstile /lake /state
COPY --from=build /turnstile /usr/local/bin/turnstile
COPY queries /queries
USER turnstile
ENV TURNSTILE_STATE_PATH=/state
VOLUME /lake /state
ENTRYPOINT ["turnstile"]
CMD ["--help"]
