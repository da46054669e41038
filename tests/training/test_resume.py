"""A run that was stopped or killed anywhere and goes on is, bit for bit, the run that was not."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from reparam.errors import RunError
from reparam.rng import reseed
from reparam.training import Trainer, about, has_checkpoints, newest_checkpoint, read_metrics
from reparam.training.checkpoint import Checkpoint, save_checkpoint
from tests.contracts.members import tiny_data
from tests.training.trained import TwoPlayers, equal, timeless, trainer, weights


def make(folder: Path, players: int = 1, **given: Any) -> Trainer:
    """A trainer of one player, or of two, whose weights nobody has touched."""
    reseed(0)
    folder.mkdir(exist_ok=True)
    two = {"recipe": "vae", "objective": TwoPlayers()} if players == 2 else {}
    return trainer(folder, **(two | {"checkpoint_seconds": 0, "epochs": 4} | given))


def spoil(one: Trainer) -> None:
    """Nothing of a new process may matter."""
    with torch.no_grad():
        for parameter in (*one.model.parameters(), *one.objective.parameters()):  # type: ignore[attr-defined]
            parameter.zero_()


def require_equal(one: Trainer, other: Trainer) -> None:
    """Weights, optimisers, averages and metrics."""
    assert equal(weights(one.model), weights(other.model))
    first, second = one._checkpoint(), other._checkpoint()
    assert first.tensors.keys() == second.tensors.keys()
    assert all(equal(first.tensors[name], second.tensors[name]) for name in first.tensors)
    assert one.state.best == other.state.best
    assert one.folder is not None
    assert other.folder is not None
    assert timeless(read_metrics(one.folder)) == timeless(read_metrics(other.folder))


def stop_at(one: Trainer, step: int) -> None:
    """Stops after this step, as a signal would."""
    one._agreed = lambda stop, due: (one.state.step == step, due)  # type: ignore[method-assign]


def run_until(one: Trainer, step: int, resume: bool = False) -> None:
    """Runs to this step and no further."""
    stop_at(one, step)
    if step < 40:
        with pytest.raises(KeyboardInterrupt):
            one.run(resume=resume)
    else:
        one.run(resume=resume)
    assert one.state.step == step


class TestEveryStep:
    @pytest.mark.parametrize("players", [1, 2])
    def test_stopped_after_each_step_of_forty(self, tmp_path: Path, players: int) -> None:
        given: dict[str, Any] = {"players": players, "epochs": 40, "batch_size": 24, "validations": 7}
        whole = make(tmp_path / "whole", **given, checkpoint_seconds=60)
        assert whole.run().steps == 40
        for step in range(1, 41):
            part = make(tmp_path / "parts", **given, checkpoint_seconds=60)
            spoil(part) if step > 1 else None
            run_until(part, step, resume=step > 1)
        require_equal(part, whole)

    @pytest.mark.parametrize(
        "given",
        [
            {"schedule": "plateau", "plateau_patience": 1, "optimizer": "adamax"},
            *(
                pytest.param(given, marks=pytest.mark.slow)
                for given in (
                    {"recipe": "residual-vq-vae"},
                    {"ema": 0.0, "optimizer": "sgd", "learning_rate": 1e-4},
                    {"patience": 2, "learning_rate": 0.5},
                    {"precision": "float16"},
                    {"recipe": "dae"},
                )
            ),
        ],
    )
    def test_killed_after_each_step(self, tmp_path: Path, given: dict[str, Any]) -> None:
        """Rows end elsewhere than checkpoints: both go on where they were."""
        kept: list[Path] = []

        def keep(row: dict[str, Any], total: int) -> None:
            """What a kill in this moment would leave behind."""
            if row["split"] == "train":
                kept.append(tmp_path / f"killed-{len(kept)}")
                shutil.copytree(tmp_path / "whole", kept[-1])

        whole = make(tmp_path / "whole", progress=keep, **given)
        outcome = whole.run()
        assert len(kept) == outcome.steps
        for folder in kept[1:]:
            resumed = make(folder, **given)
            spoil(resumed)
            again = resumed.run(resume=True)
            require_equal(resumed, whole)
            assert again.stopped_early == outcome.stopped_early

    def test_sums_go_on_between_two_rows(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("reparam.training.loop.LOGS_PER_TRAINING", 3)
        whole = make(tmp_path / "whole")
        whole.run()
        first = make(tmp_path / "cut")
        run_until(first, 7)
        assert first.sums.counts
        second = make(tmp_path / "cut")
        second.run(resume=True)
        require_equal(second, whole)


class TestPlans:
    def test_more_epochs_go_on(self, tmp_path: Path) -> None:
        trainer(tmp_path, schedule="constant", epochs=2).run()
        second = trainer(tmp_path, schedule="constant", epochs=4)
        assert second.run(resume=True).steps == 12
        steps = [row["step"] for row in read_metrics(tmp_path) if row["split"] == "train"]
        assert steps == list(range(1, 13))

    @pytest.mark.parametrize("more", [{"ema": 0.9}, {"precision": "float16"}])
    def test_what_was_off_so_far_begins_now(self, tmp_path: Path, more: dict[str, Any]) -> None:
        make(tmp_path, epochs=2, ema=None).run()
        second = make(tmp_path, **({"epochs": 4, "ema": None} | more))
        assert second.run(resume=True).steps == 12

    def test_the_plan_is_kept_before_the_first_step(self, tmp_path: Path) -> None:
        one = make(tmp_path, epochs=None, max_minutes=0.005)
        one._steps_within = lambda seconds: 7  # type: ignore[method-assign]
        run_until(one, 1)
        first = sorted((tmp_path / "checkpoints").iterdir())[0]
        assert first.name == "step-000000000"
        assert json.loads((first / "state.json").read_text())["state"]["total_steps"] == 7
        assert make(tmp_path, epochs=None, max_minutes=0.005).run(resume=True).steps == 7

    def test_nothing_to_resume(self, tmp_path: Path) -> None:
        for one in (trainer(tmp_path), trainer()):
            with pytest.raises(RunError, match="no readable checkpoint"):
                one.run(resume=True)
        assert not has_checkpoints(tmp_path)
        assert about(tmp_path) == {}

    def test_a_run_that_is_over_stays_over(self, tmp_path: Path) -> None:
        whole = make(tmp_path)
        whole.run()
        rows = read_metrics(tmp_path)
        again = make(tmp_path)
        assert again.run(resume=True).steps == 12
        assert read_metrics(tmp_path) == rows


SCRIPT = """
import os, signal, sys
import torch
from tests.training.trained import trainer
from pathlib import Path
torch.set_num_threads(1)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it starts in the background
def ask(row, total):
    if row["step"] == 5:
        os.kill(os.getpid(), getattr(signal, sys.argv[2]))
trainer(Path(sys.argv[1]), progress=ask, checkpoint_seconds=60).run()
"""


class TestSignals:
    @pytest.mark.parametrize("name", ["SIGINT", pytest.param("SIGTERM", marks=pytest.mark.slow)])
    def test_saves_and_leaves_as_the_signal_says(self, tmp_path: Path, name: str) -> None:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path), name],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == -getattr(signal, name), done.stderr
        kept = newest_checkpoint(tmp_path)
        assert kept is not None
        assert kept.state["step"] == 5

    def test_the_second_one_acts_at_once(self, tmp_path: Path) -> None:
        def ask(row: dict[str, Any], total: int) -> None:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
        try:
            with pytest.raises(KeyboardInterrupt):
                trainer(tmp_path, progress=ask).run()
        finally:
            signal.signal(signal.SIGINT, before)
        kept = newest_checkpoint(tmp_path)
        assert kept is not None
        assert kept.state["step"] == 0

    @pytest.mark.parametrize("handler", [lambda number, frame: None, signal.SIG_IGN])
    def test_a_handler_that_returns(self, tmp_path: Path, handler: Any) -> None:
        """Asked by a signal that the caller handles, training stops; a signal that is ignored stays ignored."""

        def ask(row: dict[str, Any], total: int) -> None:
            if row["step"] == 5:
                signal.raise_signal(signal.SIGTERM)

        before = signal.signal(signal.SIGTERM, handler)
        try:
            if handler is signal.SIG_IGN:
                assert trainer(tmp_path, progress=ask).run().steps == 12
            else:
                with pytest.raises(KeyboardInterrupt):
                    trainer(tmp_path, progress=ask).run()
                assert newest_checkpoint(tmp_path).state["step"] == 5  # type: ignore[union-attr]
        finally:
            signal.signal(signal.SIGTERM, before)

    def test_handlers_come_back(self, tmp_path: Path) -> None:
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        trainer(tmp_path).run()
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


class TestDamage:
    def test_an_older_checkpoint_is_used_where_the_newest_is_damaged(self, tmp_path: Path) -> None:
        whole = make(tmp_path)
        whole.run()
        newest = sorted((tmp_path / "checkpoints").iterdir())[-1]
        assert newest.name == "step-000000012"
        file = newest / "weights.safetensors"
        file.write_bytes(file.read_bytes()[:-10])
        resumed = make(tmp_path)
        with pytest.warns(UserWarning, match=r"step-000000012 is damaged .*; an older checkpoint is used"):
            assert resumed.run(resume=True).steps == 12
        assert equal(weights(resumed.model), weights(whole.model))

    def test_a_damaged_checkpoint_takes_no_place(self, tmp_path: Path) -> None:
        run_until(make(tmp_path), 8)
        newest = sorted((tmp_path / "checkpoints").iterdir())[-1]
        (newest / "weights.safetensors").write_bytes(b"")
        again = make(tmp_path)
        stop_at(again, 8)
        with pytest.warns(UserWarning, match="is damaged"), pytest.raises(KeyboardInterrupt):
            again.run(resume=True)
        names = [path.name for path in sorted((tmp_path / "checkpoints").iterdir())]
        assert names == ["step-000000007", "step-000000008.001"]
        assert newest_checkpoint(tmp_path).state["step"] == 8  # type: ignore[union-attr]

    def test_one_changed_bit_or_a_cut_anywhere_is_seen(self, tmp_path: Path) -> None:
        make(tmp_path).run()
        older, newest = sorted((tmp_path / "checkpoints").iterdir())
        shutil.rmtree(older)
        dice = torch.Generator().manual_seed(0)
        for file in sorted(newest.iterdir()):
            whole = file.read_bytes()
            for _ in range(100):
                at, bit = (int(torch.randint(n, (), generator=dice)) for n in (len(whole), 8))
                file.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
                with pytest.warns(UserWarning, match="is damaged"):
                    assert newest_checkpoint(tmp_path) is None
                file.write_bytes(whole[:at])
                with pytest.warns(UserWarning, match="is damaged"):
                    assert newest_checkpoint(tmp_path) is None
            file.write_bytes(whole)
        assert newest_checkpoint(tmp_path) is not None

    def test_checkpoints_are_two_and_hold_no_pickle(self, tmp_path: Path) -> None:
        make(tmp_path).run()
        folders = sorted((tmp_path / "checkpoints").iterdir())
        assert [folder.name for folder in folders] == ["step-000000011", "step-000000012"]
        suffixes = {file.suffix for folder in folders for file in folder.iterdir()}
        assert suffixes == {".safetensors", ".json"}

    def test_what_a_killed_write_left_is_removed(self, tmp_path: Path) -> None:
        left = tmp_path / "checkpoints" / ".step-000000003.123"
        left.mkdir(parents=True)
        make(tmp_path).run()
        assert not left.exists()


class TestFaults:
    """Nothing that was saved is lost, and one sentence says what to do."""

    def test_the_folder_is_deleted(self, tmp_path: Path) -> None:
        """Nothing is left to go on with, and no command that would is named."""
        run = tmp_path / "run"

        def delete(row: dict[str, Any], total: int) -> None:
            if row["step"] == 5:
                shutil.rmtree(run)

        gone = "cannot be written: the run folder .* is no longer there"
        with pytest.raises(RunError, match=rf"metrics.jsonl {gone}") as log:
            make(run, progress=delete).run()
        with pytest.raises(RunError, match=rf"The checkpoint of step 5 in .*checkpoints {gone}") as checkpoint:
            save_checkpoint(run, 5, Checkpoint({}, {}))
        assert not any("resume" in str(raised.value) for raised in (log, checkpoint))
        assert not run.exists()

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        try:
            with pytest.raises(RunError, match="cannot be written"):
                trainer(tmp_path).run()
        finally:
            tmp_path.chmod(0o700)

    def test_the_disk_is_full_in_the_middle_of_a_write(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The third file of the fourth checkpoint finds no room."""
        from reparam.training import checkpoint

        writes = iter(range(10**6))
        save = checkpoint.save_file

        def full(tensors: dict[str, torch.Tensor], path: Path) -> None:
            if next(writes) == 14:
                path.write_bytes(b"half")
                raise OSError(28, "No space left on device")
            save(tensors, path)

        monkeypatch.setattr(checkpoint, "save_file", full)
        with pytest.raises(RunError, match=r"No space left on device\. What was saved before stays"):
            make(tmp_path).run()
        monkeypatch.undo()
        whole = make(tmp_path / "whole")
        whole.run()
        again = make(tmp_path)
        again.run(resume=True)
        assert equal(weights(again.model), weights(whole.model))
        assert timeless(read_metrics(tmp_path)) == timeless(read_metrics(tmp_path / "whole"))


def test_data_of_other_length_do_not_matter_to_a_checkpoint(tmp_path: Path) -> None:
    """What a checkpoint holds does not grow with the data."""
    sizes = []
    for examples in (24, 240):
        folder = tmp_path / str(examples)
        make(folder, data=tiny_data("unit", (4,), (examples, 2, 1)), epochs=1).run()
        newest = sorted((folder / "checkpoints").iterdir())[-1]
        sizes.append(sum(file.stat().st_size for file in newest.glob("*.safetensors")))
    assert sizes[0] == sizes[1]
