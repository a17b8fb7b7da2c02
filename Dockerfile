FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked && cp target/release/turnstile /turnstile

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home turnstile && mkdir /lake && chown turnstile /lake
COPY --from=build /turnstile /usr/local/bin/turnstile
USER turnstile
ENTRYPOINT ["turnstile"]
CMD ["--help"]
