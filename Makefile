# Every target makes .venv and installs what it needs, when that is missing or out of date: nothing to do by hand.
#   make verify   the table of claims with their verdicts        make test       the tests, a few minutes
#   make lint     ruff and the type checker                      make test-full  the slow tests too
#   make bench    the benchmarks                                 make readme     the README's table of claims
#   make clean    removes what was built                         make certificates  papers/certificates/
#   make gpu-check  the engines on a GPU against the CPU, if there is one; needs torch and numpy only
#   make mutants  papers/certificates/mutants/, an hour
#   make docs     the documentation, as pages in build/docs
#   make golden   tests/golden/, to be read before it is committed

PYTHON ?= python3
JOBS ?= 2
ARGS ?=
BIN := .venv/bin
comma := ,
PACKAGES := tightframe.theory tightframe.numerics tightframe.papers

# One thread a process, several processes: two threads on a busy machine are slower than one.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
export HYPOTHESIS_PROFILE ?= ci

# A strict editable install is a tree of links to the files that it found, so a new file needs a new install:
# the key of an install is the list of files and the text of what pip reads.
KEY = { find theory numerics papers -name __pycache__ -prune -o -type f ! -name '.*' -print | LC_ALL=C sort; \
        cat pyproject.toml constraints.txt; } | cksum

# $(call install,WHAT,EXTRA): installs .EXTRA, unless the last install of WHAT had the same key.
define install
@key=$$($(KEY)); \
if [ ! -x $(BIN)/tightframe ] || [ "$$key" != "$$(cat .venv/installed-$(1) 2>/dev/null)" ]; then set -e; \
  if [ ! -x $(BIN)/python ]; then \
    $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
      { echo 'tightframe: needs Python 3.11 or newer, and $(PYTHON) is not; name one: make PYTHON=python3.12' >&2; exit 2; }; \
    echo 'making .venv and installing into it: a few minutes, once' >&2; \
    $(PYTHON) -m venv .venv; \
  fi; \
  rm -rf build/__editable__.*; \
  pip='$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt'; \
  $$pip 'setuptools>=77'; \
  $$pip --no-build-isolation --config-settings editable_mode=strict --editable '.$(2)'; \
  echo "$$key" > .venv/installed-$(1); \
fi
endef

.PHONY: core dev verify test test-full lint readme certificates mutants golden docs bench gpu-check clean

core:
	$(call install,core,[data])

dev:
	$(call install,dev,[test])

verify: core
	@$(BIN)/tightframe verify $(ARGS)

test: dev
	@$(BIN)/pytest -n $(JOBS) --dist worksteal $(ARGS) --pyargs $(PACKAGES) tests/

test-full: dev
	@$(BIN)/pytest -n $(JOBS) --dist worksteal -m "" $(ARGS) --pyargs $(PACKAGES) tests/

lint: dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/pyrefly check --python-interpreter-path $(BIN)/python

readme: core
	@$(BIN)/python -m tightframe.papers.readme README.md $(ARGS)

certificates: core
	@$(BIN)/tightframe verify --certificates papers/certificates $(ARGS)

mutants: core
	@$(BIN)/tightframe verify --mutants --certificates papers/certificates $(ARGS)

golden: dev
	@TIGHTFRAME_GOLDEN=1 $(BIN)/pytest -n $(JOBS) -k as_they_were tests/test_citation.py tests/test_documents.py tests/test_examples.py $(ARGS)

docs: dev
	@$(BIN)/python -m sphinx -q -W --keep-going -b html -d build/doctrees papers/docs build/docs $(ARGS)
	@echo 'written: build/docs/index.html'

# Row 10 renders pages of the report, which are written with the extra `write`.
bench:
	$(call install,bench,[data$(comma)write])
	@$(BIN)/python tests/benchmarks/run.py $(ARGS)

# With any Python that has torch and numpy, else with ours.
gpu-check:
	@if $(PYTHON) -c 'import torch, numpy' 2>/dev/null; then $(PYTHON) -m numerics.gpu_check $(ARGS); \
	else $(MAKE) --silent core && $(BIN)/python -m numerics.gpu_check $(ARGS); fi

clean:
	@rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .venv/installed-*
	@find theory numerics papers tests -name __pycache__ -prune -exec rm -rf {} +
