"""Mutations of the shipped configuration: in disorder, or nearly right."""

import copy
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]


def shipped() -> dict[str, Any]:
    raw, tiny = (yaml.safe_load((ROOT / f"config/{n}.yaml").read_text()) for n in ("config", "tiny"))
    for section, entries in tiny.items():
        raw[section].update(entries)
    raw["datasets"]["imagenet"]["root"] = str(ROOT)  # any folder: its images are listed in a job
    raw["external_lists"]["spurious_imagenet"]["root"] = str(ROOT)
    return raw


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [place for key, child in pairs for place in ((*path, key), *places(child, (*path, key)))]


def without_aliases(node: Any) -> Any:
    """A copy in which a change in one place stays there."""
    if isinstance(node, dict):
        return {key: without_aliases(value) for key, value in node.items()}
    return [without_aliases(value) for value in node] if isinstance(node, list) else node


SHIPPED = without_aliases(shipped())
PLACES = places(SHIPPED)
# As many mutations of each section as of each other: half of all places are encoders and variants.
SECTIONS = {s: [p for p in PLACES if p[0] == s] for s in SHIPPED}
ANY_SECTION = st.sampled_from(list(SHIPPED)).flatmap(lambda s: st.sampled_from(SECTIONS[s]))
PLACE = ANY_SECTION | st.sampled_from(PLACES)

NUMBERS = st.sampled_from([0, -1, 1, 2, 10**6, 2**31, 2**63, 10**400, -(10**9), 0.0, -0.5, 1e308, 5e-324])
ODD_NUMBERS = st.sampled_from([float("nan"), float("inf"), float("-inf")])
TEXTS = st.sampled_from(
    [
        "",
        " ",
        "\n",
        "\x00",
        "a\x1b[31mb",
        "\u202eevil",
        "é猫",
        "\ud800",
        "~nobody_at_all/x",
        "../../etc",
        "/dev/null",
        "x" * 300,
        "/" + "x" * 5000,
        "{0.__class__}",
        "{}",
        "<script>alert(1)</script>",
        "hf-hub:",
        "hf-hub:a/b",
        "nan",
        "1e5",
        "demo",
        "planted",
        "imagenet:train",
        ":",
        "a:b:c",
        "drawn",
        "${HOME}",
        ".n5",
    ]
) | st.text(max_size=12)
LEAVES = st.none() | st.booleans() | NUMBERS | ODD_NUMBERS | TEXTS | st.binary(max_size=3)
KEYS = TEXTS | st.sampled_from([None, 1, True, 0.5, (1, 2)])
JUNK = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)


def parent(raw: Any, path: tuple[Any, ...]) -> tuple[Any, Any]:
    *above, last = path
    for key in above:
        raw = raw[key]
    if not isinstance(raw, dict) and not (isinstance(raw, list) and isinstance(last, int)):
        raise KeyError(last)
    return raw, last


def get(raw: Any, path: tuple[Any, ...]) -> Any:
    node, last = parent(raw, path)
    return node[last]


def delete(raw: Any, path: tuple[Any, ...], *_: Any) -> None:
    node, last = parent(raw, path)
    del node[last]


def replace(raw: Any, path: tuple[Any, ...], _other: Any, junk: Any, *_: Any) -> None:
    node, last = parent(raw, path)
    node[last] = junk


def add(raw: Any, path: tuple[Any, ...], _other: Any, junk: Any, key: Any) -> None:
    node = get(raw, path)
    if isinstance(node, list):
        node.append(junk)
    elif isinstance(node, dict):
        node[key] = junk


def rename(raw: Any, path: tuple[Any, ...], _other: Any, _junk: Any, key: Any) -> None:
    node, last = parent(raw, path)
    if isinstance(node, dict):
        node[key] = node.pop(last)


def put_copy(raw: Any, path: tuple[Any, ...], other: tuple[Any, ...], *_: Any) -> None:
    node, last = parent(raw, path)
    node[last] = copy.deepcopy(get(raw, other))


def put_alias(raw: Any, path: tuple[Any, ...], other: tuple[Any, ...], *_: Any) -> None:
    """The same object in two places, perhaps inside itself, as an alias of YAML makes it."""
    node, last = parent(raw, path)
    node[last] = get(raw, other)


def move(raw: Any, path: tuple[Any, ...], other: tuple[Any, ...], *_: Any) -> None:
    value = get(raw, other)
    delete(raw, other)
    node, last = parent(raw, path)
    node[last] = value


def nudge(raw: Any, path: tuple[Any, ...], _other: Any, junk: Any, *_: Any) -> None:
    """Nearly right: a number times something, a text with something behind it, a value inside a list."""
    node, last = parent(raw, path)
    value = node[last]
    if isinstance(value, int | float) and isinstance(junk, int | float) and abs(junk) < 1e300:
        node[last] = value * junk
    elif isinstance(value, str):
        node[last] = value + str(junk)[:40]
    else:
        node[last] = [value]


WORDS = sorted({v for p in PLACES if isinstance(v := get(SHIPPED, p), str)})


def same_type(raw: Any, path: tuple[Any, ...], other: tuple[Any, ...], junk: Any, key: Any) -> None:
    """Another value of the kind that stands there."""
    node, last = parent(raw, path)
    value = node[last]
    if isinstance(value, bool):
        node[last] = not value
    elif isinstance(value, int | float):
        node[last] = value * (junk if isinstance(junk, int | float) and abs(junk) < 1e300 else 3)
    elif isinstance(value, str):
        node[last] = WORDS[len(str(junk)) * 7 % len(WORDS)] if junk is None else str(key)
    elif isinstance(value, list):
        value.append(copy.deepcopy(value[0]) if value else junk)


VALUES = NUMBERS | ODD_NUMBERS
SPLIT = st.fixed_dictionaries({"test": ODD_NUMBERS | st.floats(), "seed": NUMBERS})
PREPROCESS = st.fixed_dictionaries(
    {"size": NUMBERS, "mean": st.just([0.5] * 3), "std": st.lists(VALUES, min_size=3, max_size=3)}
)
TABLES = st.fixed_dictionaries(
    {"dataset": st.just("imagenet"), "source": st.just("user"), "failures": TEXTS, "samples": TEXTS}
)
TEMPLATE = st.sampled_from(
    ["{}", "{} {}", "{0.__class__}", "{{}}", "{}\x00", "<b>{}</b>", "{}" + "x" * 100_000]
)
TRAIN_ON = st.sampled_from(["imagenet:train", "planted:test", "a:b:c", ":", "imagenet"])
OPTIONAL: list[tuple[tuple[str, ...], st.SearchStrategy[Any]]] = [
    (("datasets", "imagenet", "root"), TEXTS),
    (("datasets", "imagenet", "names"), TEXTS),
    (("datasets", "imagenet", "parts"), NUMBERS),
    (("datasets", "imagenet", "vocabulary"), st.sampled_from(["classes", "mine", "drawn"])),
    (("datasets", "imagenet", "layout"), st.sampled_from(["folder", "planted", "cases"])),
    (("datasets", "imagenet", "split"), SPLIT),
    (("encoders", "vit_b16"), st.fixed_dictionaries({"file": TEXTS}, optional={"architecture": TEXTS})),
    (("encoders", "vit_b16", "architecture"), TEXTS),
    (("encoders", "vit_b16", "pretrained"), TEXTS),
    (("encoders", "vit_b16", "preprocess"), PREPROCESS),
    (("encoders", "vit_b16", "role"), st.sampled_from(["labeller", "encoder"])),
    (("external_lists", "spurious_imagenet", "root"), TEXTS),
    (("external_lists", "spurious_imagenet"), TABLES),
    (("vocabularies",), st.dictionaries(st.just("mine") | st.sampled_from(["classes", "drawn"]), TEXTS)),
    (("hidden", "vocabulary"), st.sampled_from(["classes", "drawn", "imagenet21k", "mine", ""])),
    (("hidden", "prompts"), st.lists(TEXTS, max_size=3)),
    (("hidden", "bands"), st.lists(NUMBERS | ODD_NUMBERS, min_size=2, max_size=2)),
    (("templates",), st.lists(TEMPLATE, max_size=3)),
    (("variants", "vit_b16", "train_on"), st.lists(TRAIN_ON, max_size=2)),
    (("variants", "vit_b16", "failures_from"), st.sampled_from(["vit_b16", "demo", "vit_b32", ""])),
    (("variants", "vit_b16", "external"), st.lists(st.just("spurious_imagenet"), max_size=3)),
    (("variants", "vit_b16", "labeller"), st.sampled_from(["vit_b32", "vit_b16", "demo", "nobody", None])),
    (("variants", "vit_b16", "dataset"), st.sampled_from(["planted", "planted_tiny"])),
    (("comparisons", "paper"), st.lists(st.sampled_from(["demo", "vit_b16", "nobody"]), max_size=3)),
    (("compute", "threads"), NUMBERS),
    (("sae_presets", "default", "m"), NUMBERS),
    (("sae_presets", "default", "decay_at"), st.lists(NUMBERS | ODD_NUMBERS, max_size=3)),
]
SET = st.sampled_from(OPTIONAL).flatmap(
    lambda option: st.tuples(st.just(replace), st.just(option[0]), PLACE, option[1], st.none())
)
WILD = st.sampled_from([delete, replace, replace, add, rename, put_copy, put_alias, move, nudge, nudge])
WILDLY = st.lists(st.tuples(WILD, PLACE, PLACE, JUNK, KEYS), min_size=1, max_size=3)
SIMILAR = st.tuples(st.just(same_type), PLACE, PLACE, LEAVES, KEYS)
SUBTLY = st.lists(SET | SET | SIMILAR, min_size=1, max_size=3)
SUFFIX = st.sampled_from(
    [
        "",
        "",
        ".n1",
        ".n20",
        ".n" + "9" * 20,
        ".n" + "9" * 5000,
        ".n0",
        ".n-1",
        ".n",
        ".nx",
        ".n5.n5",
        ".n\u0663",
    ]
)


def mutated(mutations: list[Any]) -> dict[str, Any]:
    raw = copy.deepcopy(SHIPPED)
    for mutate, *arguments in mutations:
        try:
            mutate(raw, *arguments)
        except (LookupError, TypeError):  # an earlier mutation took the place away
            continue
    return raw
