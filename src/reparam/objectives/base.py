"""What every objective is."""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn

from reparam.arguments import checked
from reparam.data import Batch
from reparam.errors import PartError
from reparam.processes import Processes, current
from reparam.trace import Bound, HasNamedValues, Model, Player, Progress, Trace


class Objective(nn.Module, ABC):
    """Maps a Trace to the Bound to maximise; may own networks (a critic, a ratio estimator) and name several players.

    Args:
        samples: Draws of z per example, K.
    Raises:
        PartError: if samples < 1.
    """

    fixed_q = False  # True for estimators whose log q must pass no gradient to the parameters of q
    noiseless = False  # True for those that ask for a posterior without noise
    judged_by: str | None = "elbo"  # the term by which, on validation, the best weights are chosen; None: the newest
    steady = True  # False for those whose value means something else later, because a critic or a multiplier moved
    trains_likelihood = True  # False for those in whose value p(x|z) counts by its mean alone: its noise learns nothing

    @checked
    def __init__(self, samples: int = 1) -> None:
        super().__init__()
        if samples < 1:
            raise PartError(f"{type(self).__name__}: samples is {samples}, expected at least 1.")
        self.samples = samples

    def __call__(self, model: Any, batch: HasNamedValues | Tensor, progress: Progress | None = None) -> Bound:
        """The bound of a batch, for a training loop or one of your own.

        Args:
            model: Fills the Trace.
            batch: Examples and what travels with them, or a tensor of examples alone.
            progress: How far the training has come; None for its end, where nothing is warmed up any more.
        """
        given = Batch(batch) if isinstance(batch, Tensor) else batch
        found: Bound = super().__call__(model, given, progress or Progress())
        return found

    @abstractmethod
    def bound(self, trace: Trace, progress: Progress) -> Bound:
        """The quantity to maximise and the terms to show, one value per example, nats."""

    @property
    def group(self) -> Processes:
        """Who shares a batch: all processes in training; this one alone at validation, where each judges all of it."""
        return current() if self.training else Processes()

    def forward(self, model: Model, batch: HasNamedValues, progress: Progress) -> Bound:
        """Traces a batch and bounds it.

        Raises:
            PartError: if what :meth:`bound` gives is no Bound, or lacks the term that the weights are chosen by.
        """
        found = self.bound(self.trace(model, batch), progress)
        if not isinstance(found, Bound) or self.judged_by not in (None, *found.terms):
            lacking = "whose terms lack" if isinstance(found, Bound) else "expected a Bound with"
            raise PartError(
                f"{type(self).__name__}: bound() gave a {type(found).__name__}, {lacking} {self.judged_by!r}, by which "
                f"the best weights are chosen. Return Bound(value, {{{self.judged_by!r}: trace.elbo.detach()}}), or "
                "set judged_by to a term of yours."
            )
        return found

    def trace(self, model: Model, batch: HasNamedValues) -> Trace:
        """One pass of the model over a batch, with as many draws as this objective wants."""
        named: dict[str, Any] = batch.pick(model.conditions)
        named |= batch.known(model.observes if self.training else getattr(model, "shares_by", ()))
        if self.fixed_q:
            named["fixed_q"] = True
        return model.trace(batch.x, samples=self.samples, **named)

    def players(self, model: Model) -> tuple[Player, ...]:
        """Who moves which parameters: by default one player who moves the model's and the objective's own."""
        parameters = (*model.parameters(), *self.parameters())
        return (Player("model", parameters, lambda batch, progress: self(model, batch, progress)),)
