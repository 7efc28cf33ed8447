# sonde's house. `make help` lists what there is; each target does all of its own set-up.

SHELL := /bin/sh
.DEFAULT_GOAL := help

GO ?= go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# -s drops the symbol table, which nothing here reads; -trimpath keeps the builder's folders out of the binary.
BUILDFLAGS := -trimpath -ldflags '-s -X main.version=$(VERSION)'

# For how long `make fuzz` runs each target, how often `make bench` repeats each benchmark (benchstat wants 10), and how
# many seeds of the simulated kernel `make soak` runs.
FUZZTIME ?= 20s
COUNT ?= 10
SEEDS ?= 100000
# For how long `make soak-watch` watches.
WATCHED ?= 5m

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: go-there ## build bin/sonde
	$(GO) build $(BUILDFLAGS) -o bin/sonde ./cmd/sonde

.PHONY: demo
demo: build ## scan a fleet of 1,000 targets on this machine
	@scripts/demo

.PHONY: test
test: go-there ## install what the tests talk to, then run them all under the race detector
	@scripts/test-setup
	@scripts/go-test -race -timeout 30m ./...

.PHONY: check
check: go-there ## format, vet, staticcheck, the rules of internal/archtest, builds for every platform
	@scripts/check

.PHONY: soak
soak: go-there ## the long runs: many seeds of the simulated kernel
	SONDE_SOAK_SEEDS=$(SEEDS) $(GO) test -timeout 3h -count 1 -run Soak -v ./...

.PHONY: soak-watch
soak-watch: go-there ## sonde watch with 100,000 targets for WATCHED (5m), and with 15,000 kept connections
	SONDE_SOAK_WATCH=$(WATCHED) $(GO) test -timeout 1h -count 1 -run SoakWatch -v ./cmd/sonde

.PHONY: bench
bench: go-there ## all benchmarks, in the form that benchstat reads
	$(GO) test -run '^$$' -bench . -benchmem -count $(COUNT) ./...

.PHONY: fuzz
fuzz: go-there ## each fuzz target for FUZZTIME (20s)
	@scripts/fuzz $(FUZZTIME)

.PHONY: man
man: build ## write the manual page, docs/sonde.1
	bin/sonde man > docs/sonde.1.new && mv docs/sonde.1.new docs/sonde.1

.PHONY: fmt
fmt: go-there ## format all sources
	gofmt -w .

.PHONY: clean
clean: ## remove what was built
	rm -rf bin

# The go command fetches the toolchain that go.mod names if its own is older, but only from Go 1.21 on.
.PHONY: go-there
go-there:
	@scripts/go-there
