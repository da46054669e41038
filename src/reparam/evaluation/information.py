"""Disentanglement by mutual information of codes and ground-truth factors: MIG and modularity."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from reparam.errors import RefusedError
from reparam.evaluation.judged import Judged

BINS = 20


def binned(codes: Float[Tensor, "N L"], bins: int = BINS) -> Int[Tensor, "N L"]:
    """The number of the bin that each code lies in: bins of equal width between the least and the largest."""
    low, high = codes.amin(0), codes.amax(0)
    width = torch.where(high > low, high - low, 1.0)
    return ((codes - low) / width * bins).long().clamp(max=bins - 1)


def mutual_information(a: Int[Tensor, "N A"], b: Int[Tensor, "N F"]) -> Float[Tensor, "A F"]:
    r"""Mutual information of every pair of columns of class numbers, by their frequencies, nats.

    .. math:: I(a; b) = \sum_{i,j} p_{ij} \log \frac{p_{ij}}{p_i\, p_j}
    """
    return torch.stack([torch.stack([_information(x, y) for y in b.unbind(1)]) for x in a.unbind(1)])


def _information(a: Tensor, b: Tensor) -> Tensor:
    wide = int(b.max()) + 1
    counts = torch.bincount(a * wide + b, minlength=(int(a.max()) + 1) * wide).reshape(-1, wide)
    joint = counts.double() / len(a)
    alone = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    there = joint > 0
    return (joint[there] * (joint[there] / alone[there]).log()).sum().clamp_min(0)


def information_gaps(codes: Float[Tensor, "N L"], factors: Int[Tensor, "N F"]) -> Float[Tensor, " F"]:
    r"""By how much the most telling dimension leads the second, for each factor, as a share of its entropy.

    .. math:: \frac{1}{H(v_k)} \Bigl(I(z_{j^{(k)}}; v_k) - \max_{j \ne j^{(k)}} I(z_j; v_k)\Bigr)

    Source:
        Isolating sources of disentanglement in VAEs (Chen et al., 2018), arXiv:1802.04942, eq. 6. The paper integrates
        over q(z|x); we take posterior means in 20 bins, as Locatello et al. (2019), arXiv:1811.12359, so that codes
        without a density have a MIG too.
    """
    found = mutual_information(binned(codes), factors)
    first_two = torch.cat([found, torch.zeros_like(found[:1])]).topk(2, dim=0).values
    entropies = mutual_information(factors, factors).diagonal()
    return (first_two[0] - first_two[1]) / entropies


def modularity_of(codes: Float[Tensor, "N L"], factors: Int[Tensor, "N F"]) -> float:
    r"""How far each dimension tells of one factor only; the mean over dimensions.

    .. math:: 1 - \frac{\sum_{f \ne f^*} m_{if}^2}{m_{if^*}^2\, (F - 1)}, \qquad m_{if} = I(z_i; v_f), \quad
              f^* = \arg\max_f m_{if}

    A dimension that tells of nothing counts as 0. Chance is above 0: what is estimated from few examples differs a
    little between factors.

    Raises:
        RefusedError: if there is only one factor.
    Source:
        Learning deep disentangled embeddings with the F-statistic loss (Ridgeway & Mozer, 2018), arXiv:1802.05312,
        eqs. 1 and 2, with 20 bins as Locatello et al. (2019).
    """
    require_factors(factors, "modularity")
    squares = mutual_information(binned(codes), factors).square()
    best = squares.amax(1)
    told = best > 0
    shares = (squares.sum(1) - best)[told] / (best[told] * (factors.shape[1] - 1))
    return ((1 - shares).sum() / len(best)).item()


def require_factors(factors: Tensor, name: str) -> None:
    """Checks that there are factors to be kept apart.

    Raises:
        RefusedError: if there is only one.
    """
    if factors.shape[1] < 2:
        raise RefusedError(f"The {name} score compares factors; these data have only one that varies.")


def mig(judged: Judged) -> dict[str, Any]:
    """Mutual information gap: its mean over the factors that vary, and each factor's own, None where it does not."""
    gaps = information_gaps(judged.codes, judged.factors)
    own = iter(gaps.tolist())
    return {"mig": gaps.mean().item(), "mig_per_factor": [next(own) if varies else None for varies in judged.varying]}


def modularity(judged: Judged) -> dict[str, Any]:
    """Modularity of the posterior means."""
    return {"modularity": modularity_of(judged.codes, judged.factors)}
