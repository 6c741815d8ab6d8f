# `make` says what there is. Needs git, make and Python >= 3.11; everything else is fetched into .venv.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
export UV_PYTHON_DOWNLOADS := never
# How many random programs, on how many values, the expression engine is held against libjq in `make test`.
export JQ_FUZZ_PROGRAMS ?= 5000
export JQ_FUZZ_VALUES ?= 20

# Arguments of `make demo`, as in: make demo ARGS="--records 500"
ARGS ?=
# `wheel` runs the tests against the built wheel, and not against this tree.
AGAINST ?= tree
# Arguments of pytest, as in: make test TESTS="tests/settings -x"
TESTS ?= -n 2

.PHONY: help setup demo test format lint types imports docs simulate simulate-bugs mutants soak fuzz walk bench bench-rules bench-micro bench-peers wheel image test-deploy lock tools boxes clean

help:
	@awk -F ':.*## ' '/^## / { printf "\n%s\n", substr($$0, 4) } \
		/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

## Begin here

setup: $(STAMP) ## Fetch all that is needed into .venv; quick when nothing changed.

$(STAMP): requirements/dev.lock pyproject.toml scripts/setup/venv.sh
	@scripts/setup/venv.sh $(VENV)
	@touch $@

demo: setup ## See it work: make demo ARGS="--records 500".
	@$(BIN)/suprsend-bridge demo $(ARGS)

test: setup ## Run all tests; those with a real Kafka fetch it. AGAINST=wheel tries the built wheel.
ifeq ($(AGAINST),wheel)
	@$(MAKE) --no-print-directory wheel
	scripts/setup/test_wheel.sh $(TESTS)
else
	$(BIN)/python -m pytest $(TESTS)
endif

## Change something

format: setup ## Mend style and formatting, where a tool can.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lint: setup ## Check style and formatting.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## Check types.
	$(BIN)/mypy

imports: setup ## Check which room imports what.
	$(BIN)/lint-imports --no-logo

docs: setup ## Write again the docs, schemas and files that are generated from the code.
	$(BIN)/python -m scripts.generate

## Prove it

simulate: setup ## Make faults happen to the pure core: make simulate ARGS="--faults 1000000 --seed 1".
	@$(BIN)/python -m scripts.proof.simulate $(ARGS)

simulate-bugs: setup ## Plant one bug after the other in the pure core, and show which seed finds it.
	@$(BIN)/python -m scripts.proof.simulate_bugs $(ARGS)

mutants: setup ## Change the pure core one place at a time, and show what nothing notices: make mutants ARGS="FILE".
	@$(BIN)/python -m scripts.proof.mutants $(ARGS)

soak: setup ## Make faults happen to real processes: make soak ARGS="--faults 200 --records 100000 --minutes 30".
	@$(BIN)/python -m scripts.proof.soak $(ARGS)

fuzz: setup ## Hold expressions against libjq, for ten minutes: make fuzz ARGS="--seed 7".
	@$(BIN)/python -m scripts.proof.fuzz_jq --programs 50000 --values 20 $(ARGS)

## Measure it

walk: setup ## Count the files and functions that one record goes through: make walk ARGS="--list".
	@$(BIN)/python -m scripts.measure.walk $(ARGS)

bench: setup ## Measure the bridge against the floor: make bench ARGS="--records 1000000 --rounds 3".
	@$(BIN)/python -m bench $(ARGS)

bench-rules: setup ## Measure the examples of the guide and six more rules against the same mapping by hand.
	@$(BIN)/python -m scripts.measure.bench_rules $(ARGS)

bench-micro: setup ## Count the instructions of the hot functions; fails where they grew by over a tenth.
	@$(BIN)/python -m bench.micro $(ARGS)

bench-peers: setup ## Measure it against other ways to do the same, where they can be built.
	@$(BIN)/python -m bench --scenario peers $(ARGS)

## Ship it

wheel: setup ## Build the wheel into dist/.
	@rm -rf dist
	$(BIN)/hatchling build -t wheel

image: setup ## Build the container image without a daemon (needs root and buildah).
	@scripts/deploy/image.sh

test-deploy: setup ## Try the deployment for real: Prometheus, helm, an API server, the image, the page.
	@scripts/deploy/test.sh

lock: setup ## Resolve the dependencies of pyproject.toml again into requirements/.
	@scripts/setup/lock.sh $(BIN)/uv

tools: ## Install the operations tools (helm, promtool, …) into a cache outside the tree.
	@scripts/setup/tools.sh all

boxes: ## Install the proxies and firewalls that some tests put in front of SuprSend (Debian, Ubuntu).
	@scripts/setup/boxes.sh

clean: ## Remove what was made; .venv too.
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
