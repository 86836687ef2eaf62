# Every target does its own set-up: Python 3.11+ with venv, and make, are all it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
PIP := $(BIN)/python -m pip install --quiet --require-hashes

.PHONY: demo test lint types contracts unit coverage stories cluster-test mutation bench lock clean

# A stamp file remembers the locks it was made from, so a second run installs nothing.
$(VENV)/.run: deploy/requirements.txt deploy/requirements-build.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) -r deploy/requirements-build.txt -r deploy/requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(VENV)/.test: $(VENV)/.run deploy/requirements-test.txt
	$(PIP) -r deploy/requirements-test.txt
	@touch $@

demo: $(VENV)/.run
	@$(BIN)/fluxmedic demo --mode auto --speed 4 $(DEMO)

test: lint types contracts coverage stories

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/mypy

contracts: $(VENV)/.test
	$(BIN)/lint-imports

unit: $(VENV)/.test
	$(BIN)/pytest -n 2 --cov --cov-report= $(PYTEST)

coverage: unit
	$(BIN)/python -m tests.coverage_gate

# Random clusters with known causes: `make stories STORIES=100000` plays as many as there is time for.
STORIES ?= 1000
stories: $(VENV)/.test
	$(BIN)/python -m tests.random_clusters --count $(STORIES)

# Needs Go 1.21 or newer: it builds a control plane with Flux from the module proxy, once, and keeps it outside.
cluster-test: $(VENV)/.test
	$(BIN)/python -m tests.cluster $(PYTEST)

# Changes the core a thousand times and asks the tests; `make mutation MUTANTS='daemon.engine.health*'` for a part.
mutation: $(VENV)/.mutation
	$(BIN)/python -m tests.mutation $(MUTANTS)

$(VENV)/.mutation: $(VENV)/.test deploy/requirements-mutation.txt
	$(PIP) -r deploy/requirements-mutation.txt
	@touch $@

bench: $(VENV)/.test
	$(BIN)/python -m tests.bench

# Needs uv on the PATH; the locks carry hashes and no index address.
# Extras stay in the lock of the tests: pip takes coverage[toml] and coverage for two, and asks the newest for its hash.
lock:
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q -o deploy/requirements.txt
	uv pip compile pyproject.toml --extra test --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-header --no-annotate -q -c deploy/requirements.txt -o deploy/requirements-test.txt
	uv pip compile --group mutation --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q -c deploy/requirements-test.txt -o deploy/requirements-mutation.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache mutants build dist
