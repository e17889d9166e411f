# The image of flyball: one static binary and the certificate authorities, as a user without rights.
#
#   docker build -t flyball .
#   docker build -t flyball --build-arg BUILD=... --build-arg BASE=... .
#
# BUILD is an image with this Go; BASE any base whose files the binary does not need: it has its time zones within. A static base for
# non-root users adds /etc/passwd and /tmp, and no shell.
ARG BUILD=golang:1.26
ARG BASE=scratch

FROM --platform=$BUILDPLATFORM ${BUILD} AS build
ARG TARGETOS TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags '-s -w' -o /flyball ./cmd/flyball

FROM ${BASE}
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /flyball /flyball
USER 65532:65532
EXPOSE 8090 8091
ENTRYPOINT ["/flyball"]
CMD ["run"]
