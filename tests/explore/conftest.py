"""A folder of results with one small variant in it, described as the pipeline does."""

import numpy as np
import pandas as pd
import pytest

from attribution.toy import CLASS_IDS, M, ToySplit
from reliance.base.artifacts import derived_stamp, write_table
from reliance.codes.store import open_codes
from reliance.explore.describe import describe_variant
from reliance.failures.case_list import COLUMNS, FAILURE_SAMPLES, write_failures
from reliance.images.tables import CLASSES
from reliance.naming.table import COMPONENTS

from .asked import complete

CASE = ("5-20-a", 1, "spurious", "", 5, "mined", 20, 2.0, 0.01, "no", "")


class Built:
    """Where the results lie, and the arrays behind them."""

    def __init__(self, results):
        self.results, self.home = results, results / "demo"
        self.toy = ToySplit(results / "encoders")
        (results / "encoders").mkdir(parents=True)
        self.home.mkdir()
        files = self.toy.write()
        self.files = {
            "index": files["index"],
            "embeddings": {"train": files["embeddings"], "test": results / "encoders/test/manifest.json"},
            "codes": {"train": files["codes"], "test": self.home / "codes/test/manifest.json"},
            "sae": files["sae"],
            "head": files["head"],
            "texts": {"short": files["text"]},
            **self.write_tables(files["codes"]),
            "hidden": self.home / "hidden.parquet",
            "figures": {"fig5": {"pdf": self.home / "fig5.pdf", "png": self.home / "fig5.png"}},
            "page": self.home / "report.html",
        }
        self.describe()

    def write_tables(self, codes):
        """Classes, names of components, and one failure case with two images."""
        names = {name: self.home / f"{name}.parquet" for name in ("classes", "components", "failure_samples")}
        classes = pd.DataFrame({"class_id": CLASS_IDS}).assign(folder="f", short_name="s", full_name="f")
        write_table(names["classes"], classes.assign(definition=""), CLASSES, {}, {})
        frame = pd.DataFrame({name: [0.5] * M for name, _ in COMPONENTS.columns})
        frame = frame.assign(
            component=range(M), n_active=9, label=[f"label {i}" for i in range(M)], runner_up=""
        )
        frame["top20_mean"] = np.arange(M)
        inputs = {"codes": open_codes(codes).stamp.id}
        components = write_table(names["components"], frame, COMPONENTS, {}, inputs)
        names["failures"] = self.home / "failures.tsv"
        stamp = derived_stamp("failures", 2, {}, {"components": components.id})
        write_failures(names["failures"], pd.DataFrame([CASE], columns=list(COLUMNS)), stamp)
        shown = pd.DataFrame(
            {"failure_id": CASE[0], "dataset": "toy", "split": "train", "image_id": self.images}
        )
        inputs = {"failures": stamp.id}
        write_table(names["failure_samples"], shown, FAILURE_SAMPLES, {}, inputs)
        return {**names, "mined_components": names["components"]}

    @property
    def images(self):
        return np.flatnonzero(self.toy.valid)[:2]

    def describe(self, **more):
        about = {"encoder": "toy", "dataset": "toy", "sae": {"m": M}, **more}
        description = self.home / "variant.json"
        describe_variant(description=description, variant="demo", files=self.files, about=about)


@pytest.fixture
def built(tmp_path):
    return Built(tmp_path / "results")


@pytest.fixture(scope="session")
def asked(tmp_path_factory):
    """A variant with all that questions look up; tests only read it."""
    built = Built(tmp_path_factory.mktemp("asked") / "results")
    built.attributions, built.outputs = complete(built)
    return built
