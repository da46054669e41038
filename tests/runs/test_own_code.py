"""Networks and methods of the user's own: found by import path where they are trusted, else kept as weights."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reparam.cli import run as command
from reparam.errors import ConfigError, PartError, ReparamError, RunError
from reparam.likelihoods import NormalLikelihood
from reparam.models import VAE
from reparam.networks import MLPDecoder, MLPEncoder
from reparam.objectives import ELBO
from reparam.posteriors import NormalPosterior
from reparam.priors import NormalPrior
from reparam.recipes import build
from reparam.rng import reseed
from reparam.runs import fit, open_run, resume, train
from reparam.store import load, save
from reparam.trace import Trace
from tests.contracts.members import tiny_data

SOURCE = """
from torch import nn
from reparam.networks import Encoder
from reparam.objectives import ELBO


class Small(Encoder):
    def __init__(self, data_shape, out_dim=6, width: int = 5, act: nn.Module = None):
        super().__init__(data_shape, out_dim)
        self.width, self.act = width, act
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(4, width), nn.Tanh(), nn.Linear(width, out_dim))

    def features(self, x):
        return self.net(x)


class Doubled(ELBO):
    def __init__(self, times: float = 2.0):
        super().__init__(beta=times)
        self.times = times
"""
TRAIN = {"batch_size": 8, "validations": 2, "tensorboard": False}


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / "mynets.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import mynets  # type: ignore[import-not-found]

    yield mynets
    sys.modules.pop("mynets")


def model(encoder: nn.Module) -> VAE:
    reseed(0)
    decoder = MLPDecoder(2, (4,), hidden_dims=[5])
    return VAE(encoder, NormalPosterior(6, 2), NormalPrior(2), decoder, NormalLikelihood((4,)))  # type: ignore[arg-type]


class TestTrusted:
    def test_a_model_comes_back_where_its_code_is_trusted(self, module: Any, tmp_path: Path) -> None:
        mine = model(module.Small((4,), width=7)).eval()
        save(mine, tmp_path / "m")
        assert json.loads((tmp_path / "m" / "config.json").read_text())["model"]["encoder"]["kind"] == "mynets:Small"
        with pytest.raises(RunError, match=r"'mynets:Small' is code that does not come with reparam\. If you trust it"):
            load(tmp_path / "m")
        x = torch.randn(3, 4)
        again = load(tmp_path / "m", trust_code=True)
        assert torch.equal(again.encode(x), mine.encode(x))
        assert again.encoder.width == 7

    def test_a_trusted_objective_is_trusted_in_the_next_training(self, module: Any) -> None:
        data = tiny_data("real", (4,))
        model = fit(build("vae", data), data, "mynets:Doubled", trust_code=True, epochs=1, **TRAIN).model
        assert fit(model, data, epochs=1, **TRAIN).config.objective.kind == "mynets:Doubled"

    def test_trust_ends_with_the_call(self, module: Any, tmp_path: Path) -> None:
        save(model(module.Small((4,))), tmp_path / "m")
        load(tmp_path / "m", trust_code=True)
        with pytest.raises(RunError, match="trust_code=True"):
            load(tmp_path / "m")

    def test_a_recipe_takes_it_by_its_path(self, module: Any, tmp_path: Path) -> None:
        over: dict[str, Any] = {
            "model": {"encoder": {"kind": "mynets:Small", "width": 3}},
            "objective": {"kind": "mynets:Doubled", "times": 3.0},
            "train": TRAIN | {"epochs": 1},
        }
        data = tiny_data("real", (4,))
        with pytest.raises(ConfigError, match=r"settings: model.encoder: 'mynets:Small' is code"):
            train("vae", over, data=data)
        done = train("vae", over, data=data, out=tmp_path / "run", device="cpu", trust_code=True)
        assert done.model.encoder.base.width == 3  # type: ignore[union-attr]
        with pytest.raises(ReparamError, match="--trust-code"):
            open_run(tmp_path / "run", "cpu")
        again = open_run(tmp_path / "run", "cpu", data, trust_code=True)
        assert again.config.objective.settings == {"times": 3.0}  # type: ignore[union-attr]
        longer = resume(tmp_path / "run", epochs=2, data=data, device="cpu", trust_code=True)
        assert longer.metrics[-1]["epoch"] == 2
        with pytest.raises(ConfigError, match=r"Small has no setting 'widht'\. Did you mean 'width'"):
            train("vae", {"model": {"encoder": {"kind": "mynets:Small", "widht": 3}}}, data=data, trust_code=True)

    def test_the_command_line_finds_it_in_the_current_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "ownnets.py").write_text(SOURCE.replace("nn.Linear(4,", "nn.Linear(64,"))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", list(sys.path))
        words = ["train", "vae", "--data=digits", "--epochs=1", "--no-report", "--model.encoder=ownnets:Small"]
        assert command([*words, "--out=run"]) == 2
        assert "pass trust_code=True, on the command line --trust-code" in capsys.readouterr().err
        assert command([*words, "--out=run", "--trust-code"]) == 0
        assert command(["encode", "run", "digits", "--out=z.npz"]) == 1
        assert command(["encode", "run", "digits", "--out=z.npz", "--trust-code"]) == 0
        sys.modules.pop("ownnets")

    @pytest.mark.parametrize(
        ("kind", "sentence"),
        [
            ("os:system", "'os:system' is no class of torch modules"),
            ("os:nothing.at.all", r"'os:nothing.at.all' cannot be imported \(AttributeError"),
            ("no.such.module:Net", r"'no.such.module:Net' cannot be imported \(ModuleNotFoundError"),
            (":Net", r"':Net' cannot be imported \(ValueError"),
        ],
    )
    def test_what_is_no_module(self, kind: str, sentence: str) -> None:
        with pytest.raises(ConfigError, match=sentence):
            train("vae", {"model": {"encoder": kind}}, data=tiny_data("real", (4,)), trust_code=True)


def dense(width: int) -> nn.Module:
    """A network of the package's own."""
    return MLPEncoder((4,), [width, 6])


class Forgetful(nn.Module):
    """Does not keep its argument, so nobody can build it again."""

    data_shape, out_dim = (4,), 6

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Linear(4, 6 * width // width)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.net(x)
        return found


class Holder(Forgetful):
    """Keeps what it is given."""

    def __init__(self, given: Any) -> None:
        super().__init__(3)
        self.given = given


@pytest.mark.parametrize("given", [[nn.ReLU], {"f": torch.ones(1)}, {0: 1}, {"kind": "mlp"}, [torch.float32]])
def test_what_a_file_does_not_give_back_is_refused(given: Any, tmp_path: Path) -> None:
    """Before anything is trained, and however deep it lies."""
    with pytest.raises(PartError, match=r"whose argument 'given' is a .*; expected a module or plain values"):
        save(model(Holder(given)), tmp_path / "m")


def test_a_class_of_a_script_is_not_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Holder, "__module__", "__main__")
    with pytest.raises(PartError, match="Holder is defined in a script or a notebook, where nobody finds it again"):
        save(model(Holder(3)), tmp_path / "m")


class TestWeightsAlone:
    def test_it_trains_into_a_folder_and_goes_on(self, tmp_path: Path) -> None:
        data, mine = tiny_data("real", (4,)), model(Forgetful(3))
        with pytest.raises(PartError, match=r"Forgetful, which does not keep the argument 'width'.*self.width = width"):
            save(mine, tmp_path / "m")
        with pytest.warns(UserWarning, match="The run folder keeps its weights alone: reparam.load"):
            fit(mine, data, out=tmp_path / "run", device="cpu", epochs=2, **TRAIN)  # type: ignore[arg-type]
        with pytest.raises(RunError, match=r"Build it, and load them: reparam.load\(path, into=model\)"):
            load(tmp_path / "run")
        other, x = model(Forgetful(3)), torch.randn(3, 4)
        assert torch.equal(load(tmp_path / "run", into=other).encode(x), mine.encode(x))
        with pytest.raises(RunError, match=r"Go on with reparam.resume\(..., model=...\)"):
            resume(tmp_path / "run", epochs=3, data=data, device="cpu")
        wider = model(dense(7))
        with pytest.raises(RunError, match=r"The checkpoint is of another model \(encoder.net"):
            resume(tmp_path / "run", epochs=3, data=data, model=wider, device="cpu")
        with pytest.warns(UserWarning, match="its weights alone"):
            done = resume(tmp_path / "run", epochs=3, data=data, model=model(Forgetful(3)), device="cpu")
        assert done.metrics[-1]["epoch"] == 3

    def test_weights_of_another_model_do_not_fit(self, tmp_path: Path) -> None:
        save(model(dense(5)), tmp_path / "m")
        with pytest.raises(RunError, match="the weights do not fit the given model"):
            load(tmp_path / "m", into=model(dense(6)))


class TestGoingOn:
    def test_another_objective_than_the_runs_is_refused(self, tmp_path: Path) -> None:
        data = tiny_data("real", (4,))
        mine = model(dense(5))
        fit(mine, data, ELBO(beta=2.0), out=tmp_path / "run", device="cpu", epochs=1, **TRAIN)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=r"trained by another objective \(elbo, see its config.yaml\)"):
            resume(tmp_path / "run", epochs=2, data=data, objective=ELBO(), device="cpu")
        done = resume(tmp_path / "run", epochs=2, data=data, objective=ELBO(beta=2.0), device="cpu")
        assert done.metrics[-1]["epoch"] == 2


def test_doubles_come_back_as_doubles(tmp_path: Path) -> None:
    mine = model(dense(5)).double().eval()
    x = torch.randn(3, 4, dtype=torch.float64)
    again = load(save(mine, tmp_path / "m"))
    assert torch.equal(again.encode(x), mine.encode(x))


class Bare(nn.Module):
    """No autoencoder: a module that fills a trace, and no more."""

    conditions, observes, binary, starts, amortized = (), (), False, False, True

    def __init__(self) -> None:
        super().__init__()
        self.inner = model(dense(5))

    def trace(self, x: Tensor, samples: int = 1, **named: Any) -> Trace:
        return self.inner.trace(x, samples)


def test_any_model_that_fills_a_trace_trains() -> None:
    done = fit(Bare(), tiny_data("real", (4,)), device="cpu", epochs=1, **TRAIN)  # type: ignore[arg-type]
    assert done.config.recipe == "custom"
    assert done.metrics
