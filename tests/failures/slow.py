"""Expectation and mining as one would write them without a thought for speed, in float64 loops.

Relevances come from autograd or from deleting a latent, on dense arrays images x classes x latents.
"""

import math
import statistics

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.stats import betabinom, false_discovery_control


def relevances(split, form):
    """(y [N, C], R [N, C, m]) of every image for every class; R is 0 for latents that do not fire."""
    torch.set_num_threads(1)  # the arrays are tiny
    x, decoder, text = (torch.tensor(a, dtype=torch.float64) for a in (split.x, split.decoder, split.text))
    weight, bias, proj = (torch.tensor(a, dtype=torch.float64) for a in split.head[:3])
    a = torch.zeros(len(x), len(decoder), dtype=torch.float64)
    for i in range(len(x)):
        for value, j in zip(split.values[i], split.indices[i], strict=True):
            if value:
                a[i, j] = float(value)
    rest = x - a @ decoder

    def score(codes, t):
        normed = torch.nn.functional.layer_norm(
            rest + codes @ decoder, x.shape[1:], weight, bias, split.head.eps
        )
        return torch.cosine_similarity(normed @ proj, t, dim=1)

    y, r = np.zeros((len(x), len(text))), np.zeros((len(x), len(text), len(decoder)))
    for c, t in enumerate(text):
        codes = a.clone().requires_grad_()
        out = score(codes, t)
        y[:, c] = out.detach()
        if form == "act_x_grad":
            r[:, c] = (a * torch.autograd.grad(out.sum(), codes)[0]).numpy()
        else:
            for j in range(len(decoder)):
                deleted = a.clone()
                deleted[:, j] = 0
                r[:, c, j] = y[:, c] - score(deleted, t).numpy()
    return y, r


def expect(split, y, r, used):
    """{class: {"n", "y_mean", "y_std", "mean" [m], "std" [m], "n_active" [m]}} over the images `used`."""
    found = {}
    active = is_active(split)
    for c in range(y.shape[1]):
        own = [i for i in used if split.labels[i] == c]
        found[c] = {
            "n": len(own),
            "y_mean": np.mean(y[own, c]),
            "y_std": np.std(y[own, c], ddof=1),
            "mean": np.mean(r[own, c], axis=0),
            "std": np.std(r[own, c], axis=0, ddof=1),
            "n_active": active[own].sum(0),
        }
    return found


def is_active(split):
    """Whether a latent fires, bool [N, m]."""
    active = np.zeros((len(split.x), len(split.decoder)), bool)
    for i in range(len(split.x)):
        for value, j in zip(split.values[i], split.indices[i], strict=True):
            if value != 0:
                active[i, j] = True
    return active


def mine(split, y, r, used, rule):
    """({(class, component): numbers}, {(class, component): [(image, y, R, z)]}) of the flagged pairs."""
    active, expected = is_active(split), expect(split, y, r, used)
    classes, components = y.shape[1], len(split.decoder)
    usual = {}
    for c, e in expected.items():
        common = [e["std"][j] ** 2 for j in range(components) if e["n_active"][j] >= 0.05 * e["n"] > 0]
        if common:
            usual[c] = statistics.median(common)
    fallback = statistics.median(usual.values())
    tests, samples, above = {}, {}, {}
    for c in range(classes):
        e = expected[c]
        n, s0 = e["n"], usual.get(c, fallback)
        confident = [i for i in used if split.labels[i] != c]
        confident = [i for i in confident if y[i, c] > e["y_mean"] - rule["confidence_std"] * e["y_std"]]
        for j in range(components):
            sigma = math.sqrt((10 * s0 + (n - 1) * e["std"][j] ** 2) / (n + 9))
            firing = [i for i in confident if active[i, j]]
            own = [i for i in used if split.labels[i] == c]
            if firing or active[own, j].any():
                z = [(r[i, c, j] - e["mean"][j]) / sigma for i in own]
                above[c, j] = (sum(value > rule["min_z"] for value in z), n)
            if len(firing) < rule["min_samples"]:
                continue
            flagged = [i for i in firing if (r[i, c, j] - e["mean"][j]) / sigma > rule["min_z"]]
            tests[c, j] = {
                "n_flagged": len(flagged),
                "n_highconf": len(confident),
                "mean_z": np.mean([(r[i, c, j] - e["mean"][j]) / sigma for i in flagged]) if flagged else 0,
                "mean_relevance": np.mean([r[i, c, j] for i in flagged]) if flagged else 0,
                "unseen_in_reference": e["n_active"][j] == 0,
            }
            samples[c, j] = [(i, y[i, c], r[i, c, j], (r[i, c, j] - e["mean"][j]) / sigma) for i in flagged]
    weight = rate_weights(list(above.values()))
    p = dict.fromkeys(above, 1.0)
    for pair, test in tests.items():
        test["p0"], p[pair] = surprise(weight, *above[pair], test["n_flagged"], test["n_highconf"])
    q = dict(zip(p, false_discovery_control(list(p.values()), method="bh"), strict=True))
    kept = {}
    for pair, test in tests.items():
        test["p_value"], q_value = p[pair], q[pair]
        floor = rule["min_relevance"] * expected[pair[0]]["y_mean"]
        if test["n_flagged"] >= rule["min_samples"] and test["mean_relevance"] > floor:
            kept[pair] = {**test, "q_value": q_value}
    return kept, {pair: samples[pair] for pair in kept}, len(tests)


SCALES = [10 ** (k / 2) for k in range(15)]


def rate_weights(counts):
    """Weights of Beta(1, scale) that make counts [(own, n)] most likely, one imagined pair in each part.

    By a general optimiser over softmax weights, not by expectation maximisation.
    """
    own, n = np.array(counts).T
    parts = np.stack([betabinom.pmf(own, n, 1, scale) for scale in SCALES], axis=1)

    def loss(free):
        weight = np.exp(free - free.max())
        weight /= weight.sum()
        return -np.log(parts @ weight).sum() - np.log(weight).sum()

    free = minimize(loss, np.zeros(len(SCALES)), options={"maxiter": 2000, "gtol": 1e-9}).x
    weight = np.exp(free - free.max())
    return weight / weight.sum()


def surprise(weight, own, n, flagged, trials):
    """(expected share, probability of so many flagged or more) of a pair."""
    after = np.array([w * betabinom.pmf(own, n, 1, s) for w, s in zip(weight, SCALES, strict=True)])
    after /= after.sum()
    share = sum(a * (1 + own) / (1 + s + n) for a, s in zip(after, SCALES, strict=True))
    tail = sum(
        a * betabinom.pmf(range(flagged, trials + 1), trials, 1 + own, s + n - own).sum()
        for a, s in zip(after, SCALES, strict=True)
    )
    return share, (min(tail, 1.0) if flagged else 1.0)
