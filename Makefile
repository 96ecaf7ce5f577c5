# Dragoman. `make serve` needs python3 (3.11 or newer) and make; everything else is set up here.
#
#   make serve ARGS="--port 9000"      ARGS reaches the command that a target runs
#   make setup PYTHON=python3.12       PYTHON makes the virtual environment

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
LIBRETRANSLATE_VERSION := 1.9.6

# onnxruntime reports to its vendor otherwise; ours sets it by itself, the benchmark's peers do not.
export ORT_DISABLE_TELEMETRY := 1

# Every install, the build backend's included, takes its versions from constraints.txt.
# Newer pips read PIP_BUILD_CONSTRAINT for the backend, older ones PIP_CONSTRAINT for both.
PIP_INSTALL := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(VENV)/bin/python -m pip install

# A stamp says what is installed, so that a second call has nothing to do. `serve` is content with
# everything, too: once `make setup` has run, it does not ask for its own, smaller set.
SETUP := $(VENV)/.everything-installed
SERVING := $(if $(wildcard $(SETUP)),$(SETUP),$(VENV)/.service-installed)

.DEFAULT_GOAL := help
.PHONY: help setup serve test check bench loadtest chaos model small-model libretranslate promtool nginx lock clean
.DELETE_ON_ERROR:

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

setup: $(SETUP) ## Install everything into .venv: service, training, export and development tools.

serve: $(SERVING) ## Serve the bundled model over HTTP (installs the serving part if nothing is there).
	$(VENV)/bin/python -m dragoman serve $(ARGS)

test: $(SETUP) ## Run the fast tests (ARGS="-m slow" for the slow ones).
	$(VENV)/bin/python -m pytest $(ARGS)

check: $(SETUP) ## Check style, types and import contracts; change nothing.
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

promtool: build/promtool/usr/bin/promtool ## Fetch Prometheus's promtool, with which `make test` checks the rules.

nginx: build/nginx/usr/sbin/nginx ## Fetch nginx, behind which `make chaos` restarts replicas.

build/promtool/usr/bin/promtool: PACKAGE := prometheus
build/nginx/usr/sbin/nginx: PACKAGE := nginx

# Unpacked, not installed: Debian's packages would start a server, too.
build/promtool/usr/bin/promtool build/nginx/usr/sbin/nginx:
	@command -v apt-get >/dev/null || { echo "dragoman: $(@F) comes from Debian's packages" >&2; exit 1; }
	mkdir -p build/$(@F)
	cd build/$(@F) && { apt-get download $(PACKAGE) || \
		{ apt-get update && apt-get download $(PACKAGE); }; }
	cd build/$(@F) && dpkg-deb --extract $(PACKAGE)_*.deb .
	rm build/$(@F)/$(PACKAGE)_*.deb

bench: $(VENV)/.bench-installed ## Race peers on the same weights, minutes (ARGS=--full for hours).
	$(VENV)/bin/python -m deploy.bench $(ARGS)

# It needs nothing beyond the service: the load generator has no library of its own.
loadtest: $(SERVING) ## Load a service past saturation, under ten minutes (ARGS="--url URL" for a running one).
	$(VENV)/bin/python -m deploy.loadtest $(ARGS)

chaos: $(SERVING) ## Break the running service, and see which promises it keeps (minutes).
	$(VENV)/bin/python -m deploy.chaos $(ARGS)

# A part of a training goes on where it was stopped; one that is done is not begun again. From one
# part to the next, sentences are back-translated by the weights so far, BACK of each language.
model: DATA ?= $(error give DATA=FOLDER, with train, dev and mono; see model/recipes/gpu.toml)
model: runs/gpu-final/averaged.safetensors ## Train the bundled model from DATA=FOLDER, on a GPU; it goes on where it stopped.

small-model: DATA ?= $(error give DATA=FOLDER, with train, dev and mono; see model/recipes/default.toml)
small-model: BACK := --max-sentences 52000
small-model: runs/default-continued/averaged.safetensors ## The same for a smaller one, on CPU cores (hours).

back = $(1:%=runs/data/back/%.de.tsv) $(1:%=runs/data/back/%.en.tsv)
runs/gpu-continued/averaged.safetensors: START = gpu
runs/gpu-continued/averaged.safetensors: | $(call back,gpu)
runs/gpu-r-drop/averaged.safetensors: START = gpu-continued
runs/gpu-r-drop/averaged.safetensors: | $(call back,gpu-continued)
runs/gpu-final/averaged.safetensors: START = gpu-r-drop
runs/gpu-final/averaged.safetensors: | runs/gpu-r-drop/averaged.safetensors
runs/default-continued/averaged.safetensors: START = default
runs/default-continued/averaged.safetensors: | $(call back,default)

runs/gpu/averaged.safetensors runs/default/averaged.safetensors: START =
runs/%/averaged.safetensors: | runs/data $(SETUP)
	$(VENV)/bin/python -m dragoman train model/recipes/$*.toml --data runs/data --resume \
		$(START:%=--from runs/%/averaged.safetensors) $(ARGS)
	@test -f $@ || { echo "dragoman: $* was stopped; the same command goes on" >&2; exit 1; }

runs/data/back/%.de.tsv: | runs/%/averaged.safetensors
	$(VENV)/bin/python -m dragoman back-translate $| --from de --to en \
		--input $(DATA)/mono/*.de.xz --output $@ $(BACK)

runs/data/back/%.en.tsv: | runs/%/averaged.safetensors
	$(VENV)/bin/python -m dragoman back-translate $| --from en --to de \
		--input $(DATA)/mono/*.en.xz --output $@ $(BACK)

# The data may be read-only; what is made for it lies beside links to it.
runs/data:
	@test -d "$(DATA)/train" || { echo "dragoman: $(DATA) has no folder train" >&2; exit 1; }
	mkdir -p $@.partial
	ln -sfn $(abspath $(DATA))/train $(abspath $(DATA))/dev $@.partial
	mv $@.partial $@

# LibreTranslate wants older versions of what we use, so it has an environment of its own.
libretranslate: .venv-libretranslate/.installed ## Install LibreTranslate, which `make bench` then races, too.

# uv resolves for all platforms and Python versions at once, which pip cannot. Pins that still
# satisfy pyproject.toml stay as they are; ARGS=--upgrade takes the newest of everything.
lock: build/lock/bin/uv ## Write constraints.txt anew from pyproject.toml (ARGS=--upgrade for newest).
	build/lock/bin/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--no-emit-package dragoman --annotation-style=line --custom-compile-command "make lock" \
		--quiet --output-file constraints.txt $(ARGS)

clean: ## Remove the virtual environment, caches and build outputs (never runs/).
	rm -rf $(VENV) .venv-libretranslate build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find dragoman.py model export service tests deploy -name __pycache__ -type d -prune \
		-exec rm -rf {} + 2>/dev/null || true

$(SETUP): pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) --editable ".[dev]"
	@touch $@

$(VENV)/.service-installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) --editable ".[service]"
	@touch $@

$(VENV)/.bench-installed: $(SETUP)
	$(PIP_INSTALL) --editable ".[bench]"
	@touch $@

.venv-libretranslate/.installed:
	$(PYTHON) -m venv .venv-libretranslate
	.venv-libretranslate/bin/python -m pip install libretranslate==$(LIBRETRANSLATE_VERSION)
	@touch $@

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { \
		echo "dragoman: $(PYTHON) not found; install Python 3.11 or newer," \
			"or name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "dragoman needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
			"Name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "dragoman: cannot make a virtual environment; on Debian and Ubuntu:" \
			"apt install python3-venv" >&2; exit 1; }

build/lock/bin/uv:
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --disable-pip-version-check uv
	@touch $@
