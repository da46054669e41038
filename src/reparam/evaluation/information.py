"""Disentanglement by mutual information of codes and ground-truth factors: MIG and modularity."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.distributions import Distribution

from reparam.distributions import factors as factors_of
from reparam.distributions import is_density, is_discrete
from reparam.errors import RefusedError
from reparam.evaluation.judged import Judged
from reparam.rng import seeded

BINS = 20
ITEMS = 10_000
_MOST_VALUES = 1 << 22


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
        over q(z|x), as :func:`sampled_information` does; we take posterior means in 20 bins, as Locatello et al.
        (2019), arXiv:1811.12359, so that codes without a density have a MIG too.
    """
    return _gaps(mutual_information(binned(codes), factors), factors)


def _gaps(found: Float[Tensor, "L F"], factors: Int[Tensor, "N F"]) -> Float[Tensor, " F"]:
    """The lead of the first dimension over the second, for each factor, as a share of its entropy."""
    first_two = torch.cat([found, torch.zeros_like(found[:1])]).topk(2, dim=0).values
    entropies = mutual_information(factors, factors).diagonal()
    return (first_two[0] - first_two[1]) / entropies


def sampled_information(
    pieces: Callable[[], Iterable[Distribution]], z: Float[Tensor, "N L"], factors: Int[Tensor, "N F"]
) -> Float[Tensor, "L F"]:
    r"""Mutual information of every dimension of z ~ q(z|x) and every factor, with one draw for each example, nats.

    .. math:: I(z_j; v_k) \approx \frac1N \sum_n \log \Bigl(\frac{1}{|X(v_{nk})|} \sum_{m \in X(v_{nk})}
              q(z_{nj} \mid x_m)\Bigr) - \frac1N \sum_n \log \Bigl(\frac1N \sum_m q(z_{nj} \mid x_m)\Bigr)

    X(v) holds the examples whose factor has the value v, the drawn one among them. Few examples bias it upwards, for
    dimensions with small scales most.

    Args:
        pieces: Gives q(z_j|x) of all examples, some at a time in their order: batch (B, L), event ().
        z: One draw of each, float64.
        factors: Class numbers of the examples.
    Source:
        Isolating sources of disentanglement in VAEs (Chen et al., 2018), arXiv:1802.04942, eq. 5 and appendix C.
    """
    ones = factors.new_ones(len(factors), 1)
    groups = torch.cat([factors, ones], 1)  # all examples are the last group
    sums = torch.full((*z.shape, groups.shape[1]), -torch.inf, dtype=torch.float64, device=z.device)
    done = 0
    for q in pieces():
        members = groups[done : done + q.batch_shape[0]]
        done += len(members)
        rows = max(1, _MOST_VALUES // q.batch_shape.numel())
        for here, own, total in zip(z.split(rows), groups.split(rows), sums.split(rows), strict=True):
            log_q = q.log_prob(here.unsqueeze(1).to(q.mean)).double()
            largest = log_q.amax(1, keepdim=True)
            same = (own.unsqueeze(1) == members).double()
            found = ((log_q - largest).exp().mT @ same).log() + largest.mT
            total.copy_(torch.logaddexp(total, found))
    sizes = torch.stack([column.bincount()[column] for column in groups.unbind(1)], 1)
    means = (sums - sizes.double().log().unsqueeze(1)).mean(0)
    return means[:, :-1] - means[:, -1:]


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
    return _named("mig", information_gaps(judged.codes, judged.factors), judged)


def _named(name: str, gaps: Float[Tensor, " F"], judged: Judged) -> dict[str, Any]:
    own = iter(gaps.tolist())
    return {
        name: gaps.mean().item(),
        f"{name}_per_factor": [next(own) if varies else None for varies in judged.varying],
    }


def sampled_mig(judged: Judged) -> dict[str, Any]:
    """Mutual information gap of draws from q(z|x), as :func:`mig` else; of at most 10,000 random examples.

    Raises:
        RefusedError: if q(z|x) has no densities of single dimensions.
    """
    part = Judged(judged.model, judged.split.subset(ITEMS, judged.seed, "sampled mig"), seed=judged.seed)

    def pieces() -> Iterator[Distribution]:
        for batch in part.batches():
            q = part.model.infer(batch.x, **batch.named)
            single = factors_of(q)
            if single is None or single.event_shape or not is_density(q) or is_discrete(q):
                raise RefusedError(
                    "It needs the densities of single dimensions, q(z_l|x), and q(z|x) here has none. Take a posterior "
                    "with independent dimensions, such as 'normal', or the metric mig, of posterior means."
                )
            yield single

    factors = part.factors.to(part.split.device)
    with seeded(judged.seed, "sampled mig"):
        z = torch.cat([q.sample() for q in pieces()]).double()
    gaps = _gaps(sampled_information(pieces, z, factors).cpu(), part.factors)
    return _named("sampled_mig", gaps, part) | {"sampled_mig_n": len(z)}


def modularity(judged: Judged) -> dict[str, Any]:
    """Modularity of the posterior means."""
    return {"modularity": modularity_of(judged.codes, judged.factors)}
