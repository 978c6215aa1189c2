"""The tail that moves patches, against autograd through the whole model and real ablation in it; float64."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from reliance.encoders.sites.patches import site_at
from reliance.tails.patches import AmongPatches, PatchTail
from reliance.tails.protocol import ABLATION, ACT_X_GRAD, INTEGRATED
from reliance.units.sae import top_k
from reliance.units.sae.apply import Applied
from reliance.units.sae.pooled import codes_of, pooled
from reliance.units.sae.sparse import Parameters

from . import test_network as usual
from .test_network import DIRECTIONS, EVERY, IMAGES, PIXELS, TEXT, C, D, M, N, close

WIDTH, OWN = 6, torch.tensor([2, 0, 5, 1, 1])
_BIAS = torch.full((D,), 0.1, dtype=torch.float64)
SAE = Applied(
    top_k.ENCODER, Parameters(DIRECTIONS, torch.zeros(M, dtype=torch.float64), DIRECTIONS, _BIAS), 3
)


class Referee(usual.Referee):
    """The whole model, with something added to the patches after a block."""

    def __init__(self, block: int, pooling: str = "max", sae: Applied | None = SAE) -> None:
        super().__init__(block)
        caught: list[torch.Tensor] = []
        with site_at(block, 4).catch(self.clip, caught):  # type: ignore[misc]
            self.clip.model.encode_image(self.pixels)
        self.patches, self.sae = caught[0], sae
        self.code = pooled(self.patches, SAE, WIDTH, pooling)  # type: ignore[arg-type]
        self.values = self.code.values.double()
        if sae is None:
            self.each = self.values[:, None].expand(N, self.patches.shape[1], WIDTH)
            return
        values, indices = codes_of(self.patches, sae)  # a_p [n, P, width] of the latents that are kept
        hit = indices[:, :, None] == self.code.indices[:, None, :, None]
        self.each = (hit * values[:, :, None]).sum(3) * (self.values != 0)[:, None]

    @contextmanager
    def _at(self, x: torch.Tensor) -> Iterator[None]:
        def change(_module: object, _arguments: object, tokens: torch.Tensor) -> torch.Tensor:
            return torch.cat([tokens[:, :1], x], 1)

        handle = self.clip.model.visual.transformer.resblocks[self.place].register_forward_hook(change)
        yield
        handle.remove()

    def added(self, scale: torch.Tensor) -> torch.Tensor:
        """What the units add to every patch [n, P, d], each in a proportion [n, k]."""
        return (self.each * scale[:, None]) @ DIRECTIONS[self.code.indices]

    def gradients(self, x: torch.Tensor) -> torch.Tensor:
        """By autograd along the proportion of each unit [n, C, k]."""
        scale = torch.ones_like(self.values).requires_grad_(True)
        with torch.enable_grad():
            y = self.y(x - self.added(torch.ones_like(scale)) + self.added(scale))
            slopes = [torch.autograd.grad(y[:, c].sum(), scale, retain_graph=True)[0] for c in range(C)]
        return torch.stack(slopes, 1)

    def without(self, unit: int) -> torch.Tensor:
        one = torch.zeros_like(self.values)
        one[:, unit] = 1
        return self.patches - self.added(one)

    def tail(self, steps: int = 4) -> PatchTail:
        remaining = AmongPatches(self.clip, self.block, lambda rows: PIXELS[rows], torch.float64)
        return PatchTail(remaining, DIRECTIONS.numpy(), TEXT.numpy(), steps, self.sae)


@pytest.mark.parametrize(("block", "pooling", "sae"), [(-2, "max", SAE), (0, "mean", SAE), (1, "max", None)])
def test_outputs_and_relevances_are_those_of_the_whole_model(
    block: int, pooling: str, sae: Applied | None
) -> None:
    referee = Referee(block, pooling, sae)
    scores = referee.tail().score(usual.VALUES[:, :1], referee.values, referee.code.indices, IMAGES)
    close(scores.y, referee.y(referee.patches))
    exact = referee.gradients(referee.patches)
    without = [referee.y(referee.patches) - referee.y(referee.without(j)) for j in range(WIDTH)]
    close(scores.relevance(ACT_X_GRAD, EVERY, OWN), exact[EVERY, OWN])
    rows, prompts = EVERY.repeat_interleave(C), torch.arange(C).repeat(N)
    rows, prompts = (
        torch.cat([rows, rows]),
        torch.cat([prompts, prompts]),
    )  # so many that forward mode is chosen
    assert len(rows) > N * WIDTH
    close(scores.relevance(ACT_X_GRAD, rows, prompts)[: N * C], exact.flatten(0, 1))
    close(scores.relevance(ABLATION, rows, prompts)[: N * C], torch.stack(without, 2).flatten(0, 1))


def test_walks_and_paths_are_real_deletions_and_insertions() -> None:
    referee = Referee(1)
    active = referee.tail().activate(referee.values, referee.code.indices, IMAGES)
    x, all_of_them = active.at(torch.zeros(N, D)), torch.ones_like(referee.values)
    close(x.view_as(referee.patches), referee.patches)
    close(active.sum.view_as(referee.patches), referee.added(all_of_them))
    close(active.energy, referee.each.square().sum(1).sqrt())
    stretch = active.stretch(x - active.sum, x)
    prompts = OWN[:, None]
    points = [referee.patches - (1 - (i + 0.5) / 4) * referee.added(all_of_them) for i in range(4)]
    path = torch.stack([referee.gradients(p)[EVERY, OWN] for p in points]).mean(0)
    close(stretch.relevances((INTEGRATED,), prompts)[INTEGRATED][:, 0], path)
    empty, full = stretch.walks(OWN)
    close(full.output(), referee.y(referee.patches)[EVERY, OWN])
    bare = referee.patches - referee.added(all_of_them)
    close(empty.output(), referee.y(bare)[EVERY, OWN])
    order = torch.tensor([[0, 1, -1]]).expand(N, 3)
    for walk, sign, start in ((full, -1, referee.patches), (empty, 1, bare)):
        wanted, scale = [], torch.zeros_like(referee.values)
        for step in (None, 0, 1, None):
            if step is not None:
                scale[:, step] = 1
            wanted.append(referee.y(start + sign * referee.added(scale))[EVERY, OWN])
        close(walk.curve(order, sign), torch.stack(wanted, 1))
        close(walk.advance(order[:, 0], sign).output(), wanted[1])
        close(walk.single_moves(sign)[:, 0], wanted[1])
