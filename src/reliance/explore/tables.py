"""The files of a variant by their names, and its tables: read when they are asked for, checked, kept.

Before a table is handed out its stamp is held against those of its neighbours (`TIES`): what was made from
other codes, cases or names than the rest is refused. What was not built is refused with its command.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reliance.audits.schema import ACCURACIES, AUDIT_KIND, AUDIT_SCHEMA, RELEVANCES
from reliance.base.artifacts import TableSpec, check_same, read_json, read_table, unreadable
from reliance.base.commands import build
from reliance.base.errors import RESULTS, RelianceError
from reliance.base.stamps import read_stamp
from reliance.codes.top_samples import TOP_SAMPLES
from reliance.concepts.schema import ALIGNMENTS, HIDDEN
from reliance.explore.ties import TIES
from reliance.failures.case_list import read_failures, read_samples
from reliance.failures.schema import EXPECTATIONS, OUTLIER_SAMPLES, OUTLIERS
from reliance.faithfulness.schema import FAITHFULNESS
from reliance.images.tables import CLASSES, EXCLUDED, INDEX
from reliance.naming.fit import least_fit, shown_name
from reliance.naming.stability import NAME_STABILITY
from reliance.naming.table import COMPONENTS
from reliance.robustness.summary import read_results
from reliance.robustness.zero_shot import KIND as ZERO_SHOT_KIND
from reliance.robustness.zero_shot import SCHEMA as ZERO_SHOT_SCHEMA
from reliance.units.sae.files import QUALITY_KIND, QUALITY_SCHEMA


def _flat(given: Any, key: str = "") -> Iterator[tuple[str, Path]]:
    """(key, path) of a path, or of a mapping of paths or mappings; a list has none."""
    if isinstance(given, Mapping):
        for name, inner in given.items():
            yield from _flat(inner, f"{key}.{name}" if key else name)
    elif isinstance(given, Path):
        yield key, given


class Tables:
    """The tables of a variant.

    Parameters
    ----------
    files : name -> path, or a mapping of paths by split, prompt set or part. What a variant cannot have
        (components of one without an SAE, say) is left out.
    variant : its name. results : the folder of results.
    """

    def __init__(self, files: Mapping[str, Any], variant: str, results: Path = Path(RESULTS)) -> None:
        self.variant, self.results = variant, results
        self.options = ""  # --configfile and --config of the run, where they are known
        self._paths = {name: dict(_flat(given)) for name, given in files.items()}

    def listed(self) -> list[tuple[str, str]]:
        """(name, key) of every file that the variant can have; the key is empty if there is one only."""
        return [(name, key) for name, paths in self._paths.items() for key in paths]

    def has(self, name: str, key: str = "") -> bool:
        """Whether a file was built."""
        path = self._paths.get(name, {}).get(key)
        return path is not None and path.exists()

    def can_have(self, name: str, key: str = "") -> bool:
        """Whether the variant is described with such a file, built or not."""
        return key in self._paths.get(name, {})

    def target(self, name: str, key: str = "") -> str:
        """What snakemake is asked for to build a file that the variant can have."""
        path = self._paths[name][key]
        return str(Path(RESULTS, path.relative_to(self.results)) if self.results in path.parents else path)

    def path(self, name: str, key: str = "") -> Path:
        """Where a file lies; `key` is its split, prompt set, part or figure ("fig5.pdf").

        Raises RelianceError if the variant has no such file, or it was not built.
        """
        path = self._paths.get(name, {}).get(key)
        if path is None:
            listed = [k for k in self._paths.get(name, {}) if k] or list(self._paths)
            raise RelianceError(
                f"{self.variant}: {name}{f' of {key!r}' if key else ''}",
                "a variant is asked for what it can have",
                found="it has no such file",
                allowed=", ".join(sorted(listed)) or "nothing",
                next_step="variants without an SAE have no components, those that are not audited no audit, "
                "and cases are mined by the variant that is named as `failures_from`",
            )
        if not path.exists():
            raise RelianceError(
                path,
                f"{name} of {self.variant} must have been built to be read",
                found="no such file",
                allowed="a file that the pipeline wrote",
                next_step=f"build it: {build(self.target(name, key), options=self.options)}",
            )
        return path

    def table(self, name: str, spec: TableSpec) -> pd.DataFrame:
        """A table by its name, held against its neighbours. Raises RelianceError as `read_table`."""
        path = self.path(name)
        self.check(name)
        return read_table(path, spec).frame

    def record(self, name: str, kind: str, schema: int) -> dict[str, Any]:
        """A JSON artifact by its name, as `table`."""
        path = self.path(name)
        self.check(name)
        return read_json(path, kind, schema)[0]

    def check(self, name: str) -> None:
        """Raise RelianceError if a file does not belong to those of its neighbours that were built."""
        for tie in TIES:
            if tie.name != name or not self.has(tie.other):
                continue
            own, other = (read_stamp(self.path(n)) for n in (tie.name, tie.other))
            theirs = other.inputs.get(tie.through) if tie.through else other.id
            if tie.source in own.inputs and theirs:
                sides = (self.path(name), own.inputs[tie.source]), (self.path(tie.other), theirs)
                check_same(tie.source, *sides)

    @cached_property
    def index(self) -> pd.DataFrame:
        """Every image: split, image_id, path, class_id, bytes."""
        return self.table("index", INDEX)

    @cached_property
    def class_names(self) -> pd.DataFrame:
        """Every class with its names."""
        return self.table("classes", CLASSES)

    @cached_property
    def excluded(self) -> pd.DataFrame:
        """Images that could not be read, with the reason."""
        return self.table("excluded", EXCLUDED)

    @cached_property
    def components(self) -> pd.DataFrame:
        """Components of the SAE on the train split: statistics, clarity, names; `name` as people see it."""
        return self._named("components")

    @cached_property
    def neurons(self) -> pd.DataFrame:
        """The same of single neurons."""
        return self.table("neurons", COMPONENTS)

    @cached_property
    def pca(self) -> pd.DataFrame:
        """The same of principal axes."""
        return self.table("pca", COMPONENTS)

    def basis(self, name: str) -> pd.DataFrame:
        """The same of neurons, pca, random directions or the untrained SAE, by name."""
        return self.table(name, COMPONENTS)

    @cached_property
    def tested(self) -> pd.DataFrame:
        """Components of the SAE on the test split."""
        return self.table("tested", COMPONENTS)

    @cached_property
    def mined_components(self) -> pd.DataFrame:
        """Components of the variant that mined the failure cases, named likewise."""
        return self._named("mined_components")

    @cached_property
    def alignments(self) -> pd.DataFrame:
        """How well the names of classes fit their own images."""
        return self.table("alignments", ALIGNMENTS)

    @cached_property
    def hidden(self) -> pd.DataFrame:
        """Components that no name fits well, and what they drive."""
        return self.table("hidden", HIDDEN)

    @cached_property
    def name_stability(self) -> pd.DataFrame:
        """How sure the name of every component is."""
        return self.table("name_stability", NAME_STABILITY)

    @cached_property
    def top_samples(self) -> pd.DataFrame:
        """The strongest images of every component."""
        return self.table("top_samples", TOP_SAMPLES)

    @cached_property
    def expectations(self) -> pd.DataFrame:
        """What a component usually adds to a class."""
        return self.table("expectations", EXPECTATIONS)

    @cached_property
    def outliers(self) -> pd.DataFrame:
        """Pairs of class and component that are flagged."""
        return self.table("outliers", OUTLIERS)

    @cached_property
    def outlier_samples(self) -> pd.DataFrame:
        """The images they were flagged by."""
        return self.table("outlier_samples", OUTLIER_SAMPLES)

    @cached_property
    def faithfulness(self) -> pd.DataFrame:
        """Outputs while latents are deleted or inserted."""
        return self.table("faithfulness", FAITHFULNESS)

    @cached_property
    def audit_accuracies(self) -> pd.DataFrame:
        """Accuracies of the audited probe under changed images."""
        return self.table("audit_accuracies", ACCURACIES)

    @cached_property
    def audit_relevances(self) -> pd.DataFrame:
        """Mean relevances of components to the audited probe."""
        return self.table("audit_relevances", RELEVANCES)

    @cached_property
    def robustness(self) -> pd.DataFrame:
        """Areas under the ROC curve of every case and probe, with its section and the variant."""
        return read_results([self.path("robustness")], [self.variant]).frame

    @cached_property
    def failures(self) -> pd.DataFrame:
        """The failure cases, by rank."""
        path = self.path("failures")
        self.check("failures")
        return read_failures(path)[0]

    @cached_property
    def failure_samples(self) -> pd.DataFrame:
        """The images of every failure case."""
        path = self.path("failure_samples")
        self.check("failure_samples")
        return read_samples(path)[0]

    @cached_property
    def gone(self) -> list[str]:
        """Reviewed cases that are no longer listed."""
        meta = Path(f"{self.path('failures')}.meta.json")
        found: list[str] = json.loads(meta.read_text(encoding="utf-8")).get("gone", [])
        return found

    @cached_property
    def quality(self) -> dict[str, Any]:
        """How well the SAE reconstructs."""
        return self.record("quality", QUALITY_KIND, QUALITY_SCHEMA)

    @cached_property
    def zero_shot(self) -> dict[str, Any]:
        """How often the right class wins by its prompt."""
        return self.record("zero_shot", ZERO_SHOT_KIND, ZERO_SHOT_SCHEMA)

    @cached_property
    def audit(self) -> dict[str, Any]:
        """What was audited, and the outcome."""
        return self.record("audit", AUDIT_KIND, AUDIT_SCHEMA)

    @cached_property
    def truth(self) -> dict[str, Any]:
        """The score against what was planted."""
        return self._json("truth")

    @cached_property
    def weights(self) -> dict[str, Any]:
        """Which weights the encoder has, and how it reads images."""
        return self._json("weights")

    @cached_property
    def findings(self) -> dict[str, Any]:
        """What the paper found, held against the numbers of this variant, by topic."""
        found: dict[str, Any] = self._json("findings")["findings"]
        return found

    def _named(self, name: str) -> pd.DataFrame:
        """A table of components with the column `name`: a label that fits badly is "no name" with its guess.

        Without alignments of classes, by the same labeller, a name fits if it does better than no text.
        """
        table, least = self.table(name, COMPONENTS), 0.0
        if self.has("alignments"):
            spoken = [read_stamp(self.path(n)).inputs.get("vocabulary") for n in (name, "alignments")]
            if spoken[0] == spoken[1]:
                least = least_fit(self.alignments["alignment"].to_numpy())
        shown = [shown_name(*pair, least) for pair in zip(table["label"], table["alignment"], strict=True)]
        return table.assign(name=np.array(shown, object))

    def _json(self, name: str) -> dict[str, Any]:
        path = self.path(name)
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise unreadable(path, name, error) from error
        return found
