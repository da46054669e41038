"""Verbs on a model of sequences that differ in length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import reparam
from reparam.data import load_items
from reparam.runs import open_run
from tests.cli.conftest import Invoke, trained

D, T, N = 4, 12, 30


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sequences of 3 to 12 steps, with ones behind their ends, where nobody looks."""
    draws = np.random.default_rng(0)
    x = (draws.random((N, D, T)) < 0.3).astype(np.uint8)
    lengths = np.arange(N) % 10 + 3
    x[np.broadcast_to((np.arange(T) >= lengths[:, None])[:, None], x.shape)] = 1
    path = tmp_path_factory.mktemp("pieces") / "pieces.npz"
    np.savez(path, x=x, lengths=lengths)
    return path


@pytest.fixture(scope="module")
def player(pieces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny deep Markov model of them."""
    small = ("--model.dynamics.hidden_dim=8", "--model.dynamics.step_dim=2", f"--data={pieces}")
    return trained(tmp_path_factory.mktemp("runs") / "dmm", "dmm", *small)


def test_samples_are_data_of_the_same_lengths(invoke: Invoke, player: Path, pieces: Path, tmp_path: Path) -> None:
    out = tmp_path / "made.npz"
    assert invoke("sample", player, "-n", 6, "--draw", "--out", out).code == 0
    made = np.load(out)
    assert set(made["lengths"]) <= set(range(3, T + 1))
    assert all((x[:, length:] == 0).all() for x, length in zip(made["x"], made["lengths"], strict=True))
    read = load_items(str(out))
    assert read.named["lengths"].flatten().tolist() == made["lengths"].tolist()
    assert invoke("reconstruct", player, out, "--out", tmp_path / "r.npz").code == 0
    assert np.load(tmp_path / "r.npz")["lengths"].tolist() == made["lengths"].tolist()


def test_the_length_of_samples_is_the_users(invoke: Invoke, player: Path, tmp_path: Path) -> None:
    words = ("sample", player, "-n", 3, "--length", 5, "--out", tmp_path / "five.npz")
    assert invoke(*words, "--json").json["length"] == 5
    five = np.load(tmp_path / "five.npz")
    assert five["lengths"].tolist() == [5, 5, 5]
    assert five["x"].shape == (3, D, T)
    invoke("sample", player, "-n", 3, "--length", 5, "--out", tmp_path / "five.csv")
    header, *rows = (tmp_path / "five.csv").read_text().splitlines()
    assert header.endswith(",length")
    assert all(row.endswith(",5") for row in rows)
    for length in (0, 13):
        answer = invoke("sample", player, "--length", length)
        assert answer.code == 2
        assert f"--length {length}: expected 1 to 12 steps" in answer.err
    assert reparam.load(player).sample(2, lengths=4).shape == (2, D, T)


def test_a_length_is_refused_where_none_is_told(invoke: Invoke, vae: Path, tmp_path: Path) -> None:
    answer = invoke("sample", vae, "--length", 5)
    assert (answer.code, "told no lengths, its items are no sequences" in answer.err) == (2, True)
    x = np.random.default_rng(0).random((20, 2, 5)).astype(np.float32)
    given = reparam.load_data(x, axes="NCT")
    reparam.save(reparam.build("dmm", given), tmp_path / "even", spec=given.spec)
    answer = invoke("sample", tmp_path / "even", "--length", 5)
    assert (answer.code, "its sequences all have 5 steps" in answer.err) == (2, True)


def test_errors_and_codes_are_of_the_steps_that_there_are(
    invoke: Invoke, player: Path, pieces: Path, tmp_path: Path
) -> None:
    given, out = np.load(pieces), tmp_path / "r.npz"
    assert invoke("reconstruct", player, pieces, "--out", out).code == 0
    made = np.load(out)
    assert made["lengths"].tolist() == given["lengths"].tolist()
    by_hand = [
        np.square(x - x_hat)[:, :length].mean()
        for x, x_hat, length in zip(given["x"], made["x_hat"], given["lengths"], strict=True)
    ]
    assert made["mse"] == pytest.approx(np.array(by_hand), rel=1e-5)
    judged = open_run(player, "cpu").evaluate("all", "reconstruction", source=str(pieces))
    assert judged["mse"] == pytest.approx(np.mean(by_hand), rel=1e-5)
    for name in ("codes.npz", "codes.csv"):
        assert invoke("encode", player, pieces, "--out", tmp_path / name).code == 0
    assert np.load(tmp_path / "codes.npz")["lengths"].tolist() == given["lengths"].tolist()
    head, first = (tmp_path / "codes.csv").read_text().splitlines()[:2]
    assert (head.split(",")[:2], first.split(",")[:2]) == (["index", "lengths"], ["0", "3"])


def test_restore_goes_on_after_the_steps_that_are_given(
    invoke: Invoke, player: Path, pieces: Path, tmp_path: Path
) -> None:
    given, out = np.load(pieces), tmp_path / "on.npz"
    words = ("restore", player, pieces, "--seen", 6, "--out", out)
    long = given["lengths"] > 6
    assert invoke(*words, "--draws", 4, "--json").json["missing"] == {"x": long.sum()}
    made = np.load(out)
    assert made["x_draws"].shape == (N, 4, D, T)
    assert made["lengths"].tolist() == given["lengths"].tolist()
    assert made["x"] == pytest.approx(made["x_draws"].mean(1))
    assert made["x_std"] == pytest.approx(made["x_draws"].std(1), abs=1e-6)
    for x, draws, length in zip(given["x"], made["x_draws"], given["lengths"], strict=True):
        kept = min(6, length)
        assert (draws[..., :kept] == x[:, :kept]).all()
        assert (draws[..., length:] == 0).all()
    assert (made["x_std"][long][..., 6:] > 0).any()
    assert not made["x_std"][~long].any()
    assert invoke(*words, "--length", 12).code == 0
    longer = np.load(out)
    assert longer["x_draws"].shape == (N, 5, D, T)
    reached = np.where(given["lengths"] >= 6, 12, given["lengths"])  # what ends before has nothing to go on from
    assert longer["lengths"].tolist() == reached.tolist()


def test_restore_draws_and_plays_some_of_them(invoke: Invoke, player: Path, pieces: Path, tmp_path: Path) -> None:
    for name in ("on.png", "on.mid"):
        answer = invoke("restore", player, pieces, "--seen", 6, "--draws", 2, "-n", 2, "--out", tmp_path / name)
        assert answer.code == 0
    with Image.open(tmp_path / "on.png") as picture:
        assert picture.height > 3 * D  # the original over two continuations
    assert (tmp_path / "on.mid").read_bytes()[:4] == b"MThd"
    assert invoke("reconstruct", player, pieces, "-n", 3, "--out", tmp_path / "r.mid").code == 0
    assert (tmp_path / "r.mid").read_bytes()[:4] == b"MThd"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "or one of sequences and how many steps are given: --seen 20"),
        (("--seen", 12), "--seen 12: expected 1 to 11 steps"),
        (("--seen", 5, "--length", 4), "5 steps are given, so nothing is left"),
        (("--seen", 5, "--length", 13), "--length 13: expected 1 to 12 steps"),
        (("--seen", 5, "--hide", "x"), "Leave one out"),
        (("--length", 5), "Say how many steps are given"),
        (("--seen", 5, "--draws", 0), "--draws 0: expected a number above 0"),
        (("--seen", 5, "--out", "x.csv"), "ends in .npz or .png or .mid"),
    ],
)
def test_restore_refuses(invoke: Invoke, player: Path, pieces: Path, words: tuple[object, ...], said: str) -> None:
    answer = invoke("restore", player, pieces, *words)
    assert answer.code in (1, 2)
    assert said in answer.err
    assert answer.err.count("reparam: ") == 1


def test_there_must_be_something_to_go_on_from(invoke: Invoke, ae: Path, player: Path, tmp_path: Path) -> None:
    assert "this one has no steps" in invoke("restore", ae, "digits", "--seen", 2).err
    np.savez(tmp_path / "one.npz", x=np.zeros((1, D, 4), np.uint8))
    words = ("restore", player, tmp_path / "one.npz", "--seen", 4, "--out", tmp_path / "on.npz")
    answer = invoke(*words)
    assert "none of the 1 sequences has so many steps and more to come" in answer.err
    assert invoke(*words, "--length", 9).code == 0
    assert np.load(tmp_path / "on.npz")["lengths"].tolist() == [9]
