"""Folders that are not what a data set's root should be, and lists of labels that are wrong."""

from collections.abc import Callable
from pathlib import Path

from reliance.base.artifacts import read_table
from reliance.config.resolve import check_root
from reliance.images.index import index_images
from reliance.images.layouts import Looking
from reliance.images.tables import CLASSES, INDEX

from .bad import CONTROL, HTML, RTL, Bad, gives, refused

TRAIN, TEST, A, B = "train/a/1.jpg", "test/a/2.jpg", "n01440764", "n02012849"
FOUR = ("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg")


def plant(root: Path, *paths: str) -> Path:
    root.mkdir()
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"abc")
    return root


def listed(
    folder: Path, root: Path, layout: str = "folder", **settings: object
) -> tuple[list[str], list[str]]:
    """Paths of all images, and names of all classes."""
    out = {name: folder / f"{name}.parquet" for name in ("index", "classes")}
    index_images(**out, root=str(root), layout=layout, dataset="mine", **settings)  # type: ignore[arg-type]
    paths = read_table(out["index"], INDEX).frame["path"].tolist()
    return sorted(paths), read_table(out["classes"], CLASSES).frame["short_name"].tolist()


def folder(
    label: str, check: Callable[..., None], *paths: str, layout: str = "folder", **settings: object
) -> Bad:
    return Bad(f"folder: {label}", lambda f: listed(f, plant(f / "root", *paths), layout, **settings), check)


def made(label: str, check: Callable[..., None], make: Callable[[Path], object], **settings: object) -> Bad:
    """A root with four images in two classes, changed by `make`."""

    def run(f: Path) -> object:
        root = plant(f / "root", *FOUR)
        make(root)
        return listed(f, root, **settings)

    return Bad(f"folder: {label}", run, check)


def file_as_root(f: Path) -> None:
    (f / "root").write_text("")
    listed(f, f / "root")


def link_to_folder(root: Path) -> None:
    plant(root.parent / "outside", "x.jpg")
    (root / "c").symlink_to(root.parent / "outside")


def flat_val(text: str) -> Callable[[Path], object]:
    def run(f: Path) -> object:
        root = plant(f / "root", f"train/{A}/1.jpg", "val/v.jpg")
        (root / "val.txt").write_text(text)
        return listed(f, root, "imagenet")

    return run


ROOT, KEY = "datasets.mine.root", "datasets.mine.root"
CASES = [
    Bad("root: none", lambda f: check_root("datasets", "mine", None), refused(KEY, "no root")),
    Bad("root: nowhere", lambda f: check_root("datasets", "mine", "/no/such"), refused(KEY, "/no/such")),
    Bad("root: a file", lambda f: check_root("datasets", "mine", __file__), refused(KEY, __file__)),
    Bad("root: a NUL byte", lambda f: check_root("datasets", "mine", "a\0b"), refused(KEY, r"a\x00b")),
    Bad(
        "root: 100,000 characters", lambda f: check_root("datasets", "mine", "x" * 10**5), refused(KEY, "xxx")
    ),
    Bad("root: not UTF-8", lambda f: check_root("datasets", "mine", "\udcff"), refused(KEY, r"\udcff")),
    Bad("folder: a file as root", file_as_root, refused(ROOT)),
    folder("empty root", refused(ROOT, "an empty folder")),
    folder("no images", refused(ROOT, "readme.txt"), "readme.txt"),
    folder("only hidden images", refused(ROOT, ".a.jpg, .git"), ".a.jpg", ".git/b.jpg"),
    folder("only what an archiver left", refused(ROOT), "__MACOSX/a/1.jpg"),
    folder("no class folders", gives((["1.jpg", "2.jpg"], [])), "1.jpg", "2.jpg"),
    folder("one class", gives((["a/1.jpg", "a/2.jpg"], ["a"])), "a/1.jpg", "a/2.jpg"),
    folder("one image in all", refused(ROOT, "1 to train on, 0 to test on"), "a/1.jpg"),
    folder("one image per class", refused(ROOT, "2 to train on, 0 to test on"), "a/1.jpg", "b/1.jpg"),
    folder("train without test", gives((["train/a/1.jpg", "train/a/2.jpg"], ["a"])), TRAIN, "train/a/2.jpg"),
    folder("test without train", refused(ROOT, "test without train"), TEST),
    folder("an empty split", refused(ROOT, "1 to train on, 0 to test on"), TRAIN, "test/a/readme.txt"),
    folder("splits with other classes", gives((["test/b/2.jpg", TRAIN], ["a", "b"])), TRAIN, "test/b/2.jpg"),
    folder("split given for a folder with splits", refused("split"), TRAIN, TEST, split={"test": 0.5}),
    folder("nested folders", gives((["a/1.jpg", "a/x/y/z/2.jpg"], ["a"])), "a/1.jpg", "a/x/y/z/2.jpg"),
    folder(
        "hidden files", gives((["a/1.jpg", "a/2.jpg"], ["a"])), "a/1.jpg", "a/2.jpg", "a/.3.jpg", ".b/4.jpg"
    ),
    folder(
        "a class without images", gives((["a/1.jpg", "a/2.jpg"], ["a"])), "a/1.jpg", "a/2.jpg", "b/readme"
    ),
    folder(
        "images beside class folders", gives((["a/1.jpg", "a/2.jpg"], ["a"])), "a/1.jpg", "a/2.jpg", "3.jpg"
    ),
    folder("a class with HTML", gives((["<b>/1.jpg", "<b>/2.jpg"], ["<b>"])), "<b>/1.jpg", "<b>/2.jpg"),
    folder(
        "a class from right to left",
        gives(([f"{RTL}/{i}.jpg" for i in (1, 2)], [RTL])),
        *(f"{RTL}/{i}.jpg" for i in (1, 2)),
    ),
    folder("a class with control characters", refused(r"a\x1b[2Jb", "U+001B"), f"{CONTROL}/1.jpg"),
    folder("a class with a line break", refused(r"a\nb", "U+000A"), "a\nb/1.jpg"),
    folder("a class that is not UTF-8", refused(r"\xff", "not UTF-8"), "\udcff/1.jpg"),
    folder(
        "two classes of one name",
        gives((sorted(f"{k}/{i}.jpg" for k in ("a_b", "a b") for i in (1, 2)), ["a b", "a b"])),
        *(f"{k}/{i}.jpg" for k in ("a_b", "a b") for i in (1, 2)),
    ),
    folder("unknown layout", refused("layout", "hdf5"), *FOUR, layout="hdf5"),
    folder("not ImageNet", refused(ROOT, "a, b"), *FOUR, layout="imagenet"),
    folder(
        "ImageNet with other classes",
        refused("train", "cat"),
        "train/cat/1.jpg",
        "val/cat/1.jpg",
        layout="imagenet",
    ),
    folder(
        "unknown WordNet ids",
        refused("WordNet", "n99999999"),
        "train/n99999999/1.jpg",
        "val/n99999999/1.jpg",
        layout="imagenet",
    ),
    made(
        "a class outside the root",
        refused("c", "a link out of the root"),
        link_to_folder,
        looking=Looking(False),
    ),
    made(
        "one class under two names",
        refused("c", "the same folder as a"),
        lambda root: (root / "c").symlink_to("a"),
    ),
    made(
        "a class that is a link to itself",
        gives((list(FOUR), ["a", "b"])),
        lambda root: (root / "c").symlink_to("c"),
    ),
    made(
        "a class that is a link to the root",
        refused("c", "a folder that it lies in"),
        lambda root: (root / "c").symlink_to("."),
    ),
    Bad("labels: a line without label", flat_val("v.jpg\n"), refused("val.txt, line 1", "v.jpg")),
    Bad("labels: a class of 5,000 digits", flat_val("v.jpg " + "9" * 5000), refused("val.txt, line 1")),
    Bad("labels: HTML", flat_val(f"v.jpg {HTML}"), refused("val.txt, line 1", "<script>")),
    Bad("labels: none for an image", flat_val("w.jpg 0"), refused("val.txt", "no line for val/v.jpg")),
]
