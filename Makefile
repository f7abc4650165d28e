# Wasmill: what you can do here. Plain `make` prints it.
SHELL := /bin/bash
.DEFAULT_GOAL := help

GUESTS := bin/guests/wordcount-go.wasm bin/guests/joins-go.wasm bin/guests/wordcount-c.wasm bin/guests/wordcount-rust.wasm bin/guests/nexmark-rust.wasm bin/guests/aggregation-go.wasm bin/guests/requests-go.wasm bin/guests/flink-go.wasm bin/guests/flink-rust.wasm bin/guests/batch-go.wasm bin/guests/work-rust.wasm
# the first clang that has its wasm-ld, or the one that will be installed
CLANG ?= $(firstword $(foreach v,-19 -22 -16 -14,$(if $(shell command -v clang$(v) && command -v wasm-ld$(v)),clang$(v))) clang-19)
GO_SOURCES = $(shell find abi cmd host internal jobmanager taskmanager third_party -name "*.go" -not -name "*_test.go") jobmanager/rest/openapi.json go.mod go.sum

.PHONY: help
help: ## print this
	@grep -hE '^[a-z/-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

.PHONY: demo
demo: bin/wasmill bin/guests/wordcount-go.wasm ## count the words of Moby-Dick on a cluster of three processes
	@examples/wordcount/demo.sh

.PHONY: test
test: need-gcc need-rust bin/wasmill guests ## pass every test
	@echo '== go vet' && go vet ./... && go vet -tags faults ./test/faults && (cd guest-sdk/go && go vet ./...) && (cd test/s3server && go vet .)
	@echo '== gofmt' && test -z "$$(gofmt -l $$(git ls-files '*.go'))"
	@echo '== go test -race ./...' && rm -f bin/simulated.txt && SIMULATED=$(CURDIR)/bin/simulated.txt go test -race -timeout 40m ./...
	@echo '== what was simulated: seeds, the faults that took effect, verdicts' && cat bin/simulated.txt
	@echo '== three planted bugs, which the simulation must notice' && go vet -tags failpoint ./... && go test -tags failpoint -timeout 10m -run TestPlanted ./internal/clustertest -bugs forget-position,skip-fsync,no-recommit
	@echo '== answers of Nexmark, which the race detector would make slow' && go test ./internal/nexmark/reference
	@echo '== guest SDK' && (cd guest-sdk/go && go test -race ./...) && for example in wordcount joins requests batch; do (cd examples/$$example/go && go vet . && go test ./...) || exit 1; done
	@for crate in guest-sdk/rust examples/wordcount/rust examples/nexmark/rust test/guests/rust; do (cd $$crate && PATH=/usr/bin:$$PATH CARGO_TARGET_DIR=$(CURDIR)/bin/rust/target cargo test -q --offline) || exit 1; done
	@echo '== the queries of Nexmark, against their answers' && go vet -tags nexmark ./test/nexmark && go test -tags nexmark -count 1 -timeout 15m ./test/nexmark
	@echo '== bounds of time and memory, one by one, on bin/wasmill' && go test -tags bounds -p 1 -count 1 -timeout 15m -v ./test/bounds

.PHONY: nexmark-full
nexmark-full: need-gcc need-rust bin/wasmill guests ## the queries of Nexmark, every one of them also while its cluster is killed
	@set -o pipefail; go test -tags nexmark -count 1 -timeout 3h -v ./test/nexmark -full $(ARGS) | grep --line-buffered -E '^ *(--- |ok|FAIL|[a-z]+_test)'

.PHONY: planted
planted: ## leave out steps of the checkpoint protocol, one at a time: the simulation must notice each
	@set -o pipefail; go test -tags failpoint -timeout 30m -count 1 -v -run TestPlanted ./internal/clustertest $(ARGS) | grep -E '^ *(--- |ok|FAIL|planted_test)' | grep -v '/#'

.PHONY: faults
faults: bin/wasmill-failpoint bin/wasmill-clock ## break clusters of real processes in every way once (needs root); ARGS='-run TestRows/14 -seed 7'
	@set -o pipefail; go test -tags faults -count 1 -timeout 25m -v ./test/faults $(ARGS) | grep --line-buffered -vE '^ *(=== |--- PASS|PASS)'

.PHONY: faults-full
faults-full: bin/wasmill-failpoint bin/wasmill-clock ## the same, the whole tables, three times
	@set -o pipefail; go test -tags faults -count 1 -timeout 5h -v ./test/faults -full $(ARGS) | grep --line-buffered -vE '^ *(=== |--- PASS|PASS)'

bin/wasmill-failpoint: $(GO_SOURCES)
	CGO_ENABLED=0 go build -trimpath -tags failpoint -o $@ ./cmd/wasmill

# The same binary with a wall clock that tests set, process by process: two lines are added to package time.
bin/wasmill-clock: $(GO_SOURCES) test/faults/testdata/clock.go
	@mkdir -p bin
	@{ sed '/^func Now() Time {$$/,/^}$$/ s/^\tsec, nsec, mono := runtimeNow()$$/&\n\tif Shift != nil {\n\t\tsec, nsec = Shift(sec, nsec, mono)\n\t}/' $$(go env GOROOT)/src/time/time.go && \
		printf '\nvar Shift func(sec int64, nsec int32, mono int64) (int64, int32)\n\nfunc Real() (sec int64, nsec int32, mono int64) { return runtimeNow() }\n'; } > bin/clock.time
	@grep -q 'Shift(sec, nsec, mono)' bin/clock.time
	@printf '{"Replace": {"%s/src/time/time.go": "%s/bin/clock.time", "%s/internal/failpoint/clock.go": "%s/test/faults/testdata/clock.go"}}\n' \
		$$(go env GOROOT) $(CURDIR) $(CURDIR) $(CURDIR) > bin/clock.json
	CGO_ENABLED=0 go build -trimpath -tags failpoint -overlay bin/clock.json -o $@ ./cmd/wasmill

.PHONY: soak
soak: ## simulate seed after seed until stopped or one fails
	@set -o pipefail; for seed in $$(seq 1000 500 100000000); do \
		go test -count 1 -timeout 30m -v -run TestSeeds ./internal/clustertest -seed $$seed -seeds 500 | grep --line-buffered -vE '^ *(=== |--- PASS|PASS)' || exit 1; done

.PHONY: build
build: bin/wasmill ## bin/wasmill, the one binary

bin/wasmill: $(GO_SOURCES)
	CGO_ENABLED=0 go build -trimpath -o $@ ./cmd/wasmill

.PHONY: guests
guests: $(GUESTS) ## bin/guests/EXAMPLE-LANGUAGE.wasm, the examples compiled to WebAssembly

bin/guests/%-go.wasm: examples/%/go/*.go guest-sdk/go/wasmill/*.go
	@mkdir -p $(@D)
	cd examples/$*/go && GOOS=wasip1 GOARCH=wasm go build -trimpath -buildmode=c-shared -ldflags=-w -o $(CURDIR)/$@ .

bin/guests/%-c.wasm: examples/%/c/*.c guest-sdk/c/wasmill.h | need-clang
	@mkdir -p $(@D)
	$(CLANG) --target=wasm32-unknown-unknown -O2 -ffreestanding -nostdlib -Iguest-sdk/c -Wl,--no-entry,--strip-debug -o $@ examples/$*/c/$*.c

bin/guests/%-rust.wasm: examples/%/rust/Cargo.toml examples/%/rust/src/*.rs guest-sdk/rust/*/src/*.rs | need-rust
	@mkdir -p $(@D)
	guest-sdk/rust/build.sh bin/rust/sysroot examples/$*/rust $@

# Workloads for tests, as test/guests has them in C.
bin/guests/work-rust.wasm: test/guests/rust/Cargo.toml test/guests/rust/src/*.rs guest-sdk/rust/*/src/*.rs | need-rust
	@mkdir -p $(@D)
	guest-sdk/rust/build.sh bin/rust/sysroot test/guests/rust $@

.PHONY: bench
bench: bin/wasmill guests ## measure stages, operators and whole jobs beside plain Go and Flink; ARGS='operators/session nexmark-jobs'
	@go run ./test/bench $(ARGS)

.PHONY: check
check: ## what review expects: formatting, vet, fast tests
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" && go vet ./... && go test -short ./...

.PHONY: clean
clean: ## remove what was built
	rm -rf bin

# Debian packages, installed when missing: clang and lld compile the C guests, gcc links the race detector.
.PHONY: need-clang need-gcc
need-clang:
	@command -v $(CLANG) >/dev/null || $(MAKE) -s install-clang
need-gcc:
	@command -v gcc >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev; }
# Rust for WebAssembly: Debian has the compiler, and of its standard library the source. cargo asks nobody for anything.
.PHONY: need-rust
need-rust: need-clang
	@test -x /usr/bin/cargo -a -d /usr/lib/rustlib/src/rust/library/vendor -a -f /usr/lib/wasm32-wasi/libc.a || $(MAKE) -s install-rust
	@guest-sdk/rust/sysroot.sh bin/rust/sysroot wasm32-wasip1 wasm32-unknown-unknown
.PHONY: install-rust
install-rust:
	@echo 'installing rustc-web, cargo-web, rust-web-src and wasi-libc to compile Rust guests'
	@apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends rustc-web cargo-web rust-web-src wasi-libc >/dev/null
.PHONY: install-clang
install-clang:
	@echo 'installing clang-19 and lld-19 to compile C guests'
	@apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends clang-19 lld-19 >/dev/null
