"""The factor grid of dSprites, drawn when it is asked for."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from reparam.data import Data, Split, describe_sources, load_data, load_items
from reparam.data.sprites import COUNT, FACTORS, Renderer, factors_of
from reparam.errors import DataError, DataNotFoundError
from reparam.evaluation import evaluate
from reparam.runs import open_run, resume, train
from tests.contracts.members import tiny_data
from tests.training.trained import equal, weights


def drawn(size: int = 64, **factors: int) -> Tensor:
    """One picture by its factors, the others in the middle; (H, W)."""
    chosen = {"shape": 0, "scale": 5, "orientation": 0, "x": 16, "y": 16} | factors
    row = 0
    for extent, value in zip(FACTORS, chosen.values(), strict=True):
        row = row * extent + value
    return Renderer(size)(torch.tensor([row]))[0, 0]


@pytest.fixture(scope="module")
def data() -> Data:
    return load_data("sprites", limit=300)


def test_the_whole_grid_is_there_and_takes_no_room() -> None:
    items = load_items("sprites")
    assert len(items) == COUNT == 737_280
    assert items.stored.nbytes + sum(values.nbytes for values in items.named.values()) < 50 << 20
    assert items.spec.classes == ("square", "ellipse", "heart")
    assert (items.spec.shape, items.spec.kind, items.spec.binarize) == ((1, 64, 64), "binary", "none")
    assert items.named["factors"].amax(0).tolist() == [extent - 1 for extent in FACTORS]
    # the order of dSprites: y counts fastest, then x
    assert items.named["factors"][[0, 1, 32, 1024]].tolist() == [
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1],
        [0, 0, 0, 1, 0],
        [0, 0, 1, 0, 0],
    ]


def test_the_splits_share_the_grid() -> None:
    whole = load_data("sprites")
    assert [len(whole.train), len(whole.validation), len(whole.test)] == [589_824, 73_728, 73_728]
    rows = torch.cat([whole.split(name).stored for name in ("train", "validation", "test")])
    assert len(rows.unique()) == COUNT
    assert torch.equal(whole.test.labels, factors_of(whole.test.stored)[:, 0])
    assert torch.equal(whole.test.named["factors"], factors_of(whole.test.stored))
    again, other = load_data("sprites"), load_data("sprites", seed=1)
    assert torch.equal(again.test.stored, whole.test.stored)
    assert not torch.equal(other.test.stored, whole.test.stored)
    assert len(load_data("sprites", validation=1000).validation) == 1000


def test_a_batch_is_binary_and_brings_its_factors(data: Data) -> None:
    batch = data.train.batch(torch.arange(128))
    assert batch.x.shape == (128, 1, 64, 64)
    assert batch.x.dtype == torch.get_default_dtype()
    assert set(batch.x.unique().tolist()) == {0.0, 1.0}
    assert set(batch.named) == {"labels", "factors"}
    assert batch.named["factors"].shape == (128, 5)
    assert torch.equal(Renderer(64)(data.train.stored[:128]).float(), batch.x)


def test_a_place_moves_the_sprite_by_a_pixel_and_no_sprite_is_cut() -> None:
    for shape in range(3):
        here = drawn(shape=shape, orientation=3, x=0, y=0)
        moved = drawn(shape=shape, orientation=3, x=31, y=5)
        assert torch.equal(torch.roll(here, (5, 31), (0, 1)), moved)
        assert here.sum() == moved.sum() == drawn(shape=shape, orientation=3).sum()
        assert not here[:, -1].any()
        assert not moved[-1].any()
        assert not moved[:, -1].any()


def test_turns_repeat_as_the_shapes_do() -> None:
    pictures = torch.stack([drawn(shape=s, orientation=o) for s in range(3) for o in range(40)]).flatten(1)
    square, ellipse, heart = pictures.reshape(3, 40, -1)
    assert torch.equal(square, square.roll(10, 0))
    assert torch.equal(ellipse, ellipse.roll(20, 0))
    assert [len(shape.unique(dim=0)) for shape in (square, ellipse, heart)] == [10, 20, 40]


def test_every_scale_and_shape_looks_different() -> None:
    rows = torch.arange(COUNT).reshape(FACTORS)[:, :, :, 16, 16].flatten()
    pictures = Renderer(64)(rows).flatten(1)
    assert len(pictures.unique(dim=0)) == 6 * (10 + 20 + 40)
    area = pictures.reshape(3, 6, 40, -1).sum(-1, dtype=torch.float64).mean(-1)
    scales = torch.linspace(0.5, 1, 6, dtype=torch.float64)
    assert torch.allclose(area / scales.square(), area[:, -1:].expand(3, 6), rtol=0.06)  # pixels round outlines
    assert area.mean() / 4096 == pytest.approx(0.0425, abs=0.003)  # the mean of dSprites
    assert (area[:, -1].max() / area[:, -1].min()) < 1.4


def test_a_heart_stands_upright_first() -> None:
    """Its notch is at the top and its tip at the bottom; a turn of a quarter goes against the clock."""
    heart = drawn(shape=2)
    rows = heart.any(1).nonzero().flatten()
    edges = heart.int().diff(dim=1).abs().sum(1)
    assert edges[rows[0] + 1] == 4  # two bumps
    assert edges[rows[-1] - 1] == 2
    assert torch.equal(heart, heart.flip(1).roll(1, 1))  # the same to the left and to the right of column 32
    quarter = drawn(shape=2, orientation=10)
    assert torch.equal(quarter[17:48, 17:48], heart[17:48, 17:48].rot90(1))


def test_half_the_size_takes_blocks() -> None:
    small, large = drawn(32, shape=1, orientation=7), drawn(64, shape=1, orientation=7)
    ink = large.reshape(32, 2, 32, 2).sum((1, 3))
    assert torch.equal(small, (ink >= 2).to(torch.uint8))
    assert load_data("sprites", size=32, limit=5).train.batch(slice(None)).x.shape == (5, 1, 32, 32)


def test_it_works_as_other_splits_do(data: Data) -> None:
    split = data.test
    assert len(split) == 300
    parts = list(split.batches(128))
    assert [len(part) for part in parts] == [128, 128, 44]
    whole = split.batch(slice(None))
    assert torch.equal(torch.cat([part.x for part in parts]), whole.x)
    order = split.order(0, 1)[:7]
    assert torch.equal(split.batch(order).x, split.take(order).batch(slice(None)).x)
    assert torch.equal(split.subset(20, 3).batch(slice(None)).x, split.subset(20, 3).batch(slice(None)).x)
    assert split.fixed(0) is split
    assert torch.equal(split.to("cpu").batch(slice(0, 3)).x, whole.x[:3])
    assert load_data(data) is data
    dynamic = data.binarized("dynamic").test.fixed(0)
    assert torch.equal(dynamic.batch(slice(None)).x, whole.x)
    assert dynamic.render is None


def test_it_is_prepared_for_a_model(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    again = load_data(data, spec=data.spec)
    assert torch.equal(again.test.stored, data.test.batch(slice(None)).x.to(torch.uint8))
    small = load_data("sprites", size=32, limit=4)
    assert load_items("sprites", spec=small.spec).spec.shape == (1, 32, 32)
    assert load_data("sprites", spec=small.spec, name="mine", limit=4).spec.name == "mine"
    with pytest.raises(DataError, match=r"sprites are binary pictures of 1x64x64; .* unit data of 1x8x8"):
        load_items("sprites", spec=tiny_data("unit", (1, 8, 8)).spec)
    monkeypatch.setattr("reparam.data.convert.MEMORY_BYTES", 1 << 20)
    with pytest.raises(DataError, match=r"sprites would take 3\.\d+ MiB in memory"):
        load_data(data, spec=data.spec)


def test_other_sizes_and_names_are_refused() -> None:
    for size in (48, (64, 32)):
        with pytest.raises(DataError, match=r"sprites cannot be had in .* expected size=64 or 32"):
            load_data("sprites", size=size)
    with pytest.raises(DataNotFoundError, match="Did you mean 'sprites'"):
        load_data("sprite")
    with pytest.raises(DataError, match="cannot be streamed"):
        load_data("sprites", stream=True)
    with pytest.raises(
        DataError, match=r"'sprites:32': expected sprites, .* by --data.size \(64 or 32\), .*--data.limit"
    ):
        load_data("sprites:32")


def test_it_is_listed() -> None:
    (row,) = [row for row in describe_sources() if row["name"] == "sprites"]
    assert row["at_hand"]
    assert "737,280" in row["about"]


@pytest.mark.slow
def test_a_run_on_sprites_resumes_and_is_judged(tmp_path: Path) -> None:
    settings = {
        "data": {"source": "sprites", "size": 32, "limit": 60},
        "model": {"network": {"kind": "mlp", "hidden_dims": [8]}, "latent_dim": 3},
        "objective": {"kind": "elbo", "beta": 4.0, "warmup": 0.0},
        "train": {"batch_size": 20, "epochs": 2, "validations": 2, "tensorboard": False, "schedule": "constant"},
    }
    longer = settings | {"train": settings["train"] | {"epochs": 4}}
    train("beta-vae", settings, out=tmp_path / "short", device="cpu")
    resumed = resume(tmp_path / "short", epochs=4, device="cpu")
    straight = train("beta-vae", longer, out=tmp_path / "straight", device="cpu")
    assert resumed.metrics[-1]["step"] == straight.metrics[-1]["step"] == 12
    assert equal(weights(resumed.model), weights(straight.model))
    opened = open_run(tmp_path / "straight", device="cpu")
    assert equal(weights(opened.model), weights(straight.model))
    assert isinstance(opened.load_data().test, Split)
    found = opened.evaluate(metrics=["mig", "modularity"])
    assert found == {"split": "test", "data": "sprites"} | evaluate(
        opened.model, opened.load_data().test, ["mig", "modularity"]
    )
    assert len(found["mig_per_factor"]) == 5
