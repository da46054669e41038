"""The training loop. It knows players, never what they are: one step lets each player play once."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from reparam.data import Batch, Data, Split
from reparam.errors import NotFiniteError, RunError
from reparam.rng import counted_seed, generator, seeded
from reparam.threads import fastest_threads, threads
from reparam.trace import Bound, Playable, Player, Progress
from reparam.training.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from reparam.training.ema import EMA
from reparam.training.log import MetricsLog, Row
from reparam.training.optim import flatten_state, make_optimizer, rate_factor, restore_state
from reparam.training.settings import TrainSettings

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
LOGS_PER_TRAINING = 200


@dataclass(frozen=True)
class Outcome:
    """How a training ended."""

    steps: int
    best_elbo: float
    stopped_early: bool
    metrics: list[Row]


@dataclass
class _State:
    """What changes during training, beside tensors; ``threads`` is 0 where their number was not measured."""

    step: int = 0
    total_steps: int = 0
    planned_steps: int = 0
    best_elbo: float = -math.inf
    stale: int = 0
    halvings: int = 0
    seconds: float = 0.0
    threads: int = 0


class Trainer:
    """Trains a model by an objective on data that stay on one device.

    Args:
        model: Filled with trained (averaged) weights of the best validation by ``keep``.
        data: Train and validation splits are used.
        objective: Names the players.
        settings: How to train; ``epochs`` or ``max_minutes`` must say how long.
        seed: Every draw follows from it and the step.
        folder: Where metrics and checkpoints go; None keeps them in memory.
        keep: Called whenever validation finds the best ELBO so far, with the averaged weights in the model.
        progress: Called with each new row and the total number of steps.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Data,
        objective: Playable,
        settings: TrainSettings,
        *,
        seed: int = 0,
        folder: Path | None = None,
        keep: Callable[[], None] | None = None,
        progress: Callable[[Row, int], None] | None = None,
    ) -> None:
        if settings.epochs is None and settings.max_minutes is None:
            raise RunError("The training has no end: give epochs or max_minutes.")
        self.model, self.objective, self.settings, self.seed = model, objective, settings, seed
        self.folder, self.progress = folder, progress or (lambda row, total: None)
        self.keep = keep or (lambda: None)
        self.device = data.train.stored.device
        self.train = data.train
        self.validation = data.validation.fixed(seed, "validation").subset(settings.validation_limit, seed)
        self.batch_size = min(settings.batch_size, len(self.train))
        self.steps_per_epoch = max(1, len(self.train) // self.batch_size)
        self.players: tuple[Player, ...] = objective.players(model)
        self.optimizers = [make_optimizer(player, settings) for player in self.players]
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=settings.precision == "float16")
        self.ema = EMA(model, settings.ema) if settings.ema else None
        self.state = _State()
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    def run(self, resume: bool = False, replan: bool = False) -> Outcome:
        """Trains to the end, from the start or from the newest checkpoint.

        Args:
            resume: Go on from the newest checkpoint.
            replan: Count ``max_minutes`` from the checkpoint on, instead of keeping the number of steps it was given.
        Raises:
            NotFiniteError: if a term becomes NaN or infinite; checkpoints and the best model stay.
            RunError: if a checkpoint cannot be written, or there is none to go on from.
        """
        with seeded(self.seed, "training"), self._modes():
            if resume:
                self._restore(replan)
            else:
                self.state.planned_steps = self.state.total_steps = self._plan()
            log = MetricsLog(self.folder, self.state.step, self.settings.tensorboard)
            try:
                with threads(self.state.threads or torch.get_num_threads()):
                    stopped_early = self._steps(log)
            finally:
                log.close()
        return Outcome(self.state.step, self.state.best_elbo, stopped_early, log.rows)

    @contextmanager
    def _modes(self) -> Iterator[None]:
        """Training mode for a block; the modes found before come back after it."""
        found = self.model.training, self.objective.training
        self.model.train()
        self.objective.train()
        try:
            yield
        finally:
            self.model.train(found[0])
            self.objective.train(found[1])

    def take_steps(self, count: int) -> dict[str, float]:
        """Takes some steps without logging, validating or saving; returns the means of their terms."""
        sums = _Sums()
        with seeded(self.seed, "training"), self._modes():
            for _ in range(count):
                self._step(sums)
                self.state.step += 1
        return sums.means()

    def _steps(self, log: MetricsLog) -> bool:
        state, total = self.state, self.state.total_steps
        every_log = max(1, total // LOGS_PER_TRAINING)
        every_validation = math.ceil(total / self.settings.validations)
        started, sums, since = time.perf_counter() - state.seconds, _Sums(), state.step
        lap = time.perf_counter()
        while state.step < total:
            rate = self._step(sums)
            state.step += 1
            state.seconds = time.perf_counter() - started
            judged = state.step % every_validation == 0 or state.step == total
            if state.step % every_log == 0 or judged:  # nothing is left in the sums when a checkpoint is written
                speed = (state.step - since) * self.batch_size / max(1e-9, time.perf_counter() - lap)
                self._report(log, "train", sums.means() | {"learning_rate": rate, "samples_per_s": speed})
                sums, since, lap = _Sums(), state.step, time.perf_counter()
            if judged:
                self._validate(log)
                self._save()
                if self.settings.patience is not None and state.stale >= self.settings.patience:
                    return True
                lap = time.perf_counter()
        return False

    def _report(self, log: MetricsLog, split: str, values: dict[str, float]) -> None:
        epoch = self.state.step / self.steps_per_epoch
        row: Row = {"step": self.state.step, "epoch": round(epoch, 3), "split": split}
        row |= values | {"wall_s": round(self.state.seconds, 3)}
        log.write(row)
        self.progress(row, self.state.total_steps)

    def _step(self, sums: "_Sums") -> float:
        """Lets each player play once on the next batch; returns the learning rate."""
        state = self.state
        progress = Progress(state.step, state.total_steps, state.planned_steps)
        rate = self.settings.learning_rate * rate_factor(self.settings, progress, state.halvings)
        _seed_draws(self.device, counted_seed(self.seed, "step", state.step))
        batch = self._batch(state.step)
        for player, optimizer in zip(self.players, self.optimizers, strict=True):
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
            with self._autocast():
                bound = player.play(batch, progress)
                loss = bound.loss
            self._require_finite(player, bound, loss)
            self.scaler.scale(loss).backward()
            if self.settings.clip is not None:
                self.scaler.unscale_(optimizer)
                torch.nn.utils.clip_grad_norm_(player.parameters, self.settings.clip)
            self.scaler.step(optimizer)
            sums.add(bound, loss)
        self.scaler.update()
        if self.ema:
            self.ema.update(state.step + 1)
        return rate

    def _batch(self, step: int) -> Batch:
        """The batch of a step: each epoch has an order of its own, drawn from the seed and the epoch's number."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if self._order[0] != epoch:
            order = torch.randperm(len(self.train), generator=generator(self.seed, "epoch", epoch))
            self._order = (epoch, order.to(self.device))
        return self.train.batch(self._order[1][position * self.batch_size : (position + 1) * self.batch_size])

    def _autocast(self) -> AbstractContextManager[object]:
        if self.settings.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, DTYPES[self.settings.precision])

    def _require_finite(self, player: Player, bound: Bound, loss: Tensor) -> None:
        if self.device.type == "cpu" and not math.isfinite(loss.item()):
            bad = [name for name, values in bound.terms.items() if not values.isfinite().all()]
            names = f" ({', '.join(bad)})" if bad else ""
            raise NotFiniteError(
                f"Step {self.state.step}: the loss of player {player.name!r} is {loss.item()}{names}. "
                "Lower train.learning_rate or train.clip; what was saved before stays."
            )

    def _validate(self, log: MetricsLog) -> None:
        values = self._judge(self.validation)
        self._report(log, "validation", values)
        state = self.state
        if values["elbo"] > state.best_elbo:
            state.best_elbo, state.stale = values["elbo"], 0
            with self._averaged():
                self.keep()
            return
        state.stale += 1
        if state.stale % self.settings.plateau_patience == 0:
            state.halvings += 1

    @torch.no_grad()
    def _judge(self, split: Split) -> dict[str, float]:
        """Mean terms over a split, with the averaged weights and the objective at its final weights."""
        sums = _Sums()
        with self._averaged(), seeded(self.seed, "judge"), self._evaluating():
            for batch in split.batches(max(self.batch_size, 250)):
                bound = self.objective(self.model, batch, Progress())
                sums.add(bound, bound.loss, len(batch))
        means = sums.means()
        if not math.isfinite(means["elbo"]):
            raise NotFiniteError(
                f"Step {self.state.step}: the validation ELBO is {means['elbo']}. Lower train.learning_rate."
            )
        return means

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        self.model.eval()
        try:
            yield
        finally:
            self.model.train()

    def _averaged(self) -> AbstractContextManager[None]:
        return self.ema.applied() if self.ema else nullcontext()

    def _plan(self) -> int:
        """The last step: of the epochs, of what fits into the minutes from here on, or the smaller of the two."""
        settings = self.settings
        by_epochs = settings.epochs * self.steps_per_epoch if settings.epochs else None
        if settings.max_minutes is None:
            assert by_epochs is not None
            return by_epochs
        by_time = self.state.step + self._steps_within(60 * settings.max_minutes)
        return min(by_epochs, by_time) if by_epochs else by_time

    def _steps_within(self, seconds: float) -> int:
        """Measures steps on the side, takes them back, and counts how many fit into the time."""
        before = self._checkpoint()
        started = time.perf_counter()
        self.state.total_steps = 10**6
        count = fastest_threads(lambda: self.take_steps(3)) if self.device.type == "cpu" else 0
        with threads(count or torch.get_num_threads()):
            per_step = self._seconds_per_step(min(20.0, 0.02 * seconds))
            lap = time.perf_counter()
            self._judge(self.validation)
            for_validations = (time.perf_counter() - lap) * self.settings.validations
        self._take_back(before)
        self.state.threads = count
        self.optimizers = [make_optimizer(player, settings=self.settings) for player in self.players]
        left = 0.98 * seconds - for_validations - (time.perf_counter() - started)
        return max(1, int(left / per_step))

    def _seconds_per_step(self, seconds: float) -> float:
        """Time of one step, the mean over this many seconds and at least five steps."""
        started, count = time.perf_counter(), 0
        while count < 5 or time.perf_counter() - started < seconds:
            self.take_steps(1)
            count += 1
        return (time.perf_counter() - started) / count

    def _checkpoint(self) -> Checkpoint:
        weights = {f"model.{k}": v.clone() for k, v in self.model.state_dict().items()}
        weights |= {f"objective.{k}": v.clone() for k, v in self.objective.state_dict().items()}
        tensors = {"weights": weights, "optimizer": flatten_state(self.optimizers)}
        if self.ema:
            tensors["ema"] = {name: tensor.clone() for name, tensor in self.ema.state().items()}
        return Checkpoint(tensors, dict(vars(self.state)) | {"scaler": self.scaler.state_dict()})

    def _save(self) -> None:
        if self.folder:
            save_checkpoint(self.folder, self.state.step, self._checkpoint())

    def _take_back(self, checkpoint: Checkpoint) -> None:
        for prefix, module in (("model.", self.model), ("objective.", self.objective)):
            weights = checkpoint.tensors["weights"].items()
            module.load_state_dict({k.removeprefix(prefix): v for k, v in weights if k.startswith(prefix)})
        if self.ema:
            self.ema.load(checkpoint.tensors["ema"])
        state = dict(checkpoint.state)
        self.scaler.load_state_dict(state.pop("scaler"))
        self.state = _State(**state)

    def _restore(self, replan: bool) -> None:
        checkpoint = newest_checkpoint(self.folder, self.device) if self.folder else None
        if checkpoint is None:
            raise RunError(f"There is no readable checkpoint in {self.folder}; start the training again.")
        self._take_back(checkpoint)
        if replan or self.settings.max_minutes is None:
            self.state.total_steps = self._plan()
            self.state.stale = 0
        restore_state(self.optimizers, checkpoint.tensors.get("optimizer", {}))


class _Sums:
    """Sums terms over batches on the device; read once, when a row is written."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.weights: dict[str, int] = {}

    @torch.no_grad()
    def add(self, bound: Bound, loss: Tensor, weight: int = 1) -> None:
        for name, value in (*((n, v.mean()) for n, v in bound.terms.items()), ("loss", loss.detach())):
            self.sums[name] = self.sums.get(name, 0.0) + weight * value
            self.weights[name] = self.weights.get(name, 0) + weight

    def means(self) -> dict[str, float]:
        return {name: (value / self.weights[name]).item() for name, value in self.sums.items()}


def _seed_draws(device: torch.device, seed: int) -> None:
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
