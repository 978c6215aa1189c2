import pytest

from reliance.failures.kinds import Evidence, suggest_kind

NAN = float("nan")
PLAIN = Evidence(
    written=0.1,
    named=0.3,
    one_word=0.1,
    distractors_short=0.3,
    distractors_full=0.28,
    class_short=0.3,
    class_full=0.3,
    class_std=0.05,
)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({}, "spurious"),
        ({"written": 0.31}, "typography"),
        ({"written": 0.3}, "typography"),  # the phrase is the label
        ({"written": 0.31, "one_word": 0.4}, "typography"),
        ({"one_word": 0.3}, "compound"),
        ({"one_word": NAN}, "spurious"),
        ({"written": 0.31, "named": NAN}, "spurious"),
        ({"distractors_full": 0.24}, "polysemous"),
        ({"distractors_full": 0.24, "class_full": 0.24}, "spurious"),  # the class falls as much
        ({"distractors_full": 0.24, "class_std": 0.07}, "spurious"),
        ({"distractors_full": 0.24, "class_std": NAN}, "spurious"),
        ({"one_word": 0.3, "distractors_full": 0.24}, "compound"),
    ],
)
def test_the_first_rule_that_holds_names_the_kind(change, kind):
    assert suggest_kind(PLAIN._replace(**change)) == kind
