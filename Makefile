# cleanhours: what a contributor types. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# Processes that run tests side by side, a file each: most tests wait for real programs. Each starts a control plane of its own.
WORKERS ?= 2
SIDE_BY_SIDE := --numprocesses $(WORKERS) --dist loadfile

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# A stamp is named after what pyproject.toml says, not after its date: a checkout that touches the file installs
# nothing again, and nothing needs the network once the stamp is there.
SUM := $(shell cksum < pyproject.toml | cut -d' ' -f1)
RUNTIME := $(VENV)/.runtime-$(SUM)
DEV := $(VENV)/.dev-$(SUM)
BENCH := $(VENV)/.bench-$(SUM)

.PHONY: help setup demo test check format bench docs assets manifests clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

setup: $(DEV) ## make .venv with everything a contributor needs (once)

demo: $(RUNTIME) ## a day on this machine in about a minute: jobs wait for clean hours, run, are accounted
	@$(BIN)/cleanhours demo

test: $(DEV) ## the tests, without the slow ones
	@$(BIN)/pytest -m "not slow" $(SIDE_BY_SIDE)

check: $(DEV) ## all that must be green: format, lint, types, import contracts, tests with coverage
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/pytest --cov --cov-report=term $(SIDE_BY_SIDE) --ignore=tests/integration
	$(BIN)/python -m tools.second_go $(SIDE_BY_SIDE) tests/integration

format: $(DEV) ## put the source into shape, repair what a linter can repair
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(BENCH) ## measure what docs/benchmarks.md claims; exit 1 if a target is missed
	@$(BIN)/python -m tests.benchmarks

docs: $(DEV) ## write the generated pages again
	@$(BIN)/python tools/generate_docs.py

assets: ## build the Kubernetes and Helm that integration tests need (once, 15 minutes; needs Go 1.26)
	@tests/integration/kubernetes/control_plane/cluster install -o -t

manifests: $(DEV) ## write deploy/prometheus and deploy/kubernetes again, from the chart (needs `make assets`)
	@$(BIN)/python -m tools.copy_rules
	@$(BIN)/python -m tools.render_manifests

clean: ## remove .venv and whatever the tools left
	rm -rf $(VENV) .coverage .coverage.* htmlcov build dist .hypothesis .import_linter_cache .mypy_cache \
		.pytest_cache .ruff_cache
	find scheduler plugins tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

# The newest Python that is here and works (a version manager's shim may be here and not work).
$(BIN)/python:
	@for python in python3.13 python3.12 python3.11 python3; do \
		if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "making $(VENV) with $$($$python --version)"; exec $$python -m venv $(VENV); \
		fi; \
	done; \
	echo "cleanhours needs Python 3.11 or newer with venv (on Debian: apt-get install python3-venv)" >&2; exit 1

$(RUNTIME): | $(BIN)/python
	@if [ ! -e $(DEV) ]; then echo "installing cleanhours into $(VENV)"; $(PIP) --editable .; fi
	@rm -f $(VENV)/.runtime-*; touch $@

$(DEV): | $(BIN)/python
	@echo "installing cleanhours and its development tools into $(VENV)"
	@$(PIP) --editable '.[dev]'
	@rm -f $(VENV)/.dev-* $(VENV)/.runtime-*; touch $@ $(RUNTIME)

$(BENCH): $(DEV)
	@echo "installing the scheduler to compare with into $(VENV)"
	@$(PIP) --editable '.[bench]'
	@rm -f $(VENV)/.bench-*; touch $@
