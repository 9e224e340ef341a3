# Everything runs in .venv, which this file makes and fills from the lock. It needs git, make and Python 3.11 or newer.
.PHONY: help demo test thorough bench peers record sdk apart page lint format types wheel lock clean
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

BIN := .venv/bin
UV := $(BIN)/uv
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header
SDKS := $(patsubst tests/sdk/%.py,%,$(wildcard tests/sdk/*.py))
NORMALISERS := $(patsubst tests/normalisers/%.py,%,$(wildcard tests/normalisers/*.py))
PEERS := $(patsubst benchmarks/peers/%.in,%,$(wildcard benchmarks/peers/*.in))
APART := $(patsubst tests/apart/%.in,%,$(wildcard tests/apart/*.in))
# The Python is the one that is here; uv would fetch another.
export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Where it is set, each of the many processes that the tests start would compile all that it imports: two seconds a piece.
unexport PYTHONDONTWRITEBYTECODE
# DuckDB plans a statement in many small pieces of memory, of which glibc keeps seven of a size at hand; conftest.py keeps
# this from the processes that tests start.
test thorough: export GLIBC_TUNABLES := glibc.malloc.tcache_count=2000

help: ## show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/ready ## move real customers into lists, twice, with a day between
	@$(BIN)/audiences demo

# .ci/run asks for coverage, which costs half as much time again, and with LONGER=1 for more of the random histories.
COVER ?=
export LONGER
test: .venv/ready ## run every test
	@$(if $(COVER),$(BIN)/coverage erase)
	@$(if $(COVER),$(BIN)/coverage run -m pytest,$(BIN)/pytest) --quiet --numprocesses auto
	@$(if $(COVER),$(BIN)/coverage combine --quiet && $(BIN)/coverage report)

thorough: .venv/ready ## run the tests that try random worlds on many more of them
	@THOROUGH=1 $(BIN)/pytest --quiet --numprocesses auto

bench: .venv/ready ## measure the rate and memory of two syncs, beside a bare loop: WAREHOUSE=duckdb, postgresql or a URL
	@$(BIN)/python benchmarks/bench.py --warehouse "$(or $(WAREHOUSE),duckdb)"

# Other tools, each in an environment of its own: none of them is a dependency of ours.
peers: $(PEERS:%=.venv-peers/%/ready) ## measure two syncs beside drt-core and dlt, of a DuckDB file
	@$(BIN)/python benchmarks/peers.py

record: .venv/ready ## record a connector's cassette anew: CONNECTOR=hubspot, AGAINST=live (the default) or sandbox
	@$(BIN)/python tests/record.py "$(CONNECTOR)" "$(or $(AGAINST),live)" '$(OPTIONS)'

# The SDKs would clash with one another, and so each has an environment of its own. SENT is where to write.
SENT ?= tests/sdk
sdk: $(SDKS:%=.venv-sdk/%/ready) $(NORMALISERS:%=.venv-sdk/normalisers/%/ready) ## have the vendors' SDKs send anew what the tests hold connectors to
	@$(foreach name,$(SDKS),.venv-sdk/$(name)/bin/python -P -W ignore tests/trap.py tests/sdk/$(name).py $(SENT)/$(name).json;)
	@$(foreach name,$(NORMALISERS),.venv-sdk/normalisers/$(name)/bin/python -P -W ignore tests/normalise.py \
		tests/normalisers/$(name).py tests/normalisers/$(name).json;)

# Engines that are too large to come with every checkout, each in an environment of its own with all that the tests need.
apart: $(APART:%=.venv-apart/%/ready) ## try the engines that have environments of their own
	@$(foreach name,$(APART),.venv-apart/$(name)/bin/python -m pytest --quiet --numprocesses 0 tests/test_$(name).py;)

page: .venv/ready ## write docs/connectors.md anew, from the connectors and what the tests hold them to
	@$(BIN)/python tests/page.py

lint: .venv/ready ## read the code and the Dockerfiles for mistakes and form
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/hadolint Dockerfile deploy/Dockerfile

format: .venv/ready ## bring the code into form
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

types: .venv/ready ## check every type
	@$(BIN)/mypy

wheel: .venv/ready ## build the wheel, install it elsewhere and use it
	@.ci/wheel

lock: | $(UV) ## write the lock files anew from pyproject.toml, and those beside tests/sdk, tests/apart and benchmarks/peers
	@$(COMPILE) pyproject.toml --all-extras --output-file requirements.lock
	@$(COMPILE) pyproject.toml --all-extras --group dev --constraints requirements.lock --output-file requirements-dev.lock
	@$(foreach name,$(SDKS),$(COMPILE) tests/sdk/$(name).py --output-file tests/sdk/$(name).lock;)
	@$(foreach name,$(NORMALISERS),$(COMPILE) tests/normalisers/$(name).py --output-file tests/normalisers/$(name).lock;)
	@$(foreach name,$(APART),$(COMPILE) pyproject.toml --all-extras --group test tests/apart/$(name).in $(patsubst %,--override %,$(wildcard tests/apart/$(name).override)) --output-file tests/apart/$(name).lock;)
	@$(foreach name,$(PEERS),$(COMPILE) benchmarks/peers/$(name).in --output-file benchmarks/peers/$(name).lock;)

clean: ## remove what make has made
	rm -rf .venv .venv-apart .venv-peers .venv-sdk build dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache

# The project is installed for editing; hatchling comes from the lock too, so nothing is fetched that no hash vouches for.
.venv/ready: requirements-dev.lock pyproject.toml | $(UV)
	@$(UV) pip sync --quiet --require-hashes --python $(BIN)/python requirements-dev.lock
	@$(UV) pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python --editable .
	@touch $@

.venv-sdk/%/ready: tests/sdk/%.lock .venv/ready
	@$(UV) venv --quiet --clear --python $(BIN)/python $(@D)
	@$(UV) pip sync --quiet --require-hashes --python $(@D)/bin/python $<
	@touch $@

.venv-sdk/normalisers/%/ready: tests/normalisers/%.lock .venv/ready
	@$(UV) venv --quiet --clear --python $(BIN)/python $(@D)
	@$(UV) pip sync --quiet --require-hashes --python $(@D)/bin/python $<
	@touch $@

.venv-apart/%/ready: tests/apart/%.lock .venv/ready
	@$(UV) venv --quiet --clear --python $(BIN)/python $(@D)
	@$(UV) pip sync --quiet --require-hashes --python $(@D)/bin/python $<
	@touch $@

.venv-peers/%/ready: benchmarks/peers/%.lock .venv/ready
	@$(UV) venv --quiet --clear --python $(BIN)/python $(@D)
	@$(UV) pip sync --quiet --require-hashes --python $(@D)/bin/python $<
	@touch $@

$(UV):
	@echo "Setting up .venv (once, under a minute) …"
	@"$$(.ci/python)" -m venv .venv
	@awk '/^uv==/ { take = 1 } take { print } take && !/\\$$/ { exit }' requirements-dev.lock > .venv/uv.txt
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement .venv/uv.txt
