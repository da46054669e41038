"""What is said and done about numbers that are not finite."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from reparam.data import Data, Split
from reparam.errors import NotFiniteError
from reparam.objectives import ELBO
from reparam.trace import Bound, Player, Progress, Trace
from reparam.training import newest_checkpoint, read_metrics
from reparam.training.faults import Faults
from tests.contracts.members import tiny_data
from tests.training.trained import settings, trainer, weights


class NotANumber(ELBO):
    """Breaks the rate from some step on."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        found = super().bound(trace, progress)
        if progress.total_steps and progress.step >= self.step:
            rate = found.terms["rate"] * float("nan")
            return Bound(found.value + rate, found.terms | {"rate": rate})
        return found


class TestNotFinite:
    def test_names_the_step_and_the_term_and_keeps_the_checkpoint(self, tmp_path: Path) -> None:
        one = trainer(tmp_path, objective=NotANumber(7), checkpoint_seconds=0)
        sentence = r"Step 7: the loss of player 'model' is nan \(rate\)\. The KL overflowed"
        with pytest.raises(NotFiniteError, match=sentence):
            one.run()
        kept = newest_checkpoint(tmp_path)
        assert kept is not None
        assert kept.state["step"] == 7
        assert all(tensor.isfinite().all() for group in kept.tensors.values() for tensor in group.values())
        assert all(tensor.isfinite().all() for tensor in weights(one.model).values())
        assert {row["step"] for row in read_metrics(tmp_path)} == set(range(1, 8))

    def test_validation_is_watched_too(self) -> None:
        data = tiny_data("unit", (4,))
        broken = Split(torch.full_like(data.validation.stored, float("nan")), data.validation.spec)
        one = trainer(data=Data(data.train, broken, data.test))
        with pytest.raises(NotFiniteError, match="Step 3: the validation ELBO is nan"):
            one.run()


def strict(folder: Path) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl, which must be JSON as everybody reads it."""

    def refused(name: str) -> None:
        raise AssertionError(f"{name} in the JSON")

    return [json.loads(line, parse_constant=refused) for line in (folder / "metrics.jsonl").read_text().splitlines()]


class Shown(ELBO):
    """Shows a term that enters no loss: 1, but infinite at one step, or where it is validated."""

    def __init__(self, step: int | None) -> None:
        super().__init__()
        self.step = step

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        found = super().bound(trace, progress)
        broken = progress.step == self.step if progress.total_steps else self.step is None
        return Bound(
            found.value, found.terms | {"extra": torch.full_like(found.value, float("inf") if broken else 1.0)}
        )


class TestShownTerms:
    """Loss and gradient are finite all the while."""

    def test_stops_the_run(self, tmp_path: Path) -> None:
        with pytest.raises(NotFiniteError, match=r"Step 8: in the metrics extra is inf, though every loss and grad"):
            trainer(tmp_path, objective=Shown(7)).run()
        assert [row["step"] for row in strict(tmp_path) if row["split"] == "train"] == list(range(1, 8))

    def test_stops_it_where_it_is_validated(self) -> None:
        with pytest.raises(NotFiniteError, match="Step 3: in the metrics of validation extra is inf"):
            trainer(objective=Shown(None)).run()

    def test_counts_where_that_is_allowed(self, tmp_path: Path) -> None:
        outcome = trainer(tmp_path, objective=Shown(7), skip_nonfinite=1).run()
        rows = strict(tmp_path)
        assert rows == outcome.metrics
        assert [row["step"] for row in rows if "extra" not in row] == [8]
        assert [row["skipped"] for row in rows if row["step"] > 8 and row["split"] == "train"] == [1] * 4

    def test_no_checkpoint_holds_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A training that goes on from one must not meet the sums of the step again."""
        monkeypatch.setattr("reparam.training.loop.LOGS_PER_TRAINING", 1)
        with pytest.raises(NotFiniteError, match="Step 2: in the metrics extra is inf"):
            trainer(tmp_path, objective=Shown(1), checkpoint_seconds=0, validations=1).run()
        kept = newest_checkpoint(tmp_path)
        assert kept is not None
        assert kept.state["step"] == 1
        assert trainer(tmp_path, objective=Shown(50), validations=1).run(resume=True).steps == 12

    def test_rows_of_an_earlier_version_lose_what_is_no_number(self, tmp_path: Path) -> None:
        (tmp_path / "metrics.jsonl").write_text('{"step": 1, "split": "train", "elbo": NaN, "rate": 2.0}\n')
        assert read_metrics(tmp_path) == [{"step": 1, "split": "train", "rate": 2.0}]


def said(faults: Faults, step: int, rate: float, finite: torch.Tensor | bool, name: str = "model") -> str:
    """What the faults say of a step with this rate."""
    terms = {"distortion": torch.ones(3), "rate": torch.tensor([1.0, rate, 1.0])}
    bound = Bound(-terms["distortion"] - terms["rate"], terms)

    def met() -> None:
        faults.see(step, Player(name, (), lambda batch, progress: bound), bound, bound.loss, finite)
        faults.read()

    with pytest.raises(NotFiniteError) as raised:
        met()
    return str(raised.value)


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), 1.0])
def test_the_sentence_is_the_same_off_the_cpu(rate: float) -> None:
    """There it is built from what the device kept of the first bad step."""
    here = Faults(settings(), torch.device("cpu"))
    there = Faults(settings(), torch.device("cpu"))
    there.on_cpu = False
    fine = Bound(torch.zeros(3), {"distortion": torch.zeros(3), "rate": torch.zeros(3)})
    for name in ("critic", "model"):
        player = Player(name, (), lambda batch, progress: fine)
        assert there.see(3, player, fine, fine.loss, torch.tensor(True))
    expected = said(here, 4, rate, False)
    assert ("(rate)" in expected) == (rate != 1)
    assert said(there, 4, rate, torch.tensor(False)) == expected


def test_off_the_cpu_the_first_bad_step_is_named_after_some_were_left_out() -> None:
    there = Faults(settings(skip_nonfinite=1), torch.device("cpu"))
    there.on_cpu = False
    bad = Bound(torch.full((3,), float("nan")), {"distortion": torch.full((3,), float("nan"))})
    there.see(2, Player("model", (), lambda batch, progress: bad), bad, bad.loss, torch.tensor(False))
    there.read()
    assert there.count == 1
    assert said(there, 9, float("nan"), torch.tensor(False)).startswith(
        "Step 9: the loss of player 'model' is nan (rate)."
    )


class TestWayOn:
    """What may be changed, and where to say it."""

    def test_a_loss(self, tmp_path: Path) -> None:
        found = said(Faults(settings(learning_rate=0.01), torch.device("cpu"), folder=tmp_path), 4, float("nan"), False)
        assert found.endswith(
            f"go on with: reparam resume {tmp_path} --train.learning_rate 0.002 (or --train.skip_nonfinite 10)"
        )

    def test_a_gradient_may_be_clipped_earlier(self) -> None:
        found = said(Faults(settings(clip=50.0), torch.device("cpu")), 4, 1.0, False)
        assert found.endswith("Train again with learning_rate=0.001 or clip=5 or skip_nonfinite=10.")

    def test_no_rate_mends_the_first_step(self) -> None:
        found = said(Faults(settings(), torch.device("cpu")), 0, float("nan"), False)
        assert found.endswith("look at the data and the model, too. Train again with skip_nonfinite=10.")

    def test_half_precision_may_be_the_reason(self) -> None:
        found = said(Faults(settings(precision="float16"), torch.device("cpu")), 4, float("nan"), False)
        assert " or precision=float32 or " in found
