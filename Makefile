# make train          install and run `python train.py selector=dyb4`; ARGS="selector=codet trainer.max_steps=2" overrides
# make test           install and run lint and the tests
# make install        only make .venv; TORCH_INDEX=<url> adds one of PyTorch's own wheel indexes

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
TORCH_INDEX ?=
INDEX := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev

.PHONY: install install-dev train evaluate lint test test-all clean

install: $(STAMP)

install-dev: $(DEV_STAMP)

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: ZeroCoder needs Python 3.11 or newer; name one with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(INDEX) -e .
	touch $@

$(DEV_STAMP): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(INDEX) -e '.[dev]'
	touch $(STAMP) $@

train: install
	$(BIN)/python train.py selector=dyb4 $(ARGS)

evaluate: install
	$(BIN)/python evaluate.py $(ARGS)

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest $(ARGS)

test-all: lint
	$(BIN)/python -m pytest -m "" $(ARGS)

clean:
	rm -rf build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
