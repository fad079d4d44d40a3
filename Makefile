# The same words for people and CI; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check install

.DEFAULT_GOAL := help
.PHONY: help install run format lint types architecture test contract fuzz faults usage-proof usage-cost token-cost kernel-cost cost-baseline bench bench-growth bench-size report check lock clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/installed ## Make the environment in .venv, with the `tandem` command in it

run: install ## Migrate and serve, on 127.0.0.1:8000 with SQLite in data/; HOST, PORT, WORKERS, DATABASE_URL change it
	@$(BIN)/tandem db upgrade
	@exec $(BIN)/tandem serve

format: $(VENV)/installed-dev ## Rewrite the code in the one format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/installed-dev ## Check format, habits, and the container's files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive app alembic
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/ci.yml

types: $(VENV)/installed-dev ## Check types (mypy strict)
	$(BIN)/mypy

architecture: $(VENV)/installed-dev ## Check that every import stays in its room
	$(BIN)/lint-imports --no-logo

test: $(VENV)/installed-dev ## Run the tests, on SQLite and on a PostgreSQL that the suite brings along
	$(BIN)/pytest -rs tests

contract: $(VENV)/installed-dev ## Prove both OpenAPI documents against a running server, on both databases
	$(BIN)/pytest -rs contract_tests

fuzz: $(VENV)/installed-dev ## Ask what the tests do not, with a fresh SEED for FUZZ_SECONDS=300; DATABASE_URL is where, if not on a scratch SQLite
	@$(BIN)/python -m contract_tests.fuzz

faults: $(VENV)/installed-dev ## Restart, kill and starve servers and databases, and print what was measured; FAULTS=faults/test_x.py takes a part
	$(BIN)/pytest -rs $(or $(FAULTS),faults)

usage-proof: $(VENV)/installed-dev ## Prove that the usage ledger counts 100,000 requests over 4 workers exactly, on both databases
	$(BIN)/python -m benchmarks.usage_proof

usage-cost: $(VENV)/installed-dev ## Measure what the usage ledger and the metrics add to a request
	$(BIN)/python -m benchmarks.usage_cost

token-cost: $(VENV)/installed-dev ## Measure what a token, and the look-up of its session, add to a request
	$(BIN)/python -m benchmarks.token_cost

cost-baseline: $(VENV)/installed-dev ## Write tests/cost_baseline.json anew: what each operation may cost in calls, queries and thread hops
	$(BIN)/python -m benchmarks.cost

kernel-cost: $(VENV)/installed-dev ## Measure what the version kernel adds to a request
	$(BIN)/python -m benchmarks.kernel_cost

bench: $(VENV)/installed-dev ## Measure Tandem beside others that do the same work; ROUNDS, ONLY=tandem,limit and OPERATIONS=v2_post,… take a part
	$(BIN)/python -m benchmarks.bench $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only $(ONLY)) $(if $(OPERATIONS),--operations $(OPERATIONS))

bench-growth: $(VENV)/installed-dev ## Measure what a hundred times the posts change, and two workers
	$(BIN)/python -m benchmarks.growth

bench-size: $(VENV)/installed-dev ## Measure how soon the first reply comes, memory, and what is installed
	$(BIN)/python -m benchmarks.size

report: $(VENV)/installed-dev ## Write contract-report.html: what the last `make contract` has proven, by operation
	$(BIN)/tandem contract report

check: lint types architecture test contract ## Everything CI checks

lock: $(VENV)/installed ## Renew the pinned, hashed requirements after a change in pyproject.toml
	$(PIP) uv==0.13.8
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--no-header --extra build pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--no-header --extra build --extra dev --constraint requirements.txt pyproject.toml -o requirements-dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--no-header contract_tests/clients/requirements.in -o contract_tests/clients/requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--no-header --constraint requirements.txt pyproject.toml benchmarks/requirements.in -o benchmarks/requirements.txt

clean: ## Remove the environment and caches; data/ stays
	rm -rf $(VENV) .venv-bench .venv-clients benchmarks/contenders/fastify/node_modules contract_tests/node/node_modules contract_tests/node/build build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Tandem needs Python 3.11 or newer; this is $$($(PYTHON) --version). Set PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "python3 cannot make environments; Debian: apt install python3-venv" >&2; exit 1; }

$(VENV)/installed: requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing Tandem into $(VENV)"
	@$(PIP) --require-hashes -r requirements.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	@echo "installing the tools for tests into $(VENV)"
	@$(PIP) --require-hashes -r requirements-dev.txt
	@touch $@
