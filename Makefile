# OneRing. Two commands matter: `make up` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
UP_ARGS ?=
UP_PROFILE ?= up
BENCH_ARGS ?=
BUDGET_ARGS ?=
FUZZ_ARGS ?=
FAULTS_ARGS ?=
EXAMPLES ?= 100
TOOLS := .tools
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Cargo puts its profile `dev` into `debug`; every other profile goes by its own name.
BIN := $(TARGET)/$(if $(filter dev,$(UP_PROFILE)),debug,$(UP_PROFILE))

.PHONY: help built up down status smoke test fuzz schemathesis faults lint fmt docs bench bench-budget servers tools-python tools-node tools-lint clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

servers: ## Install Postgres and Redis where they are missing
	@deploy/dev/install-servers.sh

built:
	@test -x $(BIN)/onering || { echo "$(BIN)/onering is not built yet: run 'make up' first" >&2; exit 1; }

up: servers ## Build and start the whole stack on 127.0.0.1, then run the smoke test
	@$(CARGO) build --locked --profile $(UP_PROFILE) --workspace --exclude onering-tests --exclude onering-bench --bins
	@$(BIN)/onering up $(UP_ARGS)

down: built ## Stop the stack (its data stays in .run/)
	@$(BIN)/onering down

status: built ## Show the processes of the stack
	@$(BIN)/onering status

smoke: built ## Run the smoke test against the running stack
	@$(BIN)/onering smoke

test: tools-python tools-node ## Run every test against real Postgres and Redis
	@env -u DATABASE_URL -u REDIS_URL deploy/dev/install-servers.sh --with-nginx
	@command -v cargo-nextest >/dev/null || $(CARGO) install --locked cargo-nextest@0.9.143
	@$(CARGO) build --locked --workspace --bins
	@$(CARGO) test --locked --workspace --doc --quiet
	@ONERING_TEST_PYTHON="$(abspath $(TOOLS))/python/bin/python" $(CARGO) nextest run --locked --workspace
	@command -v go >/dev/null || echo "Not checked, as Go is missing: the Go sample of the partner guide" >&2
	@command -v promtool >/dev/null || echo "Not checked, as promtool is missing: the alert rules (deploy/prometheus/rules_test.yml)" >&2
	@command -v prometheus >/dev/null || echo "Not checked, as prometheus is missing: that it scrapes the monitoring service" >&2

tools-python: $(TOOLS)/python/.installed
$(TOOLS)/python/.installed: tests/requirements.txt
	@python3 -m venv $(TOOLS)/python
	@$(TOOLS)/python/bin/python -m pip install --quiet --requirement tests/requirements.txt
	@touch $@

tools-node: tests/node/node_modules/.installed
tests/node/node_modules/.installed: tests/node/package-lock.json
	@npm ci --prefix tests/node --silent --no-audit --no-fund
	@touch $@

tools-lint:
	@command -v cargo-deny >/dev/null || $(CARGO) install --locked cargo-deny@0.20.2

fuzz: ## Let libFuzzer try the parsers, a minute each (FUZZ_ARGS="--seconds 600 --target event")
	@CARGO="$(CARGO)" tests/fuzz/run.sh $(FUZZ_ARGS)

schemathesis: tools-python servers ## Judge the OpenAPI documents by what is answered (EXAMPLES=100 an operation)
	@command -v cargo-nextest >/dev/null || $(CARGO) install --locked cargo-nextest@0.9.143
	@$(CARGO) build --locked --workspace --bins
	@ONERING_CONFORMANCE_EXAMPLES="$(EXAMPLES)" ONERING_TEST_PYTHON="$(abspath $(TOOLS))/python/bin/python" \
		$(CARGO) nextest run --locked --package onering-tests --test conformance --profile patient

lint: tools-lint ## Formatting, clippy, rustdoc, dependency rules
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet
	@$(CARGO) deny --log-level error check bans licenses sources

fmt: ## Format the code
	@$(CARGO) fmt --all

docs: ## Regenerate the generated pages and build the Rust documentation
	@$(CARGO) run --quiet --locked -p onering-settings --example configuration_markdown > docs/configuration.md
	@$(CARGO) doc --locked --workspace --no-deps

bench: ## Measure the release build against references taken in the same run
	@env -u DATABASE_URL -u REDIS_URL deploy/dev/install-servers.sh --with-nginx
	@$(CARGO) build --locked --release --workspace --exclude onering-tests --exclude onering-bench --bins
	@$(TARGET)/release/onering bench $(BENCH_ARGS)

bench-budget: ## Compare the pure core's instruction counts with bench/budgets.toml (BUDGET_ARGS=--update)
	@deploy/dev/install-valgrind.sh
	@$(CARGO) build --locked --release --package onering-bench --bins
	@$(TARGET)/release/budget $(BUDGET_ARGS)

faults: ## Break a stack in every way there is, under load, and see that nothing is lost
	@env -u DATABASE_URL -u REDIS_URL deploy/dev/install-servers.sh
	@$(CARGO) build --locked --workspace --bins
	@$(TARGET)/debug/faults $(FAULTS_ARGS)

clean: ## Stop the stack and remove its data and all that was built
	@if [ -x $(BIN)/onering ]; then $(BIN)/onering down; fi
	@$(CARGO) clean
	@rm -rf $(TOOLS) .run tests/node/node_modules
