"""Training into a folder or in memory, and going on with it."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from reparam import store
from reparam.arguments import checked
from reparam.composing import build_model, build_objective, rebuild
from reparam.config import Config, merged, parse_config
from reparam.data import Data, load_data
from reparam.errors import ConfigError, RunError, nearest
from reparam.files import locked
from reparam.launch import speaks
from reparam.models import Autoencoder
from reparam.objectives import ELBO, AnyObjective
from reparam.processes import Processes, joined
from reparam.reading import shown
from reparam.recipes import BY_HAND, default_epochs, parts_of
from reparam.rng import seeded
from reparam.runs.keeping import Progressed, completed, learning, trainer_of
from reparam.runs.record import Run
from reparam.runs.settings import (
    changed,
    choose_device,
    config_of,
    described,
    own_data,
    prepare,
    read_config,
    require_more,
    told_by_names,
    write_text,
)
from reparam.showing import training_shown
from reparam.training import TrainSettings, about, has_checkpoints
from reparam.trust import trusting

EXAMPLES = 2_000  # shown to parts that begin from data
Given = tuple[Autoencoder | None, AnyObjective | None]


@checked
def train(
    recipe: str = "vae",
    over: Mapping[str, Any] | None = None,
    *,
    out: Path | str | None = None,
    data: Any = None,
    device: str | torch.device = "auto",
    progress: Progressed | bool | None = None,
    loaded: Callable[[Data], None] | None = None,
    origin: str = "settings",
    trust_code: bool = False,
) -> Run:
    """Trains a recipe.

    Args:
        recipe: A recipe by name.
        over: The user's settings by section, as in config.yaml: ``{"model": {"latent_dim": 8}}``.
        out: The run folder; None keeps the run in memory.
        data: Data, or anything :func:`~reparam.load_data` reads, instead of ``data.source``.
        device: auto, cpu, cuda (or one of several, cuda:1) or mps.
        progress: Called with each row of metrics and the total number of steps; where it returns True, the training
            stops, and gives the run of what there is. When None a terminal or a notebook shows how far the training has
            come; False shows nothing.
        loaded: Called with the data before the training begins.
        origin: Where the settings came from, for error messages.
        trust_code: Whether parts that do not come with reparam may be imported, where a kind is their import path,
            ``package.module:Class``.
    Raises:
        ReparamError: with one sentence, for whatever is wrong.
    """
    chosen = choose_device(device)
    with trusting(trust_code):
        config, data = prepare(recipe, over or {}, data, origin)
        model, objective = _built(config, data)
    if loaded is not None:
        loaded(data)
    return _train(model.to(chosen), data.to(chosen), objective, config, out, progress)


def _built(config: Config, data: Data) -> tuple[Autoencoder, AnyObjective]:
    """The model with its first weights, and its objective."""
    assert config.model is not None
    with seeded(config.seed, "build"):
        model = build_model(config.model, data.spec)
    _start(model, told_by_names(model, data), config.seed)
    assert config.objective is not None
    return model, build_objective(config.objective, model, config.seed)


def _start(model: Autoencoder, data: Data, seed: int) -> None:
    """Shows some training examples to the parts that begin from data."""
    if model.starts:
        with seeded(seed, "start"):
            shown = data.train.subset(EXAMPLES, seed).batch(slice(None))
            model.start(shown.x.cpu(), **{name: v.cpu() for name, v in shown.pick(model.conditions).items()})


@checked
def fit(
    model: Autoencoder,
    data: Any,
    objective: AnyObjective | str | Mapping[str, Any] | None = None,
    *,
    out: Path | str | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
    progress: Progressed | bool | None = None,
    trust_code: bool = False,
    **settings: Any,
) -> Run:
    """Trains a model that was put together by hand, or by :func:`reparam.build`.

    Args:
        model: Any model that fills a Trace; trained in place.
        data: Data, or anything :func:`~reparam.load_data` reads; grey values are binarised afresh in each epoch where
            the model needs it. A model that is told classes finds them by name.
        objective: An objective; or its name, or ``{"kind": name, ...}`` with its settings, as in config.yaml. When None
            that of the model's last training (if its objective was not one of your own) or of the recipe that built
            it, or else the ELBO.
        out: The run folder; None keeps the run in memory.
        seed: Every draw follows from it.
        device: auto, cpu, cuda (or one of several, cuda:1) or mps.
        progress: Called with each row of metrics and the total number of steps; where it returns True, the training
            stops, and gives the run of what there is. When None a terminal or a notebook shows how far the training has
            come; False shows nothing.
        trust_code: Whether an objective named by its import path may be imported.
        **settings: Fields of :class:`~reparam.training.TrainSettings`, such as ``epochs=20``; the others but the length
            are those of the model's last training or of the recipe that built it, or else the defaults there.
    Raises:
        ConfigError: if a setting is unknown or has a wrong value.
        DataError: if the data cannot be read, or a class of theirs is none of the model's.
        RefusedError: if the model must be told each label, and some are not known.
    """
    chosen, data = choose_device(device), load_data(data)
    known = {field.name for field in fields(TrainSettings)}
    for name in settings:
        if name not in known:
            raise ConfigError(f"fit: there is no setting {name!r}. {nearest(name, known)}")
    if model.binary and data.spec.effective_kind in ("levels", "unit"):
        data = data.binarized("dynamic")
    built = getattr(model, "built", None)
    trust_code = trust_code or (built is not None and built.trust_code)
    if objective is None and built is None:
        objective = ELBO()
    if isinstance(objective, nn.Module) and hasattr(objective, "players"):
        own, told = objective, described(objective)
        config = config_of(model, data, told, settings, seed)
        config = config if told else config.model_copy(update={"recipe": BY_HAND, "objective": None})
    elif objective is None or isinstance(objective, str | Mapping):
        with trusting(trust_code):
            config = config_of(model, data, objective, settings, seed)
            assert config.objective is not None
            own = build_objective(config.objective, model, seed)
    else:
        raise ConfigError(f"fit: objective is {shown(objective)}, expected an objective such as ELBO(), or its name.")
    if config.train.epochs is None and config.train.max_minutes is None:
        epochs = default_epochs(len(data.train), config.train.batch_size)
        config = config.model_copy(update={"train": replace(config.train, epochs=epochs)})
    data = told_by_names(model, data)
    _start(model.cpu(), data, seed)
    with trusting(trust_code):
        run = _train(model.to(chosen), data.to(chosen), own, config, out, progress)
    if run.ending and speaks():
        warnings.warn(run.ending, stacklevel=3)
    return run


def _train(
    model: Autoencoder,
    data: Data,
    objective: AnyObjective,
    config: Config,
    out: Path | str | None,
    progress: Progressed | bool | None,
) -> Run:
    folder = Path(out) if out is not None else None
    with learning(), joined(data.train.device) as group, _alone_in(folder, group):
        if folder is not None and group.writes:
            _start_folder(folder, config)
        with training_shown(progress, folder) as told:
            return completed(trainer_of(model, data, objective, config, folder, told), data, config)


@contextmanager
def _alone_in(folder: Path | None, group: Processes) -> Iterator[None]:
    """Keeps other trainings out of the folder, which is made if it is not there."""
    if folder is None or not group.writes:
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"The run folder {folder} cannot be written: {error.strerror}. Give another --out.") from None
    with locked(folder):
        yield


def _start_folder(folder: Path, config: Config) -> None:
    if (folder / "config.yaml").exists() and any((folder / part).exists() for part in ("model", "checkpoints")):
        raise RunError(f"{folder} already holds a run. Go on with 'reparam resume {folder}', or give another --out.")
    try:
        write_text(folder / "config.yaml", config.to_yaml())
    except OSError as error:
        raise RunError(f"The run folder {folder} cannot be written: {error.strerror}. Give another --out.") from None


@checked
def resume(
    folder: Path | str,
    over: Mapping[str, Any] | None = None,
    *,
    epochs: int | None = None,
    max_minutes: float | None = None,
    data: Any = None,
    objective: AnyObjective | None = None,
    model: Autoencoder | None = None,
    device: str | torch.device = "auto",
    progress: Progressed | bool | None = None,
    origin: str = "resume",
    trust_code: bool = False,
) -> Run:
    """Goes on with a run that was killed, ran out of time, met a number that is not finite, or shall have more epochs.

    Args:
        folder: The run folder.
        over: Settings to go on with, by section: ``{"train": {"learning_rate": 1e-3}}``. The weights that come of them
            are no longer those of the settings that the run began with. Only what leaves the meaning of a checkpoint
            alone may change: of ``train`` learning_rate, clip, weight_decay, skip_nonfinite, patience,
            checkpoint_seconds, precision, compile, shard and tensorboard.
        epochs: A new total number of epochs.
        max_minutes: More minutes from here on.
        data: Where the run's data are now, where they were moved or given from Python; anything that ``load_data``
            reads.
        objective: The run's objective, where it is none of reparam's own.
        model: The run's model, where it cannot be built from the folder; it is trained in place.
        device: auto, cpu, cuda (or one of several, cuda:1) or mps.
        progress: Called with each row of metrics and the total number of steps; where it returns True, the training
            stops, and gives the run of what there is. When None a terminal or a notebook shows how far the training has
            come; False shows nothing.
        origin: Where the settings came from, for error messages.
        trust_code: Whether classes that do not come with reparam may be imported, see :func:`reparam.load`.
    Raises:
        RunNotFoundError: if there is no run.
        RunError: if it has no checkpoint that can be read, or needs code that is not trusted.
        ConfigError: if the objective is another one than the run's, or a setting is wrong or may not change.
        DataError: if the data are not there, or others than the run's.
    """
    folder, chosen = Path(folder), choose_device(device)
    with trusting(trust_code):
        config = read_config(folder)
        config = changed(config, over or {}, origin)
        if epochs is not None or max_minutes is not None:
            longer = {"train": {"epochs": epochs, "max_minutes": max_minutes}}
            config = parse_config(merged(config.model_dump(mode="json"), longer), "resume")
        data = own_data(config, store.spec_of(about(folder).get("data")), data)
        if config.data.source != data.origin.get("source", config.data.source):  # where they are from now on
            moved = {"data": {name: data.origin[name] for name in ("source", "stream")}}
            config = parse_config(merged(config.model_dump(mode="json"), moved), "resume")
        model, found = _begun(folder, config, data, (model, objective))
    if epochs is not None:
        require_more(folder, epochs)
    with learning(), joined(chosen) as group, _alone_in(folder, group):
        data, begun = data.to(chosen), has_checkpoints(folder)
        with training_shown(progress, folder) as told:
            trainer = trainer_of(model.to(chosen), data, found, config, folder, told)
            if group.writes:
                write_text(folder / "config.yaml", config.to_yaml())
            return completed(trainer, data, config, resume=begun, replan=max_minutes is not None)


def _begun(folder: Path, config: Config, data: Data, given: Given) -> tuple[Autoencoder, AnyObjective]:
    """The model and the objective of a run that was begun; as at the first step where it was killed before that.

    Raises:
        RunError: if nothing can be made from what is there.
        ConfigError: if the objective that is given is another one than the run's.
    """
    kept, (model, objective) = about(folder), given
    if "model" in kept:
        if model is None:
            if kept["model"] is None:
                raise RunError(f"{folder}: the model cannot be built again. Go on with reparam.resume(..., model=...).")
            with seeded("rebuild"):  # the weights come from the checkpoint
                model = rebuild(kept["model"], "model")
        elif kept["model"] is not None and parts_of(model) != kept["model"]:
            raise ConfigError(f"resume: the model is another one than that of {folder}. Leave it out.")
        for name, weight in model.named_parameters():
            weight.requires_grad_(name not in kept.get("frozen", ()))
        return model, _own_objective(config, folder, model, objective)
    if has_checkpoints(folder) or (folder / "model").exists() or config.model is None:
        raise RunError(f"There is no readable checkpoint in {folder}; start the training again.")
    return _built(config, data)


def _own_objective(config: Config, folder: Path, model: Autoencoder, given: AnyObjective | None) -> AnyObjective:
    """The objective of a run: as its folder says, or, where it does not, the given one.

    Raises:
        RunError: if neither is there.
        ConfigError: if the folder says another one.
    """
    if config.objective is None:
        if given is None:
            raise RunError(
                f"{folder} was trained by an objective of your own. Go on with reparam.resume(..., objective=...)."
            )
        return given
    own = build_objective(config.objective, model, config.seed)
    if given is not None and described(given) != described(own):
        raise ConfigError(
            f"resume: {folder} was trained by another objective ({config.objective.kind}, see its config.yaml) than "
            "the one given. Leave it out, or train anew."
        )
    return own if given is None else given
