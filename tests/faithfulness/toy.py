"""A small split with edge cases in it, and every curve by brute force: the head, image by image."""

import numpy as np
import torch

from attribution.toy import WEIGHTS, K, M, ToySplit
from reliance.base.rows import Parts
from reliance.encoders.head import project
from reliance.faithfulness.protocols import Key
from reliance.units.sae.files import Sae, save_sae

ERROR_TERMS = ("frozen", "dropped")
SCORED = ("act_x_grad", "ablation", "integrated_gradients", "act_x_lens", "energy")


class CurveToy(ToySplit):
    """A ToySplit with a bias in its SAE, an image without and one with a single active latent, and ties."""

    def __init__(self, folder, **settings):
        super().__init__(folder, **settings)
        g = np.random.default_rng(7)
        self.bias = (0.3 * g.normal(size=self.x.shape[1])).astype(np.float32)
        self.valid[[0, 1, 2, 21]] = True, True, True, False
        self.values[0], self.indices[0] = 0, 0
        self.values[1, 1:], self.indices[1, 1:] = 0, 0
        self.values[2], self.indices[2] = 1, np.arange(K)[::-1]
        self.x[:3] = g.normal(size=(3, self.x.shape[1]))

    def write(self):
        paths = super().write()
        sae = Sae(self.decoder, np.zeros(M, np.float32), self.decoder, self.bias, K)
        ids = {"sae": save_sae(paths["sae"], sae, {}, {"encoder": WEIGHTS}).id}
        ids["embeddings"] = Parts(paths["embeddings"], "embeddings").stamp.id
        arrays = {"values": self.values, "indices": self.indices.astype(np.uint16)}
        paths["codes"], _ = self.write_parts("codes", arrays, ids)
        return paths


class Naive:
    """Curves of images `rows` of a toy with their own prompt; everything from the head, nothing shared."""

    def __init__(self, toy, error_term, steps, path_steps):
        self.toy, self.error_term, self.steps, self.path_steps = toy, error_term, steps, path_steps
        self.v = toy.decoder.astype(np.float64)
        self.text = toy.text.astype(np.float64) / np.linalg.norm(toy.text.astype(np.float64), axis=1)[:, None]
        lens = project(self.v, toy.head)
        self.lens = self.text @ (lens / np.linalg.norm(lens, axis=1)[:, None]).T

    def y(self, x, label):
        z = project(x, self.toy.head)
        return z @ self.text[label] / np.linalg.norm(z, axis=-1)

    def image(self, row):
        """(activations [m], the class token with all of them at 0)."""
        a = np.zeros(M)
        active = self.toy.values[row] != 0
        a[self.toy.indices[row][active]] = self.toy.values[row][active]
        frozen = self.toy.x[row].astype(np.float64) - a @ self.v
        return a, frozen if self.error_term == "frozen" else self.toy.bias.astype(np.float64)

    def gradient(self, at, empty, label):
        """dy/da [m] by autograd at activations `at` [m]."""
        a = torch.tensor(at, requires_grad=True)
        head = [torch.as_tensor(p, dtype=torch.float64) for p in self.toy.head[:3]]
        x = torch.as_tensor(empty) + a @ torch.as_tensor(self.v)
        normed = torch.nn.functional.layer_norm(x, x.shape, head[0], head[1], self.toy.head.eps)
        torch.cosine_similarity(normed @ head[2], torch.as_tensor(self.text[label]), dim=0).backward()
        return a.grad.numpy()

    def scores(self, row, label):
        """Scores [m] by method, 0 where a latent is not active."""
        a, empty = self.image(row)
        full = self.y(empty + a @ self.v, label)
        single = np.array([full - self.y(empty + a @ self.v - a[j] * self.v[j], label) for j in range(M)])
        path = [(i + 0.5) / self.path_steps for i in range(self.path_steps)]
        return {
            "act_x_grad": a * self.gradient(a, empty, label),
            "ablation": np.where(a != 0, single, 0),
            "integrated_gradients": np.mean([a * self.gradient(t * a, empty, label) for t in path], axis=0),
            "act_x_lens": a * self.lens[label],
            "energy": a * np.linalg.norm(self.v, axis=1),
        }

    def after(self, row, label, latents, insert):
        """y after deleting, or inserting, these latents."""
        a, empty = self.image(row)
        kept = np.isin(np.arange(M), list(latents)) == insert
        return self.y(empty + (a * kept) @ self.v, label)

    def along(self, row, label, order, insert):
        """y [S + 1]; an order that ends early leaves the rest of the curve flat."""
        order = [j for j in order if j >= 0]
        return [self.after(row, label, order[: min(i, len(order))], insert) for i in range(self.steps + 1)]

    def mean_along(self, row, label, several, insert):
        """Mean y [S + 1] over orders."""
        return np.mean([self.along(row, label, order[: self.steps], insert) for order in several], axis=0)

    def greedy(self, row, label, active, insert):
        order = []
        while len(order) < min(self.steps, len(active)):
            left = [j for j in active if j not in order]
            y = [self.after(row, label, [*order, j], insert) for j in left]
            order.append(left[int(np.argmax(y) if insert else np.argmin(y))])
        return order

    def local(self, i, row, label, randoms):
        """Curves of one image: i is its number in the sample, for its random orders."""
        active = [int(j) for j in self.toy.indices[row][self.toy.values[row] != 0]]
        scores = {m: s[active] for m, s in self.scores(row, label).items()}
        scores["logit_lens"] = self.lens[label][active]
        orders = {(m, True): [[active[p] for p in ranked(s)]] for m, s in scores.items()}
        orders |= {
            ("random", True): [[active[p] for p in ranked(s[: len(active)])] for s in randoms.active[i]],
            ("logit_lens", False): [ranked(self.lens[label])],
            ("random", False): randoms.all_latents[i],
        }
        curves = {}
        for protocol, insert in (("local_deletion", False), ("local_insertion", True)):
            best = {("greedy", True): [self.greedy(row, label, active, insert)]}
            for (method, restricted), several in (orders | best).items():
                key = Key(protocol, method, self.error_term, restricted)
                curves[key] = self.mean_along(row, label, several, insert)
        return curves

    def by_class(self, protocol, rows, label, samples, randoms, c):
        """Curves [n, S + 1] of images `rows` in the order of mean scores over `samples`."""
        each = [self.scores(row, label) for row in samples]
        orders = {m: [ranked(np.mean([s[m] for s in each], axis=0))] for m in SCORED}
        orders |= {"logit_lens": [ranked(self.lens[label])], "random": randoms.by_class[c]}
        return {
            Key(protocol, m, self.error_term, False): [
                self.mean_along(row, label, several, False) for row in rows
            ]
            for m, several in orders.items()
        }


def ranked(scores):
    """Indices by descending score, the lowest first among equal ones."""
    return sorted(range(len(scores)), key=lambda j: (-scores[j], j))


def naive_curves(toy, chosen, randoms, steps, path_steps):
    """Key -> y [n, S + 1] of the chosen images."""
    found = {}
    for error_term in ERROR_TERMS:
        naive = Naive(toy, error_term, steps, path_steps)
        for i, (row, c) in enumerate(zip(chosen.rows, chosen.label, strict=True)):
            for key, y in naive.local(i, row, chosen.classes[c], randoms).items():
                found.setdefault(key, []).append(y)
        for c, label in enumerate(chosen.classes):
            rows = chosen.rows[chosen.label == c]
            for protocol, samples in (("global_deletion", rows), ("reference_deletion", chosen.reference)):
                for key, y in naive.by_class(protocol, rows, label, samples, randoms, c).items():
                    found.setdefault(key, []).extend(y)
    return {key: np.array(y) for key, y in found.items()}
