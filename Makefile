# `make` alone prints what there is.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3.11
export PATH := $(CURDIR)/$(BIN):$(PATH)
export NO_ALBUMENTATIONS_UPDATE := 1
export DVC_NO_ANALYTICS := 1
# How Git merges what .gitattributes names: at the top of any worktree, with its environment, the main one's, or PATH's.
ENVIRONMENTS := .venv/bin:$$(dirname "$$(git rev-parse --git-common-dir)")/.venv/bin
MERGE_DRIVER := PATH="$(ENVIRONMENTS):$$PATH" auxreid merge-lock %O %A %B %P

.DEFAULT_GOAL := help
.PHONY: help demo study pets check test lint ui publish runs bench clean-results

help:  ## this list
	@[ -e $(VENV)/.installed ] || echo "The first command installs $(VENV): some minutes, 7.4 GB. Needed: Python 3.11, 8 GB."
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

$(VENV)/.installed: requirements.lock pyproject.toml
	@sh install.sh $(PYTHON) $(VENV)
	@git config merge.auxreid-lock.driver '$(MERGE_DRIVER)' 2>/dev/null || true  # there may be no Git
	@touch $@

demo: $(VENV)/.installed  ## render the sample if data/ is empty, run the whole graph, publish, print the table
	$(BIN)/auxreid demo

study: $(VENV)/.installed  ## the same with all rows, those of the metric model too: empties study.rows and study.metric_rows
	$(BIN)/auxreid study

pets: $(VENV)/.installed  ## the lost-pet search of the sample's dogs, and the page that searches them
	$(BIN)/auxreid pets

check: $(VENV)/.installed  ## validate params.yaml and what follows from it
	$(BIN)/auxreid check

# Hundreds of processes import the same sources: they share bytecode, whatever the environment says.
test: $(VENV)/.installed  ## all tests, two files at a time: many of them wait for DVC, MLflow or Ray
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=25

lint: $(VENV)/.installed  ## ruff check and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

ui: $(VENV)/.installed  ## MLflow UI on 127.0.0.1:5000, with links to each data set's table and charts
	$(BIN)/auxreid ui

publish: $(VENV)/.installed  ## mirror results/ into MLflow, register the best encoders
	$(BIN)/auxreid publish

runs: $(VENV)/.installed  ## which MLflow run shows which result
	$(BIN)/auxreid runs

bench: $(VENV)/.installed  ## benchmarks, each against a reference in the same run, as one table
	$(BIN)/python benchmarks/run.py

clean-results:  ## remove results/ (DVC's cache keeps them; `dvc repro` brings them back)
	rm -rf results
