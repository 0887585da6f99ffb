# memsup's tasks. `make run` and `make test` need Go alone.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

# The entry point asks the kernel which signals are ignored and blocked before
# the Go runtime changes them: package spawn.
ENTRY   := -E github.com/memsup/memsup/spawn.entry
ENTERED := cmd/memsup|spawn|supervisor
LDFLAGS := -s -w $(ENTRY) -X main.version=$(VERSION)
TOOL    := $(GO) tool -modfile=tools/go.mod

.PHONY: build run test race lint fuzz bench policy-table headline libmymem container vm truth traces clean need-go

build: need-go ## bin/memsup, static and stripped
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/memsup ./cmd/memsup

run: build ## the example: a web server and a queue worker under memsup
	CGO_ENABLED=0 $(GO) build -o bin/ ./examples/web ./examples/worker
	PATH="$(CURDIR)/bin:$$PATH" memsup run --procfile examples/Procfile --config examples/memsup.toml

test: need-go ## every test that needs no privilege
	$(GO) test $$($(GO) list ./... | grep -vE '/($(ENTERED))$$')
	$(GO) test -ldflags '$(ENTRY)' $$($(GO) list ./... | grep -E '/($(ENTERED))$$')

race: need-go ## the same under the race detector (needs a C compiler)
	$(GO) test -race ./...

lint: need-go ## gofumpt, go vet, staticcheck
	@out="$$($(TOOL) gofumpt -l .)"; if [ -n "$$out" ]; then echo "gofumpt would change:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags container,vm ./test/...
	GOARCH=arm64 $(GO) vet ./...
	$(TOOL) staticcheck ./...
	$(TOOL) staticcheck -tags container,vm ./test/...

FUZZTIME ?= 20s
fuzz: need-go ## each fuzz target for FUZZTIME
	@for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

bench: build ## beside tini, dumb-init, catatonit, s6 and supervisord
	$(GO) run ./test/bench

policy-table: need-go ## memsup's policy beside others' rules and an oracle, simulated over measured workers
	$(GO) run ./test/policytable

headline: need-go ## a leaking application under load in 512 MiB, kept by memsup and by others, an hour (needs root, Docker, mmdebstrap)
	$(GO) run ./test/headline -keep bin/headline -readme README.md -chart docs/headline.svg

libmymem: ## the C library: libmymem/build (needs a C compiler)
	$(MAKE) -C libmymem all check

container: need-go ## the same promises in Docker (needs root, Docker, mmdebstrap)
	$(GO) test -tags container -p 1 -timeout 20m ./test/container ./test/workload

vm: need-go ## scenarios on cgroup v2 with PSI, in guests (needs qemu-system-x86, e2fsprogs, apt)
	$(GO) test -tags vm -count=1 -timeout 20m -v ./test/vm

truth: need-go ## MEM_AVAILABLE beside memory truly taken: the tables of docs/numbers.md (needs what container and vm need)
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	MEMSUP_TRUTH=$$dir $(GO) test -tags container -count=1 -timeout 20m -run 'TestTruth$$' ./test/container && \
	$(GO) test -tags vm -count=1 -timeout 20m -run Scenario/truth ./test/vm -keep $$dir && \
	cat $$dir/* | $(GO) run ./test/truth table docs/numbers.md && \
	sed -n '/truth:begin/,/truth:end/p' docs/numbers.md

traces: need-go ## sim/profiles measured anew, 15 minutes (needs root, Docker, mmdebstrap)
	$(GO) run ./test/workload

clean:
	rm -rf bin libmymem/build

need-go:
	@command -v $(GO) >/dev/null || { echo "make: Go is missing; install Go 1.26 or newer: https://go.dev/dl/"; exit 1; }
