"""Several processes train what one would: the same losses at every step, whoever draws."""

import time
from pathlib import Path
from typing import Any

import pytest
import torch

from reparam.data import Data
from reparam.errors import RefusedError, RunError
from reparam.objectives import ELBO
from reparam.processes import Processes, current, joined
from reparam.rng import part_of_batch, per_example, seeded
from reparam.training import read_metrics
from tests.contracts.members import tiny_data
from tests.training.forked import in_processes
from tests.training.trained import timeless, trainer


@pytest.fixture
def double() -> Any:
    """Everything in float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def source(recipe: str) -> Data:
    """Data whose batches are drawn, too, for the model with binary outputs."""
    data = tiny_data("unit", (1, 4, 4))
    return data.binarized("dynamic") if recipe == "vae" else data


def rows(recipe: str, folder: Path | None = None, **given: Any) -> list[dict[str, Any]]:
    """The rows of a short training."""
    return trainer(folder, recipe=recipe, data=source(recipe), **given).run().metrics


def same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    """Each number within the rounding of sums in another order."""
    return len(one) == len(other) and all(
        a.pop("split") == b.pop("split") and a == pytest.approx(b, rel=1e-9)
        for a, b in zip(timeless(one), timeless(other), strict=True)
    )


@pytest.mark.usefixtures("double")
class TestEqual:
    @pytest.mark.parametrize(
        ("recipe", "world"),
        [
            ("vae", 2),
            ("dae", 2),
            ("laplace-vae", 2),
            ("vq-vae", 2),
            ("ml-vae", 2),
            pytest.param("lfq-vae", 2, marks=pytest.mark.slow),
            pytest.param("vae", 4, marks=pytest.mark.slow),
            pytest.param("vq-vae", 4, marks=pytest.mark.slow),
        ],
    )
    def test_losses_at_every_step(self, tmp_path: Path, recipe: str, world: int) -> None:
        alone = rows(recipe)
        assert len([row for row in alone if row["split"] == "train"]) == 12
        found = in_processes(world, lambda: rows(recipe), tmp_path)
        assert all(same(alone, each) for each in found)

    def test_what_is_taken_from_the_batch_is_taken_from_all_of_it(self, tmp_path: Path) -> None:
        """The norm that is clipped, the best sigma, and the mean KL that free bits look at."""

        def found() -> list[dict[str, Any]]:
            return rows("sigma-vae", clip=0.01, objective=ELBO(free_bits=0.2))

        assert same(found(), in_processes(2, found, tmp_path)[0])

    @pytest.mark.parametrize("number_of_rows", [200, 2])
    @pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), pytest.param(2, 2, marks=pytest.mark.slow)])
    def test_resumed_by_another_number_of_processes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int, after: int, number_of_rows: int
    ) -> None:
        """Stopped after five of twelve steps, with a row at every step, or with one that is half full."""
        monkeypatch.setattr("reparam.training.loop.LOGS_PER_TRAINING", number_of_rows)
        alone = rows("vae")
        run = tmp_path / "run"
        run.mkdir()

        def half() -> int:
            one = trainer(run, recipe="vae", data=source("vae"))
            one._agreed = lambda stop, due: (one.state.step == 5, due)  # type: ignore[method-assign]
            with pytest.raises(KeyboardInterrupt):
                one.run()
            return one.state.step

        def rest() -> list[dict[str, Any]]:
            return trainer(run, recipe="vae", data=source("vae")).run(resume=True).metrics

        assert set(in_processes(before, half, tmp_path / "a")) == {5}
        later = [row for row in alone if row["step"] > 5]
        found = in_processes(after, rest, tmp_path / "b")
        assert all(same(later, [row for row in each if row["step"] > 5]) for each in found)
        assert same(alone, read_metrics(run))


def test_all_begin_with_the_weights_of_the_first(tmp_path: Path) -> None:
    def found() -> float:
        one = trainer()
        if current().rank:
            torch.nn.init.constant_(next(one.model.parameters()), 9.0)
        return float(one.run().metrics[-1]["loss"])

    first, second = in_processes(2, found, tmp_path)
    assert first == second == pytest.approx(trainer().run().metrics[-1]["loss"], rel=1e-4)  # float32, other order


class TestGroup:
    def test_one_writes(self, tmp_path: Path) -> None:
        def kept() -> list[int]:
            seen: list[int] = []
            trainer(tmp_path, progress=lambda row, total: seen.append(row["step"])).run()
            return seen

        speaking, silent = in_processes(2, kept, tmp_path / "answers")
        assert speaking
        assert not silent
        assert (tmp_path / "metrics.jsonl").exists()

    def test_a_batch_that_cannot_be_shared(self) -> None:
        with pytest.raises(RunError, match="A batch of 10 examples cannot be shared by 4 processes"):
            Processes(1, 4).share(10)

    def test_averages_what_is_laid_out_otherwise(self, tmp_path: Path) -> None:
        def averaged() -> list[Any]:
            rank = current().rank
            image = torch.arange(24.0).reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last) * (1 + rank)
            small = torch.tensor([float(rank)], dtype=torch.float64)
            current().average([image, small])
            return [image.tolist(), small.tolist(), current().agreed(rank + 7), *current().any(rank == 1, False)]

        for image, small, agreed, one, none in in_processes(2, averaged, tmp_path):
            assert torch.equal(torch.tensor(image), torch.arange(24.0).reshape(1, 2, 3, 4) * 1.5)
            assert (small, agreed, one, none) == ([0.5], 7, True, False)


class TestDraws:
    @pytest.mark.parametrize("axis", [0, 1])
    def test_parts_make_the_whole(self, axis: int) -> None:
        def draws(size: int) -> list[torch.Tensor]:
            shape = (size, 3) if axis == 0 else (3, size)
            with seeded(3), per_example(axis):
                return [
                    torch.rand(shape),
                    torch.randn(*shape),
                    torch.rand_like(torch.zeros(shape)),
                    torch.empty(shape).normal_(1, 2),
                    torch.distributions.Laplace(torch.zeros(shape), 1.0).rsample(),
                    torch.distributions.Normal(torch.zeros(shape), torch.ones(shape)).rsample(),
                ]

        whole = draws(6)
        parts = []
        for part in range(3):
            with part_of_batch(part, 3):
                parts.append(draws(2))
        for number, drawn in enumerate(whole):
            assert torch.equal(torch.cat([part[number] for part in parts], axis), drawn)

    def test_what_cannot_be_shared_is_refused(self) -> None:
        with part_of_batch(0, 2), per_example(0), pytest.raises(RefusedError, match="bernoulli cannot be drawn alike"):
            torch.bernoulli(torch.full((2,), 0.5))


def test_processes_may_meet_again(tmp_path: Path) -> None:
    """One training after another in a script, where one process is late: it must not be sought where it was before."""

    def late(lag: float) -> list[float]:
        found = []
        for number in (1.0, 2.0):
            with joined(torch.device("cpu")) as group:
                found.append(group.total(torch.tensor(number)).item())
            time.sleep(lag * group.writes)
        return found

    assert in_processes(2, lambda: late(0.3), tmp_path, join=False) == [[2.0, 4.0]] * 2
