# Tidegate as an image: one program on a base with the C library and root certificates, and no shell.
#
#   docker build --tag tidegate .        pin both bases by digest where builds must be repeatable

ARG BUILD=rust:1.95-bookworm
ARG RUNTIME=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILD} AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY .cargo .cargo
# Cargo wants the sources of every target that the manifest names, built or not.
COPY benches benches
COPY data data
COPY templates templates
COPY src src
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked && cp target/release/tidegate /tidegate
RUN mkdir /state

# The C library of this base must not be older than that of the base above.
FROM ${RUNTIME}
COPY --from=build /tidegate /tidegate
# Whoever mounts an empty volume here gets one that belongs to the program.
COPY --from=build --chown=65532:65532 /state /var/lib/tidegate
VOLUME /var/lib/tidegate
ENV TIDEGATE_STATE=/var/lib/tidegate
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["/tidegate", "health"]
ENTRYPOINT ["/tidegate"]
CMD ["run"]
