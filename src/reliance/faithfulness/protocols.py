"""The protocols of deletion and insertion on a block of images (Sec. 5.1, App. B.2)."""

from typing import NamedTuple

import numpy as np
import torch

from reliance.faithfulness.bench import Bench, Loaded, load, see, stretch_of
from reliance.faithfulness.class_orders import Orders, own_orders, reference_orders, to_orders
from reliance.faithfulness.orderings import Scored, best_active, find, greedy, image_scores
from reliance.faithfulness.sample import Images, Randoms
from reliance.faithfulness.schema import (
    FROZEN,
    GLOBAL_DELETION,
    GREEDY,
    LOCAL_DELETION,
    LOCAL_INSERTION,
    REFERENCE_DELETION,
)
from reliance.tails.protocol import ACT_X_GRAD, EQUATION_6, Stretch, Walk


class Key(NamedTuple):
    """Which curve: the first four columns of the faithfulness table."""

    protocol: str
    method: str
    error_term: str
    restrict_to_active: bool


Curves = dict[Key, np.ndarray]  # y float64 [n, S + 1]
Positions = dict[tuple[str, bool], list[torch.Tensor]]  # (method, restricted) -> orders, int64 [n, S] each


class Diagnostics(NamedTuple):
    """Sums over images: how incomplete Integrated Gradients are, and how far off Eq. 6 is."""

    gap: dict[str, float]  # |sum_j IG_j - (y(x) - y(x - aV))|, by error term
    change: dict[str, float]  # |y(x) - y(x - aV)|, by error term
    eq6_gap: float  # sum_j |Eq. 6 - act x grad| at the stored x
    relevance: float  # sum_j |act x grad| there


def block_curves(
    bench: Bench,
    images: Images,
    label: np.ndarray,
    randoms: Randoms,
    reference: dict[str, list[Scored]],
) -> tuple[Curves, Diagnostics]:
    """All curves of a block of whole classes.

    Parameters
    ----------
    label : class of each image as a row of the bench's prompts, ascending, int64 [n].
    randoms : random orders of these images, and of all classes.
    reference : the reference images by error term; only these error terms are measured.
    """
    block, (classes, own) = load(bench, images), np.unique(label, return_inverse=True)
    rows, own_class = (torch.as_tensor(a, device=block.x.device) for a in (label, own))
    lens = see(bench, rows[:, None], block.indices)
    imageless = _imageless(bench, block, classes, own_class, randoms)
    fixed = _fixed(block, lens[:, 0], randoms, bench.steps) | {("logit_lens", False): imageless["logit_lens"]}
    curves: Curves = {}
    gap, change, eq6 = {}, {}, (0.0, 0.0)
    for error_term, others in reference.items():
        stretch = stretch_of(bench, block, error_term)
        found = image_scores(Scored(block.active, stretch), rows[:, None], lens)
        scores = {name: score[:, 0] for name, score in found.items()}
        empty, full = stretch.walks(rows)
        local = fixed | {(m, True): [best_active(s, block.values, bench.steps)] for m, s in scores.items()}
        orders = {
            GLOBAL_DELETION: own_orders(bench, block, label, scores),
            REFERENCE_DELETION: reference_orders(bench, classes, others),
        }
        curves |= _local_curves(empty, full, local, error_term, bench.steps)
        curves |= _class_curves(full, block, orders, own_class, error_term)
        curves |= _imageless_curves(full, imageless, error_term)
        moved = full.output() - empty.output()
        gap[error_term] = _size(scores["integrated_gradients"].sum(1) - moved)
        change[error_term] = _size(moved)
        if error_term == FROZEN:
            eq6 = _equation_6(bench, stretch, rows)
    return curves, Diagnostics(gap, change, *eq6)


def _imageless(
    bench: Bench, block: Loaded, classes: np.ndarray, own_class: torch.Tensor, randoms: Randoms
) -> dict[str, list[torch.Tensor]]:
    """Positions, for each image, of the orders that no image has a say in: one order or several."""
    drawn = torch.as_tensor(randoms.by_class[classes]).to(block.indices)
    orders = {"logit_lens": [to_orders(bench, bench.alone[classes].cpu().numpy())], "random": drawn.unbind(1)}
    return {
        method: [find(order[own_class], block.values, block.indices) for order in several]
        for method, several in orders.items()
    }


def _fixed(block: Loaded, lens: torch.Tensor, randoms: Randoms, steps: int) -> Positions:
    """Positions of the local orders that are the same for both error terms; lens [n, k]."""
    active = torch.as_tensor(randoms.active, device=block.x.device)
    every = torch.as_tensor(randoms.all_latents).to(block.indices)
    return {
        ("logit_lens", True): [best_active(lens, block.values, steps)],
        ("random", True): [best_active(scores, block.values, steps) for scores in active.unbind(1)],
        ("random", False): [find(order, block.values, block.indices) for order in every.unbind(1)],
    }


def _local_curves(empty: Walk, full: Walk, local: Positions, error_term: str, steps: int) -> Curves:
    """Curves end with the active latents: after k steps nothing is left to delete or insert."""
    found, stop = {}, 1 + min(steps, full.values.shape[1])
    for protocol, at, sign in ((LOCAL_DELETION, full, -1), (LOCAL_INSERTION, empty, 1)):
        every = local | {(GREEDY, True): [greedy(at, steps, sign)]}
        for (method, restricted), several in every.items():
            found[Key(protocol, method, error_term, restricted)] = _mean_curve(at, several, sign)[:, :stop]
    return found


def _class_curves(
    full: Walk, block: Loaded, orders: dict[str, Orders], own_class: torch.Tensor, error_term: str
) -> Curves:
    """Curves of the orders that a class shares; own_class int64 [n] is a row of the orders."""
    found = {}
    for protocol, by_method in orders.items():
        for method, order in by_method.items():
            positions = find(order[own_class], block.values, block.indices)
            found[Key(protocol, method, error_term, False)] = _mean_curve(full, [positions], -1)
    return found


def _imageless_curves(full: Walk, imageless: dict[str, list[torch.Tensor]], error_term: str) -> Curves:
    """Curves of the orders that no image has a say in: the same in global and reference deletion."""
    found = {}
    for method, several in imageless.items():
        y = _mean_curve(full, several, -1)
        for protocol in (GLOBAL_DELETION, REFERENCE_DELETION):
            found[Key(protocol, method, error_term, False)] = y
    return found


def _mean_curve(at: Walk, several: list[torch.Tensor], sign: int) -> np.ndarray:
    """y [n, S + 1], the mean over orders, each as positions int64 [n, S]."""
    y = torch.stack([at.curve(positions, sign) for positions in several]).mean(0)
    found: np.ndarray = y.cpu().numpy()
    return found


def _equation_6(bench: Bench, stretch: Stretch, rows: torch.Tensor) -> tuple[float, float]:
    """Sums of |Eq. 6 - act x grad| and |act x grad|; 0 for a tail without Eq. 6."""
    if EQUATION_6 not in bench.tail.forms:
        return 0.0, 0.0
    found = stretch.relevances((ACT_X_GRAD, EQUATION_6), rows[:, None])
    exact, approximate = (found[form][:, 0] for form in (ACT_X_GRAD, EQUATION_6))
    return _size(exact - approximate), _size(exact)


def _size(numbers: torch.Tensor) -> float:
    return float(numbers.abs().sum())
