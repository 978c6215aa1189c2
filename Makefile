# make demo   set up and run the embedded demo
# make demo-lesions   set up and run the embedded case study
# make test   set up and run every check
# make test-resume  kills, damage, other threads, two runs at once
# make test-slurm   the pipeline on a SLURM of one node (root on Debian)
PYTHON ?= python3
CORES ?= 2
BIN := .venv/bin
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES)
export PYTHONNOUSERSITE := 1

.PHONY: help setup demo demo-lesions test test-resume test-slurm lint format unlock clean

help:
	@echo "make demo     set up, then run the demo: no data, no weights, no GPU needed"
	@echo "make demo-lesions  set up, then run the case study: a classifier of drawn skin lesions with a shortcut"
	@echo "make test     set up, then run the checks (CI runs these and the next two)"
	@echo "make test-resume  the pipeline killed, damaged, with other threads, and twice at once"
	@echo "make test-slurm  the pipeline on a SLURM of one node; needs root on Debian, else it is skipped"
	@echo "make unlock   after a run was killed: let the next one go on where it stopped"
	@echo "make format   format the code"

setup: .venv/installed

.venv/installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "reliance needs Python 3.11 or newer; found $$($(PYTHON) --version). Run: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

demo: setup
	$(SNAKEMAKE)
	@echo
	@echo "Done. Open results/demo/report.html in a browser. Several models side by side:"
	@ls results/compare/demo/*.pdf

demo-lesions: setup
	$(SNAKEMAKE) results/demo_lesions/fig6.pdf results/demo_lesions/fig15.pdf results/demo_lesions/report.html
	@echo
	@echo "Done. Open results/demo_lesions/report.html in a browser."

test: setup lint
	$(BIN)/python -m pytest -n 2 --ignore=tests/workflow --ignore=tests/resume --ignore=tests/slurm
	$(BIN)/python -m pytest tests/workflow --durations=5

test-resume: setup
	$(BIN)/python -m pytest tests/resume --durations=5

test-slurm: setup
	tests/slurm/run

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check workflow rules
	$(BIN)/mypy
	$(SNAKEMAKE) --lint

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt workflow rules

unlock: setup
	$(SNAKEMAKE) --unlock

clean:
	rm -rf results/* .snakemake
	git checkout -- results/README.md
