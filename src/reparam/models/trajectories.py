"""Distributions over sequences, walked step by step: q of the noise of all steps, and p of the values given it."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Size, Tensor
from torch.distributions import Distribution, Normal, constraints
from torch.nn import functional as F
from torch.types import _size

from reparam.distributions import is_density, is_discrete
from reparam.errors import ShapeError
from reparam.likelihoods import Likelihood
from reparam.networks import Decoder, Dynamics, Encoder
from reparam.rng import per_example


class Networks(NamedTuple):
    """The networks of a sequential model."""

    encoder: Encoder
    dynamics: Dynamics
    decoder: Decoder
    likelihood: Likelihood

    def decoded(self, inputs: Float[Tensor, "*N C"]) -> Distribution:
        """p(x_t|...) for what the decoder reads, code and memory."""
        rows: Tensor = self.decoder(inputs.reshape(-1, inputs.shape[-1]))
        found: Distribution = self.likelihood(rows.unflatten(0, inputs.shape[:-1]))
        return found

    def features(self, values: Float[Tensor, "*N D"]) -> Float[Tensor, "*N F"]:
        """What memory and q read of values."""
        rows: Tensor = self.encoder(values.reshape(-1, *self.likelihood.data_shape))
        return rows.unflatten(0, values.shape[:-1])


class Walk(NamedTuple):
    """One pass through sequences.

    Attributes:
        noise: (K, B, T, L), that in z_t = mu_p + sigma_p noise_t.
        q: Normals of the noise, given x and the path, (K, B, T, L).
        inputs: (K, B, T, L + H), what the decoder reads.
    """

    noise: Tensor
    q: Normal
    inputs: Tensor


class Trajectory(Distribution):
    r"""q of the noise of all steps, each given those before it and x.

    .. math:: \epsilon_t = \frac{z_t - \mu_p}{\sigma_p}, \qquad
              q(\epsilon_t \mid \epsilon_{<t}, x) = \mathcal{N}\left(\frac{\mu_q - \mu_p}{\sigma_p},
              \frac{\sigma_q^2}{\sigma_p^2}\right)

    ``mean`` and ``variance`` are those along the path of conditional means, so ``exact_moments`` is False. Steps beyond
    the end of a sequence have noise 0, and no density.

    Shapes:
        batch (B,) or (), event (T L,)
    Args:
        networks: The networks.
        values: (B, t, D), of the first t steps; all sequences have ended then.
        phi: (B, t, F), features of the values.
        mask: (B, t), 1 at the steps that there are.
        batch_shape: (B,), or () for one single item.
        steps: T.
    """

    has_rsample = True
    exact_moments = False
    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.real_vector

    def __init__(
        self, networks: Networks, values: Tensor, phi: Tensor, mask: Tensor, batch_shape: Size, steps: int
    ) -> None:
        self.steps = steps
        self.networks, self.values, self.phi, self.mask = networks, values, phi, mask
        self.seen = networks.dynamics.seen(phi, mask)
        super().__init__(batch_shape, Size([steps * networks.dynamics.step_dim]), validate_args=False)

    def walk(self, samples: int, drawn: bool = True, noise: Float[Tensor, "K B T L"] | None = None) -> Walk:
        """K passes: of draws, along the conditional means, or through given noise."""
        dynamics, size = self.networks.dynamics, self.networks.dynamics.step_dim
        rows = samples * len(self.mask)
        state, contexts, codes, found = dynamics.begin(rows, self.phi), [], [], []
        # taken apart at once: the gradient of x[:, t] is as large as x, at each of the steps
        for t, (seen, phi) in enumerate(zip(self.seen.unbind(1), self.phi.unbind(1), strict=True)):
            context = dynamics.context(state)
            q = dynamics.posterior(self._rows(seen, samples), context)
            if noise is None:
                draws = self.phi.new_zeros(samples, len(self.mask), size)
                z = q.loc + q.scale * (draws.normal_() if drawn else draws).reshape(rows, size)
            else:
                p = dynamics.prior(context)
                z = p.loc + p.scale * noise[:, :, t].reshape(rows, size)
            contexts.append(context)
            codes.append(torch.cat([z, state.h], -1))
            found.append(torch.cat([q.loc, q.scale], -1))
            state = dynamics.advance(state, self._rows(phi, samples), z)
        inputs = self._stacked(codes, samples)
        p = dynamics.prior(self._stacked(contexts, samples))
        loc, scale = self._stacked(found, samples).chunk(2, -1)
        there = self.mask.unsqueeze(-1)
        own = Normal((loc - p.loc) / p.scale * there, torch.where(there > 0, scale / p.scale, 1.0), validate_args=False)
        return Walk((inputs[..., :size] - p.loc) / p.scale * there, own, inputs)

    def _rows(self, values: Float[Tensor, "B F"], samples: int) -> Float[Tensor, "N F"]:
        return values.expand(samples, *values.shape).reshape(-1, values.shape[-1])

    def _stacked(self, steps: list[Tensor], samples: int) -> Float[Tensor, "K B T F"]:
        return torch.stack(steps, 1).unflatten(0, (samples, len(self.mask)))

    def whole(self, values: Float[Tensor, "K B t L"], behind: float = 0.0) -> Float[Tensor, "K B L2"]:
        """Values of all steps side by side, with a number for those behind the first t."""
        return F.pad(values, (0, 0, 0, self.steps - values.shape[2]), value=behind).flatten(-2)

    def padded(self, z: Float[Tensor, "K B L2"]) -> Float[Tensor, "K B L2"]:
        """Noise of all steps with draws of N(0, 1) where sequences have ended, and where there is no code."""
        there = self.whole(self.mask.unsqueeze(-1).expand(1, -1, -1, self.networks.dynamics.step_dim)) > 0
        with per_example(1):
            return torch.where(there, z, torch.randn_like(z))

    def _laid_out(self, values: Float[Tensor, "K B L2"], sample_shape: _size) -> Tensor:
        return values.reshape(*sample_shape, *self.batch_shape, -1)

    def rsample(self, sample_shape: _size = Size()) -> Tensor:
        return self._laid_out(self.whole(self.walk(Size(sample_shape).numel()).noise), sample_shape)

    @property
    def mean(self) -> Tensor:
        return self._laid_out(self.whole(self.walk(1, drawn=False).q.loc), Size())

    @property
    def variance(self) -> Tensor:
        return self._laid_out(self.whole(self.walk(1, drawn=False).q.variance, 1.0), Size())

    def log_prob(self, value: Tensor) -> Tensor:
        size = self.networks.dynamics.step_dim
        lead = value.shape[: value.ndim - 1 - len(self.batch_shape)]
        noise = value.reshape(-1, len(self.mask), self.steps, size)[:, :, : self.mask.shape[1]]
        each = self.walk(len(noise), noise=noise).q.log_prob(noise) * self.mask.unsqueeze(-1)
        return each.sum((-2, -1)).reshape(*lead, *self.batch_shape)

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "Trajectory":
        """The same as a batch of one; there is no other way to expand it.

        Raises:
            ShapeError: if more is asked for.
        """
        if Size(batch_shape).numel() != len(self.mask):
            raise ShapeError(
                f"Trajectory: q of {len(self.mask)} sequences cannot be expanded to {tuple(batch_shape)}. Infer it of "
                "as many sequences."
            )
        return Trajectory(self.networks, self.values, self.phi, self.mask, Size(batch_shape), self.steps)


class Unrolled(Distribution):
    r"""p(x|z): each value given the noise so far and the values before it, which are fed back.

    .. math:: p(x \mid \epsilon) = \prod_t p(x_t \mid \epsilon_{\le t}, x_{<t})

    ``mean`` feeds back means (of binary values the more probable one), ``sample`` draws. Steps beyond the end of a
    sequence are 0.

    Shapes:
        z: (*batch, T L)  ->  batch (*batch), event (D, T)
    Args:
        networks: The networks.
        z: Noise of all steps.
        mask: (T) or (*batch, T), 1 at the steps that there are; broadcasts to the batch.
        given: (*batch, D, S), values of the first S steps, to be continued.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.real

    def __init__(self, networks: Networks, z: Tensor, mask: Tensor, given: Tensor | None = None) -> None:
        self.networks, self.z, self.mask, self.given = networks, z, mask, given
        event = Size([*networks.likelihood.data_shape, mask.shape[-1]])
        super().__init__(z.shape[:-1], event, validate_args=False)

    @property
    def normalized(self) -> bool:
        """False where the likelihood of a step is a distance and no density."""
        return is_density(self._first)

    @property
    def discrete(self) -> bool:
        """True where p(x_t|...) is a probability."""
        return is_discrete(self._first)

    @property
    def _first(self) -> Distribution:
        """p of one step, of the same kind as all."""
        return self.networks.decoded(self.z.new_zeros(1, self.networks.decoder.latent_dim))

    @property
    def mean(self) -> Tensor:
        binary = self.networks.likelihood.binary
        return self._rolled(lambda p: p.mean, (lambda x: x.round()) if binary else (lambda x: x))

    @torch.no_grad()
    def sample(self, sample_shape: _size = Size()) -> Tensor:
        if sample_shape:
            return torch.stack([self.sample() for _ in range(Size(sample_shape).numel())]).unflatten(0, sample_shape)
        return self._rolled(lambda p: p.sample(), lambda x: x)

    def log_prob(self, value: Tensor) -> Tensor:
        """At values (*batch, D, T), whose own past is fed back."""
        steps = value.movedim(-1, -2)
        dynamics = self.networks.dynamics
        noise, lead = self._noise(), self.z.shape[:-1]
        phi = self.networks.features(steps)
        phi = phi.expand(*lead, *phi.shape[-2:]).reshape(-1, *phi.shape[-2:])
        state, inputs = dynamics.begin(len(noise), noise), []
        for own, seen in zip(noise.unbind(1), phi.unbind(1), strict=True):
            p = dynamics.prior(dynamics.context(state))
            z = p.loc + p.scale * own
            inputs.append(torch.cat([z, state.h], -1))
            state = dynamics.advance(state, seen, z)
        read = torch.stack(inputs, 1)
        p_x = self.networks.decoded(read.reshape(*lead, *read.shape[1:]))
        return (p_x.log_prob(steps) * self.mask).sum(-1)

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "Unrolled":
        return Unrolled(self.networks, self.z.expand(*batch_shape, -1), self.mask, self.given)

    def _noise(self) -> Float[Tensor, "N T L"]:
        return self.z.reshape(-1, self.mask.shape[-1], self.networks.dynamics.step_dim)

    def _rolled(self, pick: Callable[[Distribution], Tensor], feed: Callable[[Tensor], Tensor]) -> Tensor:
        dynamics, noise = self.networks.dynamics, self._noise()
        known = None if self.given is None else self.given.expand(*self.z.shape[:-1], -1, -1).flatten(0, -3)
        state, values = dynamics.begin(len(noise), noise), []
        for t, own in enumerate(noise.unbind(1)):
            p = dynamics.prior(dynamics.context(state))
            z = p.loc + p.scale * own
            if known is not None and t < known.shape[-1]:
                values.append(known[..., t])
            else:
                values.append(pick(self.networks.decoded(torch.cat([z, state.h], -1))))
            state = dynamics.advance(state, self.networks.features(feed(values[-1])), z)
        found = torch.stack(values, -1).reshape(*self.z.shape[:-1], *self.event_shape)
        return found * self.mask.unsqueeze(-2)
