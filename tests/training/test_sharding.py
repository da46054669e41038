"""Weights shared out over processes train what whole ones do, and go on as whole ones."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reparam.errors import RefusedError, RunError
from reparam.processes import current, is_part
from reparam.recipes import RECIPES
from reparam.rng import reseed
from reparam.runs import resume, train
from reparam.training import Trainer
from reparam.training.sharding import gathered, own_part, shared_out
from tests.contracts.members import OF_OBSERVATIONS, OF_SEQUENCES, several_data, tiny_data
from tests.training.forked import in_processes
from tests.training.test_processes import same
from tests.training.trained import trainer


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """Once, for all the processes that are forked here."""
    import_module("torch.distributed.fsdp")


# parts that differentiate a gradient, or read all weights at once
REFUSED = {"autoencoder-kl", "hamiltonian-vae", "rae-gp", "rae-l2", "riemannian-hamiltonian-vae", "vq-gan"}
QUICK = ("vae", "vq-vae", "aae")
# with so few data its last tables quantise rounding errors, which differ with the number of processes
ROUNDING = {"residual-vq-vae"}
OTHERS = [r for r in RECIPES if r not in {*QUICK, *REFUSED, *ROUNDING}]


@pytest.fixture(autouse=True)
def _small_and_exact(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Layers of these tests count as large; everything is in float64."""
    monkeypatch.setattr("reparam.training.sharding.SMALLEST", 64)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def rows(
    recipe: str, shard: bool, folder: Path | None = None, shape: tuple[int, ...] = (1, 4, 4), **given: Any
) -> list[dict[str, Any]]:
    """The rows of a short training."""
    settings = {"batch_size": 8, "epochs": 1, "validations": 3, "tensorboard": False, "shard": shard} | given
    data = several_data() if recipe in OF_OBSERVATIONS else tiny_data("unit", shape)
    return train(recipe, {"train": settings}, data=data, out=folder, device="cpu").metrics


@pytest.mark.parametrize("recipe", [*QUICK, *(pytest.param(recipe, marks=pytest.mark.slow) for recipe in OTHERS)])
def test_losses_at_every_step(tmp_path: Path, recipe: str) -> None:
    shape = (4, 5) if recipe in OF_SEQUENCES else (1, 4, 4)
    alone = rows(recipe, shard=False, shape=shape)
    assert len(alone) == 6
    found = in_processes(2, lambda: rows(recipe, shard=True, shape=shape), tmp_path)
    assert all(same(alone, each) for each in found)


@pytest.mark.parametrize(
    ("recipe", "shape"), [("vae", (1, 16, 12)), pytest.param("sigma-vae", (2, 33), marks=pytest.mark.slow)]
)
def test_convolutions(tmp_path: Path, recipe: str, shape: tuple[int, ...]) -> None:
    """Their weights are laid out channels last, which FSDP does not take."""
    alone = rows(recipe, shard=False, shape=shape)
    found = in_processes(2, lambda: rows(recipe, shard=True, shape=shape), tmp_path)
    assert all(same(alone, each) for each in found)


class Careless(nn.Module):
    """Overwrites what a layer gave, calls one layer twice, ties two, and leaves one out."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again, self.idle = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 16)
        self.again.weight = self.first.weight
        self.other = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        h = self.other(x).mul_(2)
        return self.again(self.first(self.other(h).add_(1)).relu_())


def test_layers_are_used_as_anybody_likes(tmp_path: Path) -> None:
    def gradients(shard: bool) -> list[float]:
        reseed(0)
        one: Any = Careless()
        copied = shared_out(one, processes=current())[0] if shard else one
        copied(torch.ones(2, 3, 16)).square().mean().backward()
        found = [gathered(own_part(p.grad), p) for p in copied.parameters() if p.grad is not None]
        return [gradient.square().sum().item() for gradient in found]

    for found in in_processes(2, lambda: gradients(True), tmp_path):
        assert found == pytest.approx(gradients(False), rel=1e-9)


def test_what_cannot_be_shared_out_is_refused(tmp_path: Path) -> None:
    def sentence(recipe: str) -> str:
        with pytest.raises(RefusedError) as refused:
            rows(recipe, shard=True)
        return str(refused.value)

    for said in in_processes(2, lambda: [sentence(recipe) for recipe in sorted(REFUSED)], tmp_path):
        assert [one for one in said if not one.endswith("Use --train.shard false.")] == []


def held(one: Trainer) -> list[int]:
    """How many numbers a process holds of each of five things: weights, averages, two moments, and all weights."""
    own = [own_part(parameter).numel() for parameter in one.model.parameters()]
    assert one.ema is not None
    moments = [one.updates[0].optimizer.first, one.updates[0].optimizer.second]
    others = [sum(tensor.numel() for tensor in group) for group in (one.ema.average, *moments)]
    return [sum(own), *others, sum(parameter.numel() for parameter in one.model.parameters())]


def test_each_holds_half(tmp_path: Path) -> None:
    def counted() -> list[int]:
        one = trainer(recipe="vae", data=tiny_data("binary", (1, 4, 4)), shard=True)
        assert all(map(is_part, one.model.parameters()))
        return held(one)

    first, second = in_processes(2, counted, tmp_path)
    assert [a + b for a, b in zip(first[:4], second[:4], strict=True)] == [first[4]] * 4
    assert max(*first[:4], *second[:4]) <= 0.51 * first[4]


def test_the_model_that_was_given_is_trained_and_whole(tmp_path: Path) -> None:
    def weights(shard: bool) -> list[float]:
        one = trainer(recipe="vae", data=tiny_data("binary", (1, 4, 4)), shard=shard)
        model: Any = one.given[0]
        one.run()
        assert not any(map(is_part, model.parameters()))
        return [parameter.sum().item() for parameter in model.parameters()]

    alone = weights(shard=False)
    assert all(found == pytest.approx(alone, rel=1e-9) for found in in_processes(2, lambda: weights(True), tmp_path))


@pytest.mark.parametrize(
    ("before", "after", "optimizer"),
    [(1, 2, "adam"), (2, 1, "adamax"), pytest.param(2, 1, "adam", marks=pytest.mark.slow)],
)
def test_goes_on_in_another_number_of_processes(tmp_path: Path, before: int, after: int, optimizer: str) -> None:
    given = {"schedule": "constant", "optimizer": optimizer}
    alone = rows("vae", shard=False, folder=tmp_path / "alone", epochs=2, **given)
    run = tmp_path / "run"

    def begin() -> int:
        rows("vae", shard=True, folder=run, epochs=1, **given)
        return 0

    def rest() -> list[dict[str, Any]]:
        return resume(run, epochs=2, data=tiny_data("unit", (1, 4, 4)), device="cpu").metrics

    in_processes(before, begin, tmp_path / "a")
    found = in_processes(after, rest, tmp_path / "b")
    last = [row["loss"] for row in alone if row["split"] == "train"][-1]
    for each in found:
        assert [row["loss"] for row in each if row["split"] == "train"][-1] == pytest.approx(last, rel=1e-9)


def test_one_process_has_nothing_to_share(tmp_path: Path) -> None:
    assert same(rows("vae", shard=True), rows("vae", shard=False))


def test_compiled_graphs_need_whole_weights(tmp_path: Path) -> None:
    def sentence() -> str:
        with pytest.raises(RunError) as refused:
            rows("vae", shard=True, compile="on")
        return str(refused.value)

    for said in in_processes(2, sentence, tmp_path):
        assert said.startswith("Compiled graphs need whole weights.")
