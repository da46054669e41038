"""Model folders, checkpoints, logs and settings that mean harm are refused by one sentence."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from reparam.composing import build_model, rebuild
from reparam.config import parse_config, read_yaml
from reparam.errors import ConfigError, PartError, ReparamError, RunError
from reparam.recipes import build
from reparam.rng import reseed
from reparam.store import load, load_with_spec, save
from reparam.training import read_metrics
from reparam.training.checkpoint import Checkpoint, about, newest_checkpoint, save_checkpoint
from reparam.weighing import affordable
from tests.contracts.members import tiny_data, tiny_spec
from tests.hostile.kit import Canary, deep_json, laughs, pickled, safetensors

HUGE = 10**6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = build("sigma-vae", tiny_data("real", (4,)), network={"kind": "mlp", "hidden_dims": [5]})
    return save(model, tmp_path / "model", tiny_spec("real", (4,)))


Edit = Callable[[dict[str, Any]], Any]


def edit(folder: Path, change: Edit) -> None:
    content = json.loads((folder / "config.json").read_text())
    change(content)
    (folder / "config.json").write_text(json.dumps(content))


CONFIGS: dict[str, tuple[Edit, str]] = {
    "a class by its path": (lambda c: c["model"]["prior"].update(kind="os.system"), "There is no prior 'os.system'"),
    "a dunder": (lambda c: c["model"]["prior"].update(kind="__class__"), "There is no prior '__class__'"),
    "an argument that is a dunder": (lambda c: c["model"]["prior"].update(__class__=1), "damaged"),
    "a kind that is a list": (lambda c: c["model"]["prior"].update(kind=["normal"]), "damaged"),
    "a part in a part": (
        lambda c: c["model"]["prior"].update(latent_dim={"kind": "normal", "latent_dim": 2}),
        "damaged",
    ),
    "10^12 weights": (lambda c: c["model"]["decoder"].update(hidden_dims=[HUGE, HUGE]), "more than 90 weights"),
    "10^9 layers": (lambda c: c["model"]["decoder"].update(hidden_dims=[1] * 10**5), "more than 90 weights"),
    "a latent code of 10^12": (lambda c: c["model"]["posterior"].update(latent_dim=10**12), "weights"),
    "sizes beyond integers": (lambda c: c["model"]["posterior"].update(latent_dim=1 << 80), "cannot be built"),
    "no whole number": (lambda c: c["model"]["posterior"].update(latent_dim=float("inf")), "expected a whole number"),
    "an example of any size": (lambda c: c["data"].update(shape=[1 << 20, 1 << 20]), "a model of examples of shape"),
    "a thousand axes": (lambda c: c["model"]["decoder"].update(out_shape=[9] * 1000), "1000 axes, expected at most 8"),
    "another kind of data": (lambda c: c["data"].update(kind="__import__"), "damaged"),
    "a name that is none": (lambda c: c["data"].update(name={"a": 1}), "damaged"),
}


@pytest.mark.parametrize("kind", list(CONFIGS))
def test_a_hostile_configuration_builds_nothing(folder: Path, kind: str) -> None:
    change, message = CONFIGS[kind]
    edit(folder, change)
    with pytest.raises(RunError, match=message) as caught:
        load_with_spec(folder)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(folder))


def test_depth_and_length(folder: Path) -> None:
    for text in (deep_json(), '{"format": ' + "9" * 5000 + "}", '{"format": 1e999}', '{"a":' * 10_000):
        (folder / "config.json").write_text(text)
        with pytest.raises(RunError, match=r"damaged|newer"):
            load(folder)


def test_weights_in_weights(folder: Path) -> None:
    edit(folder, lambda c: c["model"].update(encoder=nested(c["model"]["encoder"], 300)))
    with pytest.raises(RunError, match="damaged"):
        load(folder)


def nested(part: dict[str, Any], levels: int) -> dict[str, Any]:
    for _ in range(levels):
        part = {"kind": "standardized", "base": part, "shift": [0.0] * 4, "scale": [1.0] * 4}
    return part


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}, b"1234"),
        (
            {
                "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
                "b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
            },
            b"1234",
        ),
        ({"a": {"dtype": "F32", "shape": [1 << 62, 4], "data_offsets": [0, 0]}}, b""),
        ({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"1234"),
        ({"a": {"dtype": "__reduce__", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
        ({"a": {"dtype": "F32", "shape": [0, 1 << 40], "data_offsets": [0, 0]}}, b""),
        ({"__metadata__": {"format": "pickle"}}, b""),
    ],
)
def test_weights_that_lie(folder: Path, header: dict[str, Any], data: bytes) -> None:
    (folder / "weights.safetensors").write_bytes(safetensors(header, data))
    with pytest.raises(RunError, match="damaged"):
        load(folder)


def test_a_header_of_any_length(folder: Path) -> None:
    (folder / "weights.safetensors").write_bytes(b"\xff" * 7 + b"\x7f{}")
    with pytest.raises(RunError, match="damaged"):
        load(folder)


def test_pickles_instead_of_weights(folder: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    torch.save({"a": Canary(canary)}, folder / "weights.safetensors")
    with pytest.raises(RunError, match="damaged"):
        load(folder)
    torch.save({"a": Canary(canary)}, tmp_path / "model.pt")
    (tmp_path / "model.pkl").write_bytes(pickled(canary))
    for name in ("model.pt", "model.pkl"):
        with pytest.raises(ReparamError, match="holds no model"):
            load(tmp_path / name)
    assert not canary.exists()
    pickle.loads(pickled(canary))  # noqa: S301 - it would have been made
    assert canary.exists()


def test_pipes(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "weights.safetensors"):
        (folder / name).rename(tmp_path / name)
        os.mkfifo(folder / name)
        with pytest.raises(ReparamError, match="holds no model"):
            load(folder)
        (folder / name).unlink()
        (tmp_path / name).rename(folder / name)
    for name, read in (("c.yaml", read_yaml), ("metrics.jsonl", lambda path: read_metrics(path.parent))):
        os.mkfifo(tmp_path / name)
        with pytest.raises(ReparamError, match="no regular file"):
            read(tmp_path / name)


YAML = {
    "a tag that runs code": "a: !!python/object/apply:os.mkdir [canary]",
    "a tag that makes an object": "a: !!python/object/new:os.PathLike {}",
    "a tag that names a module": "a: !!python/module:os",
    "aliases": laughs(),
    "an alias of itself": "a: &a [*a]",
    "merged aliases": "a: &a {b: 1}\nc:\n  <<: *a",
    "depth": deep_json(900),
    "depth that takes long to find": "[" * 9000,
    "length": "a: 1\n" * 100_000,
    "a date that is none": "a: 2001-13-45",
    "a number that is none": "a: !!int x",
    "a truth that is none": "a: !!bool x",
    "a number of any length": "a: " + "9" * 5000,
    "no text": "a: \x00",
}


@pytest.mark.parametrize("kind", list(YAML))
def test_hostile_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "c.yaml"
    path.write_text(YAML[kind])
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoder": "os.system"}, "model.encoder: there is no encoder 'os.system'"),
        ({"encoder": {"kind": "__init__"}}, "there is no encoder '__init__'"),
        ({"encoder": {"kind": "mlp", "__class__": "x"}}, "mlp has no setting '__class__'"),
        ({"encoder": {"kind": "mlp", 5: "x"}}, "mlp has no setting 5"),
        ({"encoder": {"kind": "x" * 10**6}}, "there is no encoder 'xxx"),
    ],
)
def test_only_kinds_of_the_table(settings: dict[str, Any], message: str) -> None:
    parts = dict.fromkeys(("encoder", "decoder"), "mlp") | {"likelihood": "bernoulli"}
    model = parts | {"posterior": "normal", "prior": "normal"} | settings
    with pytest.raises(ConfigError, match=message) as caught:
        parse_config({"recipe": "vae", "data": {}, "model": model, "objective": "elbo"})
    assert len(str(caught.value)) < 2000


def test_many_faults_are_not_all_told() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({f"key{number}": number for number in range(10_000)})
    assert len(str(caught.value).splitlines()) <= 20


@pytest.mark.parametrize(
    "network",
    [
        {"kind": "mlp", "hidden_dims": [HUGE, HUGE]},
        {"kind": "mlp", "hidden_dims": [1] * 30_000},
        {"kind": "mlp", "hidden_dims": [1 << 70]},
        {"kind": "conv", "channels": [HUGE, HUGE]},
        {"kind": "conv", "blocks": 10**9},
    ],
    ids=["wide", "deep", "beyond integers", "many channels", "many blocks"],
)
def test_settings_that_ask_for_too_much_take_nothing(network: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reparam.weighing.MOST_TENSORS", 300)  # to be faster
    with pytest.raises(PartError, match=r"more than|cannot be built"):
        build("vae", tiny_data("binary", (1, 16, 16)), network=network)


def test_a_checkpoint_that_asks_for_too_much() -> None:
    described = {"kind": "mlp", "latent_dim": 2, "out_shape": [4], "hidden_dims": [HUGE, HUGE], "layer": "plain"}
    with pytest.raises(PartError, match="more than"):
        rebuild(described, "decoder")


def test_weighing_changes_nothing_else() -> None:
    """Another thread, or a later model, may have any size; and the first look draws no random numbers."""
    state = torch.random.get_rng_state()
    with pytest.raises(PartError, match="more than 5 weights"):
        affordable(lambda: torch.nn.Linear(2, 3), weights=5)
    assert torch.equal(torch.random.get_rng_state(), state)
    reseed(3)
    plain = torch.nn.Linear(2, 3)
    reseed(3)
    assert torch.equal(affordable(lambda: torch.nn.Linear(2, 3), weights=9).weight, plain.weight)


def test_honest_settings_still_build() -> None:
    parts = {"encoder": "mlp", "decoder": "conv", "likelihood": "bernoulli", "posterior": "normal", "prior": "normal"}
    config = parse_config({"recipe": "vae", "data": {}, "model": parts, "objective": "elbo"})
    assert config.model is not None
    assert build_model(config.model, tiny_spec("binary", (1, 8, 8))).data_shape == (1, 8, 8)


METRICS = {
    "depth": deep_json(),
    "a list": "[1, 2]",
    "no step": '{"split": "train"}',
    "a step that is none": '{"step": "x", "split": "train"}',
    "a term that is none": '{"step": 1, "split": "train", "elbo": [1]}',
    "a number of any length": '{"step": ' + "9" * 5000 + ', "split": "train"}',
    "no text": "\x00\udcff",
}


@pytest.mark.parametrize("kind", list(METRICS))
def test_a_damaged_log_is_read_up_to_the_damage(tmp_path: Path, kind: str) -> None:
    good = '{"step": 1, "split": "train", "elbo": -1.0}\n'
    (tmp_path / "metrics.jsonl").write_text(good + METRICS[kind] + "\n" + good, errors="surrogateescape")
    assert read_metrics(tmp_path) == [json.loads(good)]


@pytest.mark.parametrize("state", ["[]", "{}", '{"state": 1, "checksums": {}}', deep_json(), "1" * 5000, "\x00"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, state: str) -> None:
    for step in (1, 2):
        save_checkpoint(tmp_path, step, Checkpoint({"weights": {"a": torch.ones(2)}}, {"about": {"model": step}}))
    (tmp_path / "checkpoints" / "step-000000002" / "state.json").write_text(state)
    with pytest.warns(UserWarning, match="step-000000002 is damaged"):
        found = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.state["about"] == about(tmp_path) == {"model": 1}
