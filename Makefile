# Two commands matter to a newcomer: `make demo` and `make test`. Both install what they need.
PYTHON  ?= python3
SCALE   ?= 50
SECONDS ?= 600
VENV    := .venv
BIN     := $(VENV)/bin
CHECKOV := $(VENV)/checkov

.PHONY: demo test check unit integration integration-service integration-client e2e e2e-client e2e-service contract bench costs iam sim bundle install format clean

demo: $(VENV)/.demo
	@.ci/system-packages demo
	$(BIN)/satchel demo

# Two at a time, the longest first: one waits for its service most of the time while the other uses the processor.
test: $(VENV)/.dev
	@.ci/system-packages test
	@$(MAKE) --no-print-directory --jobs=2 e2e-client check unit integration e2e-service

check: $(VENV)/.dev $(CHECKOV)/.made
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=desktop:backend $(BIN)/lint-imports --no-logo
	$(BIN)/cfn-lint --include-checks=I --template cfn/*.yaml
	$(CHECKOV)/bin/checkov --directory cfn --framework cloudformation --compact --quiet --skip-download

unit: $(VENV)/.dev
	@.ci/system-packages test
	$(BIN)/pytest tests/unit tests/sim

integration: integration-service integration-client

integration-service: $(VENV)/.dev
	$(BIN)/pytest tests/integration/backend

integration-client: $(VENV)/.dev
	$(BIN)/pytest tests/integration --ignore=tests/integration/backend

e2e: e2e-client e2e-service

# Each with a local cloud of its own.
e2e-client: $(VENV)/.dev
	@.ci/system-packages test
	$(BIN)/pytest tests/e2e --ignore=tests/e2e/service

e2e-service: $(VENV)/.dev
	@.ci/system-packages test
	$(BIN)/pytest tests/e2e/service

contract: $(VENV)/.dev
	@.ci/system-packages test
	SATCHEL_CONTRACT_EXAMPLES=300 $(BIN)/pytest tests/e2e/service/test_contract.py

bench: $(VENV)/.bench
	@.ci/system-packages bench
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.app
	$(BIN)/python -m tests.bench.sync
	$(BIN)/python -m tests.bench.wire
	$(BIN)/python -m tests.bench.wire.control

iam: $(VENV)/.dev
	$(BIN)/pytest tests/iam --timeout 0 -s

costs: $(VENV)/.dev
	SATCHEL_WRITE_COSTS=1 $(BIN)/pytest tests/integration/backend/test_costs.py

sim: $(VENV)/.dev
	@.ci/system-packages test
	SATCHEL_SIM_SCALE=$(SCALE) SATCHEL_SIM_SECONDS=$(SECONDS) $(BIN)/pytest tests/sim --timeout 0 -rP
	SATCHEL_SIM_SCALE=$(SCALE) $(BIN)/pytest tests/e2e/test_two_way.py tests/e2e/test_real_programs.py --timeout 0

# The app for this platform as one file in dist/, and Satchel alone: what the pipelines build with.
bundle: $(VENV)/.bundle
	@.ci/system-packages bundle
	$(BIN)/python desktop/bundle

install: $(VENV)/.app

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(CHECKOV)/.made: .ci/checkov.txt | $(VENV)/.dev
	$(BIN)/python -m venv --clear $(CHECKOV)
	$(CHECKOV)/bin/pip install --quiet --disable-pip-version-check --requirement .ci/checkov.txt
	@touch $@

$(VENV)/.demo: pyproject.toml
	@.ci/system-packages python
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[local]'
	@touch $@

$(VENV)/.dev: pyproject.toml
	@.ci/system-packages python
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[local,dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/.bench: pyproject.toml $(VENV)/.dev
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[local,dev,bench]'
	@touch $@

$(VENV)/.app: pyproject.toml
	@.ci/system-packages python
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.bundle: pyproject.toml
	@.ci/system-packages python
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[bundle]'
	@touch $@ $(VENV)/.app
