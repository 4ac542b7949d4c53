# Two commands on a fresh machine with Python 3.11 to 3.14 and make: `make demo` and `make test`.
# Everything runs from .venv, which is made from requirements/develop.lock; nothing else is touched.

.DEFAULT_GOAL := help
SHELL := /bin/sh
PATH  ?= /usr/local/bin:/usr/bin:/bin
export PATH
# Else each of the hundreds of processes that tests start would compile our code anew.
unexport PYTHONDONTWRITEBYTECODE
.SUFFIXES:

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
CHAOS ?= full
export CHAOS

# A pyenv shim may exist and refuse to run, and a distribution's Python may lack venv: each is tried.
SUITABLE := import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))

.PHONY: help
help: ## Print this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: $(STAMP) ## Make .venv from the pinned lock (done by every other target when it is due)

$(STAMP): $(VENV)/.locked pyproject.toml
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-input \
	  --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(VENV)/.locked: requirements/develop.lock
	@set -e; chosen=; \
	for candidate in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 \
	    /usr/bin/python3 /usr/local/bin/python3; do \
	  if "$$candidate" -c '$(SUITABLE)' >/dev/null 2>&1; then chosen=$$(command -v "$$candidate"); break; fi; \
	done; \
	if [ -z "$$chosen" ]; then \
	  echo "Narrows needs Python 3.11 to 3.14 with its venv module, and none was found on PATH." >&2; \
	  echo "Install one (on Debian also python3-venv), or name it: make install PYTHON=/path/to/python3" >&2; \
	  exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$chosen" --version)"; \
	"$$chosen" -m venv --clear $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-input \
	  --require-hashes --requirement requirements/develop.lock
	@touch $@

.PHONY: demo
demo: $(STAMP) ## Show a provider fail and heal, end to end (LIVE=1 asks the real hosts)
	@$(BIN)/narrows demo $(if $(filter 1 true yes,$(LIVE)),--live)

.PHONY: up
up: $(STAMP) ## Run Valkey, workers, beat and Flower, supervised, until Ctrl-C
	@$(BIN)/narrows up

# Several files at a time, on a machine of any size: what was too late for its test's patience is asked once
# more, alone, and is named so. What is wrong fails again; more than ten that failed are not asked.
define tested
$(BIN)/python -m pytest $(1) --numprocesses=$(2) --dist=loadfile --maxfail=10 || { \
  [ $$? -eq 1 ] && echo "Once more, alone: what failed beside others" && \
  $(BIN)/python -m pytest $(1) --last-failed --last-failed-no-failures=none --maxfail=1; }
endef

.PHONY: test
test: $(STAMP) ## Run all tests but chaos, bench and browser (TESTS=path for some)
ifdef TESTS
	@$(BIN)/python -m pytest $(TESTS)
else
	@$(call tested,tests --ignore=tests/acceptance,3)
	@$(call tested,tests/acceptance,4)
endif

.PHONY: laws
laws: $(STAMP) ## Check format, lint, types and import laws
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache

.PHONY: check
check: laws ## The laws and the unit tests, before a commit
	@$(BIN)/python -m pytest tests/unit

# 3: nothing was found, but nobody could be asked about flaws; it says so. STRICT=1 fails then, too.
.PHONY: audit
audit: $(STAMP) ## Look for secrets among the files and for known flaws among the packages
	@$(BIN)/python -m tests.audit || { [ $$? -eq 3 ] && [ -z "$(STRICT)" ]; }

.PHONY: format
format: $(STAMP) ## Put the code into its form
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

.PHONY: bench
bench: $(STAMP) ## Measure side by side and write bench/latest.json
	@$(BIN)/python -m bench

# What a short run leaves out.
FURTHER := $(if $(filter short,$(CHAOS)),,$(addprefix tests/acceptance/test_,fault_points.py importing.py rolling_deploy.py sentinel.py soft_shutdown.py))

.PHONY: chaos
chaos: $(STAMP) ## Kill workers and Valkey while calls run, wait and submit (CHAOS=short for two minutes)
	@rm -rf build/chaos
	@failed=0; \
	for storms in tests/chaos $(FURTHER); do $(BIN)/python -m pytest -m chaos $$storms || failed=1; done; \
	$(BIN)/python -m tests.chaos.summary $(if $(FURTHER),,--short) || failed=1; \
	exit $$failed

.PHONY: fuzz
fuzz: $(STAMP) ## Try many thousand odd arguments and answers on every task
	@FUZZ=long $(BIN)/python -m pytest tests/fuzz

.PHONY: soak
soak: $(STAMP) ## Load a fleet for twenty minutes while things go wrong, and see whether anything grows
	@$(BIN)/python -m tests.soak

.PHONY: browser
browser: $(STAMP) ## Look at the pages with a real browser
	@$(BIN)/python -m pytest -m browser tests/browser

.PHONY: picture
picture: $(STAMP) ## Break a provider, and draw docs/pictures/outage.svg of what Prometheus saw
	@$(BIN)/python -m tests.pictures.outage

.PHONY: docs
docs: $(STAMP) ## Write docs/providers.md anew from the provider modules
	@env -u NARROWS_CITIES $(BIN)/narrows providers --markdown > $(VENV)/providers.md
	@mv $(VENV)/providers.md docs/providers.md

.PHONY: lock
lock: $(STAMP) ## Resolve the locks anew (the old pins are kept where they still fit)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-annotate --no-header \
	  --extra s3 --extra otel --output-file requirements/runtime.lock pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-annotate --no-header --extra dev \
	  --constraint requirements/runtime.lock --output-file requirements/develop.lock pyproject.toml

.PHONY: clean
clean: ## Remove everything that make and the tests have made
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
