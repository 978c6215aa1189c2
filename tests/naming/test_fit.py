import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reliance.naming.fit import least_fit, shown_name


def test_half_of_the_median_class():
    assert least_fit([0.1, 0.2, 0.9]) == pytest.approx(0.1)
    assert least_fit(np.zeros(0)) == 0


@pytest.mark.parametrize(
    ("label", "alignment", "shown"),
    [
        ("sky", 0.1, "sky"),
        ("serpent", 0.0999, "no name (serpent?)"),
        ("", np.nan, ""),
    ],
)
def test_what_is_shown(label, alignment, shown):
    assert shown_name(label, alignment, 0.1) == shown


@given(st.text(min_size=1), st.floats(-2, 2), st.floats(-2, 2))
def test_the_guess_is_never_lost(label, alignment, least):
    shown = shown_name(label, alignment, least)
    assert (label in shown and shown.startswith("no name (") == (alignment < least)) or shown == label
