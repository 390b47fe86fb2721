# One word for each thing one does with a checkout of vmnet. `make` alone lists them.

PYTHON ?= python3
SUDO := $(shell [ "$$(id -u)" -eq 0 ] || echo sudo)

HOST_PATH := $(PATH)
# From the virtual environment first. Root's part leaves no files of root's in the tree.
export PATH := $(CURDIR)/.venv/bin:$(PATH):/usr/sbin:/sbin
ROOT := $(SUDO) env "PATH=$(PATH)" PYTHONDONTWRITEBYTECODE=1
LAB := $(ROOT) vmnet lab run
ROOT_PYTEST := pytest -p no:cacheprovider
# A worker of pytest-xdist's in a lab of its own, two at a time.
LABS := --dist worksteal --tx '2*popen//python=vmnet lab run --guests 2 -- python'

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-unit test-root test-vm test-lab bench compiled lint docs dist clean

help: ## List these
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' Makefile

setup: .make/venv ## Install what is missing: Debian packages, and vmnet in .venv
	@echo "vmnet is ready: .venv/bin/vmnet"

demo: setup ## Watch real guests get NICs, use them and lose them (about half a minute)
	@docs/demo.sh

test: test-unit test-root test-vm test-lab ## Run every test

test-unit: setup
	pytest --numprocesses 2 tests/unit

# These change links: in namespaces of their own, or inside a lab.
test-root: compiled
	@echo "$(ROOT_PYTEST) --numprocesses 3 tests/host tests/lab, as root"
	@$(ROOT) $(ROOT_PYTEST) --numprocesses 3 tests/host tests/lab

# These need what not every kernel has: a machine boots Debian's. What pytest compiles there is not kept, so it does so here.
test-vm: compiled
	@pytest -q --collect-only tests/vm >.make/collected || { cat .make/collected; exit 1; }
	@echo "tests/vm/machine.py $(ROOT_PYTEST) tests/vm, as root"
	@$(ROOT) python tests/vm/machine.py $(ROOT_PYTEST) tests/vm

test-lab: compiled
	@echo "$(ROOT_PYTEST) tests/e2e in two labs, as root"
	@$(ROOT) $(ROOT_PYTEST) $(LABS) tests/e2e

bench: compiled ## Measure speed beside virsh and virt-xml, in the lab
	@$(LAB) --guests 1 -- python tests/bench/bench.py

# Root writes no bytecode here, and without any each command would compile vmnet anew.
compiled: setup
	@python -m compileall -q vmnet

lint: setup ## Check style, types and that the reference is fresh
	ruff check
	ruff format --check
	mypy
	python docs/generate.py --check

docs: setup ## Write docs/reference.md anew, from the code
	python docs/generate.py

dist: setup ## Build sdist and wheel into dist/, and try the wheel
	rm -rf dist .make/wheel
	PIP_CONSTRAINT='$(CURDIR)/constraints.txt' python -m build
	python -m venv --without-pip .make/wheel
	pip --python .make/wheel/bin/python install -q -c constraints.txt dist/*.whl
	cd .make && PYTHONSAFEPATH=1 wheel/bin/vmnet xml --direct eth0
	rm -rf .make/wheel

clean: ## Remove all that was made here, .venv too
	rm -rf .venv .make dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

.make/packages: .ci/packages
	@mkdir -p .make
	@.ci/packages
	@touch $@

.venv/pyvenv.cfg: | .make/packages
	@PATH='$(HOST_PATH)' $(PYTHON) -c 'import sys; sys.exit("vmnet needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	@echo "Making a virtual environment in .venv"
	@PATH='$(HOST_PATH)' $(PYTHON) -m venv --clear .venv

.make/venv: .venv/pyvenv.cfg pyproject.toml constraints.txt
	@echo "Installing vmnet and its development tools into .venv, at the versions of constraints.txt"
	@PIP_CONSTRAINT='$(CURDIR)/constraints.txt' pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
