"""What the closed form is compared with: Logit Lens and Eq. 6.

Logit Lens (Eq. 3) asks where the head would send a latent alone; it does not see the image. Eq. 6 is act x
grad with the bias of the LayerNorm left out: the paper's form, offered as a diagnostic ("beta error") beside
the exact one.
"""

import torch

from reliance.tails.relevance import (
    Coefficients,
    ImageTerms,
    LatentTables,
    PromptTables,
)


def lens_norms(tables: LatentTables) -> tuple[torch.Tensor, torch.Tensor]:
    """(s_j, |v_j'|), each [m]: LayerNorm scale of v_j alone, and norm of v_j' = LN[v_j] W = B_j / s_j + b."""
    scale = (tables.spread / tables.weight.shape[0] + tables.eps).sqrt()
    squares = tables.length / scale**2 + 2 * tables.bias_dot / scale + tables.bias.square().sum()
    return scale, squares.clamp(min=0).sqrt()


def logit_lens(tables: LatentTables, prompts: PromptTables) -> torch.Tensor:
    """cos(v_j', t) of every prompt and latent (Eq. 3, bias included) [C, m]; 0 where v_j' is null."""
    scale, norm = lens_norms(tables)
    return torch.nan_to_num((prompts.along / scale + prompts.bias[:, None]) / norm, 0.0, 0.0, 0.0)


def equation_6(tables: LatentTables, terms: ImageTerms) -> Coefficients:
    """Coefficients of Eq. 6 = Eq. 31, which equals act x grad for beta = 0 and eps = 0.

    R_j = a_j |c(v_j)| / |c(x)| * |v_j'| / |x'| * (LogitLens_j(t) - y cos(v_j', x')).
    """
    scale, _ = lens_norms(tables)
    d = tables.weight.shape[0]
    centred = (d * (terms.scale.square() - tables.eps)).clamp(min=0).sqrt()
    factor = terms.values * tables.spread.sqrt()[terms.indices]
    factor = factor / (centred * terms.length / terms.scale)[:, None]
    single = scale[terms.indices]
    output = -factor * (terms.toward / single + terms.bias_along[:, None])
    return Coefficients(factor / single, output, factor)
