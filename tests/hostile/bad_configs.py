"""Configurations: files that cannot be read, keys that do not exist, values that cannot be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from reliance.config.resolve import load, resolve
from reliance.config.yaml_file import check_yaml
from reliance.encoders.registry import check_encoder

from .bad import CONTROL, HTML, LONG, RTL, Bad, gives, refused
from .mutations import mutated, replace


def change(label: str, path: str | tuple[str, ...], value: object, check: Callable[..., None]) -> Bad:
    """The shipped configuration with one other value."""

    def run(folder: Path) -> object:
        raw = mutated([])
        replace(raw, tuple(path.split("/")) if isinstance(path, str) else path, None, value)
        return load(raw) and "valid"

    return Bad(f"config: {label}", run, check)


def file(label: str, text: str | bytes, check: Callable[..., None]) -> Bad:
    def run(folder: Path) -> object:
        path = folder / "c.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return check_yaml(path)

    return Bad(f"config file: {label}", run, check)


def name(label: str, variant: str, check: Callable[..., None]) -> Bad:
    return Bad(f"variant: {label}", lambda folder: resolve(load(mutated([])), variant).dataset, check)


def encoder(label: str, check: Callable[..., None], **entry: Any) -> Bad:
    entry = {"architecture": None, **entry}
    return Bad(f"encoder: {label}", lambda folder: check_encoder(**entry, encoder="mine"), check)


def nested(depth: int, width: int = 1) -> object:
    value: object = "x"
    for _ in range(depth):
        value = [value] * width
    return value


def inside_itself() -> dict[str, object]:
    value: dict[str, object] = {}
    value["sae"] = value
    return value


FILE, REHEARSAL = "c.yaml", ".n{N}"
CASES = [
    file("empty", "", refused(FILE, "None")),
    file("a list", "[1, 2]", refused(FILE, "[1, 2]")),
    file("a bracket never closed", "a: [1, 2", refused("c.yaml, line 1")),
    file("a tab", "a:\n\tb: 1", refused("c.yaml, line 2")),
    file("a key twice", "a: {b: 1}\na: 2", refused("c.yaml, line 2, column 1", "the key a")),
    file("two documents", "--- {a: 1}\n--- {a: 2}", refused("c.yaml, line 2")),
    file("code to run", "a: !!python/object/apply:os.system [id]", refused("c.yaml, line 1", "constructor")),
    file("a NUL byte", "a: \0", refused(FILE, "#x0000")),
    file("control characters", f"a: {CONTROL}", refused(FILE, "#x001b")),
    file("an impossible date", "a: 2020-13-45", refused(FILE, "month")),
    file("a number of 5,000 digits", "a: " + "9" * 5000, refused(FILE, "digits")),
    file("10,000 levels", "a: " + "[" * 10_000, refused(FILE, "recursion")),
    file("an alias of itself", "a: &a {b: *a}", gives(None)),
    file("latin-1", "a: Käuzchen".encode("latin-1"), refused(FILE, "utf-8")),
    file("UTF-16", "a: 1".encode("utf-16"), refused(FILE, "utf-8")),
    Bad("config file: none", lambda f: check_yaml(f / "c.yaml"), refused(FILE, "No such file")),
    Bad("config file: a folder", check_yaml, refused("test_bad_input", "directory")),
    change("unknown key", "failures/minz", 1, refused("failures.minz")),
    change("key with HTML", ("failures", HTML), 1, refused("failures.<script>")),
    change("key of 100,000 characters", f"failures/{LONG}", 1, refused("failures.xxx", "100000 characters")),
    change("key that is a number", "failures", {1: 2}, refused("failures")),
    change("section that is a list", "failures", [], refused("failures", "[]")),
    change("section that is gone", "compute", None, refused("compute", "None")),
    change("text for a number", "naming/top_n", HTML, refused("naming.top_n", "<script>")),
    change("not a number", "failures/min_z", float("nan"), refused("failures.min_z", "nan")),
    change("infinity", "sae_presets/default/lr", float("inf"), refused("sae_presets.default.lr", "inf")),
    change("negative", "embedding/batch_size", -1, refused("embedding.batch_size", "-1")),
    change("huge number", "datasets/imagenet/parts", 10**9, refused("datasets.imagenet.parts", "1000000000")),
    change(
        "number of 5,000 digits", "sae_presets/default/m", 10**5000, refused("sae_presets.default.m", "bits")
    ),
    change("a million threads", "compute/threads", 10**6, refused("compute.threads", "1000000")),
    change("nested 10,000 deep", "templates", nested(10_000), refused("templates", "[[[[")),
    change("billions of aliases", "templates", nested(12, 10), refused("templates", "[[[[")),
    change("an alias of itself", "variants/demo", inside_itself(), refused("variants.demo")),
    change("empty variant", "variants/demo", {}, refused("variants.demo.encoder", "nothing")),
    change("variant in a reserved folder", "variants/logs", inside_itself(), refused("variants.logs")),
    change("variant that is a path", ("variants", "../etc"), {}, refused("variants")),
    change("variant with HTML", "variants/<b>", {}, refused("variants.<b>")),
    change("preset that is a list", "variants/demo/sae/preset", [1], refused("demo.sae.preset", "[1]")),
    change("preset that is a number", "variants/demo/sae/preset", 5, refused("demo.sae.preset", "5")),
    change(
        "unknown encoder", "variants/demo/encoder", "../demo", refused("variants.demo.encoder", "../demo")
    ),
    change("chain of sources", "variants/vit_l14/failures_from", "vit_b32", refused("vit_l14.failures_from")),
    change("no template", "templates", [], refused("templates")),
    change("template without a place", "templates", ["x"], refused("templates", "x")),
    change(
        "template that reads attributes", "templates", ["{0.__class__}"], refused("templates", "__class__")
    ),
    change(
        "template of 100,000 characters",
        "templates",
        ["{}" + LONG],
        refused("templates", "100002 characters"),
    ),
    change("template with control characters", "templates", ["{}" + CONTROL], refused("templates", "U+001B")),
    change("template with HTML", "templates", ["{}" + HTML], gives("valid")),
    change("prompt of 100,000 characters", "hidden/prompts", [LONG], refused("hidden.prompts", "100000")),
    change("prompt that is empty", "hidden/prompts", [""], refused("hidden.prompts")),
    change("prompt with a line break", "hidden/prompts", ["a\nb"], refused("hidden.prompts", "U+000A")),
    change("prompt from right to left", "hidden/prompts", [RTL], gives("valid")),
    name("unknown", "dmo", refused("results/dmo", "dmo")),
    name("empty", "", refused("results/", "''")),
    name("path traversal", "../demo", refused("results/../demo", "../demo")),
    name("HTML", "<b>", refused("results/<b>", "<b>")),
    name("a line break", "demo\n", refused("results/demo", r"demo\n")),
    name("rehearsal on no image", "demo.n0", refused("results/demo.n0", ".n0")),
    name("rehearsal on 5,000 digits", "demo.n" + "9" * 5000, refused("results/demo.n9", ".n999")),
    name("rehearsal on more images than there are", "demo.n999999999", gives("planted.n999999999")),
    name("rehearsal of a rehearsal", "demo.n5.n5", refused("results/demo.n5.n5", ".n5.n5")),
    encoder("unknown architecture", refused("encoders.mine", "ViT"), architecture="ViT", pretrained="openai"),
    encoder("path as architecture", refused("mine.architecture", "../"), architecture="../x", random=True),
    encoder("path as a hub model", refused("mine.architecture", "../../x"), architecture="hf-hub:../../x"),
    encoder("URL as a hub model", refused("mine.architecture", "http"), architecture="hf-hub:http://x/y"),
    encoder("unknown tag", refused("mine.pretrained", HTML), architecture="ViT-B-32", pretrained=HTML),
    encoder("file of 5,000 characters", refused("mine.file", "xxx"), file="/" + "x" * 5000),
    encoder("file of an unknown user", refused("mine.file", "~no_such"), file="~no_such_user/x.pt"),
    encoder("file with a NUL byte", refused("mine.file", r"a\x00b"), file="a\0b"),
    encoder("folder without weights", refused("mine.file", "without"), file=str(Path(__file__).parent)),
]
