# The README's two commands are `make run` and `make test`: each sets up its own virtual environment.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run dev test check compat compat-short compat-fuzz soak bench clean

run: $(VENV)/.run  ## start a durable broker on localhost:9092, data in ./flymq-data
	$(BIN)/flymq serve

dev: $(VENV)/.run  ## start a broker in memory on localhost:9092
	$(BIN)/flymq dev

test: $(VENV)/.test  ## run the tests that need nothing but Python, on all cores
	$(BIN)/python -m pytest -n auto --maxprocesses 8

check: $(VENV)/.test  ## types, style, layers
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Alone: what depends on time; and the wire scenarios, whose last test looks at what the others covered.
COMPAT := $(BIN)/python -m pytest -m 'compat and not soak'
ALONE := $(COMPAT) tests compat_tests --ignore=compat_tests/scenarios --ignore=compat_tests/wire
WIRE := $(COMPAT) compat_tests/wire
SHARED := $(COMPAT) -n 2 --dist loadgroup compat_tests/scenarios
RUNS := .compat_runs

compat: $(VENV)/.test  ## run the tests that need a JDK, Maven, Go, Node, Rust, kcat or root too; writes COMPATIBILITY.md
	@rm -f $(RUNS)
	@failed=0; for tests in "$(ALONE)" "$(WIRE)" "$(SHARED)"; do \
	  echo "$$tests"; eval "$$tests --runs $(RUNS)" || failed=1; done; \
	$(BIN)/python -m compat_tests.matrix $(RUNS) > COMPATIBILITY.md; exit $$failed

compat-short: $(VENV)/.test  ## the same, with most clients on FlyMQ alone, not on Apache Kafka too
	$(ALONE)
	$(WIRE)
	$(SHARED) --short

SECONDS ?= 600
SEED ?= 1

compat-fuzz: $(VENV)/.test  ## random requests to FlyMQ and to Apache Kafka until they differ, for SECONDS, from SEED on
	$(BIN)/python -m compat_tests.differential --seconds $(SECONDS) --seed $(SEED)

soak: $(VENV)/.test  ## a million real lines through every client, a hundred kills: a quarter of an hour
	$(BIN)/python -m pytest -m soak

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "FlyMQ needs Python 3.11 or newer; this is $$($(PYTHON) --version 2>&1)." >&2; \
	    echo "  Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "Python's venv module is missing. On Debian: apt install python3-venv" >&2; rm -rf $(VENV); exit 1; }

$(VENV)/.run: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,bench]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.run

bench: $(VENV)/.bench  ## FlyMQ beside Apache Kafka on this machine, 25 minutes; needs a JDK, Maven and a C compiler
	$(BIN)/python benchmarks/compare.py --json benchmarks/results.json --chart docs/benchmark.png --pages

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
