"""What the figures look at: some items, the codes of many, and the KL of each latent dimension."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from reparam.data.records import Data, Split
from reparam.data.spec import DataSpec
from reparam.distributions import EUCLIDEAN, Space, is_density
from reparam.errors import DataError
from reparam.evaluation import ACTIVE
from reparam.latents import posterior_means
from reparam.latents.codes import home
from reparam.report.numbers import is_number
from reparam.rng import generator, seeded
from reparam.shapes import numel

_MOST_CODES, _MOST_SEARCHED = 2000, 32
_FEWEST_ITEMS, _MOST_VALUES = 64, 100_000


@dataclass(frozen=True)
class Subject:
    """A model and the data it is shown on.

    Attributes:
        model: Answers infer, decode, reconstruct, sample, corrupt and trace.
        spec: What the data are.
        items: (n, *data_shape), a seeded random choice of the split: up to 64 large ones, up to 2,000 small ones.
        codes: (N, L), posterior means of at most 2,000 items of the split, on the CPU.
        labels: (N,) class numbers of the codes, or None.
        kl: (L,) KL of each latent dimension in nats, or None where it does not split into dimensions.
        seed: Seeds every draw a figure makes.
        told: What the model must be told of each of the items, by name.
        item_labels: (n,) class numbers of the items, or None.
        split_name: Which split they are of: test, validation or training.
        density: True where p(x|z) is a density, so that draws of x have noise; a distance has none.
        binarized: True where the items are binary draws or thresholds of stored grey values.
    """

    model: Any
    spec: DataSpec
    items: Tensor
    codes: Tensor
    labels: Tensor | None
    kl: Tensor | None
    seed: int
    binarized: bool = False
    told: Mapping[str, Tensor] = field(default_factory=dict)
    item_labels: Tensor | None = None
    split_name: str = "test"
    density: bool = True

    def model_for(self, chosen: slice | int | Tensor) -> Any:
        """The model, told what it must be told of some of the items: of each of several, or of one for all."""
        return self.model.given(**{name: values[chosen] for name, values in self.told.items()})

    @property
    def spread(self) -> Tensor:
        """Standard deviation of the codes in each dimension, (L,)."""
        return self.codes.std(0, correction=0)

    @property
    def active(self) -> Tensor:
        """Which dimensions are active: the posterior mean varies over the data, (L,)."""
        return self.spread.square() > ACTIVE

    @property
    def order(self) -> list[int]:
        """Latent dimensions by falling KL, or by falling spread of the codes where there is no KL for each.

        Those that are meant to mean something come first: numbers, then classes.
        """
        key = self.spread if self.kl is None else self.kl
        order: list[int] = key.argsort(descending=True, stable=True).tolist()
        space: Space = getattr(self.model, "space", EUCLIDEAN)
        named = [*range(space.one_hot_dims, space.named_dims), *range(space.one_hot_dims)]
        return named + [dim for dim in order if dim >= space.named_dims]

    @property
    def scale_codes(self) -> Tensor | None:
        """The codes where they, and not a prior, say how far a latent dimension reaches."""
        return self.codes if self.model.prior is None else None

    def dim_label(self, dim: int) -> str:
        """``z3 · 1.25 nats``, or the spread of the codes where there is no KL."""
        if self.kl is None:
            return f"z{dim} · spread {float(self.spread[dim]):.2f}"
        return f"z{dim} · {float(self.kl[dim]):.2f} nats"


def look_at(model: Any, data: Data, evaluation: Mapping[str, Any], seed: int = 0) -> Subject:
    """Takes from a model and its data what the figures need.

    Args:
        model: Any model with latents.
        data: Its data; the test split is looked at, or the validation or training split where it is empty.
        evaluation: What ``evaluate`` gave; its ``kl_per_dim`` is used where it fits.
        seed: Seeds the choice of items.

    Raises:
        DataError: if there is not one example in the data.
    """
    splits = {"test": data.test, "validation": data.validation, "training": data.train}
    name = max(splits, key=lambda name: len(splits[name]) > 0)
    split = splits[name]
    if not len(split):
        raise DataError("There is no example in the data to show. Pass data with at least one.")
    most = _MOST_CODES if model.amortized else _MOST_SEARCHED
    split = split.fixed(seed, "evaluation").subset(most, seed, "report")  # the draws that evaluate() judges on
    chosen = torch.randperm(len(split), generator=generator(seed, "report items"))
    chosen = chosen[: max(_FEWEST_ITEMS, _MOST_VALUES // numel(split.spec.shape))]
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    shown = split.batch(chosen.to(split.device))
    codes = torch.cat(
        [posterior_means(model.given(**batch.pick(model.conditions)), batch.x).cpu() for batch in split.batches(256)]
    )
    labels = None if split.labels is None else split.labels.cpu()
    kl = _kl_per_dim(model, split, evaluation, device, seed)
    binarized = data.spec.binarize != "none"
    named = shown.pick(model.conditions)
    of_items = None if labels is None else labels[chosen]
    first = model.given(**split.batch(slice(0, 1)).pick(model.conditions))
    density = is_density(first.decode(codes[:1].to(home(model))))
    return Subject(
        model,
        split.spec,
        shown.x.to(device),
        codes.float(),
        labels,
        kl,
        seed,
        binarized,
        named,
        of_items,
        split_name=name,
        density=density,
    )


def _kl_per_dim(
    model: Any,
    split: Split,
    evaluation: Mapping[str, Any],
    device: torch.device,
    seed: int,
) -> Tensor | None:
    if model.prior is None:
        return None
    given = evaluation.get("kl_per_dim")
    if isinstance(given, list) and len(given) == model.latent_dim and all(is_number(value) for value in given):
        return torch.tensor(given, dtype=torch.float)
    with torch.no_grad(), seeded(seed, "report kl"):
        some = split.batch(slice(0, 256))
        found: Tensor | None = model.trace(some.x.to(device), **some.pick(model.conditions)).kl_dims
    kl = None if found is None else found.mean((0, 1)).cpu().float()
    return kl if kl is not None and bool(kl.isfinite().all()) else None
