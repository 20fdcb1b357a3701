# make run | test | book | bench | lint: each sets itself up on a machine that has only Python
# 3.11, 3.12 or 3.13. A second call finds everything in place and starts at once.
#
#   make run PRESET=ci SEED=1 OUT=/tmp/runs ARGS="--pretrain.tokens 500000"
#   make test TESTS=tests/model ARGS="-k cache"
#   make VENV=/somewhere/else PYTHON=python3.13 lint

SHELL := /bin/bash
VENV ?= .venv
PRESET ?= laptop
SEED ?= 0
OUT ?= runs
TESTS ?= tests
WORKERS ?= 2
ARGS ?=
PACKAGE := llamalite
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run test lint format lab book notebooks bench setup setup-run clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 14

run: setup-run ## the chain at PRESET (laptop), up to report.html; goes on where it was stopped
	$(BIN)/llamalite run --preset $(PRESET) --seed $(SEED) --out $(OUT) $(ARGS)

test: setup ## the tests
	$(BIN)/python -m pytest $(TESTS) -n $(WORKERS) --dist worksteal $(ARGS)

lint: setup ## format, lint, types, direction of dependence, notebook pairs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python tools/notebooks.py --check

format: setup ## mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lab: setup-run ## the chapters in JupyterLab, to run and to change
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[notebooks]'
	$(BIN)/jupyter lab notebooks $(ARGS)

notebooks: setup ## run the text notebooks and renew their .ipynb with outputs (ARGS: which)
	$(BIN)/python tools/notebooks.py --execute $(ARGS)

book: setup ## the book, into _build/html; a warning is an error
	$(BIN)/python tools/book.py $(ARGS)

bench: setup ## speed beside transformers, litgpt and trl
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps litgpt==0.5.13 trl==1.16.0 accelerate==1.15.0
	$(BIN)/python -m benchmarks $(ARGS)

setup-run: $(VENV)/.run-stamp
setup: $(VENV)/.dev-stamp

# The machine's own python3 comes first: it is the one its owner keeps in order.
$(VENV)/bin/python:
	@set -e; found=""; \
	for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11 python; do \
	  if $$candidate -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; then found=$$candidate; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "make: error: no Python 3.11, 3.12 or 3.13 with venv was found (tried: $(PYTHON) python3 python3.13 python3.12 python3.11 python); install one, or name it: make PYTHON=/path/to/python" >&2; \
	  exit 2; \
	fi; \
	echo "making $(VENV) with $$($$found -V)"; \
	$$found -m venv $(VENV)

$(VENV)/.run-stamp: requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing into $(VENV); the first time this takes some minutes and prints little"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -e .
	@touch $@

$(VENV)/.dev-stamp: requirements-dev.txt requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing into $(VENV); the first time this takes some minutes and prints little"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -e .
	@touch $@ $(VENV)/.run-stamp

clean: ## drop what was built (runs and the environment stay)
	rm -rf _build dist .pytest_cache .ruff_cache
