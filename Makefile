# Quorum. Needs Python 3.11+ and make; everything else is installed below this folder.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= $(firstword $(foreach name,python3.13 python3.12 python3.11 python3,$(shell $(name) -c 'import sys, venv; (3, 11) <= sys.version_info < (3, 14) and print("$(name)")' 2>/dev/null)))
# A Python that both Lambda and this machine have: functions run on it, and packages are built for it.
RUNTIME = $(firstword $(foreach name,python3.13 python3.12,$(shell $(name) -c 'print("$(name)")' 2>/dev/null)))
OVERRIDES ?= $(if $(filter prod,$(PROFILE)),LogDays=90)
UV := .venv/bin/uv
RUN := .venv/bin/python -m
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0

# If PYTHON is not the environment's Python, the environment is created anew with it.
ifneq ($(filter command environment,$(origin PYTHON)),)
version = $(shell $(1) -c 'import sys; print(*sys.version_info[:2], sep=".")' 2>/dev/null)
ifneq ($(call version,$(PYTHON)),$(call version,.venv/bin/python))
.PHONY: .venv/bin/uv .venv/.locked .ministack/.locked
endif
endif

.PHONY: help demo check check-types check-tests test test-the-stack test-another-stack test-the-rest lint-behind up down logs lint setup lock licences audit coverage fuzz picture bench bench-quick bench-moderation bench-plumbing bench-growth bench-gateway bench-batch bench-chat bench-doors bench-start evaluate openapi mutants drill chaos screenshots deploy

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: up ## judge a dozen texts on the local stack and show the verdicts
	@$(RUN) cli.demo

check: setup ## the daily check: lint, types, import contracts, unit and contract tests
	ruff check --quiet
	ruff format --check --quiet
	@$(MAKE) --no-print-directory --jobs 2 check-types check-tests

check-types:
	mypy
	lint-imports --no-logo

check-tests:
	pytest --numprocesses 3 --dist worksteal tests/unit tests/contract

test: setup ## lint, types and every test, also on the local stack; PYTHON=python3.12 uses that Python
	@$(MAKE) --no-print-directory --jobs 3 test-the-stack test-another-stack lint-behind test-the-rest

# Side by side, since tests on a stack mostly wait. Each process has a stack of its own, and both go before the others:
# what waits for a busy machine may be too late, and its verdict is left to a person.
STACK_TESTS := $(wildcard tests/e2e/test_[a-e]*.py)

test-the-stack:
	pytest $(STACK_TESTS)

test-another-stack:
	pytest $(filter-out $(STACK_TESTS),$(wildcard tests/e2e/test_*.py))

lint-behind:
	@nice -n 10 $(MAKE) --no-print-directory lint

test-the-rest:
	nice -n 10 pytest --numprocesses 2 --dist worksteal --ignore tests/e2e

up: setup ## build, start and deploy the local stack; GATEWAY=stand-in needs no key for models
	@$(RUN) local.stack up

down: ## stop what `make up` started; its data stays
	@test -x .venv/bin/python && $(RUN) local.stack down || true

logs: ## show the logs of the local Lambdas
	@$(RUN) local.stack logs

lint: setup .local/checkov/.locked ## run ruff, mypy, import-linter, cfn-lint and checkov
	ruff check --quiet
	ruff format --check --quiet
	mypy
	lint-imports --no-logo
	cfn-lint template.yaml
	AWS_DEFAULT_REGION=us-east-1 sam validate --lint
	.local/checkov/bin/checkov --config-file .checkov.yaml

setup: .venv/.locked .ministack/.locked

.venv/bin/uv:
	@test -n "$(PYTHON)" || { echo "Quorum needs Python 3.11, 3.12 or 3.13 with venv; none was found."; exit 1; }
	@echo "Setting up with $(PYTHON) (once)…"
	@$(PYTHON) -m venv --clear .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9

.venv/.locked: uv.lock pyproject.toml | .venv/bin/uv
	@$(UV) sync --quiet --frozen
	@touch $@

# MiniStack has an environment of its own: a package missing from a layer must be missing locally too.
.ministack/.locked: uv.lock | .venv/bin/uv
	@UV_PROJECT_ENVIRONMENT=.ministack $(UV) sync --quiet --frozen --python .venv/bin/python --only-group ministack --no-install-project --compile-bytecode
	@touch $@

# checkov pins an older boto3 than Quorum's own; the tools of `make audit` and what is only compared with stay out of the lock.
.local/checkov/.locked .local/audit/.locked .local/litellm/.locked .local/any-llm/.locked: .local/%/.locked: local/requirements/%.txt | .venv/bin/uv
	@$(UV) venv --quiet --clear --python .venv/bin/python .local/$*
	@$(UV) pip install --quiet --python .local/$*/bin/python --require-hashes --requirement $<
	@touch $@

# mutmut and aws-sam-cli want different versions of click.
.local/mutants/environment/.locked: uv.lock | .venv/bin/uv
	@UV_PROJECT_ENVIRONMENT=.local/mutants/environment $(UV) sync --quiet --frozen --python .venv/bin/python --no-default-groups --group mutants --no-install-project
	@touch $@

mutants: setup .local/mutants/environment/.locked ## mutation tests of the modules that decide; MODULE=tally LIMIT=100 for a part
	@nice -n 15 .local/mutants/environment/bin/python -m local.mutants $(if $(LIMIT),--limit $(LIMIT)) $(MODULE)

lock: | .venv/bin/uv ## renew the lock and the layers' requirements
	$(UV) lock
	@for name in checkov audit litellm any-llm; do echo "$(UV) pip compile local/requirements/$$name.in"; \
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header local/requirements/$$name.in --output-file local/requirements/$$name.txt || exit; done
	$(UV) export --quiet --frozen --only-group service --no-emit-project --no-header > layers/dependencies/requirements.txt
	$(UV) export --quiet --frozen --only-group embedded --no-emit-project --no-header > layers/embedded/requirements.txt
	$(UV) export --quiet --frozen --only-group meaning --no-emit-project --no-header > layers/meaning/requirements.txt
	$(UV) export --quiet --frozen --only-group documents --no-emit-project --no-header > layers/documents/requirements.txt

licences: setup ## list name, version, licence and author of every package in every layer
	@$(RUN) local.licences

audit: setup .local/audit/.locked ## look for weaknesses: bandit over the code, pip-audit over the locked packages (fails if its database cannot be reached)
	@$(RUN) local.audit

evaluate: setup ## measure the panel PANEL (embedded) on TEXTS=labelled.csv
	@test -n "$(TEXTS)" || { echo "make evaluate TEXTS=labelled.csv (columns text, gold)"; exit 1; }
	@mkdir -p .local
	quorum record "$(TEXTS)" --panel "$(or $(PANEL),embedded)" --out .local/votes.csv
	quorum evaluate .local/votes.csv --panel "$(or $(PANEL),embedded)"

picture: setup ## draw the picture of verdicts in the README
	@$(RUN) cli.picture

openapi: setup ## describe the HTTP API in docs/openapi.json, and events in docs/events.schema.json
	@$(RUN) local.openapi
	@$(RUN) local.event_schema

# Read by local.release and not by the shell: JSON has quotes.
deploy: export OVERRIDES := $(OVERRIDES)
deploy: setup ## build and deploy to AWS with your credentials; PROFILE=prod for production; OVERRIDES='Name=value …'; CONFIRM=no asks nothing
	$(if $(RUNTIME),,$(error A deploy needs Python 3.13 or 3.12 on the PATH: the functions run on one of them, and sam build uses it))
	PYTHON_RUNTIME=$(RUNTIME) sam build --parameter-overrides PythonRuntime=$(RUNTIME)
	@$(RUN) local.release prepare $(or $(PROFILE),default) PythonRuntime=$(RUNTIME)
	@$(RUN) local.release note $(or $(PROFILE),default)
	sam deploy --config-env $(or $(PROFILE),default) $(if $(filter no,$(CONFIRM)),--no-confirm-changeset) --parameter-overrides file://.aws-sam/build/parameters.yaml
	@$(RUN) local.release protect $(or $(PROFILE),default)
	@$(RUN) local.release prune $(or $(PROFILE),default) --noted .aws-sam/build/unused.json

coverage: setup ## branch coverage of the package quorum by all tests but those on the stack; fails below 95 %
	@rm -rf .local/coverage
	@mkdir -p .local/coverage
	nice -n 10 coverage run -m pytest --numprocesses 2 --dist worksteal --ignore tests/e2e
	coverage combine --quiet
	coverage report --skip-covered

fuzz: setup ## give every parser made-up inputs for SECONDS=3600, and write docs/fuzzing.md
	@nice -n 19 $(RUN) tests.fuzz --seconds $(or $(SECONDS),3600) --record

drill: setup ## run the drills, and write docs/drills.md
	@$(RUN) local.drills

chaos: setup ## run the tests of AWS's faults TIMES=10 in a row on one stack, and end with a table
	@$(RUN) local.chaos $(or $(TIMES),10)

screenshots: setup ## take the pictures of docs/console.md (needs chromium)
	pytest tests/console/take_screenshots.py

BENCHES := moderation plumbing growth gateway batch chat doors start
# A missed aim ends a benchmark with 1; the page is made all the same, and the other benchmarks are run.
measured = @$(RUN) bench.$(1); missed=$$?; $(RUN) bench.page && exit $$missed

bench: setup ## run every benchmark, and write the tables and plots of docs/benchmarks.md (a quarter of an hour; the machine must do nothing else)
	@$(MAKE) --no-print-directory --keep-going --jobs 1 $(BENCHES:%=bench-%)

bench-quick: setup .local/litellm/.locked .local/any-llm/.locked ## run every benchmark in its short form, which keeps nothing (five minutes)
	@for name in moderation plumbing growth gateway_client batch chat doors start; do echo "bench.$$name"; $(RUN) bench.$$name --quick > .local/bench-quick.log || exit; done

bench-moderation: setup .local/litellm/.locked .local/any-llm/.locked ## three votes by Quorum and by four other ways, and their books where calls fail
	$(call measured,moderation)

bench-plumbing: setup ## the time that Quorum itself adds: to a vote, a verdict, a cached verdict; the embedded voters
	$(call measured,plumbing)

bench-growth: setup ## how time, memory, writes and money grow with items, votes, characters, list entries and what waits
	$(call measured,growth)

bench-gateway: setup ## time per call of the gateway client, beside the openai SDK and bare httpx
	$(call measured,gateway_client)

bench-batch: setup ## items per second of a batch under a rate limit, and conflicts of its transactions
	$(call measured,batch)

bench-chat: setup ## time the chat adds to the first token, tokens per second, time of a cancel
	$(call measured,chat)

bench-doors: setup ## Quorum's own time in an answer of the panel embedded, beside a bare handler and the vote machine
	$(call measured,doors)

bench-start: setup ## start of every function under AWS's runtime interface emulator, beside bare imports and without bytecode
	$(call measured,start)
