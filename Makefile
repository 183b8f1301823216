# SPDX-License-Identifier: MIT
# make demo   instruments real C in both modes, runs it, prints one table
# make test   everything that is asserted; installs what it needs
# make check  types and style; make stress  long torn-update runs; make golden  writes the golden files anew

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
STRESS_SECONDS ?= 10

.PHONY: demo test check stress golden tools clean

demo: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python examples/demo.py

test: $(READY) tools
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n 2

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

stress: $(READY) tools
	PATH="$(CURDIR)/$(BIN):$$PATH" STRESS_SECONDS=$(STRESS_SECONDS) $(BIN)/python -m pytest tests/e2e/test_torn.py

golden: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" GOLDEN_WRITE=1 $(BIN)/python -m pytest tests/golden

# The compilers that the tests are about; a test without its compiler fails, it is never skipped.
tools:
	@sh tests/install-tools.sh

$(READY): pyproject.toml
	@sh tests/make-venv.sh "$(PYTHON)" "$(VENV)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache
