"""The flat graphical model: one latent z for each x."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam.arguments import checked
from reparam.distributions import CODES, Refined, Space, detached, kl_groups
from reparam.distributions.kl import KLMethod
from reparam.errors import PartError, RefusedError, ShapeError
from reparam.likelihoods import Likelihood
from reparam.models.base import late
from reparam.models.one_latent import OneLatent
from reparam.networks import Condition, Corruption
from reparam.posteriors import Posterior
from reparam.priors import Prior
from reparam.rng import per_example
from reparam.trace import Trace


class VAE(OneLatent):
    r"""An autoencoder with one latent z, plain, de-noising or variational, put together from parts.

    .. math:: z \sim p(z), \quad x \sim p(x \mid z), \qquad q(z \mid x) \approx p(z \mid x)

    With a :class:`~reparam.posteriors.PointPosterior` and no prior it is the plain autoencoder; with a corruption,
    the encoder of a trace sees a damaged copy while the likelihood judges the clean x.

    Args:
        encoder: x -> features.
        posterior: features -> q(z|x).
        prior: -> p(z); None for a plain autoencoder.
        decoder: z -> the likelihood's numbers.
        likelihood: -> p(x|z).
        kl: ``auto``, ``closed`` (closed form or an error) or ``sampled`` (Monte Carlo).
        corruption: Damage done to the encoder's input in a trace.
        condition: What the model is told of each example, for those parts that take it: conditional ones.
    Raises:
        PartError: if two parts do not fit each other, or there is no prior for a posterior that needs one.
    Source:
        Auto-encoding variational Bayes (Kingma & Welling, 2014), arXiv:1312.6114; with a condition c, p(x, z|c) and
        q(z|x, c): Learning structured output representation using deep conditional generative models (Sohn et al.,
        2015), eq. 3.
    """

    @checked
    def __init__(
        self,
        encoder: nn.Module,
        posterior: Posterior,
        prior: Prior | None,
        decoder: nn.Module,
        likelihood: Likelihood,
        *,
        kl: KLMethod = "auto",
        corruption: Corruption | None = None,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(kl)
        self.encoder, self.posterior, self.prior = encoder, posterior, prior
        self.decoder, self.likelihood, self.corruption = decoder, likelihood, corruption
        self.condition = condition
        self.conditions = () if condition is None else (condition.name,)
        self._require_fit()
        self._require_condition()
        if prior is not None and prior.space == CODES:
            prior.use(posterior.codebook)

    def _require_fit(self) -> None:
        self.require_kl()
        if self.prior is None and self.posterior.needs_prior:
            raise PartError(
                f"VAE: {type(self.posterior).__name__} needs a prior, or its noise would shrink to nothing. "
                "Give a prior, or take PointPosterior for a plain autoencoder."
            )
        if self.posterior.refines and (self.kl == "closed" or self.corruption is not None or couples(self.likelihood)):
            what = "kl='closed'" if self.kl == "closed" else "a corruption" if self.corruption else "scale 'optimal'"
            raise PartError(
                f"VAE: {type(self.posterior).__name__} moves its draws by the gradient of log p(x, z): it cannot "
                f"have {what}, for their density has no closed form, they see the clean x, each its own. Take "
                "another posterior."
            )
        out_dim = getattr(self.encoder, "out_dim", self.posterior.in_dim)
        if out_dim != self.posterior.in_dim:
            raise PartError(
                f"VAE: the encoder gives {out_dim} features, the posterior takes {self.posterior.in_dim}. "
                f"Build the posterior with in_dim={out_dim}."
            )
        if self.prior is not None:
            self._require_space(self.prior)
        self.require_sizes({"posterior": self.latent_dim})
        parts = (self.posterior, self.prior, self.decoder)
        grids = {grid for grid in (getattr(part, "grid", None) for part in parts) if grid is not None}
        if len(grids) > 1:
            raise PartError(f"VAE: the parts disagree on the grid of codes ({sorted(grids)}). Give all the same.")

    def _require_condition(self) -> None:
        """A condition reaches a part, parts agree on it, and none of those that encode by themselves needs it."""
        self.require_told()
        self.require_encodes(self.prior, hasattr(self.encoder, "condition_dim"))

    def _require_space(self, prior: Prior) -> None:
        if prior.space not in (None, self.space):
            raise PartError(
                f"VAE: {type(self.posterior).__name__} draws z from {self.space}, {type(prior).__name__} from "
                f"{prior.space}. Where q has mass and p has none, KL(q || p) is infinite: take two on one space."
            )

    @property
    def space(self) -> Space:
        return self.posterior.space

    @property
    def latent_dim(self) -> int:
        return self.posterior.latent_dim

    @torch.no_grad()
    def start(self, x: Float[Tensor, "N ..."], **named: Any) -> None:
        super().start(x, **named)
        if self.posterior.starts:
            self.posterior.start(self._encoded(x, named))
        if self.prior is not None and self.prior.starts:
            self.prior.start(x)

    def inference_parameters(self) -> Iterator[nn.Parameter]:
        """What moves q(z|x): the encoder and the posterior."""
        return chain(self.encoder.parameters(), self.posterior.parameters())

    def generative_parameters(self) -> Iterator[nn.Parameter]:
        """What moves p(x, z): the prior, the decoder and the likelihood."""
        parts = (self.prior, self.decoder, self.likelihood)
        return chain.from_iterable(part.parameters() for part in parts if part is not None)

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
        with per_example(1):
            z = q.rsample(torch.Size([samples]))
            noise = torch.randn_like(z) if self.posterior.refines else None
        if p_z is None and self.prior is not None:
            p_z = self.p_z(**named)
        if noise is not None and p_z is not None:
            return self._refined(x, q, p_z, z, noise, fixed_q, named)
        p_x = self.decode(z, **named)
        penalty = getattr(q, "penalty", None)
        if p_z is None:
            zero = z.new_zeros(z.shape[:-1])
            return Trace(
                z,
                q,
                None,
                p_x,
                kl=zero[..., None],
                log_q=zero,
                log_p_z=zero,
                log_p_x=late(p_x, x),
                penalty=penalty,
            )
        return Trace(
            z,
            q,
            p_z,
            p_x,
            kl=lambda: kl_groups(q, p_z, z, self.kl),
            log_q=late(detached(q) if fixed_q else q, z),
            log_p_z=late(p_z, z),
            log_p_x=late(p_x, x),
            penalty=penalty,
        )

    def _refined(
        self,
        x: Tensor,
        q: Distribution,
        p_z: Distribution,
        start: Tensor,
        noise: Tensor,
        fixed_q: bool,
        named: Mapping[str, Any],
    ) -> Trace:
        """The trace of draws that the posterior moves on: q is that of z and of what moved it."""
        if fixed_q:
            raise RefusedError(
                f"{type(self.posterior).__name__}: an estimator that fixes q inside its density needs it at a given "
                "z, and draws that were moved on have none. Take the objective 'elbo' or 'iwae'."
            )
        z, more = self.posterior.refine(start, noise, lambda z: self.decode(z, **named).log_prob(x) + p_z.log_prob(z))
        p_x = self.decode(z, **named)
        log_q, log_p_z = q.log_prob(start) + more, p_z.log_prob(z)
        return Trace(
            z,
            Refined(q),
            p_z,
            p_x,
            kl=(log_q - log_p_z).unsqueeze(-1),
            log_q=log_q,
            log_p_z=log_p_z,
            log_p_x=late(p_x, x),
        )

    def infer(self, x: Float[Tensor, "..."], **named: Any) -> Distribution:
        self.require_taken(named)
        batch, single = self._batch(x)
        h = self._encoded(batch, named)
        q: Distribution = self.posterior(h[0] if single else h)
        self.require_event(self.posterior, q)
        return q

    def _encoded(self, x: Tensor, named: Mapping[str, Any]) -> Tensor:
        """Features of a batch."""
        c = self.told_to(self.encoder, named)
        self.require_each(c, x.shape[:1])
        h: Tensor = self.encoder(x) if c is None else self.encoder(x, c.expand(len(x), -1))
        wanted = self.posterior.in_dim
        if not isinstance(h, Tensor) or h.ndim != 2 or h.shape[1] != wanted:
            found = f"of shape {tuple(h.shape)}" if isinstance(h, Tensor) else f"a {type(h).__name__}"
            raise ShapeError(
                f"VAE: the encoder's features are {found}, expected a tensor ({len(x)}, {wanted}): {wanted} numbers "
                f"for each example, of which {type(self.posterior).__name__} makes q(z|x)."
            )
        return h


def couples(likelihood: Likelihood) -> bool:
    """True where p(x|z) of one example depends on the others of the batch: a scale that is optimal for all of them."""
    return getattr(getattr(likelihood, "base", likelihood), "scale", None) == "optimal"
