# `make help` lists the targets. `make test` is exactly what CI runs.
SHELL := bash
TOOL  := go tool -modfile=tools/go.mod
BUF   := go tool -modfile=../tools/buf/go.mod buf
PLUGIN_BUILD := CGO_ENABLED=0 go build -trimpath -ldflags '-s -w'
PLUGIN_GO    := go -C dashboards/plugin
PLUGIN_DIR   := $(CURDIR)/bin/plugins/flyball-datasource
GO    := $(shell git ls-files -co --exclude-standard '*.go' ':!*.pb.go' ':!*.pb.gw.go' 2>/dev/null)

.PHONY: help demo demo-cluster build plugin test check race controlplane generate fmt fuzz bench oracle soak

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: build ## build, then watch simulated GPU fleets scale (Ctrl-C stops it)
	@bin/flyball demo

demo-cluster: build ## the same fleets on a real Kubernetes control plane (built on first use: minutes)
	@go run ./internal/demo/cluster

build: ## bin/flyball
	@go build -trimpath -o bin/flyball ./cmd/flyball

plugin: ## the Grafana data source, ready for a plugins folder: bin/plugins/flyball-datasource
	@mkdir -p '$(PLUGIN_DIR)' && cd dashboards/plugin && \
	  $(PLUGIN_BUILD) -tags arrow_json_stdlib -o "$(PLUGIN_DIR)/gpx_flyball_$$(go env GOOS)_$$(go env GOARCH)$$(go env GOEXE)" . && \
	  cp -r frontend/plugin.json frontend/module.js frontend/img frontend/dashboards README.md CHANGELOG.md ../../LICENSE '$(PLUGIN_DIR)/'

test: check race ## everything: format, vet, staticcheck, generated files, all tests

check: cc ## format, vet, staticcheck, and that generated files are fresh
	@echo "== format"; out=$$($(TOOL) gofumpt -l $(GO)); [ -z "$$out" ] || { echo "not formatted (run make fmt):"; echo "$$out"; exit 1; }
	@echo "== vet"; go vet ./...
	@echo "== staticcheck"; $(TOOL) staticcheck ./...
	@echo "== go.mod"; for m in . deploy/controlplane tools tools/helm decider/oracle/knative dashboards/plugin; do go -C $$m mod tidy -diff || exit 1; done
	@echo "== proto"; cd api && $(BUF) lint && $(BUF) format --diff --exit-code
	@echo "== nested"; go -C decider/oracle/knative vet ./... && $(PLUGIN_GO) vet -tags arrow_json_stdlib ./... && \
	  cd dashboards/plugin && go tool -modfile=../../tools/go.mod staticcheck -tags arrow_json_stdlib ./...
	@echo "== generated"; tmp=$$(mktemp -d); trap 'rm -rf '$$tmp EXIT; cp -r api deploy dashboards/grafana $$tmp/; $(MAKE) -s generate; \
	  diff -r $$tmp/api api && diff -r $$tmp/deploy deploy && diff -r $$tmp/grafana dashboards/grafana || { echo "generated files were stale; they are fresh now: commit them"; exit 1; }

race: cc controlplane prometheus react chromium axe ## all tests, with the race detector, in random order; what is skipped is named, and in CI nothing may be
	@echo "== tests"; go test -race -run '^$$' ./... >/dev/null && $(PLUGIN_GO) test -race -tags arrow_json_stdlib -run '^$$' ./... >/dev/null
	@log=$$(mktemp); trap 'rm -f '$$log EXIT; \
	  { rc=0; go test -v -race -shuffle=on -timeout 40m -p 1 ./... || rc=$$?; \
	    $(PLUGIN_GO) test -v -race -tags arrow_json_stdlib -shuffle=on -timeout 10m -p 1 ./... || rc=$$?; exit $$rc; } 2>&1 | tee $$log | grep --line-buffered -E '^(ok|FAIL|panic)|^ *--- (FAIL|SKIP)'; rc=$${PIPESTATUS[0]}; \
	  [ $$rc = 0 ] || { echo "== what failed"; grep -B 80 -A 5 -E '^ *--- FAIL|^panic|DATA RACE' $$log | tail -n 600; exit $$rc; }; \
	  [ "$$CI" != true ] || ! grep -E '^ *--- SKIP' $$log | grep -v AzureConversationTrace || { echo "CI allows no skipped test, but for public traces that are not there"; exit 1; }

controlplane: ## the Kubernetes programs that tests and demo-cluster run (built once per version: minutes)
	@go run ./internal/controlplane/build >/dev/null

# Two tests ask Debian's own programs. They are unpacked here, not installed: no service is started, and no root is needed.
export PATH := $(PATH):$(CURDIR)/bin/_debian/usr/bin
.PHONY: prometheus
prometheus:
	@command -v promtool >/dev/null || { mkdir -p bin/_debian && cd bin/_debian && { apt-get download -q prometheus || { apt-get update -q && apt-get download -q prometheus; }; } && dpkg -x prometheus_*.deb .; } >/dev/null 2>&1 || echo "no prometheus and promtool here: the tests that ask them are skipped"

# The tests of the Grafana plugin's frontend run in node, with React.
.PHONY: react
react:
	@command -v node >/dev/null && command -v npm >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -q && apt-get install -qy --no-install-recommends nodejs npm; } >/dev/null 2>&1; \
	  for v in 18.3.1 19.2.9; do d=bin/react$${v%%.*}; [ -d $$d/node_modules/react-dom ] || { mkdir -p $$d && \
	    npm install --prefix $$d --ignore-scripts --no-audit --no-fund --no-package-lock --silent react@$$v react-dom@$$v; } >/dev/null 2>&1 || \
	    { rm -rf $$d; echo "no React $$v here: the tests that need it are skipped"; }; done

# The tests of the page drive Chromium, and ask axe-core whether the page is accessible.
.PHONY: chromium axe
chromium:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -q && apt-get install -qy --no-install-recommends chromium; } >/dev/null 2>&1 || echo "no Chromium here: the tests of the page are skipped"

axe:
	@[ -f bin/_axe/axe.min.js ] || { mkdir -p bin/_axe && cd bin/_axe && { command -v npm || { [ "$$(id -u)" = 0 ] && apt-get update -q && apt-get install -qy --no-install-recommends npm; }; } && \
	  npm pack axe-core@4.14.1 && tar xzf axe-core-4.14.1.tgz --strip-components=1 package/axe.min.js && rm axe-core-4.14.1.tgz; } >/dev/null 2>&1 || echo "no axe-core here: the tests that ask it are skipped"

# The race detector needs a C compiler. Nothing else here does.
.PHONY: cc
cc:
	@command -v gcc >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -q && apt-get install -qy gcc libc6-dev; } || \
	  { echo "make test needs gcc (the race detector does); install it, or run 'go test ./...'"; exit 1; }

oracle: ## strict KPA against the real Knative autoscaler: a million steps, then every planted mistake must show (minutes)
	@cd decider/oracle/knative && go run . -steps 1000000 -seed 1 && go test ./...

soak: controlplane ## a thousand autoscalers at rest on a real control plane: what is asked and written (minutes)
	@FLYBALL_SOAK=1 go test -v -timeout 20m -run 'TestAFleetAtRestWritesNothing$$' ./cmd/flyball

generate: ## deepcopy, CRDs and stubs from api/, dashboards, manifests from the chart
	@go generate ./api/... ./dashboards/grafana ./deploy
	@cd api && $(BUF) generate

fmt: ## format the code
	@$(TOOL) gofumpt -w $(GO)

fuzz: ## each fuzz target for 20 s
	@for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep ^Fuzz); do echo "== $$p $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime 20s -fuzzminimizetime 10x $$p || exit 1; done; done

bench: ## benchmarks
	@go test -run '^$$' -bench . -benchmem ./...
