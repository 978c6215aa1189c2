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
