"""Replacements of effects against the sums as they stand (T4, T8), findings, and neurons as a table."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from reliance.lens.directions import Directions
from reliance.lens.evaluate import replaced
from reliance.lens.findings import at, carried, few, findings, segmented
from reliance.lens.neurons import foremost, in_words, strongest_of

N, M, K, P = 40, 7, 3, 5  # images, neurons, paths, width
SHARES = (0.05, 0.25, 0.5)


def made(shared: bool = False) -> tuple[dict[str, np.ndarray], Directions, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    u = rng.normal(size=(M, K, P)).astype(np.float32)
    arrays = {"embedding": rng.normal(size=(N, P)), "coefficients": rng.normal(size=(N, M, K))}
    arrays |= {"direct": rng.normal(size=(N, M))} | ({"common": rng.normal(size=(N, P))} if shared else {})
    arrays = {name: values.astype(np.float32) for name, values in arrays.items()}
    arrays["image_id"] = np.arange(N)
    mean, q = arrays["coefficients"].mean(0), arrays["common"].mean(0) if shared else None
    phi = np.einsum("nmk,mkp->nmp", arrays["coefficients"] - mean, u)
    if q is not None:
        phi += ((arrays["common"] - q) / M)[:, None]
    norm = np.linalg.norm(phi, axis=2)
    r = np.linalg.svd(phi.transpose(1, 0, 2))[2][:, 0]
    thresholds = np.stack([np.quantile(norm, 1 - share, axis=0) for share in SHARES], 1)
    empty = np.zeros(M, np.float32)
    directions = Directions(
        mean, arrays["direct"].mean(0), r, empty, thresholds, np.array(SHARES), np.zeros((M, K)), empty, q
    )
    return arrays, directions, u, phi


@pytest.mark.parametrize("shared", [False, True])
def test_replacements_are_the_sums_as_they_stand(shared: bool) -> None:
    arrays, found, u, phi = made(shared)
    e, whole = arrays["embedding"], phi.sum(1)
    direct = np.random.default_rng(1).normal(size=(M, P)).astype(np.float32)
    along = np.einsum("nmp,mp->nm", phi, found.direction)
    by = {
        (method, None if np.isnan(value) else round(value, 6)): (z, share)
        for method, value, z, share in replaced(arrays, found, u, {3: found.direction / 2}, direct)
    }
    expected = {
        ("baseline", None): e,
        ("second_order", None): e - whole,
        ("direction", None): e - whole + along @ found.direction,
        ("words", 3): e - whole + along @ found.direction / 2,
        ("first_order", None): e - (arrays["direct"] - found.direct) @ direct,
    }
    for key, z in expected.items():
        np.testing.assert_allclose(by[key][0], z, atol=2e-4)
    for place, share in enumerate(SHARES):
        above = np.linalg.norm(phi, axis=2) > found.thresholds[:, place]
        without = e - (phi * above[..., None]).sum(1)
        np.testing.assert_allclose(by["significant", share][0], without, atol=2e-4)
        np.testing.assert_allclose(
            by["significant", share][0] + by["insignificant", share][0], 2 * e - whole, atol=2e-4
        )
        assert by["random", share][1] == pytest.approx(above.mean())
    sizes = [by["significant", share][1] for share in SHARES]
    assert all(a < b for a, b in pairwise(sizes))


def table(**accuracies: float) -> pd.DataFrame:
    rows = [(name.partition("__")[0], float(name.partition("__")[2] or "nan") / 100) for name in accuracies]
    frame = pd.DataFrame(rows, columns=["method", "value"])
    return frame.assign(accuracy=list(accuracies.values()), images=4000, significant=np.nan)


def test_verdicts() -> None:
    good = table(
        baseline=0.9,
        second_order=0.5,
        direction=0.899,
        significant__2=0.6,
        insignificant__2=0.898,
        random__2=0.89,
    )
    assert few(good) == pytest.approx(0.02) and at(good, "random", 0.02) == 0.89
    truth = pd.DataFrame({"images": [20] * 100, "things": [3] * 80 + [1] * 20})
    verdicts = {f.name: f.holds for f in findings({"block 1": good}, {"block 1": truth})}
    assert verdicts == {
        "lens_matters:block 1": True,
        "lens_few:block 1": True,
        "lens_direction:block 1": True,
        "lens_polysemous:block 1": True,
    }
    nothing = table(baseline=0.9, second_order=0.89, direction=0.9, significant__2=0.9, insignificant__2=0.9)
    verdicts = {f.name: f.holds for f in findings({"b": nothing}, {})}
    assert verdicts["lens_few:b"] is None and verdicts["lens_direction:b"] is None
    bad = table(baseline=0.9, second_order=0.5, direction=0.7, significant__2=0.8, insignificant__2=0.6)
    verdicts = {f.name: f.holds for f in findings({"b": bad}, {})}
    assert verdicts["lens_few:b"] is False and verdicts["lens_direction:b"] is False


def test_segmentations_are_compared_picture_by_picture() -> None:
    rng = np.random.default_rng(0)
    hard = rng.uniform(0.2, 0.8, 30)  # pictures differ by more than methods do
    by = {"signed neurons": hard, "raw attention": hard - 0.02, "rollout": hard + 0.03}
    by["random neurons"] = hard + rng.normal(0, 0.02, 30)
    scores = pd.concat(
        [
            pd.DataFrame({"method": n, "image_id": np.arange(30), "iou": v + rng.normal(0, 1e-3, 30)})
            for n, v in by.items()
        ]
    )
    verdicts = {f.name.partition(":")[2]: f.holds for f in segmented(scores)}
    assert verdicts == {"raw attention": True, "rollout": False, "random neurons": None}


def test_heads_carry_written_words_if_they_do_in_most_cases() -> None:
    def cases(*gains: float) -> pd.DataFrame:
        rows = [
            (f"c{i}", "typography", ablated, area)
            for i, gain in enumerate(gains)
            for ablated, area in (
                ("nothing", 0.6),
                ("heads", 0.6 + gain),
                ("random heads", 0.58),
                ("random heads", 0.62),
            )
        ]
        return pd.DataFrame(rows, columns=["failure_id", "kind", "ablated", "auc"])

    (found,) = carried(cases(0.3, 0.35, 0.32))
    assert found.holds and "AUC 0.600, 0.923 without them, 0.600 without others" in found.numbers
    assert carried(cases(0.3, -0.3, 0.1))[0].holds is None
    assert carried(cases(0.3))[0].holds is None
    assert carried(cases().assign(kind="spurious")) == []


def test_words_and_images_of_a_neuron() -> None:
    words = pd.DataFrame(
        {"component": [0, 0, 2], "rank": [0, 1, 0], "word": ["a", "b", "c"], "coefficient": [0.1, -0.5, 0.3]}
    )
    assert foremost(words, 3) == ["a", "", "c"]
    assert in_words(words, 3) == ["b −0.50, a +0.10", "", "c +0.30"]
    tops = pd.DataFrame(
        {"component": [1, 1, 1, 0], "image_id": [5, 6, 7, 8], "activation": [0.1, -2, 0.4, 0.2]}
    )
    found = strongest_of(tops.assign(rank=0, norm=1.0), 2)
    assert found.image_id.tolist() == [8, 7, 5] and found.rank.tolist() == [0, 0, 1]
