import pytest

from reliance.failures.kinds import Evidence, suggest_kind

NAN = float("nan")
PLAIN = Evidence(
    written=0.1,
    named=0.3,
    one_word=0.1,
    one_word_class=0.2,
    distractors_short=0.3,
    distractors_full=0.28,
    class_short=0.3,
    class_full=0.3,
    class_std=0.05,
    main_share=0.3,
    main_flagged=0.4,
    centres=0.9,
    usual=0.8,
    strongest=0.5,
)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({}, "spurious"),
        ({"written": 0.31}, "typography"),
        ({"written": 0.3}, "typography"),  # the phrase is the label
        ({"written": 0.31, "one_word": 0.4}, "typography"),
        ({"one_word": 0.3}, "compound"),
        ({"one_word": 0.3, "one_word_class": 0.27}, "spurious"),  # "cat" fits big cats as well
        ({"one_word": 0.31, "one_word_class": 0.31}, "spurious"),  # "plants" of "food and plants"
        ({"one_word": 0.3, "class_std": 0.11}, "spurious"),  # a weak model: all scores are alike
        ({"one_word": 0.3, "one_word_class": NAN}, "spurious"),
        ({"one_word": 0.3, "class_std": NAN}, "spurious"),
        ({"one_word": NAN}, "spurious"),
        ({"written": 0.31, "named": NAN}, "spurious"),
        ({"distractors_full": 0.24}, "polysemous"),
        ({"distractors_full": 0.24, "class_full": 0.24}, "spurious"),  # the class falls as much
        ({"distractors_full": 0.24, "class_std": 0.07}, "spurious"),
        ({"distractors_full": 0.24, "class_std": NAN}, "spurious"),
        ({"one_word": 0.3, "distractors_full": 0.24}, "compound"),
        ({"main_share": 0.6}, "lookalike"),  # a husky's distractors are malamutes
        ({"main_share": 0.6, "one_word": 0.3, "distractors_full": 0.24}, "lookalike"),  # two terriers
        ({"main_share": 0.6, "written": 0.31}, "typography"),
        ({"main_share": 0.6, "main_flagged": 0.1}, "other"),  # a few strange images of one class
        ({"main_share": 0.6, "centres": 0.7}, "other"),  # one class, but another thing
        ({"main_share": 0.6, "centres": 0.7, "one_word": 0.3}, "compound"),  # a cabbage for a butterfly
        ({"main_share": 0.6, "centres": NAN}, "other"),
        ({"strongest": 0.8}, "other"),  # the class's own object elsewhere: labels may be wrong
        ({"strongest": 0.79}, "spurious"),  # the night sky behind most moons is not the moon
        ({"strongest": NAN}, "other"),
        ({"usual": NAN}, "other"),
        ({"main_share": NAN}, "other"),
    ],
)
def test_the_first_rule_that_holds_names_the_kind(change, kind):
    assert suggest_kind(PLAIN._replace(**change)) == kind
