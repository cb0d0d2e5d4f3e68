# One tenant: the static binary, certificates and nothing else.
#
#   docker build -t picobase .
#   docker run -p 8090:8090 -v picobase:/data picobase

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/picobase . \
 && mkdir -p /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /usr/share/zoneinfo /usr/share/zoneinfo
COPY --from=build /out/picobase /picobase
# All that PicoBase writes is in the volume.
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
# Mount a volume at /data. There is no VOLUME line, which some platforms refuse.
ENV PORT=8090
EXPOSE 8090
HEALTHCHECK --interval=15s --timeout=3s --start-period=20s CMD ["/picobase", "healthcheck"]
ENTRYPOINT ["/picobase"]
CMD ["serve", "--dir", "/data", "--log-format", "json"]
