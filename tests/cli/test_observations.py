"""The commands with data of several observations."""

from pathlib import Path

import numpy as np
import pytest

from reparam.data import load_data
from tests.cli.conftest import Invoke


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, and numbers that are missing now and then."""
    rng = np.random.default_rng(0)
    joints = rng.normal(size=(40, 3)).astype(np.float32)
    joints[::5] = np.nan
    path = tmp_path_factory.mktemp("scans") / "scans.npz"
    np.savez(path, depth=rng.random((40, 6, 5), np.float32), joints=joints)
    return path


@pytest.fixture(scope="module", params=["mvae", pytest.param("hybrid-vae", marks=pytest.mark.slow)])
def run_of_two(request: pytest.FixtureRequest, scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from reparam.cli import run

    folder = tmp_path_factory.mktemp("runs") / request.param
    words = ["--data.observations", "depth,joints", "--data.hidden.joints", "0.5", "--epochs", "2", "--no-report"]
    own = ["--model.encoders.joints.hidden_dims", "[8]", "--train.tensorboard", "false", "--device", "cpu"]
    assert run(["train", request.param, "--data", str(scans), *words, *own, "--out", str(folder)]) == 0
    return folder


def test_evaluate(invoke: Invoke, run_of_two: Path) -> None:
    found = invoke("evaluate", run_of_two, "--metrics", "elbo,nll,imputation", "--samples", 5, "--json").json
    assert {"imputation_error_depth", "imputation_error_joints", "nll", "elbo"} <= found.keys()


def test_what_is_made_can_be_loaded_again(invoke: Invoke, run_of_two: Path, tmp_path: Path) -> None:
    out = tmp_path / "made.npz"
    assert invoke("sample", run_of_two, "-n", 30, "--out", out).code == 0
    arrays = np.load(out)
    assert (arrays["depth"].shape, arrays["joints"].shape) == ((30, 1, 6, 5), (30, 3))
    again = load_data(out, observations=("depth", "joints"))
    assert [one.shape for one in again.spec.observations] == [(1, 6, 5), (3,)]
    assert invoke("sample", run_of_two, "-n", 2, "--out", tmp_path / "made.csv").code == 0
    header = (tmp_path / "made.csv").read_text().splitlines()[0]
    assert header.startswith("depth_0,depth_1,")
    assert header.endswith("joints_0,joints_1,joints_2")


def test_restore(invoke: Invoke, run_of_two: Path, scans: Path, tmp_path: Path) -> None:
    given, out = np.load(scans), tmp_path / "restored.npz"
    answer = invoke("restore", run_of_two, scans, "--draws", 3, "--out", out, "--json").json
    assert answer["missing"] == {"depth": 0, "joints": 8}
    found = np.load(out)
    there = ~np.isnan(given["joints"])
    assert np.allclose(found["joints"][there], given["joints"][there], atol=1e-6)
    assert np.isfinite(found["joints"]).all()
    assert (found["joints_std"][there] == 0).all()
    assert (found["joints_std"][~there] > 0).all()
    assert found["joints_draws"].shape == (40, 3, 3)
    hidden = invoke("restore", run_of_two, scans, "--hide", "joints", "--out", out, "--json").json
    assert hidden["missing"] == {"depth": 0, "joints": 40}
    again = invoke("restore", run_of_two, scans, "--hide", "joints", "--out", tmp_path / "again.npz")
    assert "joints of 40" in again.out
    assert np.array_equal(np.load(out)["joints"], np.load(tmp_path / "again.npz")["joints"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--hide", "joint"), "there is no observation 'joint'"),
        (("--hide", "joints,depth"), "nothing would be left"),
        (("--draws", "0"), "--draws"),
        (("--out", "x.png"), "expected a file name that ends in .npz"),
    ],
)
def test_restore_refuses(invoke: Invoke, run_of_two: Path, scans: Path, words: tuple[str, ...], said: str) -> None:
    answer = invoke("restore", run_of_two, scans, *words)
    assert answer.code in (1, 2)
    assert said in answer.err
    assert answer.err.count("reparam: ") == 1


def test_other_verbs(invoke: Invoke, run_of_two: Path, scans: Path, tmp_path: Path) -> None:
    assert invoke("encode", run_of_two, scans, "--out", tmp_path / "z.npz").code == 0
    assert np.isfinite(np.load(tmp_path / "z.npz")["mean"]).all()
    answer = invoke("reconstruct", run_of_two, scans, "--out", tmp_path / "r.npz", "--json").json
    assert answer["mse"] > 0
    assert np.load(tmp_path / "r.npz")["joints_hat"].shape == (40, 3)
    assert invoke("reconstruct", run_of_two, scans, "--out", tmp_path / "r.png").code == 0
    assert invoke("score", run_of_two, scans, "--samples", 3, "--out", tmp_path / "s.csv").code == 0
    assert invoke("interpolate", run_of_two, 0, 1, "--out", tmp_path / "i.png").code == 0
    assert invoke("traverse", run_of_two, "--out", tmp_path / "t.png").code == 0


def test_one_observation_is_not_restored(invoke: Invoke, ae: Path) -> None:
    answer = invoke("restore", ae, "digits")
    assert answer.code == 1
    assert "items of one observation" in answer.err


def test_a_wrong_setting_of_one_observation_is_named(invoke: Invoke, scans: Path) -> None:
    words = ("--data", scans, "--data.observations", "depth,joints", "--model.encoders.joints.hidden_dim", "8")
    answer = invoke("train", "mvae", *words)
    assert answer.code == 2
    assert "joints: mlp has no setting 'hidden_dim'. Did you mean 'hidden_dims'?" in answer.err


def test_classes_are_written_and_read_by_name(invoke: Invoke, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    given, folder = tmp_path / "given.npz", tmp_path / "run"
    labels = np.array(["cat", "dog", ""])[rng.integers(0, 3, 40)]
    np.savez(given, picture=rng.random((40, 6, 5), np.float32), labels=labels)
    words = ["--data", given, "--data.observations", "picture,labels", "--epochs", 1, "--no-report", "--device", "cpu"]
    answer = invoke("train", "hybrid-vae", *words, "--train.tensorboard", "false", "--out", folder)
    assert answer.code == 0
    assert "labels, 2 classes (cat, dog)" in answer.err
    out = tmp_path / "restored.npz"
    assert invoke("restore", folder, given, "--out", out).code == 0
    found = np.load(out)
    assert set(found["labels"]) <= {"cat", "dog"}
    assert (found["labels"][labels != ""] == labels[labels != ""]).all()
    assert invoke("score", folder, out, "--samples", 2, "--out", tmp_path / "s.csv").code == 0
    bare = tmp_path / "bare.npz"
    np.savez(bare, picture=rng.random((4, 6, 5), np.float32))
    assert invoke("restore", folder, bare, "--out", out, "--json").json["missing"] == {"picture": 0, "labels": 4}
