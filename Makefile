# `make` alone prints what there is. Everything runs in .venv, which is made when it is first needed.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first of these that is new enough; `make PYTHON=...` overrules it.
FITS := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do \
  "$$p" -c '$(FITS)' 2>/dev/null && echo "$$p" && break; done)
BIN := .venv/bin
STAMP := .venv/.installed
BENCH := .bench-env
ARGS ?=

# The constraints hold for what pip installs and for the build backend alike. A relative path, because pip splits
# these variables at blanks.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export MPLBACKEND := Agg
# Each test process would compile all modules anew without the bytecode kept beside them.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE

.PHONY: help env demo test test-all check format docs help-pages picture bench clean

help: ## say what there is
	@echo "make demo      set up, train on the embedded digits, write the report"
	@echo "make test      set up, run the test suite"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | grep -vE 'make (demo|test|help)	' | expand -t 16

env: $(STAMP) ## make .venv with everything in it

$(STAMP): pyproject.toml constraints.txt
	@'$(PYTHON)' -c '$(FITS)' 2>/dev/null || { \
	  echo "Reparam needs Python 3.11 or newer, and '$(PYTHON)' is not that." \
	    "Say which one to use: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@'$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments: its module venv or ensurepip is missing." \
	    "On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "making .venv"; '$(PYTHON)' -m venv .venv; }
	@echo "installing (the first time takes some minutes)"
	@$(BIN)/python -m pip install --quiet --quiet -c constraints.txt -e ".[all,dev,docs]"
	@touch $@

demo: $(STAMP) ## train on the embedded digits and write the report
	@rm -rf runs/demo
	@$(BIN)/reparam train --out runs/demo $(ARGS)

test: $(STAMP) ## the unmarked test suite: two processes, one thread each
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --color=no $(ARGS)

test-all: $(STAMP) ## every test, the slow ones, GPU, real data and browser too
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --color=no -m "" $(ARGS)

check: $(STAMP) ## format, lint, types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(STAMP) ## put the code in shape and mend what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(STAMP) ## build the pages into site/, warnings are errors
	@$(BIN)/python docs/make_help.py --check
	@$(BIN)/zensical build --clean --strict

help-pages: $(STAMP) ## write docs/cli.md from the commands' own help
	@$(BIN)/python docs/make_help.py

picture: $(STAMP) ## make the README's picture from a run: make picture RUN=runs/demo
	@$(BIN)/python docs/make_picture.py $(or $(RUN),runs/demo) docs/images/overview.png

$(BENCH)/.installed: pyproject.toml constraints.txt benchmarks/requirements.txt
	@$(BENCH)/bin/python -m pip --version >/dev/null 2>&1 || { echo "making $(BENCH)"; '$(PYTHON)' -m venv $(BENCH); }
	@$(BENCH)/bin/python -m pip install --quiet --quiet -c constraints.txt -e . -r benchmarks/requirements.txt
	@touch $@

bench: $(BENCH)/.installed ## time the package beside others, in an environment of its own: see benchmarks/README.md
	@$(BENCH)/bin/python benchmarks/speed.py $(ARGS)

clean: ## remove what the tools made; .venv, .bench-env and runs/ stay
	@rm -rf site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .cache
	@find src tests docs benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
