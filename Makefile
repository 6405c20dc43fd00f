# The one entry point. Needs Python 3.11 or newer (with venv), Rust 1.89 or newer, Node 20.19 or newer, and make.
# Outputs stand as files, so a second run rebuilds only what has changed.

PYTHON ?= python3
SOURCE ?= synthetic:
PORT ?= 8000
CARGO_BUILD_JOBS ?= 2
export SOURCE PORT CARGO_BUILD_JOBS
export L3BOOK_BENCH_QUICK = $(QUICK)

# The recorded market data that some tests need belongs to its owners and lies outside the repository.
ifndef L3BOOK_TEST_DATA
ifneq ($(wildcard ../shared/data),)
export L3BOOK_TEST_DATA := $(abspath ../shared/data)
endif
endif

BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
VENV := .venv/.ready
TOOLS := .venv/.tools
OPPONENTS := .venv-bench/.ready
BENCH_PYTHON = $(shell [ -s $(OPPONENTS) ] && echo $(BIN)/python || echo .venv-bench/bin/python)
COMMAND := .venv/bin/l3book
CORE := python/l3book/_core.abi3.so
PAGE := python/l3book/static/index.html
UI_MODULES := ui/node_modules/.package-lock.json

# Folders are listed beside their files, so that a deleted file counts as a change too.
CORE_INPUTS := Cargo.toml Cargo.lock pyproject.toml rust/Cargo.toml $(shell find rust/src)
PAGE_INPUTS := $(wildcard ui/*.html ui/*.json ui/*.ts) $(shell find ui/src ui/public 2>/dev/null)

# pyo3's build script would otherwise take whichever python3 comes first, and rebuild when that changes.
CARGO_PYTHON := PYO3_PYTHON=$(abspath $(BIN)/python) cargo

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(TOOLS) $(CORE) $(COMMAND) $(PAGE) ## Build everything: .venv/ with l3book (release build), its tools, the page

.PHONY: run
run: $(CORE) $(COMMAND) $(PAGE) ## Serve a live market: SOURCE=synthetic: or SOURCE=file:path.dbn.zst, PORT=8000
	@exec $(COMMAND) serve --source "$$SOURCE" --port "$$PORT"

.PHONY: test
test: test-rust test-python test-ui ## Run all tests: Rust, Python with the browser, page; skips are named

# The dev profile, which Cargo.toml optimises lightly: it compiles as fast as a plain one, runs the property tests many times
# faster, and still stops at an overflow or a failed debug assertion, which a release build would not.
.PHONY: test-rust
test-rust:
	cargo test --locked

# Every sequence of records a record longer than `make test` tries: 1,700 million instead of 46 million.
.PHONY: exhaustive
exhaustive: ## Try every sequence of records up to a length, one record deeper than make test; takes half an hour
	L3BOOK_EXHAUSTIVE_EXTRA_RECORDS=1 cargo test --locked --release --test exhaustive -- --nocapture

# In CI with SEED=1: the same tries each time, so that a change is judged by what it does. Without, others each time.
SECONDS ?= 300
.PHONY: fuzz
fuzz: ## Fuzz bytes, records and checkpoints for SECONDS=300 in all
	rust/fuzz/fuzz $(SECONDS) $(SEED)

# In CI a test runs it for 20 seconds. Not SECONDS ?= 300, which is fuzz's.
.PHONY: soak
soak: setup ## Feed live through random faults at 500,000 messages/s: no live book wrong, nothing grows; SECONDS=600
	$(BIN)/python tests/soak/soak.py --seconds $(if $(filter command line environment,$(origin SECONDS)),$(SECONDS),600)

# As soak; in CI a test runs it for a few seconds.
.PHONY: soak-history
soak-history: setup ## Record a live feed at 500,000 messages/s: the log has what came, nothing grows; SECONDS=600
	$(BIN)/python tests/soak/recording.py --seconds $(if $(filter command line environment,$(origin SECONDS)),$(SECONDS),600)

# Of each of its two phases, here.
.PHONY: load
load: setup ## Serve 100, then 1,000 WebSocket clients at 500,000 messages/s, print what they saw; SECONDS=30
	$(BIN)/python tests/load/load.py --seconds $(if $(filter command line environment,$(origin SECONDS)),$(SECONDS),30)

.PHONY: mutants
mutants: ## Put deliberate bugs into a copy of the core, one at a time, and see that the tests notice each
	$(PYTHON) tests/mutants/run.py

# Two at a time, file by file: tests of whole servers wait more than they compute. What measures under load, and the
# browser, have the machine to themselves afterwards. `make test PROCESSES=0` runs one at a time, as pytest does by itself.
PROCESSES ?= 2

.PHONY: test-python
test-python: setup browser
	( $(BIN)/pytest --numprocesses $(PROCESSES) --dist loadfile -m 'not alone and not e2e'; code=$$?; [ $$code -le 1 ] || exit $$code; \
	  $(BIN)/pytest -m 'alone or e2e' || exit $$?; exit $$code ) $(AGAIN)

# Hosted machines are shared: a test of the whole server that fails and then passes alone has met another's load. Such
# tests are named at the end. Not for a tag, and not with ONCE=1 as in a release: there, as on your own machine, what fails
# fails at once.
AGAIN := $(if $(CI),$(if $(ONCE)$(filter tag,$(GITHUB_REF_TYPE)),,|| { [ $$? = 1 ] && $(BIN)/python tests/again.py; }))

.PHONY: test-ui
test-ui: $(UI_MODULES)
	npm --prefix ui test

# Only root on a Debian-like machine can install a browser; elsewhere the tests in tests/e2e skip and say so.
.PHONY: browser
browser:
	@command -v chromium >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium; \
	  else echo 'make test: chromium is not installed; the tests in tests/e2e will be skipped'; fi; }

.PHONY: check
check: check-rust check-python check-ui ## Format, lints, types and docs of every part; changes nothing

.PHONY: check-rust
check-rust: $(TOOLS)
	cargo fmt --all --check
	cargo fmt --manifest-path rust/fuzz/Cargo.toml --check
	cargo metadata --locked --format-version 1 --manifest-path rust/fuzz/Cargo.toml >/dev/null
	cargo clippy --locked --all-targets -- -D warnings
	$(CARGO_PYTHON) clippy --locked --all-targets --features python -- -D warnings
	$(MAKE) --no-print-directory docs RUSTDOCFLAGS='-D warnings'

.PHONY: check-python
check-python: $(TOOLS) $(CORE) $(COMMAND)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32
	MYPYPATH=python $(BIN)/stubtest --mypy-config-file pyproject.toml l3book._core

.PHONY: check-ui
check-ui: $(UI_MODULES)
	npm --prefix ui run check

.PHONY: format
format: $(TOOLS) ## Format Rust and Python
	cargo fmt --all
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# Rust first: it makes the streams that Python reads. A quick run leaves docs/benchmarks.md as it is.
.PHONY: bench
bench: setup $(OPPONENTS) ## Measure against opponents and floors, write docs/benchmarks.md; QUICK=1 for two minutes
	cargo bench --locked --bench ratios --bench memory
	$(if $(QUICK),,cargo bench --locked --bench apply --bench feed)
	@rm -f target/bench/python.json
	PYTHONPATH=python $(BENCH_PYTHON) -m pytest tests/bench --confcutdir=tests/bench --benchmark-only \
	  --benchmark-columns=median,min,max,rounds --benchmark-json=target/bench/python.json
	$(BIN)/python tests/bench/history.py
	@$(BENCH_PYTHON) tests/bench/table.py

# In CI a test runs it for a few seconds, at a pace that any machine keeps.
.PHONY: bench-ui
bench-ui: setup browser ## The page in Chromium at 500,000 messages/s: frames, long tasks, memory, bytes; SECONDS=60
	$(BIN)/python tests/bench/ui.py --seconds $(if $(filter command line environment,$(origin SECONDS)),$(SECONDS),60)

.PHONY: pictures
pictures: setup browser ## Take the pictures of README.md anew, of a synthetic market: docs/page.png, docs/past.png
	$(BIN)/python tests/e2e/pictures.py

.PHONY: bench-history
bench-history: setup ## Measure the history by store in ten minutes, write that part of docs/benchmarks.md; QUICK=1 without writing it
	$(BIN)/python tests/bench/history.py
	$(if $(QUICK),,$(BIN)/python tests/bench/table.py history)

.PHONY: instructions
instructions: ## Count the core's instructions under valgrind, compare with the baseline; UPDATE=1 writes it
	@UPDATE=$(UPDATE) $(PYTHON) tests/bench/instructions.py

.PHONY: docs
docs: $(TOOLS) ## Build the Rust documentation: target/doc/l3book/index.html
	RUSTDOCFLAGS='$(RUSTDOCFLAGS)' $(CARGO_PYTHON) doc --locked --no-deps --features python

# ONLY=supply for a part of them, SKIP=supply for the others, STRICT=1 where what cannot run is a failure.
.PHONY: deploy-check
deploy-check: setup ## Run every check of deploy/ that this machine can run, print a table; ONLY=part
	@$(BIN)/python deploy/check.py $(addprefix --only ,$(ONLY)) $(addprefix --skip ,$(SKIP)) $(if $(STRICT),--strict)

.PHONY: deploy-tools
deploy-tools: $(TOOLS) ## Build all that deploy-check can use into .tools/; takes half an hour, and needs Go, Rust and Node
	@$(BIN)/python deploy/tools/install --all
	@deploy/tools/build

# Lock files hold versions and hashes, never download addresses: the index is the reader's own choice.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command 'make lock' $(LOCK_FLAGS)

.PHONY: lock
lock: ## Resolve the lock files anew (needs uv; LOCK_FLAGS=--upgrade for newer versions)
	$(LOCK) pyproject.toml --group dev -o requirements/dev.txt
	$(LOCK) pyproject.toml --extra nats -c requirements/dev.txt -o requirements/runtime.txt
	$(LOCK) pyproject.toml --extra clickhouse --extra postgres --extra history -c requirements/dev.txt -o requirements/stores.txt
	$(LOCK) pyproject.toml --extra databento -c requirements/dev.txt -o requirements/live.txt
	$(LOCK) pyproject.toml --extra otel -c requirements/dev.txt -o requirements/traces.txt
	$(LOCK) pyproject.toml --extra bench -o requirements/bench.txt
	$(LOCK) requirements/build.in -c requirements/dev.txt -o requirements/build.txt
	$(LOCK) deploy/tools/python.in -o deploy/tools/python.txt
	cargo update --workspace
	cargo update --workspace --manifest-path rust/fuzz/Cargo.toml
	npm --prefix ui install --package-lock-only --omit-lockfile-registry-resolved
	npm --prefix deploy/tools/npm install --package-lock-only --omit-lockfile-registry-resolved
	node -e 'const funding = (key, value) => key === "funding" ? undefined : value;'\
	'for (const lock of ["ui/package-lock.json", "deploy/tools/npm/package-lock.json"])'\
	'fs.writeFileSync(lock, JSON.stringify(JSON.parse(fs.readFileSync(lock)), funding, 2) + "\n")'
	npm --prefix ui ci --no-fund --no-audit
	$(PYTHON) deploy/supply/licences.py

.PHONY: clean
clean: ## Remove all that make has built
	rm -rf .venv .venv-bench .tools target dist ui/node_modules python/l3book/static python/l3book/_core*.so test-artifacts
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find python tests -name __pycache__ -type d -prune -exec rm -rf {} +

# What `make run` needs: the packages l3book imports, and maturin to build it.
$(VENV): requirements/runtime.txt requirements/build.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'make: $(PYTHON) is not Python 3.11 or newer; name one: make setup PYTHON=python3.13' >&2; exit 1; }
	[ -x $(BIN)/pip ] || $(PYTHON) -m venv .venv
	$(PIP_INSTALL) -r requirements/runtime.txt -r requirements/build.txt
	@touch $@

$(TOOLS): requirements/dev.txt $(VENV)
	$(PIP_INSTALL) -r requirements/dev.txt
	@touch $@

# An environment of their own: they pin older versions of what the tests use. Where they cannot be had, what is written
# into the mark makes the benchmarks run without them, and their rows say so.
$(OPPONENTS): requirements/bench.txt
	[ -x .venv-bench/bin/pip ] || $(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $< \
	  && : > $@ || { echo 'make bench: the opponents cannot be installed; their rows will say so' | tee $@ >&2; }

# Compiled into the source tree, so that edits under python/ are live and an edit under rust/ needs this step only.
$(CORE): $(VENV) $(CORE_INPUTS)
	@command -v cargo >/dev/null || { echo 'make: cargo is not on PATH; l3book needs Rust 1.89 or newer' >&2; exit 1; }
	VIRTUAL_ENV=$(abspath .venv) $(BIN)/maturin develop --release --locked --skip-install
	@touch $@

# By pip and not by maturin, which would install the dev tools too, past the lock file. Finds the core already compiled.
$(COMMAND): $(VENV) pyproject.toml Cargo.toml | $(CORE)
	PATH='$(abspath $(BIN))':"$$PATH" $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --no-index --no-deps --no-build-isolation --editable .
	@touch $@

$(UI_MODULES): ui/package.json ui/package-lock.json
	@node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' || { \
	  echo 'make: node is missing or older than 20; the page needs Node 20.19 or newer' >&2; exit 1; }
	npm --prefix ui ci --no-fund --no-audit
	@touch $@

$(PAGE): $(UI_MODULES) $(PAGE_INPUTS)
	npm --prefix ui run build
	@touch $@
