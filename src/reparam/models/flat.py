"""The flat graphical model: one latent z for each x."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam.distributions import CODES, Space, detached, kl_groups, tempered
from reparam.distributions.kl import KLMethod
from reparam.errors import PartError, RefusedError, ShapeError, nearest
from reparam.likelihoods import Likelihood
from reparam.networks import Corruption
from reparam.posteriors import Posterior
from reparam.priors import Prior
from reparam.rng import per_example
from reparam.shapes import Shape
from reparam.trace import Trace


class VAE(nn.Module):
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
    Raises:
        PartError: if two parts do not fit each other, or there is no prior for a posterior that needs one.
    Source:
        Auto-encoding variational Bayes (Kingma & Welling, 2014), arXiv:1312.6114.
    """

    conditions: tuple[str, ...] = ()

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
    ) -> None:
        super().__init__()
        self.encoder, self.posterior, self.prior = encoder, posterior, prior
        self.decoder, self.likelihood = decoder, likelihood
        self.kl: KLMethod = kl
        self.corruption = corruption
        self._require_fit()
        if prior is not None and prior.space == CODES:
            prior.use(posterior.codebook)

    def _require_fit(self) -> None:
        if self.kl not in get_args(KLMethod):
            raise PartError(f"VAE: kl is {self.kl!r}. {nearest(self.kl, get_args(KLMethod))}")
        if self.prior is None and self.posterior.needs_prior:
            raise PartError(
                f"VAE: {type(self.posterior).__name__} needs a prior, or its noise would shrink to nothing. "
                "Give a prior, or take PointPosterior for a plain autoencoder."
            )
        out_dim = getattr(self.encoder, "out_dim", self.posterior.in_dim)
        if out_dim != self.posterior.in_dim:
            raise PartError(
                f"VAE: the encoder gives {out_dim} features, the posterior takes {self.posterior.in_dim}. "
                f"Build the posterior with in_dim={out_dim}."
            )
        sizes = {"posterior": self.latent_dim, "decoder": getattr(self.decoder, "latent_dim", self.latent_dim)}
        if self.prior is not None:
            sizes["prior"] = self.prior.latent_dim
            self._require_space(self.prior)
        if len(set(sizes.values())) > 1:
            given = ", ".join(f"{part} {size}" for part, size in sizes.items())
            raise PartError(f"VAE: the parts disagree on latent_dim ({given}). Give all of them the same.")
        parts = (self.posterior, self.prior, self.decoder)
        grids = {grid for grid in (getattr(part, "grid", None) for part in parts) if grid is not None}
        if len(grids) > 1:
            raise PartError(f"VAE: the parts disagree on the grid of codes ({sorted(grids)}). Give all the same.")
        out_shape = tuple(getattr(self.decoder, "out_shape", self.likelihood.out_shape))
        if out_shape != self.likelihood.out_shape:
            raise PartError(
                f"VAE: the decoder gives {out_shape} for one example, {type(self.likelihood).__name__} takes "
                f"{self.likelihood.out_shape}. Pass out_shape={self.likelihood.out_shape} to the decoder."
            )

    def _require_space(self, prior: Prior) -> None:
        if prior.space not in (None, self.space):
            raise PartError(
                f"VAE: {type(self.posterior).__name__} draws z from {self.space}, {type(prior).__name__} from "
                f"{prior.space}. Where q has mass and p has none, KL(q || p) is infinite: take two on one space."
            )

    @property
    def space(self) -> Space:
        """Where codes lie."""
        return self.posterior.space

    @property
    def latent_dim(self) -> int:
        """Number of latent dimensions L."""
        return self.posterior.latent_dim

    @property
    def data_shape(self) -> Shape:
        """Shape of one example."""
        return self.likelihood.data_shape

    @property
    def binary(self) -> bool:
        """True where x must be 0 or 1."""
        return self.likelihood.binary

    @property
    def denoising(self) -> bool:
        """True where a trace damages the encoder's input."""
        return self.corruption is not None

    @property
    def starts(self) -> bool:
        """True where a part begins from data."""
        return self.posterior.starts or (self.prior is not None and self.prior.starts)

    @torch.no_grad()
    def start(self, x: Float[Tensor, "N ..."]) -> None:
        """Shows training examples to the parts that begin from data, once, before the first step."""
        if self.posterior.starts:
            self.posterior.start(self.encoder(x))
        if self.prior is not None and self.prior.starts:
            self.prior.start(x)

    def inference_parameters(self) -> Iterator[nn.Parameter]:
        """What moves q(z|x): the encoder and the posterior."""
        return chain(self.encoder.parameters(), self.posterior.parameters())

    def generative_parameters(self) -> Iterator[nn.Parameter]:
        """What moves p(x, z): the prior, the decoder and the likelihood."""
        parts = (self.prior, self.decoder, self.likelihood)
        return chain.from_iterable(part.parameters() for part in parts if part is not None)

    def corrupt(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """A damaged copy of x, as in training; x itself where the model does not de-noise."""
        return x if self.corruption is None else self.corruption(x)

    def _batch(self, x: Tensor) -> tuple[Tensor, bool]:
        """x with a batch axis, and whether it was one single item."""
        shape = self.data_shape
        if tuple(x.shape) == shape:
            return x.unsqueeze(0), True
        if tuple(x.shape[1:]) != shape:
            raise ShapeError(
                f"VAE: x is {tuple(x.shape)}, expected one item {shape} or a batch (B, {', '.join(map(str, shape))}). "
                "Reshape x."
            )
        return x, False

    def trace(
        self,
        x: Float[Tensor, "..."],
        samples: int = 1,
        *,
        q: Distribution | None = None,
        fixed_q: bool = False,
        **named: Any,
    ) -> Trace:
        """One pass: draws K codes for each example and gives every log density there, nats.

        A de-noising model is given a damaged copy, in training and when it is judged; :meth:`infer` never damages x.

        Args:
            x: Examples; one item counts as a batch of one.
            samples: Number of draws K.
            q: What :meth:`infer` gave for x, to encode once and draw many times.
            fixed_q: ``log_q`` passes gradients to z and none to the parameters of q, as some estimators want it.
        """
        x, single = self._batch(x)
        if q is None:
            with per_example(0):
                given = self.corrupt(x)
            q = self.infer(given)
        elif single:
            q = q.expand(torch.Size([1]))
        with per_example(1):
            z = q.rsample(torch.Size([samples]))
        p_x = self.decode(z)
        p_z = None if self.prior is None else self.prior(infer=self.infer)
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
                log_p_x=_log_prob(p_x, x),
                penalty=penalty,
            )
        return Trace(
            z,
            q,
            p_z,
            p_x,
            kl=lambda: kl_groups(q, p_z, z, self.kl),
            log_q=_log_prob(detached(q) if fixed_q else q, z),
            log_p_z=_log_prob(p_z, z),
            log_p_x=_log_prob(p_x, x),
            penalty=penalty,
        )

    def infer(self, x: Float[Tensor, "..."], **named: Any) -> Distribution:
        """q(z|x): batch (B,), event (L,); for one item, batch ()."""
        batch, single = self._batch(x)
        h = self.encoder(batch)
        return self.posterior(h[0] if single else h)

    def decode(self, z: Float[Tensor, "*N L"]) -> Distribution:
        """p(x|z): batch (*N), event ``data_shape``."""
        h = self.decoder(z.reshape(-1, z.shape[-1]))
        return self.likelihood(h.reshape(*z.shape[:-1], *h.shape[1:]))

    @torch.no_grad()
    def encode(self, x: Float[Tensor, "..."], draw: bool = False) -> Float[Tensor, "... L"]:
        """The code of each example: the mean of q(z|x), or a draw from it."""
        q = self.infer(x)
        return q.sample() if draw else q.mean

    @torch.no_grad()
    def reconstruct(self, x: Float[Tensor, "..."], draw: bool = False) -> Float[Tensor, "..."]:
        """The mean of p(x|z) at the code of each example."""
        return self.decode(self.encode(x, draw)).mean

    @torch.no_grad()
    def sample(self, n: int, temperature: float = 1.0, draw: bool = False) -> Float[Tensor, "N ..."]:
        """n new examples: means of p(x|z) (or draws from it) for z from the prior.

        Args:
            n: How many.
            temperature: The prior's noise is multiplied by this: its deviations from the mean, within a component of a
                mixture those from the component's mean, in a flow the noise that the flow transforms; over codes and
                classes, log odds are divided by it.
            draw: Draw x from p(x|z) instead of taking its mean.
        Raises:
            RefusedError: if there is no prior to draw from, or it has no noise that a temperature could change.
        """
        if self.prior is None:
            raise RefusedError(
                "A plain autoencoder has no prior p(z), so it cannot make new examples. Train 'vae', or interpolate."
            )
        z = tempered(self.prior(infer=self.infer), torch.Size([n]), temperature)
        p_x = self.decode(z)
        return p_x.sample() if draw else p_x.mean


def _log_prob(distribution: Distribution, value: Tensor) -> Callable[[], Tensor]:
    """The log density there, when somebody wants it."""
    return lambda: distribution.log_prob(value)
