"""A model on disk: config.json beside weights.safetensors, complete or refused with a sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from reparam.composing import rebuild
from reparam.errors import PartError, ReparamError, RunError, RunNotFoundError
from reparam.models import VAE
from reparam.networks import Encoder
from reparam.posteriors import NormalPosterior
from reparam.recipes import build
from reparam.rng import reseed
from reparam.store import load, load_with_spec, model_folder, save
from tests.contracts.members import tiny_data, tiny_spec


def model(seed: int = 0) -> VAE:
    reseed(seed)
    return build("sigma-vae", tiny_data("real", (4,)), network={"kind": "mlp", "hidden_dims": [5]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save(model(), tmp_path / "run" / "model", tiny_spec("real", (4,)))


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads((folder / "config.json").read_text())
    change(content)
    (folder / "config.json").write_text(json.dumps(content))


def test_files_are_those_two_and_no_pickle(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "weights.safetensors"]
    assert [path.name for path in folder.parent.iterdir()] == ["model"]  # nothing is left beside it
    assert (folder / "weights.safetensors").read_bytes()[8:9] == b"{"  # the header of safetensors


def test_a_run_folder_or_its_model_folder(folder: Path) -> None:
    assert model_folder(folder) == model_folder(folder.parent) == model_folder(str(folder.parent)) == folder
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    assert torch.equal(load(folder).encode(x), load(folder.parent).encode(x))


def test_the_running_scale_is_kept(tmp_path: Path) -> None:
    one = model()
    one.likelihood.base.noise.running.fill_(0.123)
    assert load(save(one, tmp_path / "m")).likelihood.base.noise.running.item() == pytest.approx(0.123)


def test_other_files_are_never_removed(folder: Path) -> None:
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match=r"holds other files \(thesis.txt\). Save into a folder of its own"):
        save(model(1), folder)
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_an_older_model_is_replaced(folder: Path) -> None:
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    other = model(1)
    save(other, folder)
    assert torch.equal(load(folder).encode(x), other.encode(x))
    assert load_with_spec(folder)[1] is None


def test_loading_draws_nothing_that_matters(folder: Path) -> None:
    reseed(5)
    first = load(folder)
    reseed(6)
    again = load(folder)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_a_run_without_a_model_yet(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    with pytest.raises(RunNotFoundError, match=f"stopped before it had a model. Go on with: reparam resume {tmp_path}"):
        load(tmp_path)


@pytest.mark.parametrize("missing", ["config.json", "weights.safetensors"])
def test_a_missing_file(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(RunNotFoundError, match="exists but holds no model"):
        load(folder.parent)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(
        RunNotFoundError, match=r"nothing is not there. Give the folder that 'reparam train --out' wrote"
    ):
        load(tmp_path / "nothing")


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "weights cut off": lambda folder: (folder / "weights.safetensors").write_bytes(
        (folder / "weights.safetensors").read_bytes()[:-40]
    ),
    "weights empty": lambda folder: (folder / "weights.safetensors").write_bytes(b""),
    "weights are something else": lambda folder: (folder / "weights.safetensors").write_bytes(b"x" * 200),
    "no JSON": lambda folder: (folder / "config.json").write_text("{"),
    "no text": lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe\x00"),
    "JSON of a list": lambda folder: (folder / "config.json").write_text("[1, 2]"),
    "no model in it": lambda folder: edit(folder, lambda c: c.pop("model")),
    "model is a word": lambda folder: edit(folder, lambda c: c.update(model="vae")),
    "no format": lambda folder: edit(folder, lambda c: c.pop("format")),
    "format is a word": lambda folder: edit(folder, lambda c: c.update(format="one")),
    "no data": lambda folder: edit(folder, lambda c: c.pop("data")),
    "data with an unknown field": lambda folder: edit(folder, lambda c: c["data"].update(colour=1)),
    "data is a word": lambda folder: edit(folder, lambda c: c.update(data="digits")),
    "unknown part": lambda folder: edit(folder, lambda c: c["model"]["posterior"].update(kind="nromal")),
    "part without a kind": lambda folder: edit(folder, lambda c: c["model"]["posterior"].pop("kind")),
    "unknown argument": lambda folder: edit(folder, lambda c: c["model"]["posterior"].update(colour=1)),
    "other sizes": lambda folder: edit(folder, lambda c: c["model"]["encoder"]["base"].update(hidden_dims=[7])),
    "parts that do not fit": lambda folder: edit(folder, lambda c: c["model"]["prior"].update(latent_dim=9)),
    "training is a word": lambda folder: edit(folder, lambda c: c.update(training="vae")),
    "training without an objective": lambda folder: edit(folder, lambda c: c["training"].pop("objective")),
    "value out of range": lambda folder: edit(folder, lambda c: c["model"]["prior"].update(latent_dim=0)),
}


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_damage_is_one_sentence(folder: Path, damage: str) -> None:
    DAMAGE[damage](folder)
    with pytest.raises(RunError, match="the model is damaged") as raised:
        load_with_spec(folder)
    assert "\n" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_an_unknown_part_names_the_nearest(folder: Path) -> None:
    edit(folder, lambda c: c["model"]["posterior"].update(kind="nromal"))
    with pytest.raises(RunError, match=r"There is no posterior 'nromal'. Did you mean 'normal'"):
        load(folder)


def test_a_newer_format_asks_for_an_upgrade(folder: Path) -> None:
    edit(folder, lambda c: c.update(format=99))
    with pytest.raises(RunError, match=r"written by a newer reparam .format 99.. Upgrade reparam"):
        load(folder)


def test_a_part_of_ones_own_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    class Mine(Encoder):
        def features(self, x: Any) -> Any:
            return x

    one = model()
    mine = VAE(Mine((4,), 4), NormalPosterior(4, 2), one.prior, one.decoder, one.likelihood)
    with pytest.raises(PartError, match="Mine is defined inside a function, where nobody finds it again"):
        save(mine, tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReparamError, match="could not be written"):
        save(model(), tmp_path / "file" / "m")


def test_code_in_a_configuration_is_never_run(folder: Path) -> None:
    """Only kinds of the table are built, and only by keyword."""
    with pytest.raises(ReparamError):
        rebuild({"kind": "os.system", "command": "true"}, "encoder")
