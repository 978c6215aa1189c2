# make demo   set up and run the embedded demo
# make demo-lesions   set up and run the embedded case study
# make test   set up, then lint, types and the library's tests
# make test-workflow  the pipeline on a small variant, on photographs, edits and reruns
# make test-resume  kills, damage, other threads, two runs at once
# make test-benchmarks  whether every benchmark still runs
# make test-s3      results in a bucket, on a server of S3's protocol that it starts
# make bench        all benchmarks on the CPU, scaled down to minutes
# make bench-gpu    those that run on a GPU
# make bench-others  our SAE step against other packages
# make test-slurm   the pipeline on a SLURM of one node (root on Debian)
PYTHON ?= python3
CORES ?= 2
BIN := .venv/bin
GPU_PYTHON ?= $(or $(wildcard $(BIN)/python),python3)
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES)
export PYTHONNOUSERSITE := 1

.PHONY: help setup demo demo-lesions test test-workflow test-resume test-benchmarks test-slurm test-s3 bench bench-gpu bench-others lint schema format unlock clean

help:
	@echo "make demo     set up, then run the demo: no data, no weights, no GPU needed"
	@echo "make demo-lesions  set up, then run the case study: a classifier of drawn skin lesions with a shortcut"
	@echo "make test     set up, then run lint, types and the library's tests (CI runs these and the next five)"
	@echo "make test-workflow  the pipeline on a small variant: its files, edits and reruns, mistakes of users"
	@echo "make test-resume  the pipeline killed, damaged, with other threads, and twice at once"
	@echo "make test-benchmarks  whether every benchmark still runs"
	@echo "make test-slurm  the pipeline on a SLURM of one node; needs root on Debian, else it is skipped"
	@echo "make test-s3  the pipeline with its results in a bucket of S3, on a server that it starts"
	@echo "make bench    time and memory of every heavy stage against the alternatives, scaled down to minutes"
	@echo "make bench-gpu  the same where a GPU takes part, with any python that has torch"
	@echo "make bench-others  one SAE training step against that of other packages, at full size"
	@echo "make unlock   after a run was killed: let the next one go on where it stopped"
	@echo "make format   format the code"
	@echo "make schema   config/schema.json from the models, for editors"

setup: .venv/installed

.venv/installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "reliance needs Python 3.11 or newer; found $$($(PYTHON) --version). Run: make PYTHON=python3.11 ..."; exit 1; }
	@test ! -L .venv || { echo ".venv is a link to $$(readlink .venv): remove it (rm .venv), and make builds one here"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
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
	$(BIN)/python -m pytest -n 2 --ignore=tests/workflow --ignore=tests/resume --ignore=tests/slurm --ignore=tests/remote --ignore=tests/benchmarks

test-workflow: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/workflow --durations=5

test-resume: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/resume --durations=5

test-benchmarks: setup
	$(BIN)/python -m pytest -n 2 tests/benchmarks

test-slurm: setup
	tests/slurm/run

# Packages of its own, in a folder: botocore and the pinned python-dateutil do not fit together.
test-s3: setup .s3/installed
	PYTHONPATH=$(CURDIR)/.s3 $(BIN)/python -m pytest tests/remote --durations=2

.s3/installed: tests/remote/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .s3 -r $<
	touch $@

bench: setup
	$(BIN)/python benchmarks/sae_step.py --device cpu --batch 256 --m 8000 --rounds 3
	$(BIN)/python benchmarks/sae_schedule.py --device cpu --steps 60
	$(BIN)/python benchmarks/sae_training.py
	$(BIN)/python benchmarks/codes.py
	$(BIN)/python benchmarks/attribution.py
	$(BIN)/python benchmarks/faithfulness.py --scale 0.3
	$(BIN)/python benchmarks/embedding.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/startup.py

# Needs only torch, numpy and safetensors; embeddings, which need open_clip and zarr, are left out without them.
bench-gpu:
	$(GPU_PYTHON) benchmarks/sae_step.py --device cuda
	$(GPU_PYTHON) benchmarks/sae_schedule.py --device cuda --d 1024 --m 30000 --k 64 --steps 3750 --dense-steps 100
	$(GPU_PYTHON) benchmarks/codes.py --device cuda --images 131072 --top-images 1281167 --threads 8
	$(GPU_PYTHON) benchmarks/attribution.py --device cuda --images 32768 --classes 1000 --threads 8
	if $(GPU_PYTHON) -c 'import open_clip, zarr'; then \
	  $(GPU_PYTHON) benchmarks/embedding.py --device cuda --images 6000 --batch-size 256 --workers 15; fi

# First `.venv/bin/python -m pip install -e '.[bench]'`; a package that is missing is left out.
bench-others: setup
	$(BIN)/python benchmarks/sae_others.py

schema: setup
	PYTHONPATH=src $(BIN)/python -m reliance.config.schema > config/schema.json

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
