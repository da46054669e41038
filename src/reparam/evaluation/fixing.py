"""Disentanglement by examples that share the value of one factor: the FactorVAE and the beta-VAE score."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from reparam.errors import RefusedError
from reparam.evaluation.extras import linear_classifier
from reparam.evaluation.information import require_factors
from reparam.evaluation.judged import Judged
from reparam.rng import generator

FITTED, SCORED = 10_000, 5_000
GROUP = 64
LEAST_VARIANCE = 0.05
_AT_ONCE = 500


def sharing(
    factors: Int[Tensor, "N F"], fixed: Int[Tensor, " M"], size: int, draws: torch.Generator
) -> Int[Tensor, "M S"]:
    """Row numbers of examples that agree in one factor, whose value is drawn uniformly from those that occur.

    Args:
        factors: Class numbers of the examples at hand.
        fixed: Which factor is shared, for each group.
        size: How many examples a group has, drawn with replacement.
        draws: Generator of the draws, on the CPU.
    """
    rows = torch.empty(len(fixed), size, dtype=torch.int64)
    for column in range(factors.shape[1]):
        here = fixed == column
        groups = int(here.sum())
        _, value, counts = factors[:, column].unique(return_inverse=True, return_counts=True)
        order, starts = value.argsort(stable=True), counts.cumsum(0) - counts
        chosen = torch.randint(len(counts), (groups, 1), generator=draws)
        within = torch.rand(groups, size, generator=draws, dtype=torch.float64) * counts[chosen]
        rows[here] = order[starts[chosen] + within.long()]
    return rows


def _fixed(factors: Tensor, draws: torch.Generator) -> Tensor:
    """Which factor each group shares, those to fit to first."""
    return torch.randint(factors.shape[1], (FITTED + SCORED,), generator=draws)


def factor_vae_of(codes: Float[Tensor, "N L"], factors: Int[Tensor, "N F"], seed: int = 0) -> float:
    r"""Accuracy of a majority vote: the dimension that varies least within a group tells which factor is fixed in it.

    .. math:: d = \arg\min_j \frac{\mathrm{Var}_{\text{group}}(z_j)}{\mathrm{Var}_{\text{data}}(z_j)}

    The votes of 10,000 groups of 64 examples name the factor of each dimension, and 5,000 others are scored. Chance is
    about 1 / F. Groups are drawn from the examples at hand, with replacement.

    Raises:
        RefusedError: if there is only one factor, or no dimension has a variance of 0.05 or more.
    Source:
        Disentangling by factorising (Kim & Mnih, 2018), arXiv:1802.05983, section 4; dimensions that do not vary are
        left out at 0.05, and there are as many votes, as in Locatello et al. (2019), arXiv:1811.12359.
    """
    require_factors(factors, "FactorVAE")
    spread = codes.var(0)
    active = spread >= LEAST_VARIANCE
    if not active.any():
        raise RefusedError("No latent dimension varies (variance of 0.05 or more), so none can stand for a factor.")
    draws = generator(seed, "factor vae")
    fixed = _fixed(factors, draws)
    z = codes[:, active] / spread[active].sqrt()
    votes = torch.cat([z[sharing(factors, part, GROUP, draws)].var(1).argmin(1) for part in fixed.split(_AT_ONCE)])
    counts = torch.zeros(z.shape[1], factors.shape[1])
    counts.index_put_((votes[:FITTED], fixed[:FITTED]), torch.ones(FITTED), accumulate=True)
    return (counts.argmax(1)[votes[FITTED:]] == fixed[FITTED:]).double().mean().item()


def beta_vae_of(codes: Float[Tensor, "N L"], factors: Int[Tensor, "N F"], seed: int = 0) -> float:
    r"""Accuracy of a linear classifier that tells which factor is fixed from how far codes of pairs differ.

    .. math:: \frac{1}{64} \sum_{l=1}^{64} \lvert z_{1l} - z_{2l} \rvert

    The two of each pair agree in one factor, the same in all 64 pairs. The classifier is fitted to 10,000 such means
    and scored on 5,000 others. Chance is about 1 / F.

    Raises:
        RefusedError: if there is only one factor.
    Source:
        beta-VAE (Higgins et al., 2017), section 3, algorithm 1; inputs of the classifier are standardised, so that the
        scale of a dimension does not matter. Pairs are drawn from the examples at hand, with replacement.
    """
    require_factors(factors, "beta-VAE")
    draws = generator(seed, "beta vae")
    fixed = _fixed(factors, draws)
    inputs = []
    for part in fixed.split(_AT_ONCE):
        pairs = codes[sharing(factors, part.repeat_interleave(GROUP), 2, draws)]
        inputs.append((pairs[:, 0] - pairs[:, 1]).abs().unflatten(0, (len(part), GROUP)).mean(1))
    table, wished = torch.cat(inputs).numpy(), fixed.numpy()
    classifier = linear_classifier("beta-vae", table[:FITTED], wished[:FITTED])
    return float(classifier.score(table[FITTED:], wished[FITTED:]))


def factor_vae(judged: Judged) -> dict[str, Any]:
    """FactorVAE score of the posterior means."""
    return {"factor_vae_score": factor_vae_of(judged.codes, judged.factors, judged.seed)}


def beta_vae(judged: Judged) -> dict[str, Any]:
    """Beta-VAE score of the posterior means."""
    return {"beta_vae_score": beta_vae_of(judged.codes, judged.factors, judged.seed)}
