# Everything a person runs here. Built and fetched parts stay in $${XDG_CACHE_HOME:-~/.cache}/garrison.

PYTHON ?= python3
SEEDS ?= 0-99
PYTEST_ARGS ?=
# One more than the cores that are hoped for: tests that start processes mostly wait for them.
WORKERS ?= 3
SVG ?=

VENV := $(shell $(PYTHON) -m devenv.venv path)
$(if $(VENV),,$(error Python 3.11 or newer is needed as "$(PYTHON)"; name another one: make PYTHON=python3.12 ...))
BIN := $(VENV)/bin
PACKAGES := operator/garrison operator/akash_proto operator/akash_sandbox operator/kube_light operator/sentinel devenv tests
export PYTHONPATH := operator:.
export PATH := $(BIN):$(PATH)
# Tests start very many processes: each would compile a thousand modules and pack the sentinel afresh.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv static unit pure check provision provision-tests test test-long test-akash simulate demo up down bench sentinel generate clean

help: ## Show this text
	@echo "Garrison: make TARGET"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "Start with 'make demo' to see it work, 'make check' while you edit, 'make test' before"
	@echo "you push. Needs: Python 3.11 or newer with venv, Go 1.26 or newer, make. The rest is"
	@echo "fetched on first use; the control plane takes some minutes to compile, once."
	@echo
	@echo "demo and up take: GARRISON_USE_CLUSTER=1 KUBECONFIG=FILE for a cluster of your own,"
	@echo "CONTROL_PLANE=light for a quick first look, MARKET=chain to trade with a wallet."

$(VENV)/complete:
	@$(PYTHON) -m devenv.venv make >/dev/null

venv: $(VENV)/complete ## Make the Python environment (done by itself where needed)
	@:

static: venv
	ruff check $(PACKAGES)
	ruff format --check $(PACKAGES)
	@python -m devenv.mypy_cache restore
	mypy
	mypy --python-version 3.10 operator/sentinel  # the oldest that mypy knows; tests cover 3.9
	@python -m devenv.mypy_cache save
	lint-imports
	@if [ -f devenv/generate.py ]; then python -m devenv.generate --check; fi

unit: venv ## All of tests/unit, some minutes: PYTEST_ARGS="-k placement" for some of it
	pytest tests/unit $(PYTEST_ARGS)

pure: venv ## The tests of pure code, on two cores
	pytest tests/unit/core tests/unit/api -n 2 -q $(PYTEST_ARGS)

check: static pure ## Lint, types, layers, generated files, tests of pure code: quick, installs nothing

provision: venv
	@python -m devenv.provision

provision-tests: venv
	@python -m devenv.provision --for-tests

test: static provision-tests ## Everything but the long tests; ends with what was left out and why
	GARRISON_CONTROLPLANE=$$(python -m devenv.gobuild) pytest -m "not long" -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

test-long: venv provision-tests ## The long tests, which take long; shows how far it is
	GARRISON_CONTROLPLANE=$$(python -m devenv.gobuild) pytest -m long \
		-o log_cli=true -o log_cli_level=INFO -o log_cli_format="%(message)s" $(PYTEST_ARGS)

test-akash: venv ## Market and leases on a real node: AKASH_BIN=FILE (a release binary), GATEWAY_BIN=FILE
	@test -x "$(AKASH_BIN)" || { echo "give a release binary of the Akash node (2.1 or newer, from" \
	  "akash-network/node's releases): make test-akash AKASH_BIN=/path/to/akash" >&2; exit 2; }
	@test -z "$(GATEWAY_BIN)" || test -x "$(GATEWAY_BIN)" || { echo "GATEWAY_BIN=$(GATEWAY_BIN) is no" \
	  "executable file; docs/testing.md says what it must do" >&2; exit 2; }
	AKASH_BIN="$(abspath $(AKASH_BIN))" $(if $(GATEWAY_BIN),GATEWAY_BIN="$(abspath $(GATEWAY_BIN))") \
		pytest tests/akash_node/test_life.py tests/akash_node/test_gateway.py tests/contract/market \
		-k node --timeout 180 $(PYTEST_ARGS)

simulate: venv ## Run the engine under faults in virtual time: SEEDS=0-999, SEEDS=17 VERBOSE=1
	python -m tests.simulation $(SEEDS) $(if $(VERBOSE),--verbose)

demo: venv provision ## Apply, answer, fail over and clean up on this machine, live: SVG=FILE keeps the picture
	python -m devenv.demo $(if $(SVG),--svg $(SVG))

up: venv provision ## Start the same stage and leave it running
	python -m devenv.up

down: venv ## Stop what 'make up' left running
	python -m devenv.up down

bench: venv provision ## Measure the operator, the demo, and GuideLLM beside our benchmark
	python -m devenv.bench_sdl
	python -m devenv.bench_watch
	python -m devenv.bench_chain
	python -m devenv.bench_guard
	python -m devenv.bench_relay
	python -m devenv.bench_sentinel
	python -m devenv.bench

sentinel: venv ## Write dist/sentinel.pyz, the agent inside rented containers; prints its digest
	@python -m devenv.sentinel

generate: venv ## Write the CRDs and the reference from the code
	python -m devenv.generate

clean: ## Delete what tools left in this checkout (the cache stays)
	rm -rf .mypy_cache .mypy_cache.new .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find operator devenv tests -name __pycache__ -type d -prune -exec rm -rf {} +
