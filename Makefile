# Two commands for people, and for the checks: `make demo` and `make test`.
# Both make their own virtual environment in .venv first.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test lint types layers units bench-peers bench-train bench-decode bench-quality clean

demo: $(READY)
	$(BIN)/dragoman demo

test: lint types layers units

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

units: $(READY)
	$(BIN)/pytest

# Measurements beside other programs: benchmarks/README.md says what they show.
WORKLOADS ?= w1
QUALITY ?= multi30k --programs dragoman eole
DECODE ?=

bench-peers: $(READY)
	$(BIN)/python -m benchmarks.install

bench-train: $(READY)
	$(BIN)/python -m benchmarks.train $(WORKLOADS)

bench-decode: $(READY)
	$(BIN)/python -m benchmarks.decode $(DECODE)

bench-quality: $(READY)
	$(BIN)/python -m benchmarks.quality $(QUALITY)

# constraints.txt pins every version, PyTorch first of all: a build for the processor is enough.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

clean:
	rm -rf .venv dragoman-demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
