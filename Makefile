# `make help` says what there is. Needs git, make and Python >= 3.11; everything else is fetched into .venv.

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

.PHONY: help setup demo test fuzz simulate simulate-bugs soak lint format types imports docs lock tools boxes image test-deploy bench bench-peers bench-micro bench-rules wheel clean

help: ## Show this.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv with all that is needed; quick when nothing changed.

$(STAMP): requirements/dev.lock pyproject.toml scripts/setup.sh
	@scripts/setup.sh $(VENV)
	@touch $@

demo: setup ## See it work: make demo ARGS="--records 500".
	@$(BIN)/suprsend-bridge demo $(ARGS)

test: setup ## Run all tests; those with a real Kafka fetch it. AGAINST=wheel tries the built wheel.
ifeq ($(AGAINST),wheel)
	@$(MAKE) --no-print-directory wheel
	scripts/test_wheel.sh $(TESTS)
else
	$(BIN)/python -m pytest $(TESTS)
endif

fuzz: setup ## Hold the expression engine against libjq for some ten minutes: make fuzz ARGS="--seed 7".
	@$(BIN)/python scripts/fuzz_jq.py --programs 50000 --values 20 $(ARGS)

simulate: setup ## Drive the pure core through faults: make simulate ARGS="--faults 1000000 --seed 1".
	@$(BIN)/python -m scripts.simulate $(ARGS)

simulate-bugs: setup ## Switch planted bugs on, one at a time, and show which seed finds which.
	@$(BIN)/python -m scripts.simulate_bugs $(ARGS)

soak: setup ## Play the fault matrix on real processes: make soak ARGS="--faults 200 --records 100000 --seed 1 --minutes 30".
	@$(BIN)/python -m scripts.soak $(ARGS)

lint: setup ## Check style and formatting.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup ## Mend what can be mended of them.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: setup ## Check types.
	$(BIN)/mypy

imports: setup ## Check which room imports what.
	$(BIN)/lint-imports --no-logo

docs: setup ## Write again what is generated from the code.
	$(BIN)/python -m scripts.generate

lock: setup ## Resolve the dependencies of pyproject.toml again into requirements/.
	@scripts/lock.sh $(BIN)/uv

tools: ## Install the operations tools (helm, promtool, …) into a cache outside the tree.
	@scripts/tools.sh all

boxes: ## Install the proxies and firewalls that some tests put in front of SuprSend (Debian, Ubuntu).
	@scripts/boxes.sh

image: setup ## Build the container image without a daemon (needs root and buildah).
	@scripts/image.sh

test-deploy: setup ## Try the deployment for real: Prometheus, helm, an API server, the image, the page.
	@scripts/test_deploy.sh

bench: setup ## Measure the bridge against the floor: make bench ARGS="--records 1000000 --rounds 3".
	@$(BIN)/python -m bench $(ARGS)

bench-peers: setup ## Measure it against what else can be built here.
	@$(BIN)/python -m bench --scenario peers $(ARGS)

bench-micro: setup ## Count the instructions of the hot functions; fails where they grew by over a tenth.
	@$(BIN)/python -m bench.micro $(ARGS)

bench-rules: setup ## Measure compiled rules against the same mapping by hand, and libjq.
	@$(BIN)/python -m scripts.bench_rules $(ARGS)

wheel: setup ## Build the wheel into dist/.
	@rm -rf dist
	$(BIN)/hatchling build -t wheel

clean: ## Remove what was made; .venv too.
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
