# Everything a developer runs. `make help` lists it; a fresh machine needs Python 3.11+ and make, nothing else of ours.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

UV_VERSION := 0.13.9
D2_VERSION := 0.9.0
# The interpreter of .venv: the one .python-version names if it is here, any other that is new enough if not.
PYTHON ?= $(shell for p in python$$(cat .python-version) python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
EXAMPLE ?= examples/bookshop
# For make mutation: how many mutants of each package (0: all), which ones, and if not of all modules, parts of their paths.
SAMPLE ?= 150
SEED ?= 1
MODULES ?=
# Extra arguments for pytest, for example: make test-fast ARGS='-k ratelimit -x'
ARGS ?=
# The programs that `make tools` provides; all when empty.
TOOLS ?=
# The images that `make images` makes and `make cluster-load` loads; all when empty.
IMAGES ?=
# LIGHT=1: an API server without a node.
LIGHT ?=
# BUSY=1: figures of failures are taken while other work runs on the machine, and say so.
BUSY ?=

PURE_TESTS := tests/corpus $(addprefix tests/unit/,crds compiler compiler_decision compiler_envoy pipeline message \
	cli/test_openapi.py entrypoint/test_messages.py entrypoint/test_events.py entrypoint/test_remote_stages.py)
UV := .tools/bin/uv
BIN := .venv/bin
UV_STAMP := .tools/uv-$(UV_VERSION).stamp
VENV_STAMP := .venv/synced.stamp
MANIFESTS := pyproject.toml uv.lock $(wildcard */pyproject.toml */*/pyproject.toml */*/*/pyproject.toml)

.PHONY: help setup tools up cluster-up cluster-load cluster-down images conformance kind-up kind-down test test-cluster test-cluster-long test-fast coverage mutation lint format types contracts generate release-proto golden diagrams pictures docs bench bench-peers bench-list clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[1mmake %-17s\033[0m %s\n", $$1, $$2 }' Makefile

setup: $(VENV_STAMP) ## Put uv into .tools and the locked dependencies into .venv

$(UV_STAMP):
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found: install one, or name it: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv .tools || { echo "$(PYTHON) has no working venv module: on Debian, apt-get install python3-venv"; exit 1; }
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

$(VENV_STAMP): $(UV_STAMP) $(MANIFESTS)
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found: install one, or name it: make PYTHON=/path/to/python3"; exit 1; }
	$(UV) sync --locked --compile-bytecode --python "$(PYTHON)"
	@touch $@

tools: setup ## Provide Kubernetes, etcd and the like from pinned Go modules, in a cache
	@PYTHONPATH=tests $(BIN)/python -m support.tools $(TOOLS)

cluster-up: setup ## Run a Kubernetes cluster on this machine, without Docker (LIGHT=1: API server only)
	@PYTHONPATH=tests $(BIN)/python -m support.tools etcd hyperkube $(if $(LIGHT),,coredns)
	@$(if $(LIGHT),true,.ci/install-programs cluster)
	@PYTHONPATH=tests $(BIN)/python -m support.cluster up $(if $(LIGHT),--light)

cluster-load: setup ## Give that cluster the images of what is deployed, as the sources are now
	@PYTHONPATH=tests $(BIN)/python -m support.images --load $(IMAGES)

cluster-down: setup ## End that cluster and remove all of it
	@PYTHONPATH=tests $(BIN)/python -m support.cluster down

conformance: setup tools ## Judge the gateway by the conformance suite of Gateway API, as root; reports in docs/conformance
	@.ci/install-programs cluster
	cd tests && ../$(BIN)/python -m support.conformance $(ARGS)

kind-up: setup ## Run a cluster of three nodes and a registry with kind, where there is Docker
	@PYTHONPATH=tests $(BIN)/python -m support.kind up

kind-down: setup ## Remove that cluster and its registry
	@PYTHONPATH=tests $(BIN)/python -m support.kind down

images: setup ## Make the images of what is deployed, without an engine and a registry, in a cache
	@PYTHONPATH=tests $(BIN)/python -m support.images $(IMAGES)

up: setup ## Run the example on this machine: Envoy, operator, decision service, sample upstreams
	@exec $(BIN)/ff up $(EXAMPLE)

test: setup ## Run every test but those that need a cluster
	@.ci/install-programs tests
	@PYTHONPATH=tests $(BIN)/python -m support.tools helm grpcurl grpc-interop-client
	$(BIN)/python -m pytest -n 2 -m "not bench" --ignore tests/cluster $(ARGS) tests

test-cluster: setup tools ## Run the tests on a real Kubernetes, as root on Debian or Ubuntu
	@.ci/install-programs
	$(BIN)/python -m pytest -n 2 -m "not long" $(ARGS) tests/cluster

test-cluster-long: setup tools ## Run the failure tests that take long, as root; their figures go into docs/performance
	@.ci/install-programs
	rm -rf reports/reliability
	FF_FIGURES=$(CURDIR)/reports/reliability $(BIN)/python -m pytest -m long $(ARGS) tests/cluster || failed=$$?; \
		cd tests && ../$(BIN)/python -m perf.reliability ../reports/reliability --out $(if $(BUSY),--busy); exit $${failed:-0}

test-fast: setup ## Run the tests that need no minutes
	@PYTHONPATH=tests $(BIN)/python -m support.tools helm grpcurl grpc-interop-client
	$(BIN)/python -m pytest -n 2 -m "not bench and not slow" --ignore tests/cluster $(ARGS) tests

# Properties are left out: what they happen to draw is no claim, and half of the time.
coverage: setup ## Measure how the examples of the pure packages cover their branches (at least 95 %)
	$(BIN)/python -m pytest -n 2 -m "not bench and not slow and not hypothesis" \
		--cov --cov-report=term-missing:skip-covered $(ARGS) $(PURE_TESTS)

mutation: setup ## Plant a random sample of mutants into the pure packages; tests must notice 80 % (takes minutes)
	PYTHONPATH=tests $(BIN)/python -m mutation --sample $(SAMPLE) --seed $(SEED) --modules $(MODULES)

lint: setup ## Check the format and the lint rules
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/buf lint proto
	$(BIN)/buf breaking proto/src --against proto/released.binpb

format: setup ## Rewrite files into the format, mend what lint can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

types: setup ## Check the types of code and tests, every rule an error
	$(BIN)/ty check

contracts: setup ## Check who may import whom, and that each contract bites
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -n 2 -m "not slow" tests/architecture

generate: setup ## Regenerate wire types, CRDs, roles, reference pages and what charts take from them
	$(BIN)/python proto/generate.py proto/src $(wildcard examples/*/*/src)
	$(BIN)/python -m fastforward_crds.generate
	$(BIN)/python -m fastforward_compiler.generate
	$(BIN)/python -m fastforward_pipeline.generate
	$(BIN)/python -m fastforward_operator.generate
	PYTHONPATH=tests $(BIN)/python -m support.charts

release-proto: setup ## Remember the wire types of this release: what comes later must not break them
	$(BIN)/buf build proto/src --exclude-source-info --output proto/released.binpb

golden: setup ## Rewrite the golden outputs of tests/corpus and tests/charts (never in CI)
	@test -z "$${CI:-}" || { echo "make golden rewrites expectations: it does not run in CI."; exit 1; }
	PYTHONPATH=tests $(BIN)/python -m support.golden
	@PYTHONPATH=tests $(BIN)/python -m support.tools helm
	PYTHONPATH=tests $(BIN)/python -m support.charts golden

diagrams: setup ## Draw the pictures of the documentation again, where their sources changed
	D2_VERSION=$(D2_VERSION) .ci/draw-diagrams

pictures: setup ## Take the pictures of the operator's page again, with Chromium
	@.ci/install-programs tests
	@PYTHONPATH=tests $(BIN)/python -m support.pictures

docs: setup ## Build the documentation site into site/, warnings are errors
	$(BIN)/zensical build --clean --strict

bench: setup ## Take all figures of docs/performance.md again; nothing else may run meanwhile (about an hour)
	@.ci/install-programs tests
	@PYTHONPATH=tests $(BIN)/python -m support.tools etcd hyperkube
	cd tests && ../$(BIN)/python -m perf all --out $(ARGS)

bench-%: setup ## Those of one benchmark: make bench-change-to-traffic; make bench-list says what there is
	@.ci/install-programs tests
	@PYTHONPATH=tests $(BIN)/python -m support.tools etcd hyperkube
	cd tests && ../$(BIN)/python -m perf $(subst -,_,$*) --out $(ARGS)

bench-peers: setup ## FastForward beside Contour, Envoy Gateway and Traefik, as root; not part of make bench
	@.ci/install-programs tests
	@PYTHONPATH=tests $(BIN)/python -m support.tools etcd hyperkube contour envoy-gateway
	cd tests && ../$(BIN)/python -m perf peers --out $(ARGS)

bench-list: setup ## Benchmarks, and what each measures
	@cd tests && ../$(BIN)/python -m perf --list

clean: ## Remove all that these targets made
	rm -rf .venv .tools .coverage .coverage.* .hypothesis .import_linter_cache .pytest_cache .ruff_cache .cache build dist reports site
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
