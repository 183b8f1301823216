# SPDX-License-Identifier: MIT
# make demo   instruments real C in two modes, runs it, prints one table
# make test   everything that is asserted; installs what it needs
# make bench  measures everything, in ten minutes: tables, bench/results, plots
# make docs   the site of the documents, in build/site
# make check  types, style, licences; make golden  writes the golden files anew; make man  the manual pages
# make install, make uninstall  (DESTDIR, PREFIX, LIBDIR, PYTHON: c_runtime/install.mk); make library  libstaticcall alone
# Long runs: make stress (torn updates), make abi-fuzz N=20000 (signatures), make csmith N=300 (programs),
# make fuzz (arbitrary bytes); make model (spin's table of the update protocols); make coverage (of the runtime)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
FUZZ_SECONDS ?= 600

.PHONY: demo test check licences docs bench stress abi-fuzz csmith model suggest coverage fuzz golden man tools clean

demo: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python examples/demo.py

test: $(READY) tools
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n 2

check: $(READY) licences
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Without git (an archive, a container that has none, a repository of another user) reuse does not know what .gitignore
# says; so there it is told.
licences: $(READY)
	@if [ -e .git ] && git rev-parse >/dev/null 2>&1; then $(BIN)/reuse lint --quiet || $(BIN)/reuse lint; else \
		find . \( -name .venv -o -path ./build -o -name '.*_cache' -o -name '*.egg-info' -o -name __pycache__ \
			-o -name .hypothesis \) -prune -o -type f -exec $(BIN)/reuse lint-file {} +; fi

# --strict: no link that leads nowhere. Nothing is fetched when the site is read.
docs: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# `make bench ARGS="--only call"`; docs/performance.md says what is measured.
bench: $(READY)
	@sh bench/install.sh
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m bench $(ARGS)

# `make stress SECONDS=600 PROTOCOLS=int3-push`: so long for each protocol, or for those.
stress: $(READY) tools
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.runtime.torn $(or $(SECONDS),20) $(PROTOCOLS)

# `make abi-fuzz N=1000`: a seed is printed, and on a mismatch how to repeat it.
abi-fuzz: $(READY) tools
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.abi.fuzz $(or $(N),20000)

csmith: $(READY) tools
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.csmith.run $(or $(N),300)

# The update protocols, searched exhaustively (docs/model); how a fault comes about: ARGS="--story 'no second look'"
model: $(READY) tools
	$(BIN)/python -m tests.model.run $(ARGS)

# Which lines of the runtime its tests run; an error below 95 %.
coverage: $(READY) tools
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.runtime.coverage

# What `instrument suggest` proposes for three real packages, and whether their own tests still pass with it.
suggest: $(READY) tools
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.suggest.run $(ARGS)

fuzz: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[fuzz]'
	mkdir -p build/corpus
	nice -n 10 $(BIN)/python tests/fuzz/fuzz_roundtrip.py -max_total_time=$(FUZZ_SECONDS) -max_len=400 -timeout=20 \
		-artifact_prefix=build/ build/corpus

golden: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" GOLDEN_WRITE=1 $(BIN)/python -m pytest tests/golden

man: $(READY)
	$(BIN)/python -m instrument.manual build/man

# The compilers that the tests are about; a test without its compiler fails, it is never skipped.
tools:
	@sh tests/install-tools.sh

$(READY): pyproject.toml
	@sh tests/make-venv.sh "$(PYTHON)" "$(VENV)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

include c_runtime/install.mk

clean:
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache
