"""Posteriors of several observations, put together from those of each: any subset of them may be there."""

from collections.abc import Sequence
from itertools import chain, combinations
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from reparam.distributions import Experts, joint
from reparam.errors import PartError, nearest
from reparam.networks import full_precision
from reparam.posteriors.base import Posterior, loc_scale

Pooling = Literal["product", "mixture", "mixture-of-products"]
MOST_SUBSETS = 64


class ExpertsPosterior(Posterior):
    r"""Each observation has an expert, a Normal over z; those that are there are put together.

    .. math::
        \text{product:} \quad & q(z \mid x) \propto N(z; 0, I) \prod_{m \text{ there}} q_m(z \mid x_m) \\
        \text{mixture:} \quad & q(z \mid x) = \tfrac{1}{M} \sum_{m \text{ there}} q_m(z \mid x_m) \\
        \text{mixture of products:} \quad & q(z \mid x) = \tfrac{1}{|\mathcal{S}|} \sum_{S \in \mathcal{S}} q_S(z),
            \quad q_S(z) \propto \prod_{m \in S} q_m(z \mid x_m)

    with the set of all subsets S of what is there. Where nothing is there, q is N(0, I).

    Shapes:
        h: (B, F_1 + ... + F_M + M), as an ``ObservationsEncoder`` gives it  ->  q: batch (B,), event (L,)
    Args:
        in_dim: Number of features per example, with the M flags.
        latent_dim: Number of latent dimensions L.
        widths: Number of features F_m of each observation.
        pooling: How the experts are put together.
    Raises:
        PartError: if the widths do not add up, or there is no such pooling, or more than 64 subsets.
    Source:
        product: Wu & Goodman (2018), arXiv:1802.05335, eq. 4; mixture: Shi et al. (2019), arXiv:1911.03393, eq. 2,
        without its stratified sampling; mixture of products: Sutter et al. (2021), arXiv:2105.02470, eq. 5.
    """

    subsets: Tensor

    def __init__(self, in_dim: int, latent_dim: int, widths: Sequence[int], pooling: Pooling = "product") -> None:
        count = len(widths)
        if not widths or in_dim != sum(widths) + count:
            raise PartError(
                f"ExpertsPosterior: widths {tuple(widths)} and a flag for each make {sum(widths) + count} features, "
                f"got in_dim={in_dim}. Take the widths of the encoder."
            )
        if pooling not in get_args(Pooling):
            raise PartError(f"ExpertsPosterior: pooling is {pooling!r}. {nearest(pooling, get_args(Pooling))}")
        sizes = {"product": (count,), "mixture": (1,), "mixture-of-products": range(1, count + 1)}[pooling]
        chosen = list(chain.from_iterable(combinations(range(count), size) for size in sizes))
        if len(chosen) > MOST_SUBSETS:
            raise PartError(
                f"ExpertsPosterior: {count} observations have {len(chosen):,} subsets, expected at most "
                f"{MOST_SUBSETS}. Take the pooling 'product' or 'mixture'."
            )
        heads = nn.ModuleList(nn.Linear(width, 2 * latent_dim) for width in widths)
        super().__init__(in_dim, latent_dim, 0, head=heads)
        self.widths, self.pooling = tuple(widths), pooling
        rows = torch.tensor([[float(m in subset) for m in range(count)] for subset in ((), *chosen)])
        self.register_buffer("subsets", rows, persistent=False)

    def forward(self, h: Float[Tensor, "*B F"]) -> Distribution:
        *features, flags = h.split([*self.widths, len(self.widths)], -1)
        numbers = torch.stack(
            [full_precision(head(own)) for head, own in zip(self.head.children(), features, strict=True)], -2
        )
        loc, scale = loc_scale(numbers)  # (*B, M, L)
        precision = scale.square().reciprocal() * flags.unsqueeze(-1).to(scale)
        if self.pooling == "product":
            variance = 1 / (1 + precision.sum(-2))
            return joint(Normal(variance * (precision * loc).sum(-2), variance.sqrt(), validate_args=False), 1)
        subsets = self.subsets.to(precision)
        total, pull = (  # no product of matrices, which mixed precision would round
            (subsets.unsqueeze(-1) * values.unsqueeze(-3)).sum(-2) for values in (precision, precision * loc)
        )
        counts = (flags.unsqueeze(-2) >= subsets).all(-1)
        counts = torch.cat([~counts[..., 1:].any(-1, keepdim=True), counts[..., 1:]], -1)
        total = torch.where(counts.unsqueeze(-1) & (total > 0), total, 1.0)
        return Experts(pull / total, total.rsqrt(), counts)
