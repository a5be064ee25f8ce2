# Every way to build, run and check Atoll. `make` alone lists them.
# Each target first does what it needs, so each works alone on a fresh machine that has Rust.

.DEFAULT_GOAL := help
.PHONY: help setup build demo test sim torture verify fix bench crds print-bin image e2e e2e-kind e2e-short telemetry-test

# One directory outside the tree for every target: RocksDB is compiled once for demo, test and verify.
# It is keyed by the compiler; set CARGO_TARGET_DIR to use another one.
ifeq ($(strip $(CARGO_TARGET_DIR)),)
CARGO_TARGET_DIR := $(HOME)/.cache/atoll/target-$(word 2,$(shell rustc --version 2>/dev/null))
endif
export CARGO_TARGET_DIR

# A failing snapshot is shown, not written into the tree; INSTA_UPDATE=auto keeps it for review.
INSTA_UPDATE ?= no
export INSTA_UPDATE

# `--workspace` with one binary, not `--package`: the same features as the tests, so nothing is built twice.
CARGO_BUILD := cargo build --locked --workspace
SCHEDULES := 2000

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  Build directory: $(CARGO_TARGET_DIR)"

setup: ## check for system packages; install missing ones on Debian and Ubuntu
	@sh scripts/setup.sh $(if $(filter setup,$(MAKECMDGOALS)),--verbose)

build: setup ## build the atoll binary, also as kubectl's plugin (dev profile)
	$(CARGO_BUILD) --bin atoll
	@ln -sf atoll "$(CARGO_TARGET_DIR)/debug/kubectl-atoll"

print-bin: ## the directory that `make build` puts the binary in
	@echo "$(CARGO_TARGET_DIR)/debug"

demo: build ## run a three-region store here and check every claim; DEMO_ARGS="…"
	"$(CARGO_TARGET_DIR)/debug/atoll" demo $(DEMO_ARGS)

# Doc tests come last, so that the output ends with cargo's own summary. Stories on Kubernetes are told where root and Go
# are at hand, in half an hour at most: most of it the first time, when Kubernetes is built. `E2E=no` leaves them out.
E2E_SECONDS := 1800
test: setup ## all tests, simulated schedules, the short stories on Kubernetes
	cargo test --locked --workspace --no-fail-fast --lib --bins --tests
	$(CARGO_BUILD) --bin atoll-sim
	"$(CARGO_TARGET_DIR)/debug/atoll-sim" --schedules $(SCHEDULES)
	@$(if $(filter no,$(E2E)),echo "e2e: LEFT OUT: E2E=no",OPTIONAL=1 SHORT=1 WITHIN=$(E2E_SECONDS) KEEP= e2e/run local)
	cargo test --locked --workspace --no-fail-fast --doc

sim: setup ## simulate N=… schedules, or replay one with SEED=…
	$(CARGO_BUILD) --bin atoll-sim
	"$(CARGO_TARGET_DIR)/debug/atoll-sim" $(if $(SEED),--seed $(SEED),--schedules $(or $(N),$(SCHEDULES))) $(SIM_ARGS)

torture: setup ## kill, freeze and cut real nodes for MINUTES=…; SEED=… REGIONS=3 NODES=3
	$(CARGO_BUILD) --bin atoll --bin atoll-torture
	"$(CARGO_TARGET_DIR)/debug/atoll-torture" --program "$(CARGO_TARGET_DIR)/debug/atoll" --minutes $(or $(MINUTES),3) \
		$(if $(SEED),--seed $(SEED)) --regions $(or $(REGIONS),3) --nodes $(or $(NODES),3) $(TORTURE_ARGS)

# The docs are for people who work on Atoll: private items too, and links to them are fine.
verify: setup ## format, lints, docs, purity, licences, crds/, charts, dashboards and alerts; writes nothing
	cargo fmt --all --check
	python3 scripts/forbidden.py
	python3 scripts/purity.py
	python3 scripts/licences.py
	python3 scripts/watching.py
	python3 scripts/charts.py
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --locked --workspace --no-deps --document-private-items
	$(CARGO_BUILD) --bin atoll
	"$(CARGO_TARGET_DIR)/debug/atoll" crds --directory crds --check

fix: setup ## format, and apply the lints' own fixes
	cargo fmt --all
	cargo clippy --locked --workspace --all-targets --fix --allow-dirty --allow-staged
	python3 scripts/watching.py --write
	python3 scripts/charts.py --write

crds: build ## write crds/ anew from the structs that manifests are read into
	"$(CARGO_TARGET_DIR)/debug/atoll" crds --directory crds
	python3 scripts/charts.py --write

bench: setup ## release build, then the benchmark suite; BENCH_ARGS="…"
	$(CARGO_BUILD) --release --bin atoll
	"$(CARGO_TARGET_DIR)/release/atoll" bench --suite $(BENCH_ARGS)

# An OCI archive without daemon or registry: the same binary gives the same bytes. `PROFILE=dev` takes the binary of
# `make build`. Its path is the last line of output.
PROFILE ?= release
PROFILE_DIR := $(CARGO_TARGET_DIR)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
IMAGE := $(PROFILE_DIR)/atoll-$(VERSION).tar

image: setup ## the container image as an archive; PROFILE=dev for the dev profile
	$(CARGO_BUILD) --profile $(PROFILE) --bin atoll
	@python3 scripts/image.py atoll:$(VERSION) "$(IMAGE)" --program "$(PROFILE_DIR)/atoll=/usr/local/bin/atoll"
	@echo "$(IMAGE)"

e2e: ## user stories on a real Kubernetes on this machine (root, Go); STORIES="…" KEEP=1
	@e2e/run local $(STORIES)

e2e-short: ## the stories that tell most in the least time
	@SHORT=1 e2e/run local $(STORIES)

e2e-kind: ## the same stories on kind
	@e2e/run kind $(STORIES)

telemetry-test: build ## Prometheus and a collector watch a store of three regions: every panel, alert and trace
	@python3 e2e/telemetry/run.py "$(CARGO_TARGET_DIR)/debug/atoll" --tools "$$(scripts/telemetry.sh)" $(TELEMETRY_ARGS)
