"""Whether the best name of a component is one: shown as it is, or as "no name" with the guess behind it.

A name fits badly if the alignment of the component with it (Eq. 2) is below half of what a class has with its
own name, the median over classes: it is nearer to no name at all than to a usual name.
"""

from collections.abc import Sequence

import numpy as np

LOW = 0.5  # of the median class with its own name


def least_fit(of_classes: Sequence[float] | np.ndarray) -> float:
    """The alignment from which a name fits, 0 without classes; of_classes : theirs with their own names."""
    return LOW * float(np.median(np.asarray(of_classes, float))) if len(of_classes) else 0.0


def shown_name(label: str, alignment: float, least: float) -> str:
    """What people are shown: the label, "no name (label?)" if it fits badly, or nothing without a label."""
    return f"no name ({label}?)" if label and alignment < least else label
