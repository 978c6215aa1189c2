"""The network's tail against autograd through the whole model, and against real ablation in it; float64."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from reliance.base.artifacts import Stamp
from reliance.base.errors import RelianceError
from reliance.encoders.model import Clip, Weights, build_random
from reliance.encoders.sites.block import place_of, site_at
from reliance.encoders.vision import normaliser
from reliance.tails.network import Network, NetworkTail
from reliance.tails.protocol import ABLATION, ACT_X_GRAD, INTEGRATED

D, P, M, K, N, C, T = 32, 12, 20, 4, 5, 6, 10
SHAPE = {"image_size": 24, "patch_size": 8, "width": D, "layers": 4, "head_width": 16}
CONFIG = {
    "embed_dim": P,
    "vision_cfg": SHAPE,
    "text_cfg": {"context_length": 8, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1},
}
KINDS: dict[str, dict[str, Any]] = {
    "usual": {},
    "scaled": {"ls_init_value": 0.3},
    "custom": {"block_type": "custom", "scale_attn": True},
}
G = torch.Generator().manual_seed(3)
PIXELS = torch.randint(0, 256, (N, 3, 24, 24), generator=G, dtype=torch.uint8)
DIRECTIONS = torch.nn.functional.normalize(torch.randn(M, D, generator=G, dtype=torch.float64), dim=1)
TEXT = torch.nn.functional.normalize(torch.randn(C, P, generator=G, dtype=torch.float64), dim=1)
VALUES = torch.rand(N, K, generator=G, dtype=torch.float64) + 0.3
VALUES[1, 3] = 0  # inactive
INDICES = torch.stack([torch.randperm(M, generator=G)[:K] for _ in range(N)])
IMAGES = np.array([3, 0, 4, 1, 2])
EVERY = torch.arange(N)


class Referee:
    """The whole model, with a vector added to the class token after a block."""

    def __init__(self, block: int, kind: str = "usual") -> None:
        torch.manual_seed(0)
        config = {**CONFIG, "vision_cfg": {**SHAPE, **KINDS[kind]}}
        model = build_random(config, 5).double().eval().requires_grad_(False)
        for name, parameter in model.named_parameters():
            if "ln_" in name or "bias" in name:
                parameter.data += 0.3 * torch.randn(parameter.shape, dtype=torch.float64)
        preprocess = {"size": 24, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.25]}
        record = Weights("e", "encoder", "tiny", config, preprocess, False, True, 0, "", "")
        self.clip = Clip(model, torch.device("cpu"), record, Stamp("weights", 1, "i", {}, {}))
        self.block, self.place = block, place_of(self.clip, block)
        pixels = normaliser(preprocess)(PIXELS[IMAGES]).double()
        self.pixels = pixels
        caught: list[torch.Tensor] = []
        with site_at(block).catch(self.clip, caught):  # type: ignore[misc]
            self.z = model.encode_image(pixels)
        self.x = caught[0] + 0.01 * torch.randn(N, D, dtype=torch.float64)  # as if it was rounded

    @contextmanager
    def _at(self, x: torch.Tensor) -> Iterator[None]:
        def change(_module: object, _arguments: object, tokens: torch.Tensor) -> torch.Tensor:
            return torch.cat([x[:, None], tokens[:, 1:]], 1)

        handle = self.clip.model.visual.transformer.resblocks[self.place].register_forward_hook(change)
        yield
        handle.remove()

    def y(self, x: torch.Tensor, rows: torch.Tensor = EVERY) -> torch.Tensor:
        """[n, C] where the class tokens are x."""
        with self._at(x):
            z = self.clip.model.encode_image(self.pixels[rows])
        return torch.nn.functional.normalize(z, dim=1) @ TEXT.T

    def gradients(self, x: torch.Tensor) -> torch.Tensor:
        """a_j dy_c/da_j [n, C, k] by autograd."""
        a = VALUES.clone().requires_grad_(True)
        rest = x - sum_of(VALUES)
        with torch.enable_grad():
            y = self.y(rest + sum_of(a))
            slopes = [torch.autograd.grad(y[:, c].sum(), a, retain_graph=True)[0] for c in range(C)]
        return VALUES[:, None] * torch.stack(slopes, 1)

    def left_out(self) -> torch.Tensor:
        """y - y without unit j [n, C, k] by real forward passes."""
        own = []
        for j in range(K):
            change = VALUES[:, j, None] * DIRECTIONS[INDICES[:, j]]
            own.append(self.y(self.x) - self.y(self.x - change))
        return torch.stack(own, 2)

    def tail(self, steps: int = 4) -> NetworkTail:
        network = Network(self.clip, self.block, lambda rows: PIXELS[rows])
        return network.tail(DIRECTIONS.numpy(), TEXT.numpy(), "cpu", torch.float64, steps)


def sum_of(a: torch.Tensor) -> torch.Tensor:
    return (a[..., None] * DIRECTIONS[INDICES]).sum(1)


def close(found: torch.Tensor, wanted: torch.Tensor) -> None:
    assert wanted.abs().max() > 1e-4
    torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("block", "kind"), [(0, "usual"), (1, "usual"), (-2, "usual"), (-2, "scaled"), (1, "custom")]
)
def test_outputs_and_relevances_are_those_of_the_whole_model(block: int, kind: str) -> None:
    """Both ways to act x grad: backward for one prompt an image, forward-mode for all of them."""
    referee = Referee(block, kind)
    scores = referee.tail().score(referee.x, VALUES, INDICES, IMAGES)
    close(scores.y, referee.y(referee.x))
    exact, without = referee.gradients(referee.x), referee.left_out()
    own = torch.tensor([2, 0, 5, 1, 1])
    close(scores.relevance(ACT_X_GRAD, EVERY, own), exact[EVERY, own])
    rows, prompts = EVERY.repeat_interleave(C), torch.arange(C).repeat(N)
    close(scores.relevance(ACT_X_GRAD, rows, prompts), exact.flatten(0, 1))
    close(scores.relevance(ABLATION, rows, prompts), without.flatten(0, 1))
    assert not scores.relevance(ABLATION, EVERY, own)[1, 3] and not exact[1, :, 3].any()


def test_what_costs_less_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    referee = Referee(1)
    point = referee.tail().point(referee.x, VALUES, INDICES, IMAGES)
    called: list[str] = []
    kind = type(point)
    for name in ("gradients", "products"):
        way = getattr(kind, name)
        monkeypatch.setattr(kind, name, lambda *a, n=name, w=way: (called.append(n), w(*a))[1])
    point.act_x_grad(torch.zeros(K, dtype=torch.int64), torch.arange(K))
    point.act_x_grad(torch.zeros(K + 1, dtype=torch.int64), torch.arange(K + 1))
    assert called == ["gradients", "products"]


def test_small_batches_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    referee = Referee(1)
    rows, prompts = EVERY.repeat_interleave(C), torch.arange(C).repeat(N)
    whole = referee.tail().score(referee.x, VALUES, INDICES, IMAGES)
    monkeypatch.setattr("reliance.tails.point._TOKENS", T * D * 2)
    monkeypatch.setattr("reliance.tails.remaining._BATCH", 2)
    parts = referee.tail().score(referee.x, VALUES, INDICES, IMAGES)
    close(parts.y, whole.y)
    for form in (ACT_X_GRAD, ABLATION):
        close(parts.relevance(form, rows, prompts), whole.relevance(form, rows, prompts))
        assert parts.relevance(form, EVERY[:0], prompts[:0]).shape == (0, K)


def test_integrated_gradients_are_means_along_the_way() -> None:
    referee = Referee(-2)
    tail = referee.tail(steps=4)
    active = tail.activate(VALUES, INDICES, IMAGES)
    close(active.sum, sum_of(VALUES))
    close(active.energy, VALUES)
    stretch = active.stretch(referee.x - active.sum, referee.x)
    prompts = torch.arange(C).expand(N, C)
    found = stretch.relevances((ACT_X_GRAD, ABLATION, INTEGRATED), prompts)
    close(found[ACT_X_GRAD], referee.gradients(referee.x))
    close(found[ABLATION], referee.left_out())
    # With a at its values along the way, which moves x alone: the rest of x goes with it.
    points = [referee.x - active.sum + (i + 0.5) / 4 * active.sum for i in range(4)]
    close(found[INTEGRATED], torch.stack([referee.gradients(x) for x in points]).mean(0))


def test_walks_are_real_deletions_and_insertions() -> None:
    referee = Referee(1)
    tail = referee.tail()
    active = tail.activate(VALUES, INDICES, IMAGES)
    base = referee.x - active.sum
    own = torch.tensor([2, 0, 5, 1, 1])
    empty, full = active.stretch(base, referee.x).walks(own)
    close(full.output(), referee.y(referee.x)[EVERY, own])
    positions = torch.tensor([[0, 1, -1], [3, 2, 0], [1, 2, 3], [2, -1, 0], [-1, -1, -1]])
    for walk, sign, start in ((full, -1, referee.x), (empty, 1, base)):
        x, wanted = start.clone(), [referee.y(start)[EVERY, own]]
        for step in range(3):
            for i, j in enumerate(positions[:, step].tolist()):
                if j >= 0:
                    x[i] += sign * VALUES[i, j] * DIRECTIONS[INDICES[i, j]]
            wanted.append(referee.y(x)[EVERY, own])
        close(walk.curve(positions, sign), torch.stack(wanted, 1))
        close(walk.advance(positions[:, 0], sign).output(), wanted[1])
        singles = walk.single_moves(sign)
        close(
            singles[:, 2],
            referee.y(start + sign * VALUES[:, 2, None] * DIRECTIONS[INDICES[:, 2]])[EVERY, own],
        )


@pytest.mark.parametrize("block", [3, -1, -5, 9])
def test_a_block_that_is_none_is_refused(block: int) -> None:
    with pytest.raises(RelianceError, match=r"4 blocks(.|\n)*block 0 to 2, or -4 to -2"):
        Referee(block)
