"""Referee: relevances of every prompt one by one, minus their mean."""

import numpy as np
import torch

from reliance.tails.contrast import ContrastTail
from reliance.tails.head_tail import HeadTail

from .test_head_tail import DOUBLE, close
from .test_relevance import Toy


def test_contrastive_relevance_is_what_is_beyond_the_mean_of_all_prompts():
    toy = Toy(unit=False)
    text = toy.text / np.linalg.norm(toy.text, axis=1, keepdims=True)
    opened = lambda t: HeadTail(toy.head, toy.decoder, t, dtype=DOUBLE)  # noqa: E731
    plain, contrast = (
        tail.score(toy.x, toy.values, toy.indices) for tail in (opened(text), ContrastTail(opened, text))
    )
    close(contrast.y, plain.y)
    n = len(text)
    every = torch.arange(n)
    for form in ("act_x_grad", "ablation"):
        of_all = torch.stack([plain.relevance(form, every, torch.full((n,), c)) for c in range(n)])
        for c in range(n):
            found = contrast.relevance(form, every, torch.full((n,), c))
            close(found, of_all[c] - of_all.mean(0))


def test_what_is_not_asked_of_pairs_is_that_of_the_prompts():
    toy = Toy(unit=False)
    opened = lambda t: HeadTail(toy.head, toy.decoder, t, dtype=DOUBLE)  # noqa: E731
    plain, contrast = opened(toy.text), ContrastTail(opened, toy.text)
    close(contrast.score(toy.x, toy.values, toy.indices).y, plain.score(toy.x, toy.values, toy.indices).y)
    assert (contrast.prompts, contrast.units, contrast.forms) == (plain.prompts, plain.units, plain.forms)
    close(contrast.alone(), plain.alone())


def test_one_prompt_has_no_contrast():
    toy = Toy(unit=False)
    opened = lambda t: HeadTail(toy.head, toy.decoder, t, dtype=DOUBLE)  # noqa: E731
    for count in (1, 7):  # the same seven times is one as well
        text = np.tile(toy.text[:1], (count, 1)).astype(np.float32)
        scores = ContrastTail(opened, text).score(toy.x, toy.values, toy.indices)
        close(scores.y, opened(text).score(toy.x, toy.values, toy.indices).y)
        every = torch.arange(len(toy.x))
        assert (scores.relevance("act_x_grad", every, torch.zeros_like(every)) == 0).all()
