# The commands of the house. `make demo` needs only Python 3.11+, pip and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
IDEA   ?= A library system for a college: members borrow books, librarians manage titles and copies, and overdue loans are fined.
RUNS   ?= 50
SECONDS ?= 120
ROWS   ?= 10000000
TURNS  ?= 100

# Handed over in the environment, so that quotes in an idea are just text.
export IDEA

# With it, every process started here, the servers and commands of the tests among them, compiles the
# platform and its packages anew: two and a half times the work of importing them.
unexport PYTHONDONTWRITEBYTECODE

# uv trusts the system's certificates, as pip and every other client here do.
export UV_SYSTEM_CERTS := 1

# What is run by name between two edits tries fewer examples of each property than what is run before
# a change lands: the other goals, CI's among them, try all.
ifeq ($(filter-out quick unit components,$(or $(MAKECMDGOALS),help)),)
export HYPOTHESIS_PROFILE ?= brief
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo run test quick unit components integration faults chaos check lint format lock compose-secrets clean distclean bench-pipeline bench-durability bench-ledger api-contract audit bench-api bench-equality

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

# One stamp: the environment is made again only when the lock or the metadata changes.
$(VENV)/.ready: requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; set PYTHON=…" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.13,<1'
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(VENV)/.ready ## make .venv from the locked dependencies

demo: $(VENV)/.ready ## build a sample project from one sentence (IDEA="…" for your own)
	@$(BIN)/bharatbuild build "$$IDEA"

run: $(VENV)/.ready ## start the platform on http://127.0.0.1:8000 and keep it up
	@$(BIN)/bharatbuild up

test: unit components integration ## all tests, against the real servers

quick: $(VENV)/.ready ## the tests of the domain, its rules and its runs, in seconds
	@$(BIN)/pytest tests/unit/domain tests/unit/agents tests/unit/persistence tests/unit/runs -q -n 2 --dist worksteal

# What composes an idea's code, typesets documents and writes prompts takes longer than all the rest.
COMPONENTS := tests/unit/offline tests/unit/documents tests/unit/claude

unit: $(VENV)/.ready ## the tests of the domain, the use cases and the routes, after each edit
	@$(BIN)/pytest tests/unit $(COMPONENTS:%=--ignore=%) -q -n 2 --dist worksteal

components: $(VENV)/.ready ## the tests of composing, rendering and prompting, which need no server either
	@$(BIN)/pytest $(COMPONENTS) -q -n 2 --dist worksteal

integration: $(VENV)/.ready ## the tests on real servers, processes and signals
	@$(BIN)/pytest tests/integration -q -n 2 --dist loadfile --ignore=tests/integration/faults

faults: $(VENV)/.ready ## kill, stop and starve every part, and compare with an undisturbed run
	@$(BIN)/pytest tests/integration/faults -q

chaos: $(VENV)/.ready ## kill at random while runs go on (RUNS=50 SECONDS=120), and count
	@$(BIN)/python -m tests.integration.faults.chaos --runs $(RUNS) --seconds $(SECONDS)

audit: $(VENV)/.ready ## look for secrets in the tree, and for known vulnerabilities of what is locked
	@$(BIN)/python .ci/audit.py secrets
	@$(BIN)/python .ci/audit.py dependencies

check: lint audit test ## everything that CI checks

lint: $(VENV)/.ready ## format, lint, types, layers and dependencies
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports
	@$(BIN)/deptry --no-ansi src

format: $(VENV)/.ready ## format the code and mend what the linter can
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

bench-pipeline: $(VENV)/.ready ## measure a run against its critical path, and the queue's latency
	@$(BIN)/python -m benchmarks.pipeline

bench-durability: $(VENV)/.ready ## measure commits, recovery from a SIGKILL, the dispatcher and live streams
	@$(BIN)/python -m benchmarks.durability

api-contract: $(VENV)/.ready ## accept what a change adds for partners (BREAKING=yes: and takes away)
	@$(BIN)/python -m tests.api_contract $(if $(BREAKING),--breaking)

bench-ledger: $(VENV)/.ready ## measure the ledger: contended, spread, and with ROWS=10000000 postings
	@$(BIN)/python -m benchmarks.ledger --rows $(ROWS)

PEER := benchmarks/peer/.venv
$(PEER)/.ready: $(VENV)/.ready benchmarks/peer/requirements.lock
	@test -x $(PEER)/bin/python || $(PYTHON) -m venv $(PEER)
	@$(BIN)/uv pip sync --quiet --python $(PEER)/bin/python --require-hashes benchmarks/peer/requirements.lock
	@touch $@

bench-api: $(VENV)/.ready $(PEER)/.ready ## measure a keyed read against its floor and the usual way of doing it
	@$(BIN)/python -m benchmarks.keyed_reads

bench-equality: $(VENV)/.ready ## measure whether answers' times tell if an address has an account (TURNS=100)
	@$(BIN)/python -m benchmarks.equality --turns $(TURNS)

lock: $(VENV)/.ready ## choose dependency versions anew, with hashes
	@$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --python-version 3.11 \
	  --no-emit-index-url --no-emit-find-links --no-header pyproject.toml -o requirements/runtime.lock
	@$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --python-version 3.11 \
	  --no-emit-index-url --no-emit-find-links --no-header pyproject.toml --extra local --extra dev \
	  -o requirements/dev.lock
	@echo 'hatchling>=1.27' | $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes \
	  --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header - -o requirements/build.lock
	@$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --python-version 3.11 \
	  --no-emit-index-url --no-emit-find-links --no-header benchmarks/peer/requirements.in \
	  -o benchmarks/peer/requirements.lock

compose-secrets: $(VENV)/.ready ## make the passwords and keys that compose.yaml mounts
	@$(BIN)/python deploy/compose/make_secrets.py

clean: ## remove what was built, the results and caches; the data of .bharatbuild stays
	@rm -rf $(VENV) out dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "Kept: .bharatbuild (your projects' data). To remove it too: make distclean"

distclean: clean ## remove the local stack's data as well
	@test ! -e .bharatbuild/platform.json || { echo "The platform is up; stop it first (Ctrl-C)."; exit 1; }
	@rm -rf .bharatbuild
