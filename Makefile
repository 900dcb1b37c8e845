# make demo   a real Kafka, the worker, a simulated shop and a live view; Ctrl-C ends it
# make test   lint, types, and every test (a real Kafka and a real schema registry are started for them)
# make fuzz   hostile input for every parser, for a set time (FUZZ_SECONDS each)
# make accelerate   a wheel with the engine compiled to C, in dist (needs a C compiler)
# Needs Python 3.11 or newer and make; everything else is installed into .venv. PYTHON=… chooses the interpreter.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: demo test lint bench fuzz proof chaos accelerate image-steps sbom install clean

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
# Hundreds of Pythons are started by the tests: each reads what the first has compiled, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

# More processes than cores: integration tests mostly wait for brokers and timeouts (tests/conftest.py).
PYTEST := $(BIN)/python -m pytest -n 6

demo: $(VENV)/installed
	@$(BIN)/journey demo

test: $(VENV)/installed-dev lint
	@$(PYTEST)

lint: $(VENV)/installed-dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy

bench: $(VENV)/installed-dev
	@$(BIN)/python -m tests.bench

# The long form of the exactly-once proof; `make test` has a shorter one.
proof: $(VENV)/installed-dev
	@JOURNEY_TEST_PROOF=long $(BIN)/python -m pytest -m proof --timeout 3600 -s

# The failure tests; ONLY=poison runs those whose name has the word. What they came to: docs/failure-tests.md. Two at a time:
# much of it is waiting. On a machine that does other things besides, JOURNEY_TEST_PATIENCE=3 waits three times longer.
chaos: $(VENV)/installed-dev
	@JOURNEY_TEST_CHAOS=full $(BIN)/python -m pytest tests/chaos -n 2 $(if $(ONLY),-k "$(ONLY)")

# Every parser with hostile input for FUZZ_SECONDS each (60); `make test` has a short form, always the same.
fuzz: $(VENV)/installed-dev
	@$(BIN)/python -m tests.fuzz

# The compiled engine is held to the engine's own tests and to the engine in Python before the wheel is laid into dist.
# mypyc drops docstrings, so the one test that reads them is left out.
ACCELERATED := build/accelerated
accelerate: $(VENV)/installed-dev
	@rm -rf $(ACCELERATED) build/accelerated-tried
	@HATCH_BUILD_HOOK_ENABLE_CUSTOM=true $(PIP) wheel --no-build-isolation --no-deps --wheel-dir $(ACCELERATED) .
	@$(PIP) install --no-deps --target build/accelerated-tried $(ACCELERATED)/*.whl
	@$(BIN)/python -m tests.bench.compiled build/accelerated-tried
	@$(PYTEST) -o pythonpath="build/accelerated-tried ." tests/unit/engine tests/properties \
		--deselect tests/unit/engine/test_clicks_rage.py::test_each_preset_states_its_bounds_and_their_source
	@mkdir -p dist && cp $(ACCELERATED)/*.whl dist/ && ls dist/*.whl

# What the Dockerfile builds, twice and compared, its bill of materials, and `journey --help` from it. Some minutes.
image-steps: $(VENV)/installed-dev
	@$(BIN)/python -m deploy.image.steps

# The bill of materials of the image (CycloneDX), as its tool writes it, in dist.
sbom: image-steps
	@mkdir -p dist && cp build/image/opt/sbom/journey.cdx.json dist/ && ls dist/journey.cdx.json

install: $(VENV)/installed

$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { echo "No Python 3.11 or newer was found; name one: make PYTHON=/path/to/python3"; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python's venv module does not work (on Debian and Ubuntu: apt install python3-venv)"; exit 1; }

$(VENV)/installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what the demo needs (pinned in constraints.txt)"
	@$(PIP) install --constraint constraints.txt --editable '.[embedded,report]'
	@touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what the tests need (pinned in constraints.txt)"
	@$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
