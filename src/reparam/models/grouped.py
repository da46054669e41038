"""The grouped graphical model: what the members of a group have in common, and what each has for itself."""

from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, Normal

from reparam.distributions import Evidence, Grouped, Members, factors
from reparam.errors import PartError, ShapeError, nearest
from reparam.models.flat import VAE
from reparam.models.wrapped import WrappedVAE
from reparam.processes import Processes, current
from reparam.reading import shown
from reparam.rng import per_example
from reparam.trace import Trace


class GroupedVAE(WrappedVAE):
    r"""A VAE whose first dimensions, the content, are one for all members of a group (ML-VAE, GVAE).

    .. math::
        c_G \sim p(c), \quad s_i \sim p(s), \quad x_i \sim p(x \mid c_G, s_i), \qquad
        q(c_G \mid X_G) \propto \prod_{i \in G} q(c \mid x_i)

    and the bound of a group is

    .. math::
        \sum_{i \in G} \left\{ E[\log p(x_i \mid c_G, s_i)] - \mathrm{KL}(q(s_i \mid x_i) \| p(s)) \right\}
        - \mathrm{KL}(q(c_G \mid X_G) \| p(c))

    In training the members of a group are those that are in the batch (``train.group_size`` says how many stand side by
    side): where groups are larger than that, the KL of the content counts once for each batch that a group is in, and
    its posterior sees part of the evidence, so the bound is that of the parts as groups. Groups are told apart by their
    numbers alone, so those that training never saw are groups too. Validation puts as many members side by side.
    Where groups are not told, each example is one by itself, as in a plain VAE.

    A decoder that reads all it needs from s ignores c. So in a share of training examples s is drawn from its prior:
    q(s) = p(s) is a posterior like any other, its bound is valid, and there c alone can explain x.

    Shapes:
        z: (K, B, L), content beside style
    Args:
        vae: The VAE of single examples, with Normal posterior and prior.
        content_dim: Dimensions of the content; the others are the style.
        evidence: ``product`` of the members' posteriors (ML-VAE), or their ``mean`` (GVAE).
        style_dropout: Share of training examples whose style is drawn from the prior.
        told: What tells the group of each example in a batch: ``labels``, or ``groups`` beside them.
    Raises:
        PartError: if the parts or the numbers make no sense.
    Source:
        Multi-level variational autoencoder (Bouchacourt et al., 2018), arXiv:1705.08841, eqs. 2 to 5 and algorithm 1;
        mean: Group-based learning of disentangled representations (Hosoya, 2019), arXiv:1809.02383.
        The dropout of styles is ours.
    """

    retired = ("groups",)  # how many there are, which the membership needed once

    def __init__(
        self,
        vae: VAE,
        content_dim: int,
        evidence: Evidence = "product",
        style_dropout: float = 0.25,
        told: Literal["labels", "groups"] = "labels",
    ) -> None:
        super().__init__(vae.kl)
        self.told = told
        self.observes = self.shares_by = (told,)
        dims = factors(vae.p_z()) if vae.prior is not None and not vae.conditions else None
        probe = factors(vae.posterior(next(vae.posterior.parameters()).new_zeros(1, vae.posterior.in_dim)))
        if type(dims) is not Normal or type(probe) is not Normal or vae.posterior.refines:
            raise PartError(
                "GroupedVAE: the posteriors of a group are put together as Normals, beside a Normal prior, and it is "
                "told nothing else. Take a VAE with posterior and prior 'normal', and no condition."
            )
        if not 0 < content_dim < vae.latent_dim:
            raise PartError(
                f"GroupedVAE: content_dim is {content_dim} of {vae.latent_dim} dimensions, expected at least 1, "
                "and one left for the style."
            )
        if evidence not in get_args(Evidence):
            raise PartError(f"GroupedVAE: evidence is {evidence!r}. {nearest(evidence, get_args(Evidence))}")
        if not 0 <= style_dropout < 1:
            raise PartError(f"GroupedVAE: style_dropout is {style_dropout}, expected a share below 1.")
        self.vae, self.content_dim = vae, content_dim
        self.evidence: Evidence = evidence
        self.style_dropout = style_dropout
        self.corruption = vae.corruption

    def infer(self, x: Float[Tensor, "..."], **named: Any) -> Distribution:
        """q(c, s|x) of each example by itself, or, where the group of each is told, with the evidence of all of it.

        Raises:
            ShapeError: if there are not as many labels, or groups, as examples.
        """
        self.require_taken(named)
        labels = named.get(self.told)
        q = self.vae.infer(x)
        if labels is None or x.ndim == len(self.data_shape):  # one single item is a group of its own
            return q
        dims = factors(q)
        assert isinstance(dims, Normal)
        labels = self._numbers(labels).to(dims.loc.device)
        if len(labels) != len(dims.loc):
            raise ShapeError(
                f"GroupedVAE: got {len(labels)} {self.told} for {len(dims.loc)} examples, expected one each."
            )
        members = Members(labels, current() if self.training else Processes())
        content = Normal(dims.loc[:, : self.content_dim], dims.scale[:, : self.content_dim], validate_args=False)
        content = members.gathered(content, self.evidence)
        base = Normal(
            torch.cat([content.loc, dims.loc[:, self.content_dim :]], 1),
            torch.cat([content.scale, dims.scale[:, self.content_dim :]], 1),
            validate_args=False,
        )
        return Grouped(base, self.content_dim, members)

    def _numbers(self, labels: Any) -> Tensor:
        """The numbers of groups, (B,).

        Raises:
            ShapeError: if they are no whole numbers.
        """
        try:
            numbers = torch.as_tensor(_numbered(labels)).reshape(-1)
        except (TypeError, ValueError):
            numbers = torch.zeros(0)
        if numbers.is_floating_point():
            raise ShapeError(
                f"GroupedVAE: got {shown(labels)} for {self.told}, expected a whole number for each example."
            )
        return numbers

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
        if self.training and self.style_dropout and isinstance(q, Grouped):
            with per_example(0):
                dropped = torch.rand(len(x), 1).to(x).lt(self.style_dropout).to(x)
            q = q.unstyled(dropped)
        found = self.vae.trace(x, samples, q=q, p_z=p_z, fixed_q=fixed_q)
        prior = None if found.p_z is None else factors(found.p_z)
        if not isinstance(q, Grouped) or prior is None:
            return found
        return Trace(
            found.z,
            q,
            found.p_z,
            found.p_x,
            kl=lambda: found.kl,
            log_q=lambda: found.log_q,
            log_p_z=lambda: (q.shares * prior.log_prob(found.z)).sum(-1),  # what they share counts once here too
            log_p_x=lambda: found.log_p_x,
            penalty=found.penalty,
        )


def _numbered(labels: Any) -> Any:
    """A number for each name, where groups are told by their names; anything else as it is."""
    named = not isinstance(labels, Tensor) and np.asarray(labels).dtype.kind == "U"
    return np.unique(labels, return_inverse=True)[1] if named else labels
