"""What metrics look at: a model and a split, and what several metrics need of them, made once."""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam.data import Batch, Split
from reparam.data.labels import relabelled, unknown_labels
from reparam.distributions import is_discrete
from reparam.errors import PartError, RefusedError
from reparam.evaluation.features import feature_network, known
from reparam.evaluation.likelihood import evaluating
from reparam.rng import seeded

Progressed = Callable[[str, int, int], None]
BATCH = 250
TRAINING_ITEMS = COMPARED_ITEMS = 10_000


def labels_of(split: Split) -> Int[Tensor, " N"]:
    """Class numbers of a split's examples, on the CPU.

    Raises:
        RefusedError: if there are none, or some are not known.
    """
    labels = split.labels
    if labels is None:
        raise RefusedError("It needs labels or ground-truth factors; these data have none.")
    if (labels < 0).any():
        raise RefusedError("It needs the label of every example, and some are not known here.")
    return labels.cpu()


def told_by_name(model: Any, split: Split) -> Split:
    """The split with the model's own numbers of the classes, where it must be told them, or may be.

    Raises:
        DataError: if one of its classes is none of the model's.
    """
    return relabelled(split, model.class_names) if "labels" in getattr(model, "tellable", ()) else split


def require_labels(model: Any, split: Split) -> None:
    """Checks that all labels are known, where the model must be told them.

    Raises:
        RefusedError: if some are not.
    """
    unknown = unknown_labels(split) if "labels" in model.conditions else 0
    if unknown:
        raise RefusedError(
            f"{unknown:,} of {len(split):,} labels of {split.spec.name} are not known, and this model "
            "must be told each of them. Leave those examples out, or take the recipe m2, which infers them."
        )


class Judged:
    """A model on a split.

    Args:
        model: Any model that fills a Trace, in evaluation mode.
        split: What it is judged on.
        train: The training split, for metrics that learn from it or compare with it.
        features: Examples -> (B, F), for metrics that compare sets of examples; trained on ``train`` when None.
        samples: Importance samples per example for ``nll``, particles per sequence for ``filtered``.
        sampler: (n, draw=..., and what the model is told) -> n new examples; the model's own ``sample`` when None.
        seed: Seed of every draw.
        progress: Called with a metric's name, examples done, and examples in all.
    """

    def __init__(
        self,
        model: Any,
        split: Split,
        *,
        train: Split | None = None,
        features: nn.Module | None = None,
        samples: int = 500,
        sampler: Callable[..., Tensor] | None = None,
        seed: int = 0,
        progress: Progressed | None = None,
    ) -> None:
        self.make = sampler or model.sample
        self.model, self.split, self.train, self.given = model, split, train, features
        self.samples, self.seed, self.progress = samples, seed, progress

    @cached_property
    def labelled(self) -> "Judged":
        """The same of the judged examples whose labels are known."""
        those = known(self.split)
        if those is self.split:
            return self
        return Judged(
            self.model,
            those,
            train=self.train,
            features=self.given,
            samples=self.samples,
            sampler=self.make,
            seed=self.seed,
            progress=self.progress,
        )

    @property
    def steps(self) -> float:
        """Mean length of the judged sequences, in steps."""
        lengths = self.split.named.get("lengths")
        return float(self.split.spec.shape[-1]) if lengths is None else lengths.double().mean().item()

    def batches(self, split: Split | None = None) -> Iterator[Batch]:
        """All examples of a split (the judged one when None), with the named values that the model asks for."""
        for batch in (self.split if split is None else split).batches(BATCH):
            yield Batch(batch.x, batch.pick(self.model.conditions))

    def _encoded(self, split: Split) -> Tensor:
        means = [self.model.infer(batch.x, **batch.named).mean for batch in self.batches(split)]
        return torch.cat(means).cpu().double()

    @cached_property
    def codes(self) -> Float[Tensor, "N L"]:
        """The posterior mean of every judged example, float64 on the CPU."""
        return self._encoded(self.split)

    def require_train(self) -> Split:
        """The training split.

        Raises:
            RefusedError: if it is not at hand.
        """
        if self.train is None:
            raise RefusedError("It needs the training split too. Pass evaluate(..., train=data.train).")
        return self.train

    @cached_property
    def training_part(self) -> Split:
        """At most 10,000 random training examples; of a dynamic split, drawn once."""
        return self.require_train().subset(TRAINING_ITEMS, self.seed, "evaluation").fixed(self.seed, "evaluation")

    @cached_property
    def training_codes(self) -> Float[Tensor, "N L"]:
        """The posterior means of :attr:`training_part`, float64 on the CPU."""
        return self._encoded(self.training_part)

    @cached_property
    def all_factors(self) -> Int[Tensor, "N A"]:
        """Values of every ground-truth factor, on the CPU; labels alone are one factor.

        Raises:
            RefusedError: if there are none.
        """
        found = self.split.named.get("factors")
        return labels_of(self.split).unsqueeze(1) if found is None else found.cpu()

    @property
    def varying(self) -> list[bool]:
        """Which of all factors have more than one value among the judged examples."""
        varies: list[bool] = (self.all_factors != self.all_factors[0]).any(0).tolist()
        return varies

    @cached_property
    def factors(self) -> Int[Tensor, "N F"]:
        """Class numbers of every ground-truth factor that varies, on the CPU.

        Raises:
            RefusedError: if there are none, or none varies.
        """
        columns = [column for column, varies in zip(self.all_factors.unbind(1), self.varying, strict=True) if varies]
        if not columns:
            raise RefusedError("Every ground-truth factor has one value in these data, so no code can tell it.")
        return torch.stack([column.unique(return_inverse=True)[1] for column in columns], 1)

    def drawn(self, name: str, count: int, draw: bool = False) -> Iterator[Tensor]:
        """New examples of the model, some at a time; the same ones for the same name.

        A model that must be told something is told what the judged examples are, one after the other.

        Args:
            name: Counter of the draws.
            count: How many in all.
            draw: Draw x from p(x|z) instead of taking its mean.

        Raises:
            RefusedError: if the model has no prior.
        """
        with seeded(self.seed, name):
            for start in range(0, count, BATCH):
                chosen = torch.arange(start, min(count, start + BATCH)) % len(self.compared)
                yield self.make(len(chosen), draw=draw, **self._told(self.compared, chosen))

    def made(self) -> Iterator[Tensor]:
        """As many new examples as are compared, told what these are: means of p(x|z), or draws of it."""
        return self.drawn("samples", len(self.compared), draw=self.draws_x)

    def reconstructed(self) -> Iterator[Tensor]:
        """The mean reconstructions of :attr:`compared`."""
        for batch in self.batches(self.compared):
            yield self.model.decode(self.model.infer(batch.x, **batch.named).mean, **batch.named).mean

    def _told(self, split: Split, chosen: Int[Tensor, " N"]) -> dict[str, Any]:
        """What the model is told of some of the examples of a split."""
        if not self.model.conditions:
            return {}
        return dict(split.batch(chosen.to(split.device)).pick(self.model.conditions))

    def decoded(self, z: Float[Tensor, "N L"], example: int = 0) -> Distribution:
        """p(x|z), with z moved to the model, told what is told of one of the judged examples."""
        named = self._told(self.split, torch.tensor([example]))
        return self.model.decode(z.to(next(iter(self.model.parameters()))), **named)

    @property
    def example_p_x(self) -> Distribution:
        """p(x|z) for the first example: what kind of distribution it is."""
        first = self.split.batch(slice(0, 1))
        named = first.pick(self.model.conditions)
        return self.model.decode(self.model.infer(first.x, **named).mean, **named)

    @cached_property
    def network(self) -> nn.Module:
        """What turns examples into features.

        Raises:
            RefusedError: if there is none, and no training split to make it from.
        """
        if self.given is not None:
            return self.given.to(self.split.device)
        return feature_network(self.require_train(), self.seed)

    @property
    def network_name(self) -> str:
        """What the output calls the feature network."""
        return str(getattr(self.network, "name", type(self.network).__name__))

    @property
    def draws_x(self) -> bool:
        """True where samples are draws of p(x|z): x is binary or counted, and its mean looks like no data.

        Not of a model without an encoder: there the mean itself is the example that is made.
        """
        whole = self.split.spec.effective_kind in ("binary", "counts") and self.model.amortized
        return whole and is_discrete(self.example_p_x)

    @property
    def taken(self) -> dict[str, str]:
        """What is taken of p(x|z) for samples, for the output."""
        return {"samples": "draws" if self.draws_x else "means"}

    @property
    def comparison(self) -> dict[str, str]:
        """What numbers that compare samples with data in features depend on, for the output."""
        return {"feature_network": self.network_name} | self.taken

    def _features(self, examples: Iterable[Tensor]) -> Tensor:
        with evaluating(self.network):
            return torch.cat([self._looked(x).flatten(1).cpu().double() for x in examples])

    def _looked(self, x: Tensor) -> Tensor:
        """What the feature network gives for some examples.

        Raises:
            PartError: if it is not one row for each.
        """
        found = self.network(x)
        if not isinstance(found, Tensor) or found.shape[:1] != x.shape[:1]:
            given = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise PartError(
                f"The feature network {self.network_name} gave {given} for {len(x)} examples, expected a tensor "
                f"({len(x)}, F): a row for each."
            )
        return found

    @cached_property
    def compared(self) -> Split:
        """The judged examples that are compared with others in features: at most 10,000 random ones."""
        return self.split.subset(COMPARED_ITEMS, self.seed, "compared")

    @cached_property
    def real_features(self) -> Float[Tensor, "N F"]:
        """Features of :attr:`compared`, float64 on the CPU."""
        return self._features(batch.x for batch in self.batches(self.compared))

    @cached_property
    def training_features(self) -> Float[Tensor, "N F"]:
        """Features of :attr:`training_part`, float64 on the CPU."""
        return self._features(batch.x for batch in self.batches(self.training_part))

    @cached_property
    def sample_features(self) -> Float[Tensor, "N F"]:
        """Features of as many new examples as are compared, float64 on the CPU: means of p(x|z), or draws of it."""
        return self._features(self.made())

    @cached_property
    def reconstruction_features(self) -> Float[Tensor, "N F"]:
        """Features of the mean reconstructions of :attr:`compared`, float64 on the CPU."""
        return self._features(self.reconstructed())
