import pandas as pd
import pytest

from reliance.base.errors import RelianceError
from reliance.failures.reviews import apply_reviews, failure_id, gone, read_reviews

SAE = "abcdef12" + "0" * 56


def review(path, *rows):
    path.write_text("\n".join(["failure_id\tkind\tnote", *rows]) + "\n")
    return path


def test_a_review_overrides_kind_and_note(tmp_path):
    path = review(tmp_path / "r.tsv", '3-7-abcdef12\tcompound\t"a\ttab <b>"', "4-1-abcdef12\tother\t")
    reviews = read_reviews(path, SAE)
    listed = pd.DataFrame(
        {"failure_id": ["3-7-abcdef12", "5-5-abcdef12"], "kind": "spurious", "note": "", "reviewed": "no"}
    )
    found = apply_reviews(listed, reviews)
    assert found["kind"].tolist() == ["compound", "spurious"]
    assert found["note"].tolist() == ["a\ttab <b>", ""]
    assert found["reviewed"].tolist() == ["yes", "no"]
    assert gone(listed, reviews) == ["4-1-abcdef12"]


def test_while_no_sae_is_known_reviews_of_any_are_taken(tmp_path):
    path = review(tmp_path / "r.tsv", "3-7-12345678\tcompound\t")
    assert list(read_reviews(path, None)) == ["3-7-12345678"]


def test_reviews_of_another_sae_are_refused_naming_both(tmp_path):
    path = review(tmp_path / "r.tsv", "3-7-12345678\tcompound\t")
    with pytest.raises(RelianceError) as caught:
        read_reviews(path, SAE)
    assert "12345678" in caught.value.found and "abcdef12" in caught.value.allowed
    assert caught.value.where == str(path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["3-7-abcdef12\tfunny\t"], "column kind"),
        (["3-abcdef12\tother\t"], "column failure_id"),
        (["3-7-abcdef12\tother\t" + "n" * 2001], "column note"),
        (["3-7-abcdef12\tother\t", "3-7-abcdef12\tother\t"], "reviewed once"),
    ],
)
def test_rows_that_are_no_reviews_are_refused(tmp_path, rows, message):
    with pytest.raises(RelianceError, match=message):
        read_reviews(review(tmp_path / "r.tsv", *rows), SAE)


def test_failure_id_names_class_component_and_sae():
    assert failure_id(3, 7, SAE) == "3-7-abcdef12"
