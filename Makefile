# What people type. Every recipe works on a fresh machine with Python 3.11, make and nothing else.
.DEFAULT_GOAL := help
.PHONY: help setup run test check bench simulate kill rails fuzz mutants audit unit pictures format

BIN := .venv/bin
ARGS ?=
CASES ?= 10000
ROUNDS ?= 50
PAYOUTS ?= 20000
FOLDER ?= pictures

help: ## What can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' Makefile

setup: ## Install: .venv with the kpay command
	@scripts/setup run

run: setup ## Serve, play the page's scenarios, keep serving (ARGS=--once exits after them)
	@exec $(BIN)/kpay demo $(ARGS)

test: ## Every check and every test
	@scripts/setup test
	@scripts/chromium
	@$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)

check: ## Style, types and the import rule
	@scripts/setup test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=client/src $(BIN)/lint-imports

bench: ## Ratios against pgbench, shown and written to docs/benchmarks.md (needs wrk; ARGS=--help)
	@scripts/setup bench
	$(BIN)/python -m bench --write $(ARGS)

simulate: ## Seeded lives of the program with everything failing (SEED=42 STEPS=2000, SEEDS=100)
	@scripts/setup test
	@$(BIN)/python -m simulator $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS)) \
		$(if $(STEPS),--steps $(STEPS)) $(ARGS)

kill: ## Kill the program under load and compare its books, ROUNDS=50 times (ARGS=--seed=… repeats)
	@scripts/setup test
	$(BIN)/python -m soak --rounds $(ROUNDS) $(ARGS)

rails: ## Pay out by a rail at its worst, workers killed meanwhile, and compare three books (PAYOUTS=20000)
	@scripts/setup test
	$(BIN)/python -m soak.payouts --payouts $(PAYOUTS) $(ARGS)

mutants: ## Change the rules about money in small ways: does a test notice? (an hour; goes on)
	@scripts/setup mutants
	$(BIN)/python scripts/mutants $(ARGS)

unit: ## The tests that need no database, in seconds
	@scripts/setup test
	$(BIN)/python -m pytest tests/unit $(ARGS)

pictures: ## Every page of the dashboard, in both languages, light and dark, desk and phone (FOLDER=pictures)
	@scripts/setup test
	@scripts/chromium
	KPAY_TEST_PICTURES=$(FOLDER) $(BIN)/python -m pytest -q tests/browser/pictures.py $(ARGS)

fuzz: ## Made-up requests to a server of its own (CASES=10000, ARGS="--seed 7")
	@scripts/setup test
	$(BIN)/python -m tests.fuzz --cases $(CASES) $(ARGS)

audit: ## Known weaknesses of what is pinned; asks the package index, so it needs the network
	@scripts/setup audit
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements/run.txt $(ARGS)

format: ## Put the code into its one format
	@scripts/setup test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
