# ADIT's targets. `make` alone lists the targets.
SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO       ?= go
TOOL     := $(GO) tool -modfile=tools/go.mod
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# Where the source of what is built is: a changed ADIT that others use over a network has to say so (AGPL section 13).
SOURCE   ?= https://github.com/adit-go/adit
BENCH    ?=
FUZZTIME ?= 1m
# More arguments for `adit serve`, as in: make run ARGS='--listen 127.0.0.1:9000'
ARGS     ?=

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z\/-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install what building, running and testing need
	@GO="$(GO)" scripts/setup test

.PHONY: run
run: ## start ADIT with its embedded database and demo PACS
	@GO="$(GO)" scripts/setup run
	@$(MAKE) --no-print-directory build
	@exec bin/adit serve --demo $(ARGS)

# The web pages, which are embedded into the program.
UI_SOURCES = $(shell find ui/src ui/public ui/scripts -type f) ui/index.html ui/package.json ui/vite.config.ts ui/tsconfig.json

ui/node_modules/.package-lock.json: ui/package.json ui/package-lock.json
	cd ui && npm ci --loglevel=error

ui/dist/index.html: ui/node_modules/.package-lock.json $(UI_SOURCES)
	cd ui && npm run --silent build

.PHONY: ui
ui: ui/dist/index.html ## build the web pages into ui/dist

.PHONY: ui/dev
ui/dev: ui/node_modules/.package-lock.json ## serve the web pages with hot reload beside a running ADIT (ADIT_URL=http://127.0.0.1:8080)
	cd ui && npm run --silent dev

.PHONY: build
build: ui ## build bin/adit
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-X github.com/adit-go/adit/cli/command.Version=$(VERSION) -X github.com/adit-go/adit/cli/command.Source=$(SOURCE)' -o bin/adit ./cmd/adit

.PHONY: wasm
wasm: ## build the de-identification engine for the browser into dist/wasm
	@GO=$(GO) scripts/wasm dist/wasm

# The packages are vetted in whole first; go test closes the run with its own lines. The package that takes longest, and
# mostly waits, goes first, beside the others.
.PHONY: test
test: ## run the whole suite with the race detector
	@GO="$(GO)" scripts/setup test
	@$(MAKE) --no-print-directory ui
	cd ui && npm run --silent test
	$(GO) vet ./...
	$(GO) test -race -timeout 30m ./test/transfer ./...

.PHONY: screenshots
screenshots: ## take pictures of all pages at three widths, light and dark, into dist/screenshots (ONLY='^home|^task')
	@GO="$(GO)" scripts/setup test
	@$(MAKE) --no-print-directory build
	@mkdir -p dist/screenshots
	$(GO) test ./test/browser -run TestScreenshots -count 1 -timeout 30m -v -args \
		-pictures "$(CURDIR)/dist/screenshots" -only "$(ONLY)"

.PHONY: test/faults
test/faults: ## run the long fault suite (crashes at random points, full disks, cut networks)
	@GO="$(GO)" scripts/setup test
	$(GO) test -race -timeout 60m -tags faults -run Fault ./...

.PHONY: test/contract
test/contract: ## try the REST API against its document with requests of chance for ten minutes
	@GO="$(GO)" scripts/setup test
	$(GO) test -race -timeout 60m -count 1 -v -run TestDocument ./test/contract -args -long 5m

.PHONY: test/ohif
test/ohif: ui/node_modules/.package-lock.json ## look at a study with OHIF, a viewer in the browser (fetches 50 MB once)
	@GO="$(GO)" scripts/setup ohif
	$(GO) test -race -timeout 10m -count 1 -v ./test/ohif

.PHONY: bench
bench: ## measure against DCMTK, GDCM, Orthanc and a plain copy (BENCH='-only scu,relay -rounds 1': a part)
	@GO="$(GO)" scripts/setup test
	@$(MAKE) --no-print-directory build wasm
	$(GO) build -trimpath -o bin/bench ./test/bench
	bin/bench $(BENCH)
	@if [[ -z "$(BENCH)" ]]; then bin/bench requests; fi
	@if [[ -z "$(BENCH)" ]]; then $(GO) test -run '^$$' -bench '^BenchmarkClaim$$' -benchtime 5000x ./test/transfer | grep '^Benchmark'; fi

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (1m)
	@scripts/fuzz $(FUZZTIME)

.PHONY: lint
lint: ## run golangci-lint
	@GO="$(GO)" scripts/setup test
	$(TOOL) golangci-lint run

# The database of vulnerabilities is asked over the network. Where it can't be reached, VULNDB=file:///DIR names a copy of it
# (https://go.dev/security/vuln/database: the files of its index). Continuous integration does not depend on it.
.PHONY: vuln
vuln: ## look for known vulnerabilities in what is linked (VULNDB=file:///DIR: without the network)
	@GOTOOLCHAIN=$$(awk '$$1 == "toolchain" { print $$2 }' go.mod) $(TOOL) govulncheck $(if $(VULNDB),-db $(VULNDB)) ./... || { code=$$?; \
		[[ $$code == 3 ]] || echo "govulncheck could not do its work; nothing is known about vulnerabilities. It asks vuln.go.dev unless VULNDB names a copy." >&2; exit $$code; }

.PHONY: generate
generate: ## write the generated code anew
	$(GO) generate ./...
	$(TOOL) sqlc generate
	$(GO) test ./http/api -run TestRightsDocument -update
	$(GO) test ./dicom/deid -run "TestAnswerKey|TestAdditionsInTheDocs" -update

.PHONY: verify
verify: ## check that generated code and the lists of modules are current, that go vet is content, gofumpt has nothing to change, Spectral finds no fault in the document of the API, the pages are in order and not too large, and macOS and Windows build
	@GO="$(GO)" scripts/setup test
	$(GO) mod tidy -diff
	cd tools && $(GO) mod tidy -diff
	$(TOOL) sqlc diff
	@scripts/generated-is-current
	@GO="$(GO)" scripts/lint-document
	@$(MAKE) --no-print-directory ui
	@GO="$(GO)" scripts/ui-api --check
	cd ui && npm run --silent check && npm run --silent contrast && npm run --silent size
	$(GO) vet ./...
	@for os in darwin windows; do echo "GOOS=$$os"; CGO_ENABLED=0 GOOS=$$os $(GO) build -trimpath -o /dev/null ./cmd/adit; done
	@unformatted="$$(git ls-files -co --exclude-standard '*.go' | xargs -r $(TOOL) gofumpt -l)"; \
	if [[ -n "$$unformatted" ]]; then printf 'These files want gofumpt -w:\n%s\n' "$$unformatted" >&2; exit 1; fi
