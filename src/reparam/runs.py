"""Runs: training into a folder, going on with it, opening it again, judging it."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from reparam import store
from reparam.config import Config, build_model, build_part, describe, merged, parse_config, read_yaml
from reparam.data import Data, DataSpec, load_data
from reparam.errors import ConfigError, PartError, RunError, RunNotFoundError, UnknownNameError, nearest
from reparam.evaluation import evaluate
from reparam.files import replacing
from reparam.models import VAE
from reparam.objectives import ELBO, Objective
from reparam.recipes import default_epochs, require_recipe, resolve
from reparam.rng import seeded
from reparam.training import Outcome, Trainer, TrainSettings, read_metrics
from reparam.training.log import Row

Progressed = Callable[[Row, int], None]
SAME_ITEMS = ("n", "seed", "binarize")
FROM_PYTHON = ""
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass
class Run:
    """A training that was done, or is under way, and what came out of it.

    Attributes:
        folder: The run folder; None for a run kept in memory.
        model: The model of the best validation ELBO, in evaluation mode.
        spec: What its data are.
        config: Everything needed to run it again.
        metrics: The rows of metrics.jsonl.
        data: The data it was trained on, where they are at hand.
    """

    folder: Path | None
    model: VAE
    spec: DataSpec
    config: Config
    metrics: list[Row]
    data: Data | None = None

    def load_data(self, source: Any = None) -> Data:
        """The run's own data, or another source prepared the same way, on the model's device."""
        if source is None and self.data is not None:
            return self.data
        chosen = self.config.data
        device = next(self.model.parameters()).device
        if source is not None:
            return load_data(source, spec=self.spec, size=chosen.size).to(device)
        return _load(self.config).to(device)

    def evaluate(
        self,
        split: str = "test",
        metrics: Iterable[str] = ("elbo", "reconstruction", "nll"),
        *,
        samples: int = 500,
        limit: int | None = None,
        seed: int = 0,
        source: Any = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> dict[str, Any]:
        """Judges the model; numbers on the run's own test split are kept in evaluation.json.

        Args:
            split: train, validation or test.
            metrics: ``elbo``, ``reconstruction``, ``nll``.
            samples: Importance samples per example for ``nll``.
            limit: Seeded random subset of this many examples.
            seed: Seed of the subset and the draws.
            source: Other data, prepared as the run's own.
            progress: Called with a metric's name, examples done, and examples in all.
        """
        chosen = self.load_data(source).split(split)
        found = evaluate(self.model, chosen, metrics, samples=samples, limit=limit, seed=seed, progress=progress)
        result = {"split": split, "data": chosen.spec.name if source is None else str(source)} | found
        if self.folder and source is None and split == "test":
            kept = self.evaluation
            if any(kept.get(name) != result.get(name) for name in SAME_ITEMS):
                kept = {}  # numbers of other items do not belong beside these
            _write(self.folder / "evaluation.json", json.dumps(kept | result, indent=1) + "\n")
        return result

    @property
    def evaluation(self) -> dict[str, Any]:
        """What evaluation.json holds so far."""
        path = self.folder / "evaluation.json" if self.folder else None
        return json.loads(path.read_text()) if path and path.exists() else {}


def _write(path: Path, text: str) -> None:
    with replacing(path) as aside:
        aside.write_text(text)


def choose_device(name: str) -> torch.device:
    """``auto`` takes a GPU where there is one.

    Raises:
        UnknownNameError: if the name is none of auto, cpu, cuda, mps.
        RunError: if that device is not here.
    """
    if name not in DEVICES:
        raise UnknownNameError(f"There is no device {name!r}. {nearest(name, DEVICES)}")
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(device for device in ("cuda", "mps", "cpu") if here[device])
    if not here[name]:
        raise RunError(f"This machine has no {name} device that PyTorch can use. Use --device cpu or auto.")
    return torch.device(name)


def _load(config: Config) -> Data:
    if not config.data.source:
        raise RunError("This run was trained on data given from Python. Give them again (data=), or name a source.")
    return load_data(**config.data.model_dump())


def prepare(
    recipe: str, over: Mapping[str, Any], data: Data | None = None, origin: str = "settings"
) -> tuple[Config, Data]:
    """Loads the data that the settings name and resolves the recipe for them.

    Args:
        recipe: A recipe by name.
        over: The user's settings by section.
        data: Data already loaded, instead of ``data.source``.
        origin: Where the settings came from, for error messages.
    Raises:
        ConfigError: if a setting is unknown or has a wrong value.
        DataError: if the data cannot be read.
    """
    require_recipe(recipe)
    if data is None:
        data = load_data(**(_data_settings(over, origin) | {"binarize": "none"}))
    else:
        told = set(over.get("data") or {}) - {"binarize"}
        if told:
            raise ConfigError(f"{origin}: data.{min(told)}: the data are given already. Pass it to load_data instead.")
        over = merged({"data": {"source": FROM_PYTHON, **data.origin}}, over)
    config = resolve(recipe, data, over, origin)
    return config, load_data(data, binarize=config.data.binarize)


def _data_settings(over: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """The data settings, checked before the recipe is known in full."""
    stub = {"recipe": "vae", "data": over.get("data") or {}, "model": None, "objective": "elbo"}
    return parse_config(stub, origin).data.model_dump()


def train(
    recipe: str = "vae",
    over: Mapping[str, Any] | None = None,
    *,
    out: Path | str | None = None,
    data: Data | None = None,
    device: str = "auto",
    progress: Progressed | None = None,
    origin: str = "settings",
) -> Run:
    """Trains a recipe.

    Args:
        recipe: A recipe by name.
        over: The user's settings by section, as in config.yaml: ``{"model": {"latent_dim": 8}}``.
        out: The run folder; None keeps the run in memory.
        data: Data already loaded, instead of ``data.source``.
        device: auto, cpu, cuda or mps.
        progress: Called with each row of metrics and the total number of steps.
        origin: Where the settings came from, for error messages.
    Raises:
        ReparamError: with one sentence, for whatever is wrong.
    """
    chosen = choose_device(device)
    config, data = prepare(recipe, over or {}, data, origin)
    assert config.model is not None
    with seeded(config.seed, "build"):
        model = build_model(config.model, data.spec).to(chosen)
    assert config.objective is not None
    return _train(model, data.to(chosen), build_part("objective", config.objective, {}), config, out, progress)


def fit(
    model: VAE,
    data: Data,
    objective: Objective | None = None,
    *,
    out: Path | str | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progressed | None = None,
    **settings: Any,
) -> Run:
    """Trains a model that was put together by hand.

    Args:
        model: Any model that fills a Trace; trained in place.
        data: From :func:`~reparam.load_data`; grey values are binarised afresh in each epoch where the model needs it.
        objective: The ELBO when None.
        out: The run folder; None keeps the run in memory.
        seed: Every draw follows from it.
        device: auto, cpu, cuda or mps.
        progress: Called with each row of metrics and the total number of steps.
        **settings: Fields of :class:`~reparam.training.TrainSettings`, such as ``epochs=20``.
    Raises:
        ConfigError: if a setting is unknown or has a wrong value.
    """
    chosen = choose_device(device)
    objective = objective or ELBO()
    known = {field.name for field in fields(TrainSettings)}
    for name in settings:
        if name not in known:
            raise ConfigError(f"fit: there is no setting {name!r}. {nearest(name, known)}")
    if model.binary and data.spec.effective_kind in ("levels", "unit"):
        data = data.binarized("dynamic")
    origin = {"source": FROM_PYTHON, **data.origin, "binarize": data.spec.binarize}
    config = _config_by_hand(origin, _described(objective), settings, seed)
    if config.train.epochs is None and config.train.max_minutes is None:
        epochs = default_epochs(len(data.train), config.train.batch_size)
        config = config.model_copy(update={"train": replace(config.train, epochs=epochs)})
    return _train(model.to(chosen), data.to(chosen), objective, config, out, progress)


def _config_by_hand(
    data: Mapping[str, Any], objective: Mapping[str, Any] | None, settings: Mapping[str, Any], seed: int
) -> Config:
    """The configuration of a model that no recipe made."""
    values = {
        "recipe": "custom",
        "data": data,
        "model": None,
        "objective": objective,
        "train": settings,
        "seed": seed,
    }
    return parse_config(values, "fit")


def _described(objective: Objective) -> dict[str, Any] | None:
    try:
        return describe(objective, "objective")
    except PartError:
        return None


def _train(
    model: VAE, data: Data, objective: Objective, config: Config, out: Path | str | None, progress: Progressed | None
) -> Run:
    folder = Path(out) if out is not None else None
    if folder is not None:
        describe(model, "model")  # a model that cannot be saved is refused before it is trained
        _start_folder(folder, config)
    trainer = _trainer(model, data, objective, config, folder, progress)
    return _finish(trainer, trainer.run(), data, config)


def _start_folder(folder: Path, config: Config) -> None:
    if (folder / "config.yaml").exists() and any((folder / part).exists() for part in ("model", "checkpoints")):
        raise RunError(f"{folder} already holds a run. Go on with 'reparam resume {folder}', or give another --out.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "config.yaml", config.to_yaml())
    except OSError as error:
        raise RunError(f"The run folder {folder} cannot be written: {error.strerror}. Give another --out.") from None


class _Keeper:
    """Keeps the best model in memory and, where there is a run folder, on disk."""

    def __init__(self, model: VAE, spec: DataSpec, folder: Path | None) -> None:
        self.model, self.spec, self.folder = model, spec, folder
        self.best: dict[str, torch.Tensor] | None = None

    def __call__(self) -> None:
        self.best = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        if self.folder is not None:
            store.save(self.model, self.folder / "model", self.spec)
            (self.folder / "evaluation.json").unlink(missing_ok=True)  # it judged an earlier model


def _trainer(
    model: VAE, data: Data, objective: Objective, config: Config, folder: Path | None, progress: Progressed | None
) -> Trainer:
    keeper = _Keeper(model, data.spec, folder)
    objective.to(data.train.stored.device)
    return Trainer(
        model, data, objective, config.train, seed=config.seed, folder=folder, keep=keeper, progress=progress
    )


def _finish(trainer: Trainer, outcome: Outcome, data: Data, config: Config) -> Run:
    keeper = trainer.keep
    model = trainer.model
    if isinstance(keeper, _Keeper) and keeper.best is not None:
        model.load_state_dict(keeper.best)
    elif trainer.folder is not None:
        model.load_state_dict(store.load(trainer.folder).state_dict())
    model.eval()
    return Run(trainer.folder, model, data.spec, config, outcome.metrics, data)  # type: ignore[arg-type]


def resume(
    folder: Path | str,
    *,
    epochs: int | None = None,
    max_minutes: float | None = None,
    data: Data | None = None,
    objective: Objective | None = None,
    device: str = "auto",
    progress: Progressed | None = None,
) -> Run:
    """Goes on with a run that was killed, ran out of time, or shall have more epochs.

    Args:
        folder: The run folder.
        epochs: A new total number of epochs.
        max_minutes: More minutes from here on.
        data: The run's data, where they were given from Python and have no source to load again.
        objective: The run's objective, where it is none of reparam's own.
        device: auto, cpu, cuda or mps.
        progress: Called with each row of metrics and the total number of steps.
    Raises:
        RunNotFoundError: if there is no run.
        RunError: if it has no checkpoint that can be read.
    """
    folder, chosen = Path(folder), choose_device(device)
    config = _read_config(folder)
    if epochs is not None or max_minutes is not None:
        longer = {"train": {"epochs": epochs, "max_minutes": max_minutes}}
        config = parse_config(merged(config.model_dump(mode="json"), longer), "resume")
    if objective is None:
        objective = _rebuilt_objective(config, folder)
    data = _load(config) if data is None else load_data(data, binarize=config.data.binarize)
    data = data.to(chosen)
    model = store.load(folder, chosen)
    trainer = _trainer(model, data, objective, config, folder, progress)
    _write(folder / "config.yaml", config.to_yaml())
    return _finish(trainer, trainer.run(resume=True, replan=max_minutes is not None), data, config)


def _rebuilt_objective(config: Config, folder: Path) -> Objective:
    if config.objective is None:
        raise RunError(
            f"{folder} was trained by an objective of your own. Go on with reparam.resume(..., objective=...)."
        )
    objective: Objective = build_part("objective", config.objective, {})
    return objective


def _read_config(folder: Path) -> Config:
    path = folder / "config.yaml"
    if not path.exists():
        raise RunNotFoundError(f"{folder} is no run folder (there is no config.yaml in it).")
    return parse_config(read_yaml(path), str(path))


def open_run(path: Path | str, device: str = "auto") -> Run:
    """A run from its folder, or from its model folder, to judge and use its model.

    A model folder that lies in no run (from :func:`reparam.save`) gives a run without a folder: nothing is written.

    Raises:
        RunNotFoundError: if there is no run, or it has no model yet.
        RunError: if the model does not say what its data are.
    """
    folder = Path(path)
    model, spec = store.load_with_spec(folder, choose_device(device))
    if spec is None:
        raise RunError(f"{folder}: its model does not say what its data are. Save it with its spec.")
    if not (folder / "config.yaml").exists() and folder.name == "model" and (folder.parent / "config.yaml").exists():
        folder = folder.parent
    if (folder / "config.yaml").exists():
        return Run(folder, model, spec, _read_config(folder), read_metrics(folder))
    named = {"source": spec.name, "binarize": spec.binarize}
    return Run(None, model, spec, _config_by_hand(named, {"kind": "elbo"}, {}, 0), [])
