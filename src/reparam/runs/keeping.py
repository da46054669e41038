"""From a run's model, data, objective and settings to what trains it, and from there to the run."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from reparam import processes, store
from reparam.composing import describe
from reparam.config import Config
from reparam.data import Data, DataSpec
from reparam.errors import PartError, RefusedError
from reparam.models import Autoencoder
from reparam.objectives import AnyObjective
from reparam.recipes import Built, parts_of
from reparam.runs.film import Film
from reparam.runs.record import Run
from reparam.training import Trainer
from reparam.training.log import Row

Progressed = Callable[[Row, int], object]
Described = dict[str, Any] | None


@contextmanager
def learning() -> Iterator[None]:
    """Keeps gradients for a block, also where the caller keeps none.

    Raises:
        RefusedError: where the caller's tensors can have none.
    """
    if torch.is_inference_mode_enabled():
        raise RefusedError("Within torch.inference_mode() nothing can be trained. Call this outside of it.")
    with torch.enable_grad():
        yield


class Keeper:
    """Keeps the best model in memory and, where there is a run folder, on disk."""

    def __init__(
        self, model: Autoencoder, spec: DataSpec, folder: Path | None, film: Film | None, described: Described
    ) -> None:
        self.model, self.spec, self.folder, self.film, self.described = model, spec, folder, film, described
        self.step: Callable[[], int] = int
        self.best: dict[str, torch.Tensor] | None = None

    def __call__(self) -> None:
        self.best = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        if self.folder is not None:
            store.keep(self.model, self.folder / "model", self.spec, self.described)
            (self.folder / "evaluation.json").unlink(missing_ok=True)  # it judged an earlier model
        if self.film is not None:
            self.film.keep(self.step())


def trainer_of(
    model: Autoencoder,
    data: Data,
    objective: AnyObjective,
    config: Config,
    folder: Path | None,
    progress: Progressed,
) -> Trainer:
    """What trains a model of a run, and keeps its best weights.

    Raises:
        RefusedError: if the objective asks for codes that the model has not.
        PartError: if there is no weight to move.
    """
    if not getattr(model, "class_names", ()) or "labels" not in getattr(model, "tellable", ()):
        model.class_names = data.spec.class_names
    plays = getattr(objective, "judged_by", "elbo") is None
    if not model.amortized and not plays:
        raise RefusedError(
            f"{type(objective).__name__} reads codes of examples, and a {type(model).__name__} has no encoder that "
            "gives them. Take the objective 'gan' or, with classes, 'feature-matching'."
        )
    writes = processes.current().writes
    own = folder if writes else None
    film = Film(model, data, own) if own and plays else None
    told = _description(model) if folder else None
    model.built = None  # of an objective of one's own nothing is kept
    if config.objective is not None:
        model.built = Built.of(config, told or parts_of(model))
    keeper = Keeper(model, data.spec, own, film, told)
    objective.to(data.train.device)
    trainer = Trainer(
        model,
        data,
        objective,
        config.train,
        seed=config.seed,
        folder=folder,
        keep=keeper,
        progress=progress,
        about={"model": told, "data": asdict(data.spec), "frozen": _frozen(model)} if folder else None,
    )
    keeper.step = lambda: trainer.state.step
    if not any(weight.requires_grad for player in trainer.players for weight in player.parameters):
        raise PartError(
            f"{type(model).__name__}: all of its weights are frozen, so there is nothing to train. Free some: "
            "model.decoder.requires_grad_(True)."
        )
    return trainer


def _frozen(model: Autoencoder) -> list[str]:
    """Names of the weights that no training moves."""
    return [name for name, weight in model.named_parameters() if not weight.requires_grad]


def _description(model: Autoencoder) -> Described:
    """What the folder of a run says of its model; None, with a warning, where nobody could build it again from that."""
    try:
        return describe(model, "model")
    except PartError as error:
        if processes.current().writes:
            warnings.warn(
                f"{error} The run folder keeps its weights alone: reparam.load(folder, into=model) reads them, and "
                "reparam.resume(folder, model=model) goes on.",
                stacklevel=6,
            )
        return None


def completed(trainer: Trainer, data: Data, config: Config, **how: bool) -> Run:
    """Trains, and gives the run with the best weights in its model; these are there, too, where Ctrl-C stopped it.

    Args:
        trainer: From :func:`trainer_of`.
        data: What it trains on.
        config: The run's.
        **how: As :meth:`~reparam.training.Trainer.run` takes them.
    """
    try:
        outcome = trainer.run(**how)
    except KeyboardInterrupt:
        _put_back(trainer)
        raise
    _put_back(trainer)
    folder = trainer.folder if trainer.processes.writes else None
    trained = getattr(trainer.given[1], "trains_likelihood", True)
    return Run(folder, trainer.given[0], data.spec, config, outcome.metrics, data, likelihood_trained=trained)


def _put_back(trainer: Trainer) -> None:
    """Gives the model the best weights, of this training or of before it, as far as there are some, and eval mode."""
    model, best = trainer.given[0], getattr(trainer.keep, "best", None)
    if best is not None:
        model.load_state_dict(best)
    elif trainer.folder is not None and (trainer.folder / "model").is_dir():
        store.load_weights(model, store.model_folder(trainer.folder))
    model.eval()
