# Every job of the house. Needs make and Python 3.11 or newer; each target makes the environment first if it must.

.DEFAULT_GOAL := help
.PHONY: help setup demo test conformance acceptance lab bench wheel check format notebooks lock clean
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; done; echo python3)
PY := .venv/bin/python
ARGS ?=
LEVELS ?= x86-64-v2 x86-64-v3 x86-64-v4

help:  ## show this list
	@echo "tradelab: make TARGET [ARGS=...]"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name says; do \
		printf '  make %-12s %s\n' "$$name" "$$says"; done

setup:  ## make the environment in .venv (uv where it is installed, else venv and pip)
	@$(PYTHON) tools/environment.py

demo: setup  ## run the main job: bundled bars, check, backtest, sweep, HTML report
	@$(PY) -m tradelab demo $(ARGS)

test: setup  ## run all tests and doctests; ARGS="tests/unit/model -x" narrows it
	$(PY) -m pytest -n logical --dist worksteal $(ARGS)

conformance: setup  ## hold every venue to the contract, write docs/conformance.md and docs/faults.md
	@$(PY) tools/fault_table.py
	@$(PY) tools/conformance.py $(ARGS)

acceptance: setup  ## kill engines, change accounts, flatten under faults, write docs/reliability.md; ARGS="--share 0.1"
	@$(PY) -W ignore tools/acceptance.py $(ARGS)

lab: setup  ## open JupyterLab on notebooks/
	TRADELAB_RUNS="$${TRADELAB_RUNS:-$(CURDIR)/runs}" $(PY) -m jupyterlab --notebook-dir=notebooks \
		--LabApp.news_url=None --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate \
		$$([ "$$(id -u)" = 0 ] && echo --allow-root) $(ARGS)

bench: setup  ## measure what we claim to be fast
	@for script in bench/[a-z]*.py; do echo "== $$script"; $(PY) "$$script" || exit 1; done

wheel: setup  ## build a wheel with kernels made ahead for the levels of x86-64; LEVELS= builds a pure one
	@if [ -n "$(LEVELS)" ]; then $(PY) -m tradelab.engine.build $(LEVELS); fi
	$(PY) -m hatchling build -t wheel

check: setup  ## lint, formatting, types, import contracts
	$(PY) -m ruff check $(ARGS)
	$(PY) -m ruff format --check
	$(PY) -m mypy
	.venv/bin/lint-imports --no-logo

format: setup  ## put the code in the house's format
	$(PY) -m ruff check --fix-only --quiet
	$(PY) -m ruff format

notebooks: setup  ## bring each notebook and its .py twin in step (the newer wins), strip outputs
	find notebooks -name '*.ipynb' -not -path '*/.ipynb_checkpoints/*' -exec $(PY) -m jupytext --quiet --sync {} +
	find notebooks -name '*.ipynb' -not -path '*/.ipynb_checkpoints/*' -exec $(PY) -m nbstripout {} +

lock: setup  ## pin every dependency again; ARGS=--upgrade takes the newest
	$(PY) tools/lock.py $(ARGS)

clean:  ## forget the environment and every cache; runs and bars stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
