"""The semi-supervised graphical model: a class that is sometimes seen, and a style."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from jaxtyping import Float
from torch import Size, Tensor, nn
from torch.distributions import Distribution

from reparam.distributions import CODES, ByClass, Refined, Reshaped
from reparam.errors import PartError, RefusedError
from reparam.models.base import Autoencoder, late
from reparam.models.flat import VAE, couples
from reparam.models.wrapped import WrappedVAE, drawn_by
from reparam.networks import ClassCondition, Encoder
from reparam.rng import per_example
from reparam.trace import Trace


class SemiSupervisedVAE(WrappedVAE):
    r"""A conditional VAE whose class is a latent that some training examples show (M2).

    .. math::
        p(x, y, s) = p(y)\, p(s \mid y)\, p(x \mid y, s), \qquad q(y, s \mid x) = q(y \mid x)\, q(s \mid x, y)

    In training the class is summed out exactly where it is not seen; where it is, the bound is that of log p(x, y):

    .. math::
        \mathcal{U}(x) = \sum_y q(y \mid x)\, \mathcal{L}(x \mid y) - \mathrm{KL}(q(y \mid x) \| p(y)), \qquad
        \mathcal{J}(x, y) = \mathcal{L}(x \mid y) + \log p(y) + \alpha \log q(y \mid x)

    with the ELBO :math:`\mathcal{L}(x \mid y)` of the conditional VAE. In evaluation mode y is drawn, so that log
    weights are those of an importance sampler and log p(x) can be estimated. p(y) is uniform.

    Shapes:
        z: (K, B, C + L), the class one-hot beside the style; as a mean, its probabilities
        kl: (K, B, 2), of the style and of the class
    Args:
        vae: The conditional VAE, told the class by the name ``labels``.
        classifier: x -> features, from which a linear layer gives q(y|x).
        alpha: Weight of log q(y|x) where the class is seen.
    Raises:
        PartError: if the VAE is told no class, or alpha is negative.
    Source:
        Semi-supervised learning with deep generative models (Kingma et al., 2014), arXiv:1406.5298, eq. 6 to 9.
    """

    observes = ("labels",)

    def __init__(self, vae: VAE, classifier: Encoder, alpha: float = 10.0) -> None:
        super().__init__(vae.kl)
        if not isinstance(vae.condition, ClassCondition) or vae.condition.name != "labels" or vae.prior is None:
            raise PartError("SemiSupervisedVAE: the VAE must be told the class. Give it ClassCondition and a prior.")
        plain = vae.posterior.needs_prior and vae.posterior.space != CODES and not vae.posterior.refines
        if not plain or vae.corruption is not None or couples(vae.likelihood):
            raise PartError(
                "SemiSupervisedVAE: the VAE de-noises, or has a scale that is optimal for a batch, or a posterior "
                "without a density, over codes, or that moves its draws. Take 'normal', and the scale 'learned'."
            )
        if not alpha >= 0:
            raise PartError(f"SemiSupervisedVAE: alpha is {alpha}, expected a number of 0 or more.")
        self.vae, self.classifier, self.alpha = vae, classifier, alpha
        self.classes = vae.condition.classes
        self.head = nn.Linear(classifier.out_dim, self.classes)
        self.corruption = None

    @property
    def latent_dim(self) -> int:
        return self.classes + self.vae.latent_dim

    def inference_parameters(self) -> Iterator[nn.Parameter]:
        """What moves q(y, s|x): the encoder and the classifier."""
        return chain(self.vae.inference_parameters(), self.classifier.parameters(), self.head.parameters())

    @property
    def tellable(self) -> tuple[str, ...]:
        return self.vae.conditions

    def given(self, **named: Any) -> Autoencoder:
        """The conditional VAE, told the class; the model itself where nothing is given."""
        return self.vae.given(**named) if named else self

    def class_logits(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B C"]:
        """Unnormalised log q(y|x) of each class."""
        found: Tensor = self.head(self.classifier(x))
        return found

    def infer(self, x: Float[Tensor, "..."], **named: Any) -> ByClass:
        self.require_taken(named)
        batch, single = self._batch(x)
        logits, each = self.class_logits(batch), torch.arange(self.classes, device=batch.device)
        wide = batch.repeat_interleave(self.classes, 0)
        styles = self.vae.infer(wide, labels=each.repeat(len(batch)))
        shape = Size([self.classes] if single else [len(batch), self.classes])
        return ByClass(logits[0] if single else logits, Reshaped(styles, shape))

    def decode(self, z: Float[Tensor, "*N L"], **named: Any) -> Distribution:
        self.require_taken(named)
        self.require_codes(z)
        y, style = z.split([self.classes, self.vae.latent_dim], -1)
        return self.vae.decode(style, labels=y)

    def p_z(self, **named: Any) -> ByClass:
        each = torch.eye(self.classes, device=self.head.weight.device)
        styles = self.vae.p_z(labels=each)
        return ByClass(each.new_zeros(self.classes), styles if styles.batch_shape else styles.expand(Size([len(each)])))

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
                "SemiSupervisedVAE: draws of the class pass no gradient, so an estimator that reads the path of z "
                "alone would not train q(y|x). Take the objective 'elbo' or 'iwae'."
            )
        x, q = self._inferred(x, q)
        if not isinstance(q, ByClass):
            raise PartError(f"SemiSupervisedVAE: q is a {type(q).__name__}, expected what infer(x) gave.")
        if self.training:
            labels = self.placed(named).get("labels")
            return self._summed(x, q, samples, None if labels is None else labels.to(x.device).expand(len(x)))
        p_z = self.p_z() if p_z is None else p_z
        if not isinstance(p_z, ByClass):
            raise PartError(f"SemiSupervisedVAE: p_z is a {type(p_z).__name__}, expected what p_z() gave.")
        return self._drawn(x, q, samples, p_z)

    def _drawn(self, x: Tensor, q: ByClass, samples: int, p_z: ByClass) -> Trace:
        """Class and style are drawn, and the weights are those of an importance sampler."""
        with per_example(1):
            z = q.rsample(Size([samples]))
        p_x = self.decode(z)
        style = q.log_prob_of_style(z) - p_z.log_prob_of_style(z)
        kl = torch.stack([style, self._class_kl(q, p_z).expand_as(style)], -1)
        log_q, log_p_z = q.log_prob(z), p_z.log_prob(z)
        return Trace(z, q, p_z, p_x, kl=kl, log_q=log_q, log_p_z=log_p_z, log_p_x=late(p_x, x))

    def _class_kl(self, q: ByClass, p_z: ByClass) -> Float[Tensor, " B"]:
        """KL(q(y|x) || p(y)), closed form."""
        return (q.probs * (q.log_probs - p_z.log_probs)).sum(-1)

    def _summed(self, x: Tensor, q: ByClass, samples: int, labels: Tensor | None) -> Trace:
        """The sum over the classes, each with draws of its own; of one that is seen, that class alone."""
        seen = torch.zeros(len(x), dtype=torch.bool, device=x.device) if labels is None else labels >= 0
        shown = q.probs if labels is None else torch.where(seen[:, None], self._one_hot(labels), q.probs)
        each = torch.arange(self.classes, device=x.device).repeat(len(x))
        own = self.vae.trace(x.repeat_interleave(self.classes, 0), samples, labels=each)

        def over(values: Tensor) -> Tensor:
            """The mean over the classes: (K, B C) -> (K, B)."""
            return (values.unflatten(1, (len(x), self.classes)) * shown).sum(-1)

        p_y = self.p_z().log_probs
        log_q_y = torch.where(seen, 0.0, (q.probs * q.log_probs).sum(-1))
        kl = torch.stack([over(own.kl.sum(-1)), (log_q_y - (shown * p_y).sum(-1)).expand(samples, -1)], -1)
        style = own.z.unflatten(1, (len(x), self.classes)).transpose(1, 2)  # (K, C, B, L)
        y = torch.eye(self.classes, dtype=style.dtype, device=x.device).unsqueeze(1).expand(samples, -1, len(x), -1)
        return Trace(
            drawn_by(shown.mT.detach(), torch.cat([y, style], -1)),
            Refined(q),
            self.p_z(),
            own.p_x,
            kl=kl,
            log_q=lambda: over(own.log_q) + log_q_y,
            log_p_z=lambda: over(own.log_p_z) + (shown * p_y).sum(-1),
            log_p_x=over(own.log_p_x),
            penalty=-self.alpha * torch.where(seen, (shown * q.log_probs).sum(-1), 0.0),
        )

    def _one_hot(self, labels: Tensor) -> Tensor:
        assert self.vae.condition is not None
        found: Tensor = self.vae.condition(labels)
        return found.to(self.head.weight)
