# The two commands a newcomer needs are `make run` and `make test`; both set up the environment first.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

export PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS ?= 90

# The theme announces its successor at every build.
docs: export NO_MKDOCS_2_WARNING = 1

.PHONY: help run test lint docs serve cluster lock clean
help: ## Show this list.
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

$(READY): requirements.lock pyproject.toml
	@echo "Setting up the environment in $(VENV) (a few minutes, once)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

run: $(READY) ## Run the nightly flow: MATINEE_SOURCE, the log, ml-1m, or without a network made-up data.
	@$(BIN)/matinee nightly --or-synthetic

# Two processes of one thread each: threads that wait for each other would take the time that tests need. Files in the
# order of tests/conftest.py, then of folders: those of few long tests must not be left for the end.
test: export OMP_NUM_THREADS = 1
test: export NUMBA_NUM_THREADS = 1
test: $(READY) ## Run all tests.
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(READY) ## Check style, types and the direction of imports.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: $(READY) ## Build the documentation into build/site.
	@$(BIN)/python -m mkdocs build --strict --quiet
	@echo "Open build/site/index.html"

serve: $(READY) ## Serve Prefect's UI on http://127.0.0.1:4200, with a worker and the schedules; Ctrl-C stops all.
	@$(BIN)/python -m flows.command.serve

cluster: $(READY) ## Start a Dask scheduler and a worker a core on this machine (engine.address); Ctrl-C stops all.
	@$(BIN)/python -m flows.command.cluster $(ARGS)

lock: ## Pin every dependency anew in requirements.lock.
	@rm -rf .lock-venv && $(PYTHON) -m venv .lock-venv
	@.lock-venv/bin/python -m pip install --quiet --disable-pip-version-check pip-tools
	@.lock-venv/bin/pip-compile --quiet --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links --no-header --no-annotate --all-extras \
		--output-file requirements.lock pyproject.toml
	@sed -i -E 's/^(torch==[0-9.]+)\+.*/\1/' requirements.lock
	@rm -rf .lock-venv

clean: ## Remove the environment and all caches, not the data.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
