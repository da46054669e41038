"""The hybrid graphical model: several observations of one thing, and what is missing of them is a latent too."""

from collections.abc import Iterator, Sequence
from itertools import chain, product
from typing import Any

import torch
from jaxtyping import Float
from torch import Size, Tensor, nn
from torch.distributions import Distribution

from reparam.distributions import CODES, ImputedCodes, OneHot, SideBySide
from reparam.errors import PartError, RefusedError
from reparam.likelihoods import Likelihood, ObservationsLikelihood
from reparam.models.flat import VAE
from reparam.models.wrapped import WrappedVAE, drawn_by
from reparam.networks import Encoder
from reparam.rng import per_example
from reparam.shapes import places
from reparam.trace import Trace

MOST_CHOICES = 64


class HybridVAE(WrappedVAE):
    r"""A VAE of observations d and h of one thing, of which h may be missing: then it is guessed from d.

    .. math::
        p(d, h, z) = p(z)\, p(d \mid z)\, p(h \mid z), \qquad q(h, z \mid d) = q(h \mid d)\, q(z \mid d, h)

    An example with both has the ELBO of log p(d, h); one with d alone has

    .. math::
        \log p(d) \ge E_{q(h \mid d)} \left[ E_{q(z \mid d, h)}[\log p(d, h \mid z)]
        - \mathrm{KL}(q(z \mid d, h) \| p(z)) \right] + H(q(h \mid d)),

    too low by :math:`\mathrm{KL}(q(h|d) \| p(h|d)) + E_{q(h|d)} \mathrm{KL}(q(z|d,h) \| p(z|d,h))`. Of an h that is
    there in part, the rest is guessed from d and that part. In training classes are summed out exactly and numbers are
    drawn by reparameterisation, with a floor on their scales, for the entropy has no bound; outside training all is
    drawn, so that log weights are those of an importance sampler. What is missing of d has no density and is not
    guessed.

    Where all of h is there, ``alpha`` :math:`\log q(h \mid d)` is added in training, so that q(h|d) learns from these
    examples too; with 0 the objective is the bound alone.

    Shapes:
        x: (B, D), d and h side by side, NaN where something is missing
        z: (K, B, L), the code alone; in training that of one choice of the classes, drawn by its probability
        log_p_x: (K, B), log p(d, h|z) - log q(h|d) at the draws of what is missing, so that no weight of the KL and no
            free bits touch the entropy of the guess
    Args:
        vae: The VAE of whole examples, whose likelihood is that of observations.
        imputer: x -> features, from which a linear layer gives q(h|d).
        guess: The numbers of that layer -> q(h|d), a likelihood of the observations that are guessed.
        imputed: Which observations they are, counted from 0.
        alpha: Weight of log q(h|d) where h is there.
    Raises:
        PartError: if the parts do not fit each other, or the numbers make no sense.
    Source:
        Hybrid VAE: improving deep generative models using partial observations (Tulyakov et al., 2017),
        arXiv:1711.11566, eqs. 4 and 7. The term with alpha is that of Kingma et al. (2014), arXiv:1406.5298, eq. 9.
    """

    columns: Tensor

    def __init__(
        self, vae: VAE, imputer: Encoder, guess: Likelihood, imputed: Sequence[int], alpha: float = 1.0
    ) -> None:
        super().__init__(vae.kl)
        posterior = vae.posterior
        moved = posterior.refines or posterior.relaxes
        plain = posterior.needs_prior and posterior.space != CODES and not moved
        whole = vae.likelihood
        if not isinstance(whole, ObservationsLikelihood) or vae.prior is None or vae.conditions or not plain:
            raise PartError(
                "HybridVAE: it takes a VAE of observations, with a prior, without a condition, whose posterior has a "
                "density in training, too, and is not over codes. Take the posterior 'normal'."
            )
        shapes = whole.shapes
        chosen = [shapes[m] for m in imputed if 0 <= m < len(shapes)]
        if not isinstance(guess, ObservationsLikelihood) or guess.shapes != chosen:
            raise PartError(
                f"HybridVAE: imputed is {list(imputed)} of {len(shapes)} observations, and guess must be the "
                "likelihood of those, in that order."
            )
        if not chosen or len(chosen) == len(shapes):
            raise PartError("HybridVAE: at least one observation is guessed, and at least one is not.")
        if not alpha >= 0:
            raise PartError(f"HybridVAE: alpha is {alpha}, expected a number of 0 or more.")
        self.vae, self.imputer, self.guess = vae, imputer, guess
        self.imputed, self.alpha = tuple(imputed), alpha
        self.head = nn.Linear(imputer.out_dim, guess.out_shape[0])
        self.corruption = None
        where = places(shapes)
        columns = torch.cat([torch.arange(where[m].start, where[m].stop) for m in imputed])
        self.register_buffer("columns", columns, persistent=False)
        self._require_choices()

    def _require_choices(self) -> None:
        """What is guessed are classes, or numbers whose draws have a gradient."""
        with torch.no_grad():
            guess = self.guess(self.head.weight.new_zeros(1, self.head.out_features))
        for part in guess.parts:
            if not part.has_rsample:
                raise PartError(
                    "HybridVAE: what is guessed must be a class or real numbers, whose draws have a gradient. Leave "
                    "the others out of imputed: where they are missing, they have no density."
                )
        sizes = [part.event_shape[0] if isinstance(part, OneHot) else 1 for part in guess.parts]
        self.choices = list(product(*(range(size) for size in sizes)))
        if len(self.choices) > MOST_CHOICES:
            raise PartError(
                f"HybridVAE: the classes that may be missing have {len(self.choices):,} combinations, expected at most "
                f"{MOST_CHOICES}, as they are summed out. Leave one out of imputed."
            )

    def inference_parameters(self) -> Iterator[nn.Parameter]:
        """What moves q(h, z|d): the encoder, the imputer and its head."""
        return chain(
            self.vae.inference_parameters(),
            self.imputer.parameters(),
            self.head.parameters(),
            self.guess.parameters(),
        )

    def p_z(self, **named: Any) -> Distribution:
        return self.vae.p_z()

    def guessed(self, x: Float[Tensor, "..."]) -> SideBySide:
        """q(h|d) of each example, from all that is there of it: batch (B,), or () of one single item."""
        batch, single = self._batch(x)
        numbers = self.head(self.imputer(batch))
        found: SideBySide = self.guess(numbers[0] if single else numbers)
        return found

    def infer(self, x: Float[Tensor, "..."], **named: Any) -> ImputedCodes:
        self.require_taken(named)
        batch, single = self._batch(x)
        own = batch[0] if single else batch
        return ImputedCodes(own, self.columns, self.guessed(own), self.vae.infer, self.latent_dim)

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
                "HybridVAE: what is missing is drawn before z, so an estimator that reads the path of z alone would "
                "not train q(h|d). Take the objective 'elbo' or 'iwae'."
            )
        x, penalty = self._batch(x)[0], None
        if q is None and self.training:
            q, penalty = self._taught(x)
        q = self.infer(x) if q is None else q.expand(Size([len(x)])) if not q.batch_shape else q
        if not isinstance(q, ImputedCodes):
            raise PartError(f"HybridVAE: q is a {type(q).__name__}, expected what infer(x) gave.")
        return self._weighed(q, samples, penalty)

    def _taught(self, x: Tensor) -> tuple[ImputedCodes, Tensor]:
        """q of a training batch; where all of h is there, it is hidden from q(h|d), which is told what it was."""
        h = x[:, self.columns]
        told = ~h.isnan().any(1)
        hidden = x.index_copy(1, self.columns, torch.where(told.unsqueeze(1), torch.nan, h))
        guess = self.guessed(hidden)
        log_q = guess.log_prob(torch.where(told.unsqueeze(1), h, torch.nan))
        return ImputedCodes(x, self.columns, guess, self.vae.infer, self.latent_dim), -self.alpha * log_q

    def _weighed(self, q: ImputedCodes, samples: int, penalty: Tensor | None) -> Trace:
        """The trace of K draws of h and z for each choice of what is summed out."""
        weights, h = self._drawn(q, samples)  # (P, B), (K, P, B, H)
        kept = weights.shape[0]
        with_h = q.filled(h).permute(2, 1, 0, 3)  # (B, P, K, D): the draws of one example follow each other
        own = self.vae.trace(with_h.flatten(0, 2), 1)

        def over(values: Tensor) -> Tensor:
            """The mean over what is summed out: (1, B P K, ...) -> (K, B, ...)."""
            each = values[0].unflatten(0, (len(q.x), kept, samples)).transpose(0, 2)  # (K, P, B, ...)
            shape = weights.shape + (1,) * (each.ndim - 3)
            return (each * weights.reshape(shape)).sum(1)

        guessed = q.guess.log_prob(torch.where(q.missing, h, torch.nan)).permute(2, 1, 0).flatten()[None]
        kl_dims = own.kl_dims
        return Trace(
            drawn_by(weights, own.z[0].unflatten(0, (len(q.x), kept, samples)).transpose(0, 2)),
            q,
            own.p_z,
            own.p_x,
            kl=over(own.kl),
            log_q=lambda: over(own.log_q),
            log_p_z=lambda: over(own.log_p_z),
            log_p_x=over(own.log_p_x - guessed),
            penalty=penalty,
            kl_dims=lambda: None if kl_dims is None else over(kl_dims),
        )

    def _drawn(self, q: ImputedCodes, samples: int) -> tuple[Tensor, Tensor]:
        """K draws of h, (K, P, B, H), and the weight of each choice of classes, (P, B): one outside training."""
        with per_example(1):
            h = q.guess.rsample(Size([samples]))  # (K, B, H)
        if not self.training:
            return h.new_ones(1, len(q.x)), h.unsqueeze(1)
        return self._summed(q, h)

    def _summed(self, q: ImputedCodes, h: Tensor) -> tuple[Tensor, Tensor]:
        """Every choice of classes, with its probability; where a class is there, that one alone."""
        pieces = q.guess.pieces(h)
        seen = q.guess.pieces(q.x[..., self.columns])
        each, weights = [], h.new_ones(len(self.choices), h.shape[1])
        for number, (part, piece, own) in enumerate(zip(q.guess.parts, pieces, seen, strict=True)):
            chosen = [choice[number] for choice in self.choices]
            if isinstance(part, OneHot):
                one_hot = torch.eye(piece.shape[-1], dtype=h.dtype, device=h.device)[chosen].unsqueeze(1)  # (P, 1, C)
                there = ~own.isnan().any(-1, keepdim=True)
                weights = weights * (one_hot * torch.where(there, own, part.mean)).sum(-1)
                piece = one_hot.expand(-1, h.shape[1], -1).unsqueeze(0).expand(len(h), -1, -1, -1)
            else:
                piece = piece.unsqueeze(1).expand(-1, len(chosen), *piece.shape[1:])
            each.append(piece.flatten(3))
        return weights, torch.cat(each, -1)
