# Three commands for people, and for the checks: `make demo`, `make test` and `make quick`.
# Each makes the virtual environment .venv first.

PYTHON ?= python3
# How many processes share the tests; each computes with one thread, and takes tests of files that
# stand together until it has none left: fixtures of a file are then made once, not in each process.
PROCESSES ?= 2
BIN := .venv/bin
READY := .venv/.ready
SUPPLY := .venv-supply
SUPPLY_READY := $(SUPPLY)/.ready
UV := $(SUPPLY)/bin/uv

.PHONY: demo test quick lint types layers extras units docs notebooks wheel lowest pythons sdist bench-peers bench-train bench-decode bench-quality \
	kill fuzz locked lock sbom audit clean

demo: $(READY)
	$(BIN)/dragoman demo

test: lint types layers extras units

# Everything but the tests that train, start processes or take a second.
quick: lint types layers
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(PROCESSES) --dist worksteal -m 'not slow'

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/python tools/lines.py

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

# Every extra can be installed together with the versions of constraints.txt; nothing is installed.
extras: .venv/.resolved

.venv/.resolved: $(READY)
	$(BIN)/python -m pip install --quiet --dry-run --constraint constraints.txt '.[all]'
	touch $@

units: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(PROCESSES) --dist worksteal

# Runs every page, then builds the site into build/site; a warning is an error.
docs: $(READY)
	$(BIN)/python -m tools.book run
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The chapters of docs/learn as Jupyter notebooks.
notebooks: $(READY)
	$(BIN)/python -m tools.book notebooks build/notebooks

# The wheel, installed without an extra: its size, and the time to the first help.
wheel: $(SUPPLY_READY)
	rm -rf build/wheel
	$(UV) build --quiet --wheel --out-dir build/wheel
	$(UV) venv --quiet --clear --python $(PYTHON) build/wheel/venv
	$(UV) pip install --quiet --python build/wheel/venv --constraint constraints.txt build/wheel/*.whl
	du -sh build/wheel/venv
	cd build/wheel && time venv/bin/dragoman --help

# The lowest versions that pyproject.toml allows. PyTorch is named first, so that the resolver settles its
# version before that of a package that both it and ONNX Runtime need.
lowest: $(SUPPLY_READY)
	$(UV) venv --quiet --clear --python $(PYTHON) .venv-lowest
	$(UV) pip install --quiet --python .venv-lowest --resolution lowest-direct torch --editable '.[dev]'
	$(SUPPLY)/bin/python tools/supply.py lowest
	OMP_NUM_THREADS=1 .venv-lowest/bin/pytest -n $(PROCESSES) --dist worksteal -m 'not slow'

# Every Python that pyproject.toml allows and that this machine has on its PATH.
pythons: $(SUPPLY_READY)
	@for version in 3.11 3.12 3.13; do \
		if ! $(UV) venv --quiet --clear --no-python-downloads --python $$version .venv-$$version; then \
			echo "skipped: there is no Python $$version on the PATH"; continue; \
		fi; \
		$(UV) pip install --quiet --python .venv-$$version --constraint constraints.txt \
			--editable '.[dev]' && OMP_NUM_THREADS=1 .venv-$$version/bin/pytest -n $(PROCESSES) --dist worksteal -m 'not slow' || exit 1; \
	done

# The tests run from the source archive alone, which has no benchmarks/.
sdist: $(READY) $(SUPPLY_READY)
	rm -rf build/sdist
	$(UV) build --quiet --sdist --out-dir build/sdist
	tar -xzf build/sdist/*.tar.gz -C build/sdist --strip-components 1
	cd build/sdist && OMP_NUM_THREADS=1 PYTHONPATH=src ../../$(BIN)/pytest -n $(PROCESSES) --dist worksteal -m 'not slow'

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

# At length: 200 kills of a training; 50,000 damaged inputs.
kill: $(READY)
	$(BIN)/python -m benchmarks.kill

fuzz: $(READY)
	$(BIN)/python -m benchmarks.fuzz

# The same environment, every file of it checked against its hash in requirements-dev.lock.
locked:
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps --requirement requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
	touch $(READY)

lock: $(READY) $(SUPPLY_READY)
	$(SUPPLY)/bin/python tools/supply.py lock

sbom: $(READY) $(SUPPLY_READY)
	$(SUPPLY)/bin/python tools/supply.py sbom

# Code 1: advisories. Code 3: the advisory service said nothing, so nothing is known.
audit: $(SUPPLY_READY)
	$(SUPPLY)/bin/python tools/supply.py audit

$(SUPPLY_READY): Makefile
	$(PYTHON) -m venv $(SUPPLY)
	$(SUPPLY)/bin/python -m pip install --quiet uv==0.13.9 pip-audit==2.10.1 cyclonedx-bom==7.5.0
	touch $@

# constraints.txt pins every version, PyTorch first of all: a build for the processor is enough.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

clean:
	rm -rf .venv .venv-* build dragoman-demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
