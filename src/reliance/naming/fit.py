"""Whether the best name of a component is one: shown as it is, or as "no name" with the guess behind it.

A name fits badly if the alignment of the component with it (Eq. 2) is below half of what a class has with its
own name, the median over classes: it is nearer to no name at all than to a usual name.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from reliance.base.means import mean_and_error

LOW = 0.5  # of the median class with its own name
CLEARLY = 2.0  # standard errors above no text from which a labeller knows the names of classes


class Known(NamedTuple):
    """How well a labeller knows classes by their own names."""

    mean: float  # alignment, over classes
    error: float  # standard error of the mean; nan for one class
    classes: int

    @property
    def clearly(self) -> bool:
        """Whether it is above 0, the alignment of what is no nearer to a name than to no text."""
        return self.mean > (0.0 if np.isnan(self.error) else CLEARLY * self.error)


def known_by_name(of_classes: Sequence[float] | np.ndarray) -> Known | None:
    """The alignments of classes with their own names (Eq. 2), taken together; None without classes."""
    if not len(of_classes):
        return None
    mean, error, count = mean_and_error(np.asarray(of_classes, float))
    return Known(mean, error, count)


def least_fit(of_classes: Sequence[float] | np.ndarray) -> float:
    """The alignment from which a name fits, 0 without classes; of_classes : theirs with their own names."""
    return LOW * float(np.median(np.asarray(of_classes, float))) if len(of_classes) else 0.0


def shown_name(label: str, alignment: float, least: float) -> str:
    """What people are shown: the label, "no name (label?)" if it fits badly, or nothing without a label."""
    return f"no name ({label}?)" if label and alignment < least else label
