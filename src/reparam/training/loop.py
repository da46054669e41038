"""The training loop. It knows players, never what they are: one step lets each player play in turn."""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from reparam import processes
from reparam.data import Batch, Data, Order, Split
from reparam.errors import RunError
from reparam.memory import keep_freed_memory
from reparam.networks import channels_last
from reparam.rng import counted_seed, part_of_batch, reseed, seeded
from reparam.threads import fastest_threads, threads
from reparam.trace import Playable, Player, Progress
from reparam.training.checkpoint import Checkpoint, newest_checkpoint, numbered, of_number, save_checkpoint
from reparam.training.compiling import compiled, uncompiled, worth_compiling
from reparam.training.ema import EMA
from reparam.training.faults import Faults
from reparam.training.log import MetricsLog, Row
from reparam.training.optim import Update, autocast, rate_factor
from reparam.training.settings import TrainSettings
from reparam.training.sharding import hand_back, load_whole, shared_out, whole_state
from reparam.training.state import Outcome, State
from reparam.training.stopping import StopRequest, asks_to_stop, stop_request
from reparam.training.sums import Sums

LOGS_PER_TRAINING = 200
AGREE = 10
_ALONE = threading.RLock()  # torch's generators are one for the whole process


class Trainer:
    """Trains a model by an objective on data that stay on one device.

    Where ``torchrun`` started several processes, each trains on its share of every batch; the result is that of one
    process with the whole batch. The first one writes.

    Args:
        model: Trained in place; where weights are shared out, a copy of it, which gives it the weights for ``keep``
            and at the end. The weights of its convolutions are laid out channels last, which kernels prefer.
        data: Train and validation splits are used.
        objective: Names the players.
        settings: How to train; ``epochs`` or ``max_minutes`` must say how long.
        seed: Every draw follows from it and the step.
        folder: Where metrics and checkpoints go; None keeps them in memory.
        keep: Called whenever validation finds the best ELBO so far, with the averaged weights in the model.
        progress: Called with each new row and the total number of steps; True asks to stop.
        about: Kept in each checkpoint, for those who must build the model before they can go on.
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
        progress: Callable[[Row, int], object] | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        if settings.epochs is None and settings.max_minutes is None:
            raise RunError("The training has no end: give epochs or max_minutes.")
        self.processes = processes.current()
        self.model, self.settings, self.seed = model, settings, seed
        self.objective: Any = objective
        self.given: tuple[Any, Any] = model, objective
        self.folder, self.progress = folder, progress or (lambda row, total: None)
        self.keep = keep or (lambda: None)
        self.about = dict(about or {})
        self.device = data.train.device
        self.train = data.train
        self.validation = data.validation.fixed(seed, "validation").subset(settings.validation_limit, seed)
        self.batch_size = min(settings.batch_size, len(self.train))
        self.own = self.processes.share(self.batch_size)
        self.steps_per_epoch = max(1, len(self.train) // self.batch_size)
        # any module that bounds a batch is an objective
        self.judged_by: str | None = getattr(objective, "judged_by", "elbo")
        self.sharded = settings.shard and self.processes.world > 1
        if self.sharded:
            self.model, self.objective = shared_out(*self.given, processes=self.processes)
        else:
            channels_last(model)
        self.players: tuple[Player, ...] = self.objective.players(self.model)
        self.ema = EMA(self.model, settings.ema) if settings.ema else None
        self.state, self._asked = State(), False
        self._order: tuple[int, Order] = (-1, torch.empty(0))
        keep_freed_memory()
        self._begin()

    def _begin(self) -> None:
        """Fresh optimisers, sums and faults."""
        self.updates = [Update(player, self.settings, self.processes) for player in self.players]
        pairs = enumerate(zip(self.players, self.updates, strict=True))
        self.turns = [(number, *pair) for number, pair in pairs for _ in range(pair[0].steps)]
        self.sums = Sums()
        self.faults = Faults(self.settings, self.device, self.state.skipped, self.folder)

    def run(self, resume: bool = False, replan: bool = False) -> Outcome:
        """Trains to the end, from the start or from the newest checkpoint.

        Ctrl-C and SIGTERM wait for the end of the step and for a checkpoint, where there is a folder.

        Args:
            resume: Go on from the newest checkpoint.
            replan: Count ``max_minutes`` from the checkpoint on, instead of keeping the number of steps it was given.
        Raises:
            NotFiniteError: if a term becomes NaN or infinite; checkpoints and the best model stay.
            RunError: if a checkpoint cannot be written, or there is none to go on from.
        """
        with self._prepared():
            if not self.sharded:
                self.processes.spread((*self.model.state_dict().values(), *self.objective.state_dict().values()))
            if resume:
                self._restore(replan)
            else:
                self.state.planned_steps = self.state.total_steps = self._plan()
            how = self.settings, self.device, self.state.planned_steps, self.sharded
            log = MetricsLog(self.folder if self.processes.writes else None, self.state.step, self.settings.tensorboard)
            try:
                if not resume or replan:
                    self._save(log)  # the plan stands from the first moment on
                with (
                    compiled(self.model, worth_compiling(*how, self.model, self.objective)),
                    threads(self.state.threads or torch.get_num_threads()),
                    stop_request(self.folder is not None or self.processes.world > 1) as stop,
                ):
                    self._steps(log, stop)
            finally:
                log.close()
        if self.state.step < self.state.total_steps and not (self._stalled or self._asked):
            raise KeyboardInterrupt  # whoever asked us to stop has a handler that returned
        if self.sharded:
            hand_back((self.model, self.objective), self.given)
            for given in self.given:
                given.to(self.device)
        return Outcome(self.state.step, self.state.best, self._stalled, log.rows)

    @contextmanager
    def _prepared(self) -> Iterator[None]:
        """Training mode and generators of our own for a block; what was found before comes back after it."""
        found = self.model.training, self.objective.training
        self.model.train()
        self.objective.train()
        share = part_of_batch(self.processes.rank, self.processes.world)
        try:
            with _ALONE, seeded(self.seed, "training"), share:
                yield
        finally:
            self.model.train(found[0])
            self.objective.train(found[1])

    def take_steps(self, number: int) -> dict[str, float]:
        """Takes some steps without logging, validating or saving; returns the means of their terms."""
        held, self.sums = self.sums, Sums()
        with self._prepared():
            for _ in range(number):
                self._step()
                self.state.step += 1
        means = self.sums.means(self.processes)
        self.sums = held
        return means

    def _steps(self, log: MetricsLog, stop: StopRequest) -> None:
        """Steps to the end of the plan, or until validation stalls or somebody asks to stop."""
        state, total, settings = self.state, self.state.total_steps, self.settings
        every_log = max(1, total // LOGS_PER_TRAINING)
        every_validation = math.ceil(total / settings.validations)
        clock = time.perf_counter
        started, since, lap, saved = clock() - state.seconds, state.step, clock(), clock()
        while state.step < total and not self._stalled:
            rate = self._step()
            state.step += 1
            now = clock()
            state.seconds = now - started
            judged = state.step % every_validation == 0 or state.step == total
            if state.step % every_log == 0 or judged:
                speed = (state.step - since) * self.batch_size / max(1e-9, now - lap)
                self._report(log, "train", self._means() | {"learning_rate": rate, "samples_per_s": speed})
                since, lap = state.step, clock()
            if judged:
                self._validate(log)
                lap = clock()
            stopping, due = self._agreed(bool(stop) or self._asked, now - saved >= settings.checkpoint_seconds)
            if stopping:
                (self._asked,) = self.processes.any(self._asked)
                if self._asked and state.best == -math.inf:  # nothing was kept so far
                    self._keep()
            if stopping or due or state.step == total or self._stalled:
                self._save(log)
                saved = lap = clock()
            if stopping:
                return

    @property
    def _stalled(self) -> bool:
        return self.settings.patience is not None and self.state.stale >= self.settings.patience

    def _agreed(self, stop: bool, due: bool) -> tuple[bool, ...]:
        """Whether to stop and to save now; several processes ask each other now and then, and do it together."""
        if self.processes.world == 1:
            return stop, due
        return self.processes.any(stop, due) if self.state.step % AGREE == 0 else (False, False)

    def _means(self) -> dict[str, float]:
        """Means of the terms since the last row."""
        self.faults.read()
        means = self.faults.shown(self.state.step, self.sums.means(self.processes))
        self.state.skipped = self.faults.count
        self.sums = Sums()
        return means | ({"skipped": self.state.skipped} if self.state.skipped else {})

    def _report(self, log: MetricsLog, split: str, values: dict[str, float]) -> None:
        epoch = self.state.step / self.steps_per_epoch
        row: Row = {"step": self.state.step, "epoch": round(epoch, 3), "split": split}
        row |= values | {"wall_s": round(self.state.seconds, 3)}
        log.write(row)
        if self.processes.writes:
            self._asked |= asks_to_stop(self.progress(row, self.state.total_steps))

    def _step(self) -> float:
        """Lets each player play on the next batch, as often as it says; returns the learning rate."""
        state = self.state
        progress = Progress(state.step, state.total_steps, state.planned_steps, len(self.train))
        rate = self.settings.learning_rate * rate_factor(self.settings, progress, state.halvings)
        reseed(counted_seed(self.seed, "step", state.step))
        batch = self._batch(state.step)
        for number, player, update in self.turns:
            with autocast(self.device, self.settings):
                bound = player.play(batch, progress)
                loss = bound.loss
            with torch.no_grad():
                finite = update.step(loss, rate * player.rate)
                if self.faults.see(state.step, player, bound, loss, finite):
                    name = f"loss_{player.name}" if number else "loss"  # validation shows the first one's
                    self.sums.add(bound, loss, finite if self.faults.allowed else True, name)
            if self.sharded:
                self.model.zero_grad()
                self.objective.zero_grad()
        if self.ema:
            self.ema.update(state.step + 1)
        return rate

    def _batch(self, step: int) -> Batch:
        """This process's part of a step's batch, in the order that the epoch's number and the seed give."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if self._order[0] != epoch:
            self._order = (epoch, self.train.order(self.seed, epoch, self.settings.group_size))
        first = position * self.batch_size
        return self.train.batch(self._order[1][first + self.own.start : first + self.own.stop])

    def _in_batches(self, split: Split) -> Iterator[Batch]:
        """All examples in order; where some have a latent in common, put together as in training."""
        if split.groups is None or not getattr(self.model, "shares_by", ()):
            return split.batches(max(self.batch_size, 250))
        order, size = split.order(self.seed, 0, self.settings.group_size), self.batch_size
        return (split.batch(order[start : start + size]) for start in range(0, len(split), size))

    def _validate(self, log: MetricsLog) -> None:
        values = self._judge(self.validation)
        self._report(log, "validation", values)
        state = self.state
        value = -math.inf if self.judged_by is None else values[self.judged_by]
        if self.judged_by is None or value > state.best:  # where nothing says which are best, the newest are kept
            state.best, state.stale = value, 0
            self._keep()
            return
        state.stale += 1
        if state.stale % self.settings.plateau_patience == 0:
            state.halvings += 1

    def _keep(self) -> None:
        """Hands the averaged weights to whoever keeps them."""
        with self._averaged():
            hand_back((self.model, self.objective), self.given)
            self.keep()

    @torch.no_grad()
    def _judge(self, split: Split) -> dict[str, float]:
        """Mean terms over a split, with the averaged weights and the objective at its final weights."""
        sums = Sums()
        with self._averaged(), seeded(self.seed, "judge"), self._evaluating(), part_of_batch(0, 1):
            for batch in self._in_batches(split):
                bound = self.objective(self.model, batch, Progress(examples=len(self.train)))
                sums.add(bound, bound.loss)
        means = sums.means()
        name = self.judged_by or "loss"
        means[name] = self.processes.agreed(means[name])  # what follows from it, all must do alike
        return self.faults.shown(self.state.step, means, name)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        self.model.eval()
        self.objective.train(False)
        try:
            with uncompiled(self.model):
                yield
        finally:
            self.model.train()
            self.objective.train()

    def _averaged(self) -> AbstractContextManager[None]:
        return self.ema.applied() if self.ema else nullcontext()

    def _plan(self) -> int:
        """The last step: of the epochs, of what fits into the minutes from here on, or the smaller of the two."""
        settings = self.settings
        self.state.minutes = settings.max_minutes
        by_epochs = settings.epochs * self.steps_per_epoch if settings.epochs else None
        if settings.max_minutes is None:
            assert by_epochs is not None
            return by_epochs
        by_time = self.state.step + int(self.processes.agreed(self._steps_within(60 * settings.max_minutes)))
        return min(by_epochs, by_time) if by_epochs else by_time

    def _steps_within(self, seconds: float) -> int:
        """Measures steps on the side, takes them back, and counts how many fit into the time."""
        before = self._checkpoint()
        started = time.perf_counter()
        self.state.total_steps = 10**6
        alone = self.device.type == "cpu" and self.processes.world == 1
        chosen = fastest_threads(lambda: self.take_steps(3)) if alone else 0
        with threads(chosen or torch.get_num_threads()):
            per_step = self._seconds_per_step(min(20.0, 0.02 * seconds))
            lap = time.perf_counter()
            self._judge(self.validation)
            for_validations = (time.perf_counter() - lap) * self.settings.validations
        self._take_back(before)
        self.state.threads, self.state.minutes = chosen, self.settings.max_minutes
        left = 0.98 * seconds - for_validations - (time.perf_counter() - started)
        return max(1, int(left / per_step))

    def _seconds_per_step(self, seconds: float) -> float:
        """Time of one step, the mean over this many seconds and at least five steps."""
        started, number = time.perf_counter(), 0
        while number < 5 or self.processes.agreed(time.perf_counter() - started) < seconds:
            self.take_steps(1)
            number += 1
        return (time.perf_counter() - started) / number

    def _checkpoint(self) -> Checkpoint:
        weights = {f"model.{k}": v for k, v in whole_state(self.model).items()}
        weights |= {f"objective.{k}": v for k, v in whole_state(self.objective).items()}
        tensors = {"weights": weights, "optimizer": numbered(update.optimizer.state() for update in self.updates)}
        tensors["scale"] = numbered(update.scale.state() if update.scale else {} for update in self.updates)
        if self.ema:
            tensors["ema"] = {name: tensor.clone() for name, tensor in self.ema.state().items()}
        tensors["sums"] = self.sums.state(self.processes)
        there = {name: group for name, group in tensors.items() if group}
        return Checkpoint(there, dict(vars(self.state)) | {"about": self.about})

    def _save(self, log: MetricsLog) -> None:
        if not self.folder:
            return
        self.faults.read()
        if not self.faults.allowed:  # a sum that is not finite would stop every training that goes on from it
            self.faults.shown(self.state.step, self.sums.means(self.processes))
        self.state.skipped = self.faults.count
        checkpoint = self._checkpoint()  # all processes gather their sums
        if self.processes.writes:
            log.sync()
            save_checkpoint(self.folder, self.state.step, checkpoint)

    def _take_back(self, checkpoint: Checkpoint) -> None:
        for prefix, module in (("model.", self.model), ("objective.", self.objective)):
            weights = checkpoint.tensors["weights"].items()
            load_whole(module, {k.removeprefix(prefix): v for k, v in weights if k.startswith(prefix)})
        if self.ema:
            self.ema = EMA(self.model, self.ema.decay)  # begins with these weights, where it was off so far
            if "ema" in checkpoint.tensors:
                self.ema.load(checkpoint.tensors["ema"])
        self.state = State.read({name: value for name, value in checkpoint.state.items() if name != "about"})
        self._begin()
        self.sums.load(checkpoint.tensors.get("sums", {}), self.processes)
        for number, update in enumerate(self.updates):
            update.optimizer.load(of_number(checkpoint.tensors.get("optimizer", {}), number))
            if update.scale and "scale" in checkpoint.tensors:
                update.scale.load(of_number(checkpoint.tensors["scale"], number))

    def _restore(self, replan: bool) -> None:
        """Goes back to the newest checkpoint, which every process reads for itself."""
        place = torch.device("cpu") if self.sharded else self.device
        checkpoint = newest_checkpoint(self.folder, place) if self.folder else None
        if checkpoint is None:
            raise RunError(f"There is no readable checkpoint in {self.folder}; start the training again.")
        self._take_back(checkpoint)
        if replan or self.state.minutes != self.settings.max_minutes or self.settings.max_minutes is None:
            found, self.state.total_steps = self.state.total_steps, self._plan()
            if self.state.total_steps != found:
                self.state.stale = 0
