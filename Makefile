# The commands of the project; CI runs the same ones. `make` alone lists them.

PORT ?= 8000
STAGE ?= dev
# Lambda runs Python 3.13; any version from 3.11 on will do.
PYTHON := $(shell for p in python3.13 $(wildcard $(HOME)/.pyenv/versions/3.13.*/bin/python) python3 python3.12 python3.11; do "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
BIN := .venv/bin
# The newest major version of the CLI cannot read the library's output.
CDK = PATH="$(CURDIR)/$(BIN):$$PATH" npx --yes aws-cdk@2.1148.1
# The files of tests are shared out, longest first; each process has its own PostgreSQL and queue.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder
EXAMPLES ?= 200
SIZE ?= 10000
FASTIFY := benchmarks/peers/fastify
PEERS := $(FASTIFY)/dist/handler.js .venv/peers/installed
CLIENTS := tests/clients/node_modules/.package-lock.json .venv/clients/installed
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPATH := $(CURDIR)/layers/orders/python
export PORT

.DEFAULT_GOAL := help
.PHONY: help run reset quick test oldest lint format fuzz bench bench-quick openapi examples schema costs doctor migrate synth checkov bootstrap ci deploy destroy smoke redrive lock drill load sbom audit

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | while IFS="$$(printf '\t')" read -r name does; do printf '  make %-11s %s\n' "$$name" "$$does"; done

run: .venv/run ## Start the whole service on 127.0.0.1:$PORT (DATABASE_URL=… for a PostgreSQL of your own, AUTH=on for tokens)
	@exec $(BIN)/python -m local

reset: ## Delete the laptop's data
	rm -rf .local

# The tests that daily work needs: none that kill, build, unpack, fuzz, count instructions or open a browser.
quick: .venv/test ## Run the tests of the API, the data and the contract in under two minutes
	@$(BIN)/python -m tests.tools
	$(PYTEST) tests/api tests/contract tests/data -m "not slow"

test: .venv/test $(CLIENTS) ## Run every test
	@$(BIN)/python -m tests.tools
	$(PYTEST)

# Without the faults: what survives the death of a server is up to PostgreSQL, and those tests take half of the time.
oldest: .venv/test ## Run the tests of the data and the API on the distribution's PostgreSQL, the oldest available
	@$(BIN)/python -m tests.tools
	POSTGRES=oldest $(PYTEST) tests/data tests/api --ignore tests/data/test_faults.py

lint: .venv/test ## Check style and types, and that generated files are up to date
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m contract.openapi --check
	$(BIN)/python -m cdk.costs --check
	$(BIN)/zizmor --offline --no-progress --quiet .github/workflows

format: .venv/test ## Format the code
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

openapi: .venv/test ## Generate openapi.json, operations.json and the endpoint table of docs/api.md from the handlers
	$(BIN)/python -m contract.openapi

examples: openapi ## Record the examples of openapi.json from a service of its own
	@$(BIN)/python -m tests.clients.examples
	@$(BIN)/python -m contract.openapi

schema: .venv/test ## Generate the diagram in docs/data-model.md from a database
	$(BIN)/python -m local.data_model

costs: .venv/test ## Generate the tables of docs/costs.md from docs/prices.toml and the templates
	$(BIN)/python -m cdk.costs

# With any Python and without .venv: it says what keeps these from being made.
doctor: ## Say what this machine, and STAGE's AWS account, lack to run, test and deploy the service, and what to do
	@$(firstword $(wildcard $(BIN)/python) $(PYTHON) python3) -m local.doctor stage=$(STAGE) $(ARGS)

migrate: .venv/run ## Migrate the database at DATABASE_URL to the schema of this release
	@$(BIN)/python -m local.migrate

synth: .venv/cdk ## Write the deployment of STAGE to cdk.out, without an AWS account
	$(BIN)/python -m cdk.app stage=$(STAGE)

bootstrap: .venv/cdk ## Prepare the environment's AWS account for STAGE, once
	$(CDK) bootstrap -c stage=$(STAGE) --qualifier orders$(STAGE) --toolkit-stack-name CDKToolkit-orders$(STAGE) $(ARGS)

ci: .venv/cdk ## Let GitHub Actions of GITHUB=OWNER@ID/REPOSITORY@ID deploy to the environment's AWS account, once
	$(CDK) deploy OrdersCi -c github=$(GITHUB)

checkov: synth ## Scan what would be deployed with checkov, which is installed for this run only (STAGE=prod)
	@# Too large for .venv: 100 packages, some in older versions than ours.
	$(BIN)/uv tool run --system-certs checkov@3.3.30 --config-file .checkov.yaml

deploy: .venv/cdk ## Show what would change in STAGE, ask and deploy it (YES=1 does not ask; ARGS="-c alarm_email=… -c domain=…")
	@$(BIN)/python -m cdk.preflight stage=$(STAGE) $(ARGS)
	$(CDK) diff -c stage=$(STAGE) $(ARGS)
	@test "$(YES)" = 1 || { printf 'Deploy this to %s? [y/N] ' $(STAGE); read -r answer && test "$$answer" = y; } || { \
		echo "Nothing was deployed. Answer y, or say YES=1 where nobody can answer."; exit 1; }
	$(CDK) deploy --all --require-approval never -c stage=$(STAGE) $(ARGS)

destroy: .venv/cdk ## Remove STAGE from AWS; production is protected against it
	$(CDK) destroy --all -c stage=$(STAGE) $(ARGS)

smoke: .venv/run ## Walk through every endpoint of the service at URL (TOKEN=… if tokens are required)
	@$(BIN)/python -m contract.smoke $(URL) --stage $(STAGE)

redrive: .venv/run ## Send the dead letters of QUEUE in STAGE again (SHOW=on only shows them; STAGE=local is the laptop)
	@$(BIN)/python -m contract.redrive $(STAGE) $(QUEUE) $(if $(SHOW),--show)

fuzz: .venv/test ## Run the fuzz tests for longer (EXAMPLES=200)
	FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest tests/contract -s -o timeout=3600

bench: .venv/test $(PEERS) ## Compare the service with its peers and write docs/benchmarks.md (SIZE=1000000 orders)
	@$(BIN)/python -m benchmarks --size $(SIZE) --document --command "make bench SIZE=$(SIZE)"

bench-quick: .venv/test $(PEERS) ## Compare in less than three minutes, with fewer calls and no document
	@$(BIN)/python -m benchmarks --rounds 40 --seconds 3 --cold 3 --mixed 60 --mixed-rounds 1 --command "make bench-quick"

sbom: .venv/run ## Write the software bill of materials of what is deployed to sbom.cdx.json (CycloneDX)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m contract.sbom

# A package that the database does not know fails, too: nobody shall take silence for safety.
audit: .venv/run ## Look up known vulnerabilities of what is deployed, where PyPI's database can be reached
	$(BIN)/uv tool run --system-certs pip-audit@2.10.1 --strict --disable-pip --require-hashes -r layers/dependencies/requirements.txt

drill: .venv/test ## Strike the service with faults under load and judge what it did (DRILL=short, long; MUTATE=all)
	@$(BIN)/python -m drill$(if $(MUTATE),.mutations $(MUTATE))

load: .venv/test ## Measure 1,000 clients over ten connections, and lists while a million rows are made and exported
	@$(BIN)/python -m drill.load

lock: .venv/run ## Lock the requirements of pyproject.toml with hashes
	$(BIN)/uv pip compile --group lambda -o layers/dependencies/requirements.txt $(LOCK)
	$(BIN)/uv pip compile --group mail -o layers/mail/requirements.txt $(LOCK)
	$(BIN)/uv pip compile pyproject.toml --group run -o requirements/run.txt $(LOCK)
	$(BIN)/uv pip compile pyproject.toml --group cdk -o requirements/cdk.txt $(LOCK)
	$(BIN)/uv pip compile pyproject.toml --group test -o requirements/test.txt $(LOCK)
	$(BIN)/uv pip compile --group peers -o benchmarks/peers/requirements.txt $(LOCK)
	$(BIN)/uv pip compile --group clients -o tests/clients/requirements.txt $(LOCK)
LOCK := --quiet --system-certs --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header

.venv/bin/uv: requirements/uv.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; none was found. \`make doctor\` says what to do."; exit 1; }
	@$(PYTHON) -m venv .venv && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt || { \
		echo "The environment in .venv could not be made. \`make doctor\` says what to do."; exit 1; }

# Runs on the wheel's Node.js.
$(FASTIFY)/dist/handler.js: $(wildcard $(FASTIFY)/*.js*) $(FASTIFY)/.npmrc | .venv/test
	cd $(FASTIFY) && PATH="$(CURDIR)/$(BIN):$$PATH" && npm ci --silent && npm run --silent build

tests/clients/node_modules/.package-lock.json: tests/clients/package-lock.json tests/clients/.npmrc | .venv/test
	cd tests/clients && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent

.venv/peers/installed: benchmarks/peers/requirements.txt
.venv/clients/installed: tests/clients/requirements.txt
.venv/peers/installed .venv/clients/installed: .venv/bin/uv
	$(BIN)/python -m venv --clear $(@D)
	$(BIN)/uv pip install --quiet --system-certs --python $(@D)/bin/python --compile-bytecode --require-hashes \
		-r $(filter %.txt,$^)
	@touch $@

# Bytecode is compiled here: where Python may not write, every function's cold start would compile again. The command
# line of this checkout becomes .venv/bin/orders.
.venv/%: requirements/%.txt .venv/bin/uv
	$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --compile-bytecode --require-hashes -r $<
	$(BIN)/uv pip install --quiet --offline --python $(BIN)/python --no-deps --editable .
	@touch $@
