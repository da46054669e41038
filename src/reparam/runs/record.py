"""The record of a run, and how to open it again and judge it."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reparam import store
from reparam.arguments import checked
from reparam.config import Config
from reparam.data import Data, DataSpec, Split, load_data, load_items
from reparam.data.catalogue import is_named
from reparam.data.labels import whole_labels
from reparam.data.raw import SPLITS
from reparam.errors import DataError, RunError
from reparam.evaluation import evaluate
from reparam.evaluation.metrics import OF_FEATURES, OF_SAMPLES, is_of, names_of
from reparam.models import Autoencoder
from reparam.parts import constructor
from reparam.reading import read_json
from reparam.runs.settings import FROM_PYTHON, choose_device, config_by_hand, own_data, read_config, write_text
from reparam.training import ending, read_metrics, unbeaten
from reparam.training.log import Row
from reparam.trust import trusting

LIKELIHOODS = {"nll": "nll_samples", "filtered": "filtered_nll_samples"}  # metrics that more draws make tighter
ALL, LOG = "all", "log.txt"
SAME_ITEMS = ("n", "seed", "binarize")
SAMPLERS, SUBSETS = "samplers", "subsets"  # numbers of another source of new items, and of other choices of test items


@dataclass(repr=False)
class Run:
    """A training that was done, or is under way, and what came out of it.

    Attributes:
        folder: The run folder; None for a run kept in memory.
        model: The model of the best validation (by the ELBO, or the bound that was trained), in evaluation mode.
        spec: What its data are.
        config: Everything needed to run it again.
        metrics: The rows of metrics.jsonl.
        data: The data it was trained on, where they are at hand.
        judged: Its numbers, where it is kept in memory.
        likelihood_trained: False where the objective did not train the noise of p(x|z).
        samplers: Those fitted to its codes, with the model's fingerprint, where it is kept in memory.
    """

    folder: Path | None
    model: Autoencoder
    spec: DataSpec
    config: Config
    metrics: list[Row]
    data: Data | None = None
    judged: dict[str, Any] = field(default_factory=dict)
    likelihood_trained: bool = True
    samplers: dict[str, tuple[str, Any]] = field(default_factory=dict)

    def __repr__(self) -> str:
        steps = self.metrics[-1]["step"] if self.metrics else 0
        place = "in memory" if self.folder is None else str(self.folder)
        return f"Run({self.config.recipe} on {self.spec.name}, {steps:,} steps, {place})"

    @property
    def command(self) -> str | None:
        """The command that began it, the first line of its log.txt; None for a training from Python."""
        path = self.folder / LOG if self.folder else None
        first = path.read_text(encoding="utf-8").partition("\n")[0] if path and path.exists() else ""
        return first.removeprefix("$ ") if "train" in first.split()[:3] else None

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the classes of its data are called, in the order of their places, as its model knows them."""
        return self.spec.class_names

    @property
    def judged_by(self) -> tuple[str, ...]:
        """The metrics that say how good the model is, when nobody asks for others."""
        return names_of(self.model, None, self.likelihood_trained)

    @property
    def ending(self) -> str:
        """What to know of how the training ended, where it made the model worse; else nothing."""
        steady = bool(_of_objective(self.config, "steady", True))
        return ending(self.metrics, self._chosen_by, self.config.train, steady)

    def unbeaten(self, since: int) -> str:
        """Says that the weights of before a step are still kept, where no later validation beat them; else nothing."""
        return unbeaten(self.metrics, self._chosen_by, since)

    @property
    def _chosen_by(self) -> str | None:
        """The term by which the weights were chosen; None where there is none, or the objective is unknown here."""
        found: str | None = _of_objective(self.config, "judged_by", None)
        return found

    def load_data(self, source: Any = None) -> Data:
        """The run's own data, or another source prepared the same way, on the model's device."""
        if source is None and self.data is not None:
            return self.data
        chosen = self.config.data
        device = next(self.model.parameters()).device
        if source is not None:  # divided by the run's seed: the same file, named again or moved, keeps its test items
            data = load_data(source, spec=self.spec, size=chosen.size, split_by=chosen.split_by, seed=chosen.seed)
            train, validation, test = (self._told_whole(data.split(name)) for name in SPLITS)
            return replace(data, train=train, validation=validation, test=test).to(device)
        return own_data(self.config, self.spec).to(device)

    def load_items(self, source: Any) -> Split:
        """All items of a source in their own order, prepared as the run's data, on the model's device."""
        items = load_items(source, spec=self.spec, size=self.config.data.size)
        return self._told_whole(items).to(next(self.model.parameters()).device)

    def _told_whole(self, split: Split) -> Split:
        """The items without labels, where the model must be told each of them and some are not known."""
        return whole_labels(split) if "labels" in self.model.conditions else split

    @checked
    def evaluate(
        self,
        split: str = "test",
        metrics: str | Iterable[str] | None = None,
        *,
        features: nn.Module | str | None = None,
        samples: int = 500,
        sampler: tuple[str, Callable[..., Tensor]] | None = None,
        limit: int | None = None,
        seed: int = 0,
        source: Any = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> dict[str, Any]:
        """Judges the model; numbers on the run's own test split are kept in evaluation.json.

        Args:
            split: train, validation or test; ``all`` is every item of a source, beside which there is nothing to train
                on: metrics that train something refuse.
            metrics: Names from :data:`~reparam.evaluation.METRICS`, or one of them; None for :attr:`judged_by`.
            features: The feature network, or its name, as :func:`~reparam.evaluate` takes it.
            samples: Importance samples per example for ``nll``, particles per sequence for ``filtered``.
            sampler: What makes new examples instead of the model's prior, and its name, under which evaluation.json
                keeps the numbers; from :func:`~reparam.samplers.sampler_of`.
            limit: Seeded random subset of this many examples.
            seed: Seed of the subset and the draws.
            source: Other data, prepared as the run's own.
            progress: Called with a metric's name, examples done, and examples in all.
        """
        chosen, train = self._judged(split, source)
        name, make = sampler or ("", None)
        found = evaluate(
            self.model,
            chosen,
            metrics,
            train=train,
            features=features,
            samples=samples,
            sampler=make,
            limit=limit,
            seed=seed,
            progress=progress,
            likelihood_trained=self.likelihood_trained,
        )
        result = {"split": split, "data": chosen.spec.name if source is None else str(source)} | found
        result |= {"sampler": name} if name else {}
        if source is None and split == "test":
            asked = names_of(self.model, metrics, self.likelihood_trained)
            kept = self.judged = with_numbers(self.evaluation, result, asked)
            if self.folder:
                write_text(self.folder / "evaluation.json", json.dumps(kept, indent=1) + "\n")
        return result

    def _judged(self, split: str, source: Any) -> tuple[Split, Split | None]:
        """The items to judge, and the training items beside them."""
        if split != ALL:
            data = self.load_data(source)
            return data.split(split), data.train
        if source is None:
            raise DataError("Split 'all' is of other data than the run's: name a source, on the command line --data.")
        return self.load_items(source), None

    @property
    def evaluation(self) -> dict[str, Any]:
        """What evaluation.json holds so far; of a run in memory, what it would hold.

        Raises:
            RunError: if it is damaged.
        """
        if self.folder is None:
            return self.judged
        path = self.folder / "evaluation.json"
        if not path.exists():
            return {}
        try:
            found: dict[str, Any] = read_json(path)
            if not isinstance(found, dict):
                raise ValueError(f"it holds a {type(found).__name__}")
        except (OSError, ValueError) as error:
            raise RunError(f"{path} cannot be read: {error}. Remove it, and evaluate the run again.") from None
        return found


def with_numbers(kept: Mapping[str, Any], found: Mapping[str, Any], metrics: Iterable[str]) -> dict[str, Any]:
    """What evaluation.json holds after a judgement: numbers of the same items side by side.

    - The new numbers of a metric take the place of all its older ones, also where it is refused now; only log p(x) by
      fewer draws or particles never takes the place of that by more.
    - Numbers of fewer items never take the place of those of more: they stand by themselves under ``subsets``, by their
      number and seed. So do older numbers of as many items by another seed; those of fewer give way to those of more.
    - Numbers in the features of one network do not stand beside those of another: the older ones go.
    - Those of another source of new items stand under ``samplers``, by its name.

    Args:
        kept: What it held.
        found: The new numbers.
        metrics: What was asked for.
    """
    asked = set(metrics)
    if "sampler" in found and kept.get("sampler") != found["sampler"]:
        return _beside(kept, SAMPLERS, str(found["sampler"]), found, asked)
    if all(kept.get(name) == found.get(name) for name in SAME_ITEMS):
        return _merged(kept, found, asked)
    if found["n"] < kept.get("n", 0):
        return _beside(kept, SUBSETS, _items(found), found, asked)
    subsets = dict(kept.get(SUBSETS, {}))
    start = subsets.pop(_items(found), {})
    older = {key: value for key, value in kept.items() if key not in (SAMPLERS, SUBSETS)}
    if older.get("n") == found["n"]:
        subsets[_items(older)] = older
    others = {SAMPLERS: kept.get(SAMPLERS), SUBSETS: subsets}
    return _merged(start, found, asked) | {key: value for key, value in others.items() if value}


def _items(numbers: Mapping[str, Any]) -> str:
    """What the choice of items that numbers are of is called."""
    return f"{numbers['n']} items, seed {numbers['seed']}"


def _beside(
    kept: Mapping[str, Any], place: str, name: str, found: Mapping[str, Any], metrics: set[str]
) -> dict[str, Any]:
    """What is kept, with the new numbers by themselves under a name."""
    there = kept.get(place, {})
    start = there.get(name, {key: found[key] for key in ("sampler",) if key in found})
    return {**kept, place: {**there, name: with_numbers(start, found, metrics)}}


def _merged(kept: Mapping[str, Any], found: Mapping[str, Any], metrics: set[str]) -> dict[str, Any]:
    """Numbers of the same items: what was measured now, and what was not as it was, where it still compares."""
    if "samples" in found and found["samples"] != kept.get("samples", "means"):
        metrics = metrics | (OF_SAMPLES - {"ppc"})
    network = found.get("feature_network")
    if network is not None and network != kept.get("feature_network", network):
        metrics = metrics | OF_FEATURES
    for metric, key in LIKELIHOODS.items():
        fewer = found.get(key, math.inf) < kept.get(key, 0)
        if fewer and not found.get("noiseless"):
            found = {key: value for key, value in found.items() if not is_of(key, [metric])}
            metrics = metrics - {metric}
    return {**{key: value for key, value in kept.items() if not is_of(key, metrics)}, **found}


@checked
def open_run(
    path: Path | str, device: str | torch.device = "auto", data: Any = None, *, trust_code: bool = False
) -> Run:
    """A run from its folder, or from its model folder, to judge and use its model.

    A model folder that lies in no run (from :func:`reparam.save`) gives a run without a folder: nothing is written.

    Args:
        path: A run folder, or a model folder.
        device: auto, cpu, cuda (or one of several, cuda:1) or mps.
        data: Where the run's data are now, where they were moved or given from Python: a name, a path or an object.
        trust_code: Whether classes that do not come with reparam may be imported, see :func:`reparam.load`.
    Raises:
        RunNotFoundError: if there is no run, or it has no model yet.
        RunError: if the model does not say what its data are.
        DataError: if the data are others than the run's.
    """
    with trusting(trust_code):
        return _opened(Path(path), device, data)


def _opened(folder: Path, device: str | torch.device, data: Any) -> Run:
    """A run from its folder."""
    model, spec = store.load_with_spec(folder, choose_device(device))
    if spec is None:
        raise RunError(f"{folder}: its model does not say what its data are. Save it with its spec.")
    if not (folder / "config.yaml").exists() and folder.name == "model" and (folder.parent / "config.yaml").exists():
        folder = folder.parent
    if (folder / "config.yaml").exists():
        config = read_config(folder)
        trained = bool(_of_objective(config, "trains_likelihood", True))
        run = Run(folder, model, spec, config, read_metrics(folder), likelihood_trained=trained)
    else:
        named = {"source": spec.name if is_named(spec.name) else FROM_PYTHON, "binarize": spec.binarize}
        run = Run(None, model, spec, config_by_hand(named, {"kind": "elbo"}, {}, 0), [])
    if data is not None:  # how those of a model folder were divided, nobody knows
        own = run.load_data(data) if run.folder is None else own_data(run.config, spec, data)
        run.data = own.to(next(model.parameters()).device)
    return run


def _of_objective(config: Config, name: str, unknown: Any) -> Any:
    """What the class of a run's objective says of itself, or what to take where that is unknown here."""
    if config.objective is None:
        return unknown
    with suppress(RunError):  # a class of the user's own that may not be imported
        return getattr(constructor("objective", config.objective.kind), name, unknown)
    return unknown
