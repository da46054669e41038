"""train and resume: settings, what is left behind, and being stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from reparam.cli.progress import TrainingProgress
from reparam.runs import open_run
from reparam.showing import clock, terms
from tests.cli.conftest import SMALL, Invoke


def test_without_arguments_but_a_folder(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe, the data and the folder are found without being told; the end names the report."""
    monkeypatch.chdir(tmp_path)
    answer = invoke("train", "--epochs", 1, "--model.latent_dim", 3, *SMALL)
    assert answer.code == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("vae-digits-")
    assert "log p(x)" in answer.out
    assert "ELBO" in answer.out
    assert f"report  {folder.relative_to(tmp_path)}/report.html" in answer.out
    assert (folder / "report.html").exists()
    assert "validation ELBO" in answer.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            [],
            "signals of 5 values, channels: 6, real numbers: 16 train, 2 validation, 2 test; say what else they are "
            "with --data.axes and --data.values",
        ),
        (
            ["--data.axes=NHW"],
            "pictures of 6x5, channels: 1, real numbers: 16 train, 2 validation, 2 test; say what else "
            "they are with --data.values",
        ),
        (
            ["--data.axes=NTC", "--data.values=real"],
            "signals of 6 values, channels: 5, real numbers: 16 train, 2 validation, 2 test\n",
        ),
    ],
)
def test_says_what_the_data_were_taken_for(invoke: Invoke, tmp_path: Path, words: list[str], said: str) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(20, 6, 5)))
    answer = invoke(
        "train", "--data", tmp_path / "x.npy", "--epochs", 1, "--out", tmp_path / "run", "--no-report", *SMALL, *words
    )
    assert answer.code == 0
    assert f"x: {said}" in answer.err


def test_says_what_became_of_a_column_of_words(invoke: Invoke, tmp_path: Path) -> None:
    rows = [f"{i},{i * i},{['north', 'south', 'east', 'west'][i % 4]}" for i in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,wind", *rows]))
    answer = invoke(
        "train", "--data", tmp_path / "t.csv", "--epochs", 1, "--out", tmp_path / "run", "--no-report", *SMALL
    )
    assert "t: rows of 2 values (a, b), real numbers, 4 classes (east, north, south, ...): 32 train" in answer.err


def test_says_how_many_labels_are_known(invoke: Invoke, tmp_path: Path) -> None:
    rows = [f"{i},{i * i},{['north', '', 'east', ''][i % 4]}" for i in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,wind", *rows]))
    answer = invoke(
        "train", "m2", "--data", tmp_path / "t.csv", "--epochs", 1, "--out", tmp_path / "run", "--no-report", *SMALL
    )
    assert "t: rows of 2 values (a, b), real numbers, 2 classes (east, north), 20 of 40 labels known: 32" in answer.err


def test_says_what_may_have_been_misread(invoke: Invoke, tmp_path: Path) -> None:
    """A column of numbers that is called as labels are, and items that serve in all splits."""
    (tmp_path / "t.csv").write_text("\n".join(["x,y", *(f"{i},{i * i % 97}" for i in range(60))]))
    (tmp_path / "two.csv").write_text("a,b\n1,2\n3,4\n")
    words = ("--epochs", 1, "--no-report", *SMALL)
    many = invoke("train", "--data", tmp_path / "t.csv", "--out", tmp_path / "many", *words).err
    assert "t: rows of 1 value (x), real numbers" in many
    assert "classes are many for 40 rows: if the column is no class, give it another name" in many
    few = invoke("train", "--data", tmp_path / "two.csv", "--out", tmp_path / "few", *words).err
    assert "fewer than three examples serve in all splits: the test items are those that it trains on" in few


def test_file_and_options(invoke: Invoke, tmp_path: Path) -> None:
    """Options win over the file, and the file wins over the recipe."""
    file = tmp_path / "c.yaml"
    file.write_text("recipe: sigma-vae\nmodel: {latent_dim: 5}\ntrain: {epochs: 9, learning_rate: 0.01}\nseed: 3\n")
    folder = tmp_path / "run"
    answer = invoke(
        "train",
        "--config",
        file,
        "--out",
        folder,
        "--epochs",
        1,
        "--model.latent-dim",
        2,
        "--no-report",
        "--json",
        *SMALL,
    )
    assert answer.code == 0
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert (config["recipe"], config["model"]["latent_dim"], config["seed"]) == ("sigma-vae", 2, 3)
    assert (config["train"]["epochs"], config["train"]["learning_rate"]) == (1, 0.01)
    assert answer.json.keys() == {"run", "report", "evaluation"}
    assert answer.json["report"] is None
    assert answer.json["evaluation"]["nll_samples"] == 100
    assert "log p(x)" in answer.err
    assert (folder / "log.txt").read_text().startswith(f"$ reparam train --config {file}")


def test_every_fault_of_the_settings_at_once(invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("model: conv\ntrain: {epoch: 3}\n")
    answer = invoke("train", "--config", file, "--objective.bta", 2, "--out", tmp_path / "run")
    assert answer.code == 2
    lines = answer.err.splitlines()
    assert any(line.startswith(f"reparam: {file}: model.kind: ") for line in lines)
    assert f"reparam: {file}: train.epoch: there is no such key. Did you mean 'epochs'?" in lines
    assert any(line.startswith("reparam: --objective: elbo has no setting 'bta'") for line in lines)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("words", [["--train.compile", "off"], ["--config", "c.yaml"]], ids=["flag", "file"])
def test_a_switch_is_on_or_off(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text("train: {compile: off}\n")
    assert invoke("train", *words, "--epochs", 1, "--out", "run", "--no-report", *SMALL).code == 0
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["train"]["compile"] == "off"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("- 1", "expected sections"),
        ("a: [", "is not YAML"),
        ("recipe: [vae]", "recipe: expected a name"),
        (None, "read"),
    ],
)
def test_bad_files(invoke: Invoke, tmp_path: Path, content: str | None, said: str) -> None:
    file = tmp_path / "c.yaml"
    if content is not None:
        file.write_text(content)
    answer = invoke("train", "--config", file)
    assert answer.code == 2
    assert said in answer.err


def test_a_folder_is_not_overwritten(invoke: Invoke, vae: Path) -> None:
    answer = invoke("train", "--out", vae, "--epochs", 1)
    assert answer.code == 1
    assert f"{vae} already holds a run. Go on with 'reparam resume {vae}'" in answer.err


def test_relative_data_is_found_again(
    invoke: Invoke, table: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(table[1].parent)
    folder = tmp_path / "run"
    assert invoke("train", "--data", "heights.csv", "--epochs", 1, "--no-report", "--out", folder, *SMALL).code == 0
    assert yaml.safe_load((folder / "config.yaml").read_text())["data"]["source"] == str(table[1])


def test_resume(invoke: Invoke, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert invoke("train", "ae", "--epochs", 1, "--out", folder, "--no-report", *SMALL).code == 0
    answer = invoke("resume", folder, "--epochs", 3, "--no-report", "--json")
    assert answer.code == 0
    assert answer.json["evaluation"]["mse"] > 0
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert max(row["epoch"] for row in rows) == 3
    command = open_run(folder).command
    assert command is not None
    assert command.startswith("reparam train ae --epochs 1")


def test_resume_with_other_settings(invoke: Invoke, tmp_path: Path) -> None:
    """The way on from a run that met a number that is not finite, as its message says it."""
    folder = tmp_path / "run"
    steep = ["--train.learning_rate=1e30", "--train.learning_rate_warmup=0"]
    answer = invoke("train", "ae", "--epochs", 3, "--out", folder, "--no-report", *SMALL, *steep)
    assert answer.code == 1
    assert f"go on with: reparam resume {folder} --train.learning_rate 0.002" in answer.err
    refused = invoke("resume", folder, "--train.batch_size", 3)
    assert (refused.code, refused.err.startswith("reparam: --train.batch_size: the run keeps")) == (2, True)
    other = invoke("resume", folder, "--mode.x", 3)
    assert (other.code, "resume has no option '--mode.x'. Did you mean '--model.x'?" in other.err) == (2, True)
    assert invoke("resume", folder, "--train.learning-rate", "1e-3", "--train.clip=20", "--no-report").code == 0
    written = yaml.safe_load((folder / "config.yaml").read_text())["train"]
    assert (written["learning_rate"], written["clip"], written["epochs"]) == (1e-3, 20.0, 3)


def test_resume_refuses_fewer_epochs(invoke: Invoke, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert invoke("train", "ae", "--epochs", 3, "--out", folder, "--no-report", *SMALL).code == 0
    config = (folder / "config.yaml").read_text()
    answer = invoke("resume", folder, "--epochs", 2)
    assert answer.code == 2
    assert "has done 3 epochs, 2 is fewer" in answer.err
    assert (folder / "config.yaml").read_text() == config


@pytest.mark.parametrize(
    ("place", "advice"),
    [("reparam.runs.training.prepare", "Nothing was begun yet"), ("reparam.training.Trainer.run", "Go on with")],
)
def test_interrupt_before_anything_is_saved(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, advice: str
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(place, stop)
        answer = invoke("train", "--out", tmp_path / "run", "--epochs", 1, *SMALL)
    assert answer.code == 130
    assert f"reparam: stopped. {advice}" in answer.err
    if "resume" in answer.err:
        assert invoke("resume", tmp_path / "run", "--no-report").code == 0


def test_terminate_after_a_checkpoint(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call = TrainingProgress.__call__

    def stop(self: TrainingProgress, row: dict[str, object], total: int) -> None:
        call(self, row, total)
        if any((self.folder / "checkpoints").glob("step-*")):
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(TrainingProgress, "__call__", stop)
    folder = tmp_path / "run"
    answer = invoke("train", "--out", folder, "--epochs", 4, *SMALL)
    assert answer.code == 143
    assert answer.err.splitlines()[-1] == f"reparam: stopped. Go on with: reparam resume {folder}"
    assert signal.getsignal(signal.SIGTERM) is before
    monkeypatch.setattr(TrainingProgress, "__call__", call)
    assert invoke("resume", folder, "--no-report").code == 0


@pytest.mark.slow
def test_control_c_of_a_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "reparam", "train", "--out", str(tmp_path / "run"), "--epochs", "20000", *SMALL]
    # a shell's background ignores Ctrl-C, and children inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("training into"):
                break
        process.send_signal(signal.SIGINT)
        left = process.stderr.read()
    assert process.returncode == 130
    assert "reparam: stopped." in left
    assert "Traceback" not in left


def test_clock() -> None:
    assert [clock(seconds) for seconds in (0.4, 61, 3723)] == ["0:00", "1:01", "1:02:03"]


def test_a_run_that_was_not_judged_is_judged_on_resume(invoke: Invoke, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert invoke("train", "--epochs", 1, "--out", folder, "--no-report", *SMALL).code == 0
    assert "finished already" in invoke("resume", folder, "--no-report").err
    (folder / "evaluation.json").unlink()
    answer = invoke("resume", folder)
    assert answer.code == 0
    assert "finished already" not in answer.err
    assert (folder / "report.html").exists()


def test_rows_without_a_finite_step() -> None:
    assert terms({"step": 3, "split": "train", "skipped": 3}) == "no step was finite"
    assert terms({"step": 3, "split": "train", "skipped": 1, "rate": 2.0, "distortion": 3.0}) == "distortion 3.00"


@pytest.mark.slow
def test_says_that_older_weights_are_kept(invoke: Invoke, tmp_path: Path) -> None:
    """Where a run goes on and is no better; where it is worse, in log.txt and in the report as well."""
    pytest.importorskip("matplotlib")
    run = tmp_path / "run"
    steady = ["--train.schedule=constant", "--train.ema=0", "--train.batch_size=8", "--data.binarize=dynamic"]
    begun = invoke("train", "vae", "--epochs", 4, "--out", run, "--no-report", *steady, *SMALL)
    assert "kept" not in begun.err
    same = invoke("resume", run, "--epochs", 6, "--train.learning_rate", 1e-30, "--no-report", "--device=cpu")
    assert "No validation since step 20 was better: the weights of step 20 are still kept." in same.err
    worse = invoke("resume", run, "--epochs", 8, "--train.learning_rate", 10, "--device=cpu")
    said = open_run(run).ending
    assert "The weights of step 20 are kept" in said
    assert said in worse.err
    assert said in (run / "log.txt").read_text()
    assert said in (run / "report.html").read_text()
