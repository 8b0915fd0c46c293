# The commands that people type. Bare `make` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
# A dozen processes start at once: what is compiled before need not be compiled by each of them.
COMPILE := $(BIN)/python -m compileall -q ingestor tasks workers celeryconfig.py
.PHONY: help run install test servers check format bench footprint chaos scale-demo soak compose-check quality-truth quality-bench docs constraints clean

help: ## List the commands
	@echo "HA-Ingestor: make COMMAND"
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' Makefile | expand -t 16

run: .venv/.installed ## Run everything: broker, listeners, workers, API (the demo home, if no Home Assistant is set)
	@mkdir -p data && touch data/.ha-ingestor
	@$(COMPILE)
	@HA_INGESTOR_DATA_DIR="$$(pwd)/data" exec $(BIN)/ha-ingestor up

install: .venv/.installed ## Make .venv with the pinned dependencies, start nothing

test: .venv/.installed-dev servers ## Run every test, on real servers (ARGS="-k name" for some of them)
	@$(BIN)/python -m tests.homeassistant.install
	@$(BIN)/python scripts/run_tests.py $(ARGS)

servers: ## Install the servers that the tests start (root and apt), or say what is missing
	@scripts/install_servers

check: .venv/.installed-dev ## Lint, format, types, import contracts, docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --explicit-package-bases scripts tests
	$(BIN)/lint-imports --no-cache
	$(BIN)/python scripts/check_docs.py
	$(BIN)/python scripts/generate_grpc.py --check
	@if [ -f scripts/generate_docs.py ]; then set -x; $(BIN)/python scripts/generate_docs.py --check; fi

format: .venv/.installed-dev ## Put the code into its form
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .

bench: .venv/.installed-dev servers ## Measure rate, latency, CPU and memory on this machine
	@$(COMPILE)
	@$(BIN)/python -m tests.bench.run $(ARGS)

footprint: .venv/.installed-dev ## Measure memory and CPU of the profile `small` for 3 minutes
	@$(COMPILE)
	@$(BIN)/python -m tests.bench.footprint $(ARGS)

chaos: .venv/.installed-dev servers ## Kill processes and servers under load, and count that nothing is lost
	@$(COMPILE)
	@$(BIN)/python -m tests.chaos.run $(ARGS)

scale-demo: .venv/.installed-dev servers ## Show one worker host against two, in network namespaces; one dies, nothing is lost (root; 2 minutes)
	@$(COMPILE)
	@$(BIN)/python -m tests.scale.demo $(ARGS)

soak: .venv/.installed-dev servers ## Run half an hour under load, and see that memory, files and connections stay
	@$(COMPILE)
	@$(BIN)/python -m tests.chaos.soak $(ARGS)

compose-check: .venv/.installed-dev servers ## Build our image in a clean Debian root, run the Compose services in it (root, debootstrap)
	@$(BIN)/python -m tests.compose.check $(ARGS)

quality-truth: .venv/.installed-dev ## Simulate ten homes with planted faults for a month, and see that each fault is found
	@$(BIN)/python -m tests.quality_truth.run $(ARGS)

quality-bench: .venv/.installed-dev servers ## Measure a daily report on a month of 1,000 entities and 10 million events, in both stores
	@$(BIN)/python -m tests.bench.daily_report $(ARGS)

docs: .venv/.installed-dev ## Write the generated pages of docs/reference anew, and what protoc makes of our service
	@$(BIN)/python scripts/generate_grpc.py
	@$(BIN)/python scripts/generate_docs.py

constraints: .venv/.installed-dev ## Renew constraints.txt (UPGRADE=--upgrade for newer versions)
	@UV_SYSTEM_CERTS=true $(BIN)/uv pip compile pyproject.toml --quiet --all-extras --group dev --universal --python-version 3.11 \
		--no-header --no-annotate $(UPGRADE) --output-file constraints.txt

clean: ## Remove what was made, but not data/ and not the environments
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find ingestor tasks workers tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps make the second time fast; a changed list of dependencies installs again.
.venv/.installed: pyproject.toml constraints.txt scripts/make_environment.py
	@python="$$(PYTHON='$(PYTHON)' scripts/find_python)" && "$$python" scripts/make_environment.py
	@touch $@

.venv/.installed-dev: pyproject.toml constraints.txt scripts/make_environment.py
	@python="$$(PYTHON='$(PYTHON)' scripts/find_python)" && "$$python" scripts/make_environment.py --dev
	@touch .venv/.installed $@
