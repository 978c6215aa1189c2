"""Every job: call the function that its rule names with the job's files and settings."""

from importlib import import_module

from reliance.running.job import run

module, _, function = snakemake.params.entry.partition(":")
run(snakemake, getattr(import_module(module), function))
