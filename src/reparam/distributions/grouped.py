"""Posteriors of examples that belong to groups: what a group has in common is one draw for all its members."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Size, Tensor
from torch.distributions import Distribution, Independent, Normal, constraints
from torch.types import _size

from reparam.distributions.normal import kl_normal
from reparam.processes import Processes

Evidence = Literal["product", "mean"]


class Members:
    """Who of a batch belongs together, over all processes that share it.

    Attributes:
        sizes: (B, 1), how many examples of the batch are in the group of each.

    Args:
        labels: (B,), the number of the group of each example; negative for one that is a group of its own.
        group: Who shares the batch.
    """

    def __init__(self, labels: Int[Tensor, " B"], group: Processes) -> None:
        self.labels, self.group = labels, group
        self.alone = labels.lt(0).unsqueeze(1)
        self.same = _same(labels, group.whole(labels))
        self.sizes = self.sum(torch.ones(len(labels), 1, device=labels.device))

    @property
    def together(self) -> Bool[Tensor, "N N"]:
        """Which of all examples, those of the other processes too, belong together."""
        everyone = self.group.whole(self.labels)
        return _same(everyone, everyone)

    def sum(self, values: Float[Tensor, "*K B L"]) -> Float[Tensor, "*K B L"]:
        """For each example the sum over its group."""
        with torch.autocast(values.device.type, enabled=False):
            return self.same.to(values) @ self.group.whole(values, -2) + self.alone * values

    def gathered(self, q: Normal, evidence: Evidence) -> Normal:
        r"""The posterior of what a group has in common, from those of its members; the same for each of them.

        .. math::
            \text{product:} &\quad \sigma_G^{-2} = \sum_i \sigma_i^{-2}, \quad
            \mu_G = \sigma_G^2 \sum_i \mu_i \sigma_i^{-2} \\
            \text{mean:} &\quad \mu_G = \overline{\mu_i}, \quad \sigma_G^2 = \overline{\sigma_i^2}
        """
        if evidence == "mean":
            loc, variance = self.sum(q.loc) / self.sizes, self.sum(q.scale.square()) / self.sizes
        else:
            precision = q.scale.pow(-2)
            variance = 1 / self.sum(precision)
            loc = variance * self.sum(precision * q.loc)
        return Normal(loc, variance.sqrt(), validate_args=False)


def _same(labels: Tensor, others: Tensor) -> Bool[Tensor, "B N"]:
    """Which of the others is in the group of each; nobody in that of an example without a group."""
    return labels.unsqueeze(1).eq(others) & labels.ge(0).unsqueeze(1)


class Grouped(Distribution):
    r"""Independent Normals, of which the first dimensions (the content) are drawn once for all members of a group.

    What concerns the content counts once for each group: each member bears an equal share of it.

    .. math:: \mathrm{KL}_i = \tfrac{1}{|G|} \mathrm{KL}(q(c_G) \| p(c)) + \mathrm{KL}(q(s_i) \| p(s))

    Shapes:
        base: batch (B, L)  ->  batch (B,), event (L,)
    Args:
        base: Normals, whose content is the same for all members of a group.
        content_dim: Number of dimensions of the content.
        members: Who belongs together.
    """

    has_rsample = True
    arg_constraints = {}
    support = constraints.real_vector
    shared = True  # draws of one example are not independent of those of another

    def __init__(self, base: Normal, content_dim: int, members: Members) -> None:
        self.base, self.content_dim, self.members = base, content_dim, members
        super().__init__(base.loc.shape[:-1], base.loc.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.base.mean

    @property
    def variance(self) -> Tensor:
        return self.base.variance

    @property
    def shares(self) -> Float[Tensor, "B L"]:
        """What part of each dimension's KL an example bears."""
        ones = torch.ones_like(self.base.loc)
        content, style = self._split(ones)
        return torch.cat([content / self.members.sizes, style], -1)

    def _split(self, values: Tensor) -> tuple[Tensor, Tensor]:
        return values[..., : self.content_dim], values[..., self.content_dim :]

    def rsample(self, sample_shape: _size = Size()) -> Tensor:
        noise = torch.empty_like(self.base.loc.expand(self._extended_shape(sample_shape))).normal_()
        content, style = self._split(noise)
        content = self.members.sum(content) / self.members.sizes.to(content).sqrt()  # Normal again, one for all members
        return self.base.loc + self.base.scale * torch.cat([content, style], -1)

    def log_prob(self, value: Tensor) -> Tensor:
        return (self.shares * self.base.log_prob(value)).sum(-1)

    def unstyled(self, which: Float[Tensor, "B 1"]) -> "Grouped":
        """The same, with the prior N(0, 1) in place of the style of some examples."""
        content_loc, style_loc = self._split(self.base.loc)
        content_scale, style_scale = self._split(self.base.scale)
        loc = torch.cat([content_loc, style_loc * (1 - which)], -1)
        scale = torch.cat([content_scale, style_scale.lerp(torch.ones_like(style_scale), which)], -1)
        return Grouped(Normal(loc, scale, validate_args=False), self.content_dim, self.members)


def kl_grouped(q: Grouped, p: Independent) -> Float[Tensor, "B L"]:
    """KL(q || p) of each dimension, nats, with each group's content counted once over its members."""
    return q.shares * kl_normal(q.base, p.base_dist)


def kl_grouped_at(q: Grouped, p: Independent, z: Float[Tensor, "K B L"]) -> Float[Tensor, "K B L"]:
    """The same by Monte Carlo, at draws."""
    return q.shares * (q.base.log_prob(z) - p.base_dist.log_prob(z))
