# The words of `python -m pipeline`, after the set-up that they need. `make help` lists them.
# SYSTEM=1 uses the running interpreter and its packages (Colab) in place of .venv.

PYTHON ?= python3
ifdef SYSTEM
BIN :=
READY := .system-setup
else
BIN := .venv/bin/
READY := .venv/ready
endif
PIP = $(BIN)python -m pip install --quiet --disable-pip-version-check

# Names of files may hold spaces. INPUT and ARGS are lists: quote within them what has some.
TRAIN_OPTIONS = $(if $(DATASET),--dataset $(DATASET)) $(if $(DATA_ROOT),--root "$(DATA_ROOT)") \
	$(if $(WEIGHTS),--weights "$(WEIGHTS)") $(if $(EPOCHS),--epochs $(EPOCHS))
RUN_GIVEN = $(if $(RUN),"$(RUN)")

.PHONY: help setup train evaluate predict export reproduce tune test bench lint
.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' Makefile

setup: $(READY)  ## packages into .venv; nothing the second time

.venv/bin/python:
	$(PYTHON) -m venv .venv

# A GPU's libraries come with TensorFlow's extra. Bare servers lack libGL, which opencv-python needs.
$(READY): requirements.txt $(if $(SYSTEM),,.venv/bin/python)
	$(PIP) -r requirements.txt $$(nvidia-smi >/dev/null 2>&1 && grep '^tensorflow[^-]' requirements.txt | sed 's/tensorflow/tensorflow[and-cuda]/')
	@$(BIN)python -c 'import cv2' 2>/dev/null || { echo 'opencv-python cannot load here (libGL): taking opencv-python-headless'; \
		$(BIN)python -m pip uninstall --quiet --yes opencv-python && \
		$(PIP) --force-reinstall --no-deps "$$(grep '^opencv-python' requirements.txt | sed 's/python/python-headless/')"; }
	@touch $@

$(READY)-tests: tests/requirements.txt $(READY)
	$(PIP) -r tests/requirements.txt
	@touch $@

train: $(READY)  ## MODEL=mobilenetv2 [DATASET= DATA_ROOT= WEIGHTS= EPOCHS=] [ARGS="--any.field value"]
	$(BIN)python -m pipeline train "$(or $(MODEL),mobilenetv2)" $(TRAIN_OPTIONS) $(ARGS)

evaluate: $(READY)  ## RUN=runs/... [ARGS=]
	$(BIN)python -m pipeline evaluate $(RUN_GIVEN) $(ARGS)

predict: $(READY)  ## RUN=runs/... INPUT="pictures or folders" [ARGS=]
	$(BIN)python -m pipeline predict $(RUN_GIVEN) $(INPUT) $(ARGS)

export: $(READY)  ## RUN=runs/... [ARGS=]
	$(BIN)python -m pipeline export $(RUN_GIVEN) $(ARGS)

reproduce: $(READY)  ## REPORT=cz4042 (or all) [ARGS="--quick --root adience=DIR"]
	$(BIN)python -m pipeline reproduce $(or $(REPORT),all) $(ARGS)

tune: $(READY)  ## [SEARCH=default DATASET= DATA_ROOT= WEIGHTS= EPOCHS=] [ARGS="--minutes 10"]
	$(BIN)python -m tuning "$(or $(SEARCH),default)" $(TRAIN_OPTIONS) $(ARGS)

test: $(READY)-tests  ## all tests but the slow ones; ARGS="-m slow --dist worksteal" for those
	$(BIN)python -m pytest $(ARGS)

bench: $(READY)-tests  ## speed beside the alternatives; ARGS="--quick --only loading"
	$(BIN)python -m tests.bench $(ARGS)

lint: $(READY)-tests  ## ruff and the import contract
	$(BIN)ruff check .
	$(BIN)ruff format --check .
	$(BIN)lint-imports
