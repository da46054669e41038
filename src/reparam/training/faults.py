"""What to say, and what to do, about a step whose loss, gradient or shown terms are not finite."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from reparam.errors import NotFiniteError
from reparam.trace import Bound, Player
from reparam.training.settings import TrainSettings

FEW, CLIP = 10, 20
REASONS = {
    "distortion": "The likelihood gave x no finite log density: its scale shrank to nothing, or the decoder diverged.",
    "rate": "The KL overflowed: q(z|x) left every reasonable scale.",
}


class Faults:
    """Counts the steps that were left out, and stops the training when there are too many.

    Off the CPU nothing waits for the device: what went wrong is read when a row is written. The weights are safe all
    the same, because such a step never moves them.

    Args:
        settings: How many steps may be left out, and what may be changed against it.
        device: Where the training runs.
        count: Steps left out before.
        folder: The run folder, from which the training may go on.
    """

    def __init__(
        self, settings: TrainSettings, device: torch.device, count: int = 0, folder: Path | None = None
    ) -> None:
        self.settings, self.allowed, self.count, self.folder = settings, settings.skip_nonfinite, count, folder
        self.on_cpu = device.type == "cpu"
        self._new = torch.zeros((), dtype=torch.int64, device=device)
        self._first = torch.full((), -1, dtype=torch.int64, device=device)
        self._seen: dict[tuple[str, ...], Tensor] = {}  # 1 if it was the first, its loss and the sums of its terms

    def see(self, step: int, player: Player, bound: Bound, loss: Tensor, finite: Tensor | bool) -> bool:
        """Takes note of a step; True where its terms should be counted.

        Raises:
            NotFiniteError: on the CPU, if it was one too many.
        """
        if isinstance(finite, Tensor):
            first = (self._first < 0) & ~finite
            sums = [values.sum().float() for values in bound.terms.values()]
            found = torch.stack([torch.ones_like(loss, dtype=torch.float32), loss.float(), *sums])
            who = (player.name, *bound.terms)
            self._seen[who] = found.where(first, self._seen.get(who, 0.0))
            self._first = torch.where(first, step, self._first)
            self._new += ~finite
            return True
        if finite:
            return True
        self.count += 1
        if self.count > self.allowed:
            bad = [name for name, values in bound.terms.items() if not values.isfinite().all()]
            raise NotFiniteError(self._sentence(step, player.name, loss.item(), bad))
        return False

    def read(self) -> None:
        """Reads what the device saw since the last time.

        Raises:
            NotFiniteError: if it was one too many.
        """
        if self.on_cpu or not (new := int(self._new.item())):
            return
        self.count += new
        if self.count > self.allowed:
            for (player, *terms), record in self._seen.items():
                first, loss, *sums = record.tolist()
                if first:
                    bad = [name for name, value in zip(terms, sums, strict=True) if not math.isfinite(value)]
                    raise NotFiniteError(self._sentence(int(self._first.item()), player, loss, bad))
        self._new.zero_()
        self._first.fill_(-1)
        self._seen.clear()

    def shown(self, step: int, means: Mapping[str, float], judged_by: str = "") -> dict[str, float]:
        """The means of a row less those that are not finite; one that has some counts as a step that was left out.

        Args:
            step: The step of the row.
            means: The means by term.
            judged_by: What the model is judged by, where the row is one of validation; it must be finite.
        Raises:
            NotFiniteError: if it was one too many, or nothing says how good the model is.
        """
        bad = [name for name, value in means.items() if not math.isfinite(value)]
        if not bad:
            return dict(means)
        self.count += 1
        skippable = judged_by not in bad
        if self.count > self.allowed or not skippable:
            said = " and ".join(f"{name.replace('_', ' ')} is {means[name]}" for name in bad)
            if not judged_by:
                said = f"in the metrics {said}, though every loss and gradient was finite"
            elif skippable:
                said = f"in the metrics of validation {said}"
            else:
                rest = ", ".join(name for name in bad if name not in (judged_by, "loss"))
                called = "ELBO" if judged_by == "elbo" else judged_by.replace("_", " ")
                said = f"the validation {called} is {means[judged_by]}" + (f" ({rest})" if rest else "")
            raise NotFiniteError(f"Step {step}: {said}.{_reason(bad)} {self._way_on(step, skippable=skippable)}")
        return {name: value for name, value in means.items() if name not in bad}

    def _sentence(self, step: int, player: str, loss: float, bad: Sequence[str]) -> str:
        """Which step, which terms, why it may be, and what may be done."""
        names = f" ({', '.join(bad)})" if bad else ""
        steep = math.isfinite(loss)
        said = f"{loss:g}, but its gradient is not finite" if steep else f"{loss}{names}"
        reason = "" if steep else _reason(bad)
        return f"Step {step}: the loss of player {player!r} is {said}.{reason} {self._way_on(step, steep)}"

    def _way_on(self, step: int, steep: bool = False, skippable: bool = True) -> str:
        """What may be changed, and the command that goes on with it.

        Args:
            step: Where it happened; before the first step no rate mends anything.
            steep: Whether the gradient grew beyond all bounds, which clips of earlier steps may prevent.
            skippable: Whether such a step may be left out.
        """
        now = self.settings
        changes = gentler(now, 2) if step else {}
        if now.clip and not steep:
            changes.pop("clip", None)
        if now.precision != "float32":
            changes["precision"] = "float32"
        if skippable:
            changes["skip_nonfinite"] = str(max(FEW, 2 * self.allowed))
        why = "" if step else "No weight had moved yet: look at the data and the model, too. "
        if self.folder is None:
            return f"{why}Train again with {' or '.join(f'{name}={value}' for name, value in changes.items())}."
        first, *rest = (f"--train.{name} {value}" for name, value in changes.items())
        others = f" (or {' or '.join(rest)})" if rest else ""
        return f"{why}What was saved before stays; go on with: reparam resume {self.folder} {first}{others}"


def gentler(now: TrainSettings, slower: float) -> dict[str, str]:
    """Settings that take smaller steps: a learning rate so many times slower, and a clip ten times as narrow."""
    rate = min(now.learning_rate / slower, TrainSettings.learning_rate)
    return {"learning_rate": f"{rate:g}", "clip": f"{now.clip / 10 if now.clip else CLIP:g}"}


def _reason(bad: Sequence[str]) -> str:
    """Why these terms may have gone wrong."""
    return next((f" {REASONS[name]}" for name in REASONS if name in bad), "")
