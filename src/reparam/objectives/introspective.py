"""The encoder as the critic: a VAE that learns to tell its own examples from real ones."""

from typing import Any, Protocol

import torch
from torch import Tensor

from reparam.objectives.base import Objective
from reparam.objectives.common import (
    elbo_terms,
    new_codes,
    penalised,
    require_at_least,
    require_fixed_scale,
    require_noise,
    require_prior,
    told_in_games,
)
from reparam.shapes import Shape, numel
from reparam.trace import Bound, HasNamedValues, Maker, Model, Player, Progress, Trace


class Coder(Model, Maker, Protocol):
    """A model that codes examples and makes new ones."""


class IntrospectiveBound(Objective):
    r"""Soft-introspective VAE: the encoder gives made examples a low ELBO, the decoder a high one.

    With x the data, x~ a new example or the reconstruction of x (half of each), D the numbers in an example, and the
    distortion d counted from that of the reconstruction itself,

    .. math::
        \text{encoder:} &\quad \tfrac1D \left[\log p(x \mid z) - \beta\, \mathrm{KL}(q(z \mid x) \| p(z))\right]
        - \tfrac1\alpha \exp\left(-\tfrac{\alpha}{D}
        \left[d(\tilde x) + \beta_- \mathrm{KL}(q(z \mid \tilde x) \| p(z))\right]\right) \\
        \text{decoder:} &\quad \tfrac1D \left[\log p(x \mid z) - \beta\, \mathrm{KL}(q(z \mid x) \| p(z))
        - \beta\, \mathrm{KL}(q(z \mid \tilde x) \| p(z))\right]

    is what each maximises; of the decoder's side the KL of x moves a learned prior alone. There is no further network.
    No term on the validation split says which weights are best, so the newest ones are kept.

    Args:
        data_shape: Shape of one example.
        beta: Weight of the KL of real examples for the encoder, and of made ones for the decoder.
        beta_neg: Weight beta_- of the KL of made examples, for the encoder.
        alpha: Sharpness of the exponential.
    Raises:
        PartError: if a number is negative, or alpha zero.
        RefusedError: if q is a point mass, there is no prior, the scale of p(x|z) is optimal for each batch, or the
            model learns from labels.
    Source:
        Soft-IntroVAE (Daniel & Tamar, 2021), arXiv:2012.13253, eq. 5 and appendix 10, where beta_- = 256 and alpha = 2.
        The decoder's term in the reconstruction of made examples, of weight 1e-8 there, is left out.
    """

    judged_by = None

    def __init__(self, data_shape: Shape, beta: float = 1.0, beta_neg: float = 256.0, alpha: float = 2.0) -> None:
        super().__init__()
        require_at_least("IntrospectiveBound", 0, beta=beta, beta_neg=beta_neg)
        require_at_least("IntrospectiveBound", 1e-6, alpha=alpha)
        self.data_shape, self.beta, self.beta_neg, self.alpha = tuple(data_shape), beta, beta_neg, alpha

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        require_noise("IntrospectiveBound", trace)
        require_prior("IntrospectiveBound", trace)
        value = penalised(-trace.distortion - self.beta * trace.rate, trace)
        return Bound(value / numel(self.data_shape), elbo_terms(trace.distortion, trace.rate))

    def encode_better(self, model: Coder, batch: HasNamedValues, progress: Progress) -> Bound:
        """What the encoder maximises."""
        trace = self._traced(model, batch)
        real = self.bound(trace, progress)
        with torch.no_grad():
            fakes = self._made(model, batch, trace)
        value, rate = real.value, torch.zeros_like(real.value)
        for again in self._traced_again(model, batch, fakes):
            perfect = again.p_x.log_prob(again.p_x.mean).detach()[0]
            cost = again.distortion + perfect + self.beta_neg * again.rate
            cost = cost + (cost.clamp_min(0) - cost).detach()  # a sampled KL may be negative, and its exponential huge
            value = value - torch.exp(-self.alpha / numel(self.data_shape) * cost) / (len(fakes) * self.alpha)
            rate = rate + again.rate.detach() / len(fakes)
        return Bound(value, real.terms | {"made_rate": rate})

    def decode_better(self, model: Coder, batch: HasNamedValues) -> Bound:
        """What the decoder maximises."""
        trace = self._traced(model, batch)
        fakes = self._made(model, batch, trace)
        rate = torch.stack([again.rate for again in self._traced_again(model, batch, fakes)]).mean(0)
        value = penalised(-trace.distortion - self.beta * (rate + trace.rate), trace) / numel(self.data_shape)
        return Bound(value, {"decoder_rate": rate.detach()})

    def players(self, model: Any) -> tuple[Player, ...]:
        inference, generative = tuple(model.inference_parameters()), tuple(model.generative_parameters())
        return (
            Player("encoder", inference, lambda batch, progress: self.encode_better(model, batch, progress)),
            Player("decoder", generative, lambda batch, progress: self.decode_better(model, batch)),
        )

    def _traced(self, model: Coder, batch: HasNamedValues) -> Trace:
        told_in_games("IntrospectiveBound", model, batch)
        trace = self.trace(model, batch)
        require_fixed_scale("IntrospectiveBound", trace)
        return trace

    def _made(self, model: Coder, batch: HasNamedValues, trace: Trace) -> tuple[Tensor, Tensor]:
        """New examples, and reconstructions."""
        z = new_codes(model, batch, self.group)
        return model.decode(z, **batch.pick(model.conditions)).mean, trace.p_x.mean[0]

    def _traced_again(self, model: Coder, batch: HasNamedValues, made: tuple[Tensor, ...]) -> list[Trace]:
        named: dict[str, Any] = batch.pick(model.conditions)
        return [model.trace(x, samples=1, **named) for x in made]
