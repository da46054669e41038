"""The implicit graphical model: examples made from a code, and no density of them."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from jaxtyping import Float
from torch import Size, Tensor, nn
from torch.distributions import Distribution

from reparam.arguments import checked
from reparam.distributions import CODES, EUCLIDEAN, PointMass, Space
from reparam.errors import PartError
from reparam.latents import inverted
from reparam.likelihoods import Likelihood
from reparam.models.base import late
from reparam.models.one_latent import OneLatent
from reparam.networks import Condition
from reparam.priors import Prior
from reparam.rng import seeded
from reparam.trace import Trace

STARTS = 4


class ImplicitModel(OneLatent):
    r"""Makes examples from codes and has no encoder: the generator of a GAN.

    .. math:: z \sim p(z), \quad x = G(z), \qquad z^*(x) = \arg\max_z \log p(x \mid z) + \log p(z)

    G(z) is the mean of p(x|z). The code of an example is found by optimisation, from a few draws of the prior that
    are the same for all examples (one for each class, where the code holds a choice); the likelihood says what counts
    as close. That takes seconds for some pictures, and too long for thousands. There is no density of x.

    Args:
        prior: -> p(z).
        decoder: z -> the likelihood's numbers.
        likelihood: -> p(x|z), whose mean is the example that is made.
        condition: What the decoder is told of each example.
    Raises:
        PartError: if two parts do not fit each other.
    Source:
        Generative adversarial nets (Goodfellow et al., 2014), arXiv:1406.2661, section 3; z*: Generative visual
        manipulation on the natural image manifold (Zhu et al., 2016), arXiv:1609.03552, section 3.1.
    """

    amortized = False
    judged_by = ("fid", "precision-recall")

    @checked
    def __init__(
        self, prior: Prior, decoder: nn.Module, likelihood: Likelihood, condition: Condition | None = None
    ) -> None:
        super().__init__("auto")
        self.prior, self.decoder, self.likelihood, self.condition = prior, decoder, likelihood, condition
        self.corruption = None
        self.conditions = () if condition is None else (condition.name,)
        if prior.infers or prior.space == CODES or hasattr(prior, "condition_dim"):
            raise PartError(
                f"ImplicitModel: {type(prior).__name__} is made from codes of examples, which need an encoder, or is "
                "told of them. Take 'normal' or 'flow'."
            )
        if any(True for _ in prior.parameters()) and not prior(infer=self.infer).has_rsample:
            raise PartError(
                f"ImplicitModel: {type(prior).__name__} learns from its density, and a game never asks for that. Take "
                "'normal' or 'flow'."
            )
        self.require_sizes({})
        self.require_told()

    @property
    def latent_dim(self) -> int:
        size: int = self.prior.latent_dim
        return size

    @property
    def space(self) -> Space:
        return self.prior.space or EUCLIDEAN

    def inference_parameters(self) -> Iterator[nn.Parameter]:
        """None: there is no q to be trained."""
        return iter(())

    def generative_parameters(self) -> Iterator[nn.Parameter]:
        return chain(self.prior.parameters(), self.decoder.parameters(), self.likelihood.parameters())

    def infer(self, x: Float[Tensor, "..."], **named: Any) -> PointMass:
        """The code z*(x) of each example, as a point mass; found by optimisation."""
        self.require_taken(named)
        batch, single = self._batch(x)
        p_z = self.p_z()
        with torch.no_grad(), seeded("inversion"):
            starts = self.space.varied(p_z.sample(Size([max(STARTS, getattr(self.space, "classes", 0))])))
        c = self.told_to(self.decoder, named)
        self.require_each(c, batch.shape[:1])

        def score(rows: Tensor, z: Tensor) -> Tensor:
            """log p(x, z) of codes of some rows of the batch."""
            own = c if c is None or c.ndim == 1 or len(c) == 1 else c[rows]
            density: Tensor = self.decoded(z, own).log_prob(batch[rows]) + p_z.log_prob(z)
            return density

        z = inverted(score, starts, len(batch), kept=self.space.kept)
        return PointMass(z[0] if single else z)

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
        """One pass at the codes that were found: K times the same; there is no KL, for q is a point mass."""
        self.require_taken(named)
        x, q = self._inferred(x, q, **named)
        z = q.rsample(Size([samples]))
        p_x = self.decode(z, **named)
        zero = z.new_zeros(z.shape[:-1])
        return Trace(z, q, p_z or self.p_z(), p_x, kl=zero[..., None], log_q=zero, log_p_z=zero, log_p_x=late(p_x, x))
