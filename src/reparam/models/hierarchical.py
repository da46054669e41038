"""The hierarchical graphical model: many latent groups for each x, each given those above it."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Size, Tensor, nn
from torch.distributions import Distribution, Independent
from torch.func import functional_call

from reparam.arguments import checked
from reparam.distributions import TopDownPosterior, TopDownPrior, Way, detached, kl_groups, normals
from reparam.distributions.kl import KLMethod
from reparam.errors import PartError, RefusedError
from reparam.likelihoods import Likelihood
from reparam.models.base import late
from reparam.models.told import Told
from reparam.networks import Condition, ConditionalHierarchy, Corruption, Features, Hierarchy, Path, SpectralNorms
from reparam.priors import Prior
from reparam.processes import is_part
from reparam.rng import per_example
from reparam.shapes import broadcast
from reparam.trace import Trace


class HierarchicalVAE(Told):
    r"""A VAE with latent groups z_1, ..., z_G from the top down, as deep as its hierarchy says.

    .. math:: p(x, z) = p(z_1) \prod_{g>1} p(z_g \mid z_{<g})\; p(x \mid z), \qquad
              q(z \mid x) = q(z_1 \mid x) \prod_{g>1} q(z_g \mid z_{<g}, x)

    All of it may depend on a condition c: q(z_g|z_<g, x, c), p(z_g|z_<g, c), p(x|z, c), and p(z_1|c) by a conditional
    prior.

    Two-layer, ladder, BIVA-like and very deep VAEs are settings of its hierarchy. One walk from the top down draws z,
    and gives every density and the likelihood's numbers. The KL of a group is that of its conditionals at the draws
    above it; their sum over the groups is KL(q(z|x) || p(z)) in expectation.

    Shapes:
        z: (K, B, L), all groups side by side, from the top down; a group of maps lies position by position
        kl: (K, B, G), one for each group
    Args:
        hierarchy: The way up from x and the way down to x.
        top: -> p(z_1): any prior over the top group; one made of posteriors is made of q(z_1|u).
        likelihood: -> p(x|z).
        kl: ``auto``, ``closed`` (closed form or an error) or ``sampled`` (Monte Carlo).
        corruption: Damage done to what q sees in a trace.
        spectral: Weight of the penalty on the largest singular values of all the hierarchy's weights, in training;
            0 for none.
        condition: What the model is told of each example, for those parts that take it: conditional ones.
    Raises:
        PartError: if two parts do not fit each other, spectral is negative, or no part takes the condition.
    Source:
        Ladder variational autoencoders (Sonderby et al., 2016), arXiv:1602.02282, eq. 1 to 4, with the top-down q
        of its eq. 13; spectral: NVAE (Vahdat & Kautz, 2020), arXiv:2007.03898, section 3.2. A top prior N(0, I) is
        as general as VDVAE's learned Normal, since the networks may rescale z_1.
    """

    @checked
    def __init__(
        self,
        hierarchy: Hierarchy,
        top: Prior,
        likelihood: Likelihood,
        *,
        kl: KLMethod = "auto",
        corruption: Corruption | None = None,
        spectral: float = 0.0,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(kl)
        self.hierarchy, self.top, self.likelihood, self.corruption = hierarchy, top, likelihood, corruption
        self.spectral, self.condition = spectral, condition
        self.conditions = () if condition is None else (condition.name,)
        self._require_fit()
        self._require_condition()
        self.norms = SpectralNorms(self._weights()) if spectral else None

    def _require_fit(self) -> None:
        self.require_kl()
        if not self.spectral >= 0:
            raise PartError(f"HierarchicalVAE: spectral is {self.spectral}, expected a number of 0 or more.")
        size = self.hierarchy.latent_dims[0]
        if self.top.latent_dim != size:
            raise PartError(
                f"HierarchicalVAE: the top group has {size} dimensions, its prior {self.top.latent_dim}. "
                f"Build the prior with latent_dim={size}."
            )
        if self.top.space not in (None, self.space):
            raise PartError(
                f"HierarchicalVAE: the top group's posterior draws from {self.space}, {type(self.top).__name__} from "
                f"{self.top.space}. Take a prior on {self.space}, such as NormalPrior."
            )
        if self.hierarchy.out_shape != self.likelihood.out_shape or self.hierarchy.data_shape != self.data_shape:
            raise PartError(
                f"HierarchicalVAE: the hierarchy leads from {self.hierarchy.data_shape} to {self.hierarchy.out_shape}, "
                f"{type(self.likelihood).__name__} takes {self.likelihood.out_shape} for x of {self.data_shape}. "
                f"Build the hierarchy with data_shape={self.data_shape}, out_shape={self.likelihood.out_shape}."
            )

    def _require_condition(self) -> None:
        """A condition reaches a part, parts agree on it, and none of those that encode by themselves needs it."""
        self.require_told()
        self.require_encodes(self.top, self.hierarchy.told_up)

    @property
    def latent_dim(self) -> int:
        return sum(self.hierarchy.latent_dims)

    @torch.no_grad()
    def start(self, x: Float[Tensor, "N ..."], **named: Any) -> None:
        super().start(x, **named)
        if self.top.starts:
            self.top.start(x)

    @property
    def reads_weights(self) -> bool:
        """True where norms of weights are penalised, which needs them whole."""
        return self.norms is not None

    def _weights(self) -> list[Tensor]:
        """Matrices and kernels of the hierarchy, whose norms are kept small."""
        return [weight for name, weight in self.hierarchy.named_parameters() if name.endswith("weight")]

    def _way(self, c: Tensor | None) -> Way:
        """The way down, which is told the condition where it listens."""
        hierarchy, like = self.hierarchy, next(self.hierarchy.parameters())
        told = None if c is None or not hierarchy.told_down else c.to(like.dtype)
        return Way(hierarchy, partial(_frozen, hierarchy), hierarchy.latent_dims, like, told)

    def _features(self, x: Tensor, c: Tensor | None) -> Features:
        """The way up of a batch, which is told the condition where it listens."""
        if c is None or not isinstance(self.hierarchy, ConditionalHierarchy):
            return self.hierarchy.bottom_up(x)
        return self.hierarchy.bottom_up(x, c.expand(len(x), -1))

    def infer(self, x: Float[Tensor, "..."], **named: Any) -> TopDownPosterior:
        self.require_taken(named)
        batch, single = self._batch(x)
        c = self.told_to(self.hierarchy, named)
        self.require_each(c, batch.shape[:1])
        return TopDownPosterior(self._way(c), self._features(batch, c), Size() if single else batch.shape[:1])

    def infer_top(self, x: Float[Tensor, "..."]) -> Independent:
        """q(z_1|x) of the top group alone: batch (B,), event (L_1,); for one item, batch ()."""
        batch, single = self._batch(x)
        loc, scale = self.hierarchy.top(self._features(batch, None))
        return normals((loc[0], scale[0]) if single else (loc, scale))

    def prior(self, infer: Callable[[Tensor], Distribution] | None = None) -> TopDownPrior:
        """What :meth:`p_z` gives. ``infer`` is not read: the top prior is handed q(z_1|x)."""
        return self.p_z()

    def p_z(self, **named: Any) -> TopDownPrior:
        """p(z) of all groups: batch () or, where they are told of N examples, (N,); event (L,)."""
        c = self.told_to(self.top, named)
        top = self.top(infer=self.infer_top) if c is None else self.top(infer=self.infer_top, c=c)
        way = self._way(self.told_to(self.hierarchy, named))
        shapes = [top.batch_shape] if way.told is None else [top.batch_shape, way.told.shape[:-1]]
        return TopDownPrior(way, top, Size(broadcast(*shapes)))

    def decode(self, z: Float[Tensor, "*N L"], **named: Any) -> Distribution:
        self.require_taken(named)
        self.require_codes(z)
        rows, lead = self.hierarchy.split(z.reshape(-1, z.shape[-1])), z.shape[:-1]
        c = self.told_to(self.hierarchy, named)
        self.require_each(c, lead)
        return self.likelihood(self._way(c).walk(None, None, rows, lead).out)

    def trace(
        self,
        x: Float[Tensor, "..."],
        samples: int = 1,
        *,
        q: Distribution | None = None,
        p_z: Distribution | None = None,
        fixed_q: bool = False,
        **named: Any,
    ) -> Trace:
        self.require_taken(named)
        x, q = self._inferred(x, q, **named)
        if not isinstance(q, TopDownPosterior):
            raise PartError(f"HierarchicalVAE: q is a {type(q).__name__}, expected what infer(x) gave.")
        with per_example(1):
            path: Path = q.draw(Size([samples]))
        p_z = self.p_z(**named) if p_z is None else p_z
        if not isinstance(p_z, TopDownPrior):
            raise PartError(f"HierarchicalVAE: p_z is a {type(p_z).__name__}, expected what p_z() gave.")
        # an estimator that reads the gradient for z walks again from z on, so that every density follows from it
        seen: Path = p_z.at(path.z) if fixed_q else path
        p_x = self.likelihood(seen.out)
        parts = cache(lambda: self._kl_parts(path, p_z))
        return Trace(
            path.z,
            q,
            p_z,
            p_x,
            kl=lambda: self._by_group(*parts()),
            log_q=late(detached(q), path.z) if fixed_q else lambda: q.log_prob_along(path),
            log_p_z=lambda: p_z.log_prob_along(seen),
            log_p_x=late(p_x, x),
            penalty=self._penalty(x),
            kl_dims=lambda: _side_by_side(self.latent_dim, *parts()),
        )

    def _kl_parts(self, path: Path, p_z: TopDownPrior) -> tuple[Tensor, Tensor]:
        """KL of the top group, (K, B, L_1) or (K, B, 1), and of each dimension below it, (K, B, L - L_1)."""
        assert path.q is not None
        (loc, scale), top = path.q, self.hierarchy.latent_dims[0]
        first = kl_groups(normals((loc[..., :top], scale[..., :top])), p_z.top, path.z[..., :top], self.kl)
        below = normals((loc[..., top:], scale[..., top:]))
        return first, kl_groups(below, normals(path.p), path.z[..., top:], self.kl)

    def _by_group(self, first: Tensor, below: Tensor) -> Float[Tensor, "K B G"]:
        groups = (first, *below.split(self.hierarchy.latent_dims[1:], -1))
        return torch.stack([group.sum(-1) for group in groups], -1)

    def _penalty(self, x: Tensor) -> Float[Tensor, " B"] | None:
        """In training, the weighted sum of spectral norms, for each example."""
        if self.norms is None or not self.training:
            return None
        return self.spectral * self.norms(self._weights()).expand(len(x))

    def inference_parameters(self) -> Iterator[nn.Parameter]:
        return self.hierarchy.inference()


def _side_by_side(latent_dim: int, first: Tensor, below: Tensor) -> Float[Tensor, "K B L"] | None:
    """The KL of each dimension, where that of the top group splits."""
    dims = torch.cat([first, below], -1)
    return dims if dims.shape[-1] == latent_dim else None


def _frozen(hierarchy: Hierarchy, *args: Any) -> Path:
    """The way down with parameters that pass no gradient.

    Raises:
        RefusedError: if they are shared out over processes.
    """
    if any(map(is_part, hierarchy.parameters())):
        raise RefusedError("This gradient needs the weights of a hierarchy whole. Use --train.shard false.")
    fixed = {name: parameter.detach() for name, parameter in hierarchy.named_parameters()}
    path: Path = functional_call(hierarchy, fixed, args)
    return path
