"""The sequential graphical model: one latent for each step, and a memory of the steps before."""

import math
from collections.abc import Iterator
from functools import cache
from itertools import chain
from typing import Any

import torch
from jaxtyping import Float
from torch import Size, Tensor, nn
from torch.distributions import Distribution, Normal

from reparam.arguments import checked
from reparam.distributions.normal import kl_normal
from reparam.errors import PartError, RefusedError
from reparam.likelihoods import Likelihood
from reparam.models.base import Autoencoder
from reparam.models.flat import couples
from reparam.models.trajectories import Networks, Trajectory, Unrolled
from reparam.networks import Decoder, Dynamics, Encoder, State
from reparam.priors import NormalPrior
from reparam.rng import is_part, per_example
from reparam.shapes import Shape
from reparam.trace import Trace


class SequentialVAE(Autoencoder):
    r"""A VAE of sequences, with a latent for each step that depends on the steps before (VRNN, SRNN, DMM).

    .. math::
        p(x, z) = \prod_t p(x_t \mid z_{\le t}, x_{<t})\, p(z_t \mid z_{<t}, x_{<t}), \qquad
        q(z \mid x) = \prod_t q(z_t \mid z_{<t}, x)

    The code of a sequence is the noise of its steps, :math:`\epsilon_t = (z_t - \mu_p) / \sigma_p`, for which p is
    N(0, 1) whatever came before; ratios of densities and KL are those of z. Steps beyond the length of a sequence count
    nothing, and change nothing.

    Shapes:
        x: (B, D, T), lengths: (B,); z: (K, B, T L), the noise of all steps side by side; kl: (K, B, T)
    Args:
        encoder: x_t -> features.
        dynamics: Memory, p and q of the codes.
        decoder: Code and memory -> the likelihood's numbers of one step.
        likelihood: -> p(x_t|...), of one step.
        steps: T, that of the longest sequence.
        ragged: Sequences differ in length, and the model is told ``lengths``.
    Raises:
        PartError: if the parts do not fit each other.
    Source:
        See :class:`~reparam.networks.Dynamics`.
    """

    @checked
    def __init__(
        self,
        encoder: Encoder,
        dynamics: Dynamics,
        decoder: Decoder,
        likelihood: Likelihood,
        steps: int,
        ragged: bool = False,
    ) -> None:
        super().__init__("auto")
        if steps < 1:
            raise PartError(f"SequentialVAE: steps is {steps}, expected at least 1.")
        if encoder.out_dim != dynamics.feature_dim:
            raise PartError(
                f"SequentialVAE: the encoder gives {encoder.out_dim} features, the dynamics take "
                f"{dynamics.feature_dim}. Build them with feature_dim={encoder.out_dim}."
            )
        read = dynamics.step_dim + dynamics.memory_dim
        if decoder.latent_dim != read or decoder.out_shape != likelihood.out_shape:
            raise PartError(
                f"SequentialVAE: the decoder leads from {decoder.latent_dim} numbers to {decoder.out_shape}, expected "
                f"from {read} (code and memory) to {likelihood.out_shape}. Build it so."
            )
        if couples(likelihood):
            raise PartError("SequentialVAE: scale 'optimal' is that of a whole batch. Take 'learned'.")
        self.encoder, self.dynamics, self.decoder = encoder, dynamics, decoder
        self.likelihood, self.steps, self.ragged = likelihood, steps, ragged
        self.prior = NormalPrior(steps * dynamics.step_dim)
        self.conditions = ("lengths",) if ragged else ()
        self.corruption = None

    @property
    def data_shape(self) -> Shape:
        return (*self.likelihood.data_shape, self.steps)

    @property
    def latent_dim(self) -> int:
        return self.prior.latent_dim

    @property
    def code_dim(self) -> int:
        """That of one step where sequences differ in length: behind their ends there is nothing to learn from."""
        return self.step_dim if self.ragged else self.latent_dim

    def codes(self, z: Float[Tensor, "B L"], **named: Any) -> Float[Tensor, "N C"]:
        """Of sequences of several lengths those of all steps that there are, which the prior makes alike as well."""
        return z.unflatten(-1, (self.steps, -1))[self.mask(**named) > 0] if self.ragged else z

    @property
    def some_told(self) -> dict[str, Any]:
        return {"lengths": self.steps} if self.ragged else {}

    @property
    def step_dim(self) -> int:
        """Latent dimensions of one step."""
        return self.dynamics.step_dim

    @torch.no_grad()
    def start(self, x: Float[Tensor, "N ..."], **named: Any) -> None:
        """Shows steps of training examples to a likelihood that begins from data."""
        if self.likelihood.starts:
            self.likelihood.start(x.movedim(-1, 1)[self.mask(**named).expand(len(x), -1) > 0])

    def inference_parameters(self) -> Iterator[nn.Parameter]:
        """What moves q alone."""
        parts = (self.dynamics.q, self.dynamics.ahead)
        return chain.from_iterable(part.parameters() for part in parts if part is not None)

    @property
    def networks(self) -> Networks:
        """The networks, as distributions need them."""
        return Networks(self.encoder, self.dynamics, self.decoder, self.likelihood)

    def infer(self, x: Float[Tensor, "..."], **named: Any) -> Trajectory:
        """q of the noise of all steps: batch (B,), event (T L,); for one item, batch ()."""
        self.require_taken(named)
        batch, single = self._batch(x)
        values, mask = batch.movedim(-1, 1), self.mask(**named).expand(len(batch), -1)
        if mask.device.type == "cpu" and len(mask) and not is_part():  # a GPU would have to wait
            longest = int(mask.sum(1).max())
            values, mask = values[:, :longest], mask[:, :longest]
        shape = Size() if single else batch.shape[:1]
        return Trajectory(self.networks, values, self.networks.features(values), mask, shape, self.steps)

    def mask(self, **named: Any) -> Float[Tensor, "B T"]:
        """1 at the steps that there are, of each example or, (1, T), of all.

        Raises:
            RefusedError: if the lengths are not told.
            PartError: if one is no length.
        """
        like = self.prior.zero
        if not self.ragged:
            return like.new_ones(1, self.steps)
        told = named.get("lengths", self._told.get("lengths"))
        if told is None:
            raise RefusedError(
                "This model must be told the lengths of sequences. Pass lengths=..., or take model.given(lengths=...)."
            )
        lengths = torch.as_tensor(told).to(like.device).reshape(-1, 1)
        if lengths.device.type == "cpu" and len(lengths) and not 1 <= lengths.min() <= lengths.max() <= self.steps:
            raise PartError(
                f"SequentialVAE: lengths from {int(lengths.min())} to {int(lengths.max())}, expected 1 to {self.steps}."
            )
        return (torch.arange(self.steps, device=like.device) < lengths).to(like)

    def decode(self, z: Float[Tensor, "*N L"], **named: Any) -> Unrolled:
        """p(x|z): every value depends on those before it, which are fed back."""
        self.require_taken(named)
        self.require_codes(z)
        mask = self.mask(**named)
        return Unrolled(self.networks, z, mask[0] if len(mask) == 1 else mask)

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
        if fixed_q:
            raise RefusedError(
                "SequentialVAE: q of a step depends on the draws of the steps before, so it cannot be fixed at given "
                "draws. Take the objective 'elbo' or 'iwae'."
            )
        x, q = self._inferred(x, q, **named)
        if not isinstance(q, Trajectory):
            raise PartError(f"SequentialVAE: q is a {type(q).__name__}, expected what infer(x) gave.")
        with per_example(1):
            walk = q.walk(samples)
        noise, own, there = walk.noise, walk.q, q.mask.unsqueeze(-1)
        standard = Normal(torch.zeros_like(noise), 1.0, validate_args=False)
        p_steps = self.networks.decoded(walk.inputs)
        kl = cache(lambda: kl_normal(own, Normal(torch.zeros_like(own.loc), 1.0, validate_args=False)) * there)
        return Trace(
            q.whole(noise),
            q,
            p_z or self.p_z(),
            Unrolled(self.networks, q.whole(noise), self.mask(**named).expand(len(x), -1)),
            kl=lambda: q.whole(kl().sum(-1, keepdim=True)),
            log_q=lambda: (own.log_prob(noise) * there).sum((-2, -1)),
            log_p_z=lambda: (standard.log_prob(noise) * there).sum((-2, -1)),
            log_p_x=lambda: (p_steps.log_prob(q.values) * q.mask).sum(-1),
            kl_dims=lambda: q.whole(kl()),
        )

    @torch.no_grad()
    def continued(self, x: Float[Tensor, "..."], seen: int, n: int = 1, **named: Any) -> Float[Tensor, "N ..."]:
        """Draws n continuations of sequences of which the first steps are given: (n, *x.shape).

        Args:
            x: One sequence or several; steps from ``seen`` on are not looked at.
            seen: How many steps are given, from 1 to T - 1.
            n: How many continuations of each.
            **named: The lengths that sequences are to have; those of all steps where they are not told.
        Raises:
            PartError: if ``seen`` is no such number.
        """
        if not 1 <= seen < self.steps:
            raise PartError(f"SequentialVAE: {seen} steps are given, expected 1 to {self.steps - 1}.")
        batch, single = self._batch(x)
        values = batch.movedim(-1, 1)
        known = (torch.arange(self.steps, device=batch.device) < seen).to(batch)
        q = Trajectory(
            self.networks,
            values,
            self.networks.features(values),
            known.expand(len(batch), -1),
            batch.shape[:1],
            self.steps,
        )
        noise = q.walk(n).noise
        noise = torch.where(known.unsqueeze(-1) > 0, noise, torch.randn_like(noise))
        mask = self.mask(**named) if named or self._told else torch.ones_like(known)
        made = Unrolled(self.networks, noise.flatten(-2), mask, batch[..., :seen]).sample()
        return made[:, 0] if single else made

    def filtered(
        self, x: Float[Tensor, "B ..."], particles: int, resample_below: float = 0.5, **named: Any
    ) -> Float[Tensor, " B"]:
        r"""Log of a particle filter's estimate of p(x), whose proposals are q, nats.

        .. math:: \log \hat p(x) = \sum_t \log \sum_k W_{t-1}^k
                  \frac{p(x_t \mid z_t^k)\, p(z_t^k)}{q(z_t^k)}

        with the past of each particle left out and the normalised weights W. Where the effective number of particles
        falls below a share of them, they are drawn anew by their weights. The mean of the estimate is p(x) itself, so
        the bound is below log p(x); its gradient leaves out what the choice of ancestors adds.

        Args:
            x: Sequences.
            particles: K.
            resample_below: The share; 0 never resamples, which is the importance-weighted bound.
            **named: What the model must be told.
        Source:
            Filtering variational objectives (Maddison et al., 2017), arXiv:1705.09279, algorithm 1.
        """
        q = self.infer(x, **named)
        dynamics, count = self.dynamics, len(x)
        state = dynamics.begin(particles * count, q.phi)
        log_w, total = q.phi.new_zeros(particles, count), q.phi.new_zeros(count)

        def each(values: Tensor) -> Tensor:
            return values.expand(particles, *values.shape).reshape(-1, *values.shape[1:])

        steps = zip(*(values.unbind(1) for values in (q.seen, q.phi, q.values, q.mask)), strict=True)
        for seen, phi, value, there in steps:
            context = dynamics.context(state)
            p, own = dynamics.prior(context), dynamics.posterior(each(seen), context)
            with per_example(1):
                draws = torch.randn(particles, count, self.step_dim, dtype=q.phi.dtype, device=q.phi.device)
            z = own.loc + own.scale * draws.reshape(particles * count, -1)
            p_x = self.networks.decoded(torch.cat([z, state.h], -1))
            step = p_x.log_prob(each(value)) + (p.log_prob(z) - own.log_prob(z)).sum(-1)
            log_w = log_w + step.reshape(particles, count) * there
            state = dynamics.advance(state, each(phi), z)
            if resample_below:
                state, log_w, total = _resampled(state, log_w, total, resample_below)
        return total + log_w.logsumexp(0) - math.log(particles)


def _resampled(state: State, log_w: Tensor, total: Tensor, below: float) -> tuple[State, Tensor, Tensor]:
    """Particles (K B, ...) drawn anew by their weights (K, B), where too few of them count (systematic draws)."""
    particles, count = log_w.shape
    weights = log_w.detach().softmax(0)
    few = 1 / weights.square().sum(0) < below * particles
    with per_example(0):
        start = torch.rand(count, dtype=log_w.dtype, device=log_w.device)
    places = (torch.arange(particles, device=log_w.device).unsqueeze(1) + start) / particles  # (K, B)
    chosen = torch.searchsorted(weights.cumsum(0).mT.contiguous(), places.mT.contiguous()).mT.clamp_max(particles - 1)
    kept = torch.arange(particles, device=log_w.device).unsqueeze(1).expand_as(chosen)
    rows = torch.where(few, chosen, kept) * count + torch.arange(count, device=log_w.device)
    total = total + torch.where(few, log_w.logsumexp(0) - math.log(particles), 0.0)
    return state.take(rows.flatten()), torch.where(few, torch.zeros_like(log_w), log_w), total
