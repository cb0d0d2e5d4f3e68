# Everything a person or CI runs. Tools are built into ./bin, nothing is installed elsewhere.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GOFLAGS_BUILD := -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
GOLANGCI_VERSION := v2.15.0
VERSITYGW_VERSION := v1.8.0
LITESTREAM_VERSION := v0.5.18
PEBBLE_VERSION := v2.10.1
CADDY_VERSION := v2.11.9
export CGO_ENABLED = 0

# A certificate bundle for AWS breaks S3 over plain HTTP, which tests use.
unexport AWS_CA_BUNDLE

.PHONY: build build-packages generate run tools test test-go test-e2e check format vet lint bench bench-router bench-hooks bench-backups bench-wake fuzz stopwatch release-snapshot clean

build: ## bin/picobase
	go build $(GOFLAGS_BUILD) -o bin/picobase .

generate: ## clients that are made from a schema; a test tells when one is old
	go generate ./internal/...

build-packages: packages/client/dist ## dist of the npm packages

packages/client/dist: packages/client/node_modules packages/client/build.js $(wildcard packages/client/src/*)
	cd packages/client && npm run --silent build
	@touch $@

packages/client/node_modules: packages/client/package.json packages/client/package-lock.json
	cd packages/client && npm ci --no-audit --no-fund
	@touch $@

run: build ## start a platform and a first project, and print where they are
	bin/picobase up

test: test-go test-e2e ## all tests

test-go: build tools
	go test ./...

# The end-to-end suite drives the real binary. What needs a browser is skipped
# by name where there is none; NO_SKIP=1 makes that a failure.
test-e2e: build tools build-packages e2e/node_modules
	cd e2e && npm test

e2e/node_modules: e2e/package.json e2e/package-lock.json
	cd e2e && npm ci --no-audit --no-fund
	@touch $@

check: format vet lint test ## what must hold before a commit

format:
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo "gofmt: run gofmt -w on the files above" >&2; exit 1; }

vet:
	go vet ./...

lint: bin/golangci-lint-$(GOLANGCI_VERSION)
	$< run ./...

bin/golangci-lint-$(GOLANGCI_VERSION):
	GOBIN=$(CURDIR)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv bin/golangci-lint $@

tools: bin/versitygw-$(VERSITYGW_VERSION) bin/litestream-$(LITESTREAM_VERSION) bin/pocketbase-stock bin/pebble-$(PEBBLE_VERSION) ## what tests run against

# An S3 server. internal/objectstore/s3test and e2e/s3.js know the name.
bin/versitygw-$(VERSITYGW_VERSION):
	GOBIN=$(CURDIR)/bin go install github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW_VERSION)
	mv bin/versitygw $@

# The stock command, to prove that it restores what PicoBase wrote.
bin/litestream-$(LITESTREAM_VERSION):
	GOBIN=$(CURDIR)/bin go install github.com/benbjohnson/litestream/cmd/litestream@$(LITESTREAM_VERSION)
	mv bin/litestream $@

# PocketBase itself, to prove that it opens the backups.
bin/pocketbase-stock: go.mod bench/stock/main.go
	go build $(GOFLAGS_BUILD) -o $@ ./bench/stock

# An ACME server, and a DNS server for it. internal/router/certs knows the names.
bin/pebble-$(PEBBLE_VERSION):
	GOBIN=$(CURDIR)/bin go install github.com/letsencrypt/pebble/v2/cmd/pebble@$(PEBBLE_VERSION) github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv@$(PEBBLE_VERSION)
	mv bin/pebble-challtestsrv bin/pebble-challtestsrv-$(PEBBLE_VERSION)
	mv bin/pebble $@

# What the router is compared with, beside nginx. bench knows the name.
bin/caddy-$(CADDY_VERSION):
	GOBIN=$(CURDIR)/bin go install github.com/caddyserver/caddy/v2/cmd/caddy@$(CADDY_VERSION)
	mv bin/caddy $@

bench: build tools bin/caddy-$(CADDY_VERSION) ## PicoBase beside stock PocketBase, written to docs/benchmarks*.md
	go run ./bench

bench-router: build bin/caddy-$(CADDY_VERSION) ## only the router beside nginx and Caddy: docs/benchmarks-router.md
	go run ./bench -only router

bench-hooks: build bin/pocketbase-stock ## only what hooks cost: docs/benchmarks-hooks.md
	go run ./bench -only hooks

bench-wake: build tools ## only how long sleeping projects take to answer: docs/benchmarks-fleet.md
	go run ./bench -only wake

bench-backups: build tools ## only what backups cost: docs/benchmarks-backups.md
	go run ./bench -only backups

stopwatch: build build-packages ## from an empty folder to a typed record, in seconds
	node e2e/stopwatch.js

fuzz: ## each fuzz test for half a minute
	go test -run=- -fuzz=FuzzParse -fuzztime=30s ./plugins/apikeys
	go test -run=- -fuzz=FuzzClientIP -fuzztime=30s ./plugins/access
	go test -run=- -fuzz=FuzzRequestID -fuzztime=30s ./plugins/apierrors
	go test -run=- -fuzz=FuzzPatch -fuzztime=30s ./internal/config
	go test -run=- -fuzz=FuzzNormalHost -fuzztime=30s ./internal/router

# What a release has, without the archives that goreleaser makes of it (.goreleaser.yaml).
SYSTEMS := linux-amd64 linux-arm64 darwin-amd64 darwin-arm64 windows-amd64 windows-arm64
PROGRAMS := $(foreach system,$(SYSTEMS),bin/release/picobase-$(system)$(if $(filter windows-%,$(system)),.exe))

release-snapshot: $(PROGRAMS) ## bin/release: the programs for all systems with their checksums, and the npm packages
	cd bin/release && sha256sum $(notdir $(PROGRAMS)) > checksums.txt
	node packages/cli/build.js bin/release bin/release/npm

$(PROGRAMS): FORCE
	GOOS=$(word 2,$(subst -, ,$(notdir $@))) GOARCH=$(word 3,$(subst -, ,$(basename $(notdir $@)))) go build $(GOFLAGS_BUILD) -o $@ .

FORCE:

clean:
	rm -rf bin e2e/node_modules packages/*/node_modules packages/*/dist
