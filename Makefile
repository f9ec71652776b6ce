# The whole interface. `make` alone lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

$(VENV)/dev:
	@./seve install --dev

up: ## start everything, wait until it is ready, say where it is (OBSERVABILITY=1 in Docker: Prometheus and Grafana too)
	@./seve up

down: ## stop everything; data stay
	@./seve down

status: ## what runs, what waits, what is stored, what went wrong
	@./seve status

logs: ## follow the logs
	@./seve logs

simulate: ## a simulated fleet against the running stack (MODULES=50 RATE=500 SECONDS=20)
	@./seve simulate $(if $(MODULES),--modules $(MODULES)) $(if $(RATE),--rate $(RATE)) $(if $(SECONDS),--seconds $(SECONDS))

scale: ## WRITERS=n: how many writers share the work
	@./seve scale WRITERS=$(WRITERS)

audit: ## whether every message that entered the journal is accounted for (FROM=sequence JSON=1)
	@./seve audit $(if $(FROM),--from $(FROM)) $(if $(JSON),--json)

psql: ## talk to the database
	@./seve psql

certs: ## a development CA and a certificate for every server (NAME=address, as devices reach this machine)
	@./seve certs $(if $(NAME),--name $(NAME))

clean: ## remove all data, after asking
	@./seve clean $(if $(YES),--yes)

test: $(VENV)/dev ## the whole suite that this machine can run (FAST=1: what needs no servers, after each edit; JOBS=3 processes)
	@$(BIN)/python tests/support/guard.py $(BIN)/python -m pytest -n $(or $(JOBS),3) --dist loadscope $(if $(FAST),-m "not slow") $(if $(SKIPS),--skips-allowed $(SKIPS))

bench: $(VENV)/dev ## what it carries and what that costs, on this machine, in short; SCENARIO=name for one at length, SCENARIO=help lists them
	@PYTHONPATH=tests:deploy/docker/src $(BIN)/python -m bench $(foreach word,$(filter-out MAKEFLAGS,$(.VARIABLES)),$(if $(filter command line,$(origin $(word))),'$(word)=$($(word))'))

soak: $(VENV)/dev ## a fleet of 2,000 devices for HOURS (1), with days, kills and screens: what grows, and the account (SEED=)
	@$(MAKE) --no-print-directory bench SCENARIO=soak $(if $(HOURS),HOURS=$(HOURS)) $(if $(SEED),SEED=$(SEED))

faults: $(VENV)/dev ## the crash matrix: parts killed and frozen, disks full, files damaged, networks cut under load, and the account (MODE=docker or cluster, PARTS= FAULTS= SEED=)
	@$(BIN)/python tests/faults/crash_matrix.py --results faults-results $(if $(MODE),--mode $(MODE)) $(if $(PARTS),--parts $(PARTS)) $(if $(FAULTS),--faults $(FAULTS)) $(if $(SEED),--seed $(SEED))

upgrade: $(VENV)/dev ## replace the services of the newest release by these under load, one by one, and back (BEFORE= SEED=)
	@$(BIN)/python tests/faults/upgrade.py $(if $(BEFORE),--before $(BEFORE)) $(if $(SEED),--seed $(SEED))

fuzz: $(VENV)/dev ## a million arbitrary messages through the normalisation (INPUTS= SEED=)
	@$(BIN)/python services/ingest/tests/fuzz.py $(if $(INPUTS),--inputs $(INPUTS)) $(if $(SEED),--seed $(SEED))

simulation: $(VENV)/dev ## ten thousand stories of failing parts on virtual time, in a minute or two (STORIES= FIRST=; SEED=n tells one)
	@PYTHONPATH=tests $(BIN)/python -m simulation $(if $(STORIES),--stories $(STORIES)) $(if $(FIRST),--first $(FIRST)) $(if $(SEED),--seed $(SEED))

mutants: $(VENV)/dev ## break one guarantee after another in a copy, and show which test notices (NAMES=)
	@PYTHONPATH=tests $(BIN)/python -m mutants $(NAMES)

coverage: $(VENV)/dev ## branch coverage of the pure modules of schema, runtime and services, with a floor
	@PYTHONPATH=tests $(BIN)/python tests/pure_coverage.py

lint: $(VENV)/dev ## ruff and the type checker
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/python -m mypy

format: $(VENV)/dev ## format the code; write the tables of settings and of metrics, and the index of decisions
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix . && $(BIN)/python tests/settings_table.py && $(BIN)/python tests/metrics_table.py && $(BIN)/python tests/decisions_index.py

sbom: $(VENV)/dev ## list what the locks install, with hashes, as CycloneDX documents in dist/
	@$(BIN)/python deploy/sbom.py

lock: ## pin the dependencies anew
	@deploy/lock --upgrade

.PHONY: $(VENV)/dev help up down status logs simulate scale audit psql certs clean test bench soak faults upgrade fuzz simulation mutants coverage lint format sbom lock
