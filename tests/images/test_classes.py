"""Names of classes."""

import pytest

from reliance.base.errors import RelianceError
from reliance.images.classes import ClassName, class_table, imagenet21k_names, read_names, wordnet_names


def test_wordnet_names_are_timms():
    """The referee is timm itself."""
    from timm.data import ImageNetInfo

    ours = wordnet_names()
    for subset in ("imagenet-1k", "imagenet-21k-goog"):
        info = ImageNetInfo(subset)
        for wnid in info.label_names():
            detailed = info.label_name_to_description(wnid, detailed=True)
            assert f"{ours[wnid].full_name}: {ours[wnid].definition}" == detailed
    assert imagenet21k_names() == ImageNetInfo("imagenet-21k-goog").label_descriptions()
    assert len(imagenet21k_names()) == 21843


def test_wordnet_folders_get_lemmas_and_the_short_name_before_the_comma():
    table = class_table(["n01440764", "n02012849", "n03126707"], None)
    assert table["full_name"].tolist() == ["tench, Tinca tinca", "crane", "crane"]
    assert table["short_name"].tolist() == ["tench", "crane", "crane"]
    assert table["class_id"].tolist() == [0, 1, 2] and all(table["definition"])


def test_other_folders_are_their_own_names():
    table = class_table(["golden_retriever", "n01440764", "_"], None)
    assert table["short_name"].tolist() == ["golden retriever", "n01440764", "_"]
    assert table["full_name"].tolist() == table["short_name"].tolist()


def test_unknown_wordnet_ids_are_named():
    with pytest.raises(RelianceError, match="no name for n99999999"):
        class_table(["n01440764", "n99999999"], None)


def test_classes_of_one_name_are_named_in_the_log(caplog):
    class_table(["a_b", "a b", "c"], None)
    assert [r.getMessage() for r in caplog.records] == ["2 classes have the short name 'a b': a_b, a b"]


def test_no_classes():
    assert list(class_table([], None).columns) == [
        "class_id",
        "folder",
        "short_name",
        "full_name",
        "definition",
    ]


def write(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "names.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_names_csv(tmp_path):
    path = write(
        tmp_path,
        "\ufefffolder,short_name,full_name,definition\r\n"
        'a,tench,"tench, Tinca tinca","a ""fish"""\r\n\r\nb,Käuzchen,Käuzchen,\r\n',
    )
    assert read_names(path) == {
        "a": ClassName("tench", "tench, Tinca tinca", 'a "fish"'),
        "b": ClassName("Käuzchen", "Käuzchen", ""),
    }
    assert class_table(["a"], path)["full_name"].tolist() == ["tench, Tinca tinca"]
    with pytest.raises(RelianceError, match="no name for c"):
        class_table(["a", "c"], path)


@pytest.mark.parametrize(
    ("text", "where", "found"),
    [
        (
            "folder;short_name;full_name\na;b;c\n",
            "line 1",
            "without folder, short_name, full_name; unknown folder;",
        ),
        ("folder,short_name\na,b\n", "line 1", "without full_name"),
        ("folder,short_name,full_name,fullname\n", "line 1", "unknown fullname"),
        ("folder,folder,short_name,full_name\n", "line 1", "twice folder"),
        ("", "line 1", "without folder"),
        (
            "folder,short_name,full_name\na,b,c\nd,tench, Tinca tinca,e\n",
            "line 3, column all columns",
            "4 values",
        ),
        ("folder,short_name,full_name\na,b,c\nd,,e\n", "line 3, column short_name", "nothing"),
        ("folder,short_name,full_name\na,b,c\na,d,e\n", "line 3, column folder", "a for the second time"),
        ('folder,short_name,full_name\na,"b"x,c\n', "names.csv", "Error: "),
    ],
)
def test_malformed_names_csv_names_line_and_column(tmp_path, text, where, found):
    with pytest.raises(RelianceError) as error:
        read_names(write(tmp_path, text))
    assert where in str(error.value).splitlines()[0]
    assert found in error.value.found


def test_names_csv_that_is_missing_or_not_utf8(tmp_path):
    with pytest.raises(RelianceError, match="FileNotFoundError"):
        read_names(tmp_path / "none.csv")
    with pytest.raises(RelianceError, match="UnicodeDecodeError"):
        read_names(write(tmp_path, "folder,short_name,full_name\na,Käuzchen,x\n", "latin-1"))


def test_timm_and_torch_are_not_imported():
    import subprocess
    import sys

    code = (
        "import sys; from reliance.images.index import index_images; from reliance.images.classes import *;"
        "wordnet_names(); assert not {'torch', 'timm', 'open_clip'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": "src"})
