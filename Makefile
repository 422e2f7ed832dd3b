# The developer's commands. A fresh machine needs Python 3.11 or newer and make; the first command installs the rest.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
TESTABLE := .venv/installed-for-tests
COMPARABLE := .venv/installed-for-rivals

.DEFAULT_GOAL := help
.PHONY: help demo test check format serve ui bench bench-models bench-recommender lock clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## From nothing to a served answer on a real shop's year
	$(BIN)/regulars demo

test: $(TESTABLE) ## Run every test that this machine can run
	$(BIN)/python -m pytest

check: $(INSTALLED) ## Format, lint, types, and who imports whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(INSTALLED) ## Put the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

serve: $(INSTALLED) ## Serve the champions at http://127.0.0.1:3000
	$(BIN)/regulars serve

ui: $(INSTALLED) ## MLflow's pages at http://127.0.0.1:5000
	$(BIN)/regulars ui

bench: $(TESTABLE) ## This project and its peers side by side, in one run
	$(BIN)/python -m benchmarks

bench-models: $(COMPARABLE) ## The models and their rivals on three shops, in one run, into docs/models-compared.md
	$(BIN)/python -m benchmarks.models

bench-recommender: $(COMPARABLE) ## Next baskets foretold by this project and by published methods, into docs/baskets-foretold.md
	$(BIN)/python -m benchmarks.recommender --output docs/baskets-foretold.md

lock: $(INSTALLED) ## Pin the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile pyproject.toml --group dev $(PINNED) --upgrade --output-file requirements.lock
	$(BIN)/uv pip compile pyproject.toml --group dev --group test $(PINNED) --constraints requirements.lock \
		--output-file requirements-test.lock
	$(BIN)/uv pip compile --group rivals $(PINNED) --constraints requirements-test.lock \
		--output-file requirements-rivals.lock

PINNED := --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --quiet

clean: ## Remove the environment; the shop's state in .regulars stays
	rm -rf .venv

# uv comes from the lock too, with its hash, and installs the rest.
$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Regulars needs Python 3.11 to 3.13: make PYTHON=python3.13")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	awk '/^[a-zA-Z]/ {take = /^uv==/} take' requirements.lock > .venv/uv.lock
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r .venv/uv.lock
	VIRTUAL_ENV=.venv $(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes requirements.lock
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(TESTABLE): $(INSTALLED) requirements-test.lock
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --require-hashes -r requirements-test.lock
	touch $@

$(COMPARABLE): $(TESTABLE) requirements-rivals.lock
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --require-hashes -r requirements-rivals.lock
	touch $@
