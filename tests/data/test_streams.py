import importlib
import io
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import reparam
from reparam.data import Data, DataSpec, Split, StreamedSplit, blocks, load_data, load_items
from reparam.data import load as loading
from reparam.data.raw import Array
from reparam.data.streams import PooledOrder
from reparam.errors import DataError, MissingExtraError
from reparam.rng import generator

COUNT = 300
X = np.random.default_rng(0).integers(0, 256, (COUNT, 3, 4, 5), dtype=np.uint8)
TABLE = np.random.default_rng(1).normal(size=(COUNT, 3)).astype(np.float32)
LABELS = np.arange(COUNT) % 11
NAMES = ("train", "validation", "test")


def npy(folder: Path) -> str:
    np.save(folder / "a.npy", X)
    return str(folder / "a.npy")


def test_axes_and_values_are_those_that_are_declared(tmp_path: Path) -> None:
    signals = np.moveaxis(X[:, 0].astype(np.float32) / 255, 1, 2)
    np.save(tmp_path / "a.npy", signals)
    data = load_data(tmp_path / "a.npy", axes="NTC", values="real", stream=True)
    assert (data.shape, data.kind) == ((4, 5), "real")
    rows = torch.cat([batch.x for batch in data.train.batches(64)])
    found = {tuple(row) for row in np.swapaxes(signals, 1, 2).reshape(COUNT, -1).tolist()}
    assert {tuple(row) for row in rows.flatten(1).tolist()} <= found


def shards(folder: Path) -> str:
    for i in range(3):
        np.save(folder / f"part-{i}.npy", X[100 * i : 100 * i + 100])
    return str(folder / "part-*.npy")


def parquet(folder: Path) -> str:
    pa, pq = (pytest.importorskip(name) for name in ("pyarrow", "pyarrow.parquet"))
    table = pa.table({**{name: TABLE[:, i] for i, name in enumerate("abc")}, "label": LABELS})
    pq.write_table(table, folder / "a.parquet", row_group_size=7)
    return str(folder / "a.parquet")


def picture(values: Array) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.moveaxis(values, 0, -1)).save(stream, "png")
    return stream.getvalue()


def parquet_of_pictures(folder: Path) -> str:
    pa, pq = (pytest.importorskip(name) for name in ("pyarrow", "pyarrow.parquet"))
    cells = [{"bytes": picture(x), "path": None} for x in X]
    table = pa.table({"image": cells, "label": [str(label) for label in LABELS]})
    pq.write_table(table, folder / "a.parquet", row_group_size=7)
    return str(folder / "a.parquet")


def write_tar(path: Path, members: list[tuple[str, bytes]], **odd: Any) -> str:
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            item = tarfile.TarInfo(name)
            item.size = len(content)
            for key, value in odd.items():
                setattr(item, key, value)
            archive.addfile(item, io.BytesIO(content))
    return str(path)


def tar(folder: Path) -> str:
    pairs = [
        [(f"{i:06}.cls", str(label).encode()), (f"{i:06}.png", picture(x))]
        for i, (x, label) in enumerate(zip(X, LABELS, strict=True))
    ]
    return write_tar(folder / "a.tar", [member for pair in pairs for member in pair])


def hub(folder: Path) -> Any:
    datasets = pytest.importorskip("datasets")
    cells = [{"bytes": picture(x), "path": None} for x in X]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list("abcdefghijk"))})
    return datasets.Dataset.from_dict({"image": cells, "label": LABELS.tolist()}, features=features)


SOURCES = [npy, shards, parquet, parquet_of_pictures, tar, hub]


def everything(split: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    batches = list(split.batches(23))
    labels = [batch.named["labels"] for batch in batches if "labels" in batch.named]
    return torch.cat([batch.x for batch in batches]), torch.cat(labels) if labels else None


def read_all(source: Path, seed: int = 0) -> None:
    data = load_data(source, stream=True, seed=seed)
    for name in NAMES:
        everything(data.split(name))


def rows(x: torch.Tensor) -> list[bytes]:
    return sorted(row.numpy().tobytes() for row in x)


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return load_data(npy(tmp_path), stream=True)


@pytest.mark.parametrize("source", SOURCES)
def test_streamed_and_loaded_data_are_the_same(source: Callable[[Path], Any], tmp_path: Path) -> None:
    where = source(tmp_path)
    loaded, streamed = load_items(where), load_data(where, stream=True)
    assert all(isinstance(streamed.split(name), StreamedSplit) for name in NAMES)
    keep = {"shift": (), "scale": ()}  # of the training split
    assert vars(streamed.spec) | keep == vars(loaded.spec) | keep
    found = [everything(streamed.split(name)) for name in NAMES]
    assert rows(torch.cat([x for x, _ in found])) == rows(loaded.batch(slice(None)).x)
    if loaded.labels is not None:
        by_row = dict(zip(map(bytes, loaded.batch(slice(None)).x.numpy()), loaded.labels.tolist(), strict=True))
        assert all([by_row[bytes(row)] for row in x.numpy()] == labels.tolist() for x, labels in found)


@pytest.mark.parametrize("source", SOURCES)
def test_a_batch_has_the_rows_that_it_names(source: Callable[[Path], Any], tmp_path: Path) -> None:
    split = load_data(source(tmp_path), stream="on").train
    x, labels = everything(split)
    index = split.order(0, 0)[10:40]
    batch = split.batch(index)
    assert torch.equal(batch.x, x[index])
    assert torch.equal(split.take(index).batch(slice(None)).x, x[index])
    if labels is not None:
        assert torch.equal(batch.named["labels"], labels[index])
        assert torch.equal(split.labels, labels)


def test_a_new_object_goes_on_with_the_same_batches(tmp_path: Path) -> None:
    where = parquet(tmp_path)
    first, second = (load_data(where, stream=True).train for _ in range(2))
    order = first.order(3, 2)
    batches = [first.batch(order[start : start + 32]) for start in range(0, len(first), 32)]
    later = second.batch(second.order(3, 2)[96:128])
    assert torch.equal(later.x, batches[3].x)
    assert torch.equal(later.named["labels"], batches[3].named["labels"])


def test_splits_of_its_own_are_kept(tmp_path: Path) -> None:
    for name, part in (("train-0", X[:100]), ("train-1", X[100:200]), ("valid-0", X[200:250]), ("test-0", X[250:])):
        np.save(tmp_path / f"{name}.npy", part)
    streamed = load_data(tmp_path, stream=True)
    for name, part in zip(NAMES, (X[:200], X[200:250], X[250:]), strict=True):
        assert torch.equal(everything(streamed.split(name))[0], torch.from_numpy(part) / 255)
    loaded = load_data(tmp_path)
    assert torch.equal(loaded.validation.stored, torch.from_numpy(X[200:250]))


def test_splits_follow_from_the_seed_and_leave_nothing_out(tmp_path: Path) -> None:
    where = npy(tmp_path)
    first, again, other = (load_data(where, stream=True, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(everything(first.test)[0], everything(again.test)[0])
    assert not torch.equal(everything(first.test)[0], everything(other.test)[0])
    assert sum(len(first.split(name)) for name in NAMES) == COUNT
    assert len(load_data(where, stream=True, validation=0.5).validation) == pytest.approx(COUNT / 2, abs=10)


class Numbers:
    """Rows that are their own numbers."""

    roles = ("labels",)

    def __init__(self, lengths: list[int]) -> None:
        self.lengths, self.reads = lengths, []

    def read(self, number: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        self.reads.append(number)
        start = sum(self.lengths[:number])
        found = torch.arange(start, start + self.lengths[number])
        return found[:, None].float(), {"labels": found}

    def named(self, number: int) -> dict[str, torch.Tensor]:
        return self.read(number)[1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.integers(1, 7), st.integers(1, 40), st.integers(0, 3))
def test_every_row_comes_once_in_any_batches(lengths: list[int], pool: int, batch: int, seed: int) -> None:
    total = sum(lengths)
    split = StreamedSplit(Numbers(lengths), DataSpec("numbers", (1,), "real"), pool_bytes=4 * pool * max(lengths))
    order = split.order(seed, 1)
    index = [order[start : start + batch] for start in range(0, total, batch)]
    assert torch.cat(index).sort().values.tolist() == list(range(total))
    found = [split.batch(numbers) for numbers in index]
    assert torch.equal(torch.cat([one.x[:, 0] for one in found]).long(), torch.cat(index))
    assert torch.equal(torch.cat([one.named["labels"] for one in found]), torch.cat(index))
    where = total // 2
    assert torch.equal(split.order(seed, 1)[where : where + batch], torch.cat(index)[where : where + batch])


def test_epochs_and_seeds_differ_and_rows_are_mixed() -> None:
    lengths = torch.full((40,), 10)
    orders = [PooledOrder(lengths, 4, counters)[:] for counters in ((0, "epoch", 0), (0, "epoch", 1), (1, "epoch", 0))]
    assert len({tuple(order.tolist()) for order in orders}) == 3
    pool = orders[0][:40]
    assert len((pool // 10).unique()) == 4  # a pool has the rows of its blocks and of no others
    assert len((pool[:10] // 10).unique()) > 1
    assert pool.tolist() != sorted(pool.tolist())


def test_an_order_of_a_trillion_rows_makes_one_pool() -> None:
    order = PooledOrder(torch.full((10**6,), 10**6), 1, (0, "epoch", 0))
    found = order[10**12 - 200 : 10**12 - 100]
    assert len(found.unique()) == 100
    assert len((found // 10**6).unique()) == 1


def test_two_pools_are_held_and_every_block_is_read_once_an_epoch() -> None:
    numbers = Numbers([8] * 50)
    split = StreamedSplit(numbers, DataSpec("numbers", (1,), "real"), pool_bytes=4 * 8 * 5)
    for epoch in range(3):
        order = split.order(0, epoch)
        for start in range(0, 400, 16):
            split.batch(order[start : start + 16])
            assert len(split._shelf.held) <= 10
    assert split._shelf.x.shape[0] == 10 * 8
    assert len(numbers.reads) <= 3 * 50
    assert list(split.batches(20))[-1].x[-1].item() == 399


def test_binarisation_is_drawn_once_for_a_fixed_split(data: Data) -> None:
    grey = data.binarized("dynamic").validation
    first, again, other = (everything(grey.fixed(counter))[0] for counter in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert set(first.unique().tolist()) == {0.0, 1.0}
    fixed = grey.fixed(1)
    assert (fixed.spec.kind, fixed.spec.binarize) == ("binary", "none")
    assert fixed.fixed(2) is fixed
    assert torch.equal(fixed.subset(9, 3).stored, fixed.subset(9, 3).stored)
    index = torch.arange(5)
    draws = [grey.batch(index, generator(seed)).x for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_a_subset_is_small_random_and_in_memory(data: Data) -> None:
    subset, again, other = (data.train.subset(20, seed) for seed in (0, 0, 1))
    assert isinstance(subset, Split)
    assert len(subset) == 20
    assert torch.equal(subset.stored, again.stored)
    assert not torch.equal(subset.stored, other.stored)
    assert data.train.subset(None) is data.train
    assert set(rows(subset.stored)) <= set(rows(torch.from_numpy(X)))


def test_limit_and_name_and_model_spec(tmp_path: Path) -> None:
    where = npy(tmp_path)
    small = load_data(where, stream=True, limit=7, name="small")
    assert [len(small.split(name)) for name in NAMES] == [7, 7, 7]
    assert small.spec.name == "small"
    binary = load_data((X > 200) * 1, binarize="none").spec
    found = load_data(where, stream=True, spec=binary)
    assert rows(everything(found.train)[0]) == rows(
        torch.from_numpy((everything(load_data(where, stream=True).train)[0].numpy() >= 0.5).astype(np.float32))
    )
    resized = load_data(where, stream=True, size=(2, 2))
    assert resized.shape == (3, 2, 2)
    with pytest.raises(DataError, match="The data are streamed"):
        load_data(resized, spec=binary)


def test_training_goes_on_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    over = {
        "data": {"source": npy(tmp_path), "stream": True},
        "train": {"epochs": 2, "batch_size": 32, "checkpoint_seconds": 0},
        "model": {"latent_dim": 2, "network": {"kind": "mlp", "hidden_dims": [8]}},
    }
    whole = reparam.train("vae", over, out=tmp_path / "whole", device="cpu")

    def stop(row: Any, total: int) -> None:
        if row["step"] == total // 2 - 1:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        reparam.train("vae", over, out=tmp_path / "half", device="cpu", progress=stop)
    resumed = reparam.resume(tmp_path / "half", device="cpu")
    for name, weights in whole.model.state_dict().items():
        assert torch.equal(weights, resumed.model.state_dict()[name]), name
    assert "stream: 'on'" in (tmp_path / "half" / "config.yaml").read_text()


def test_large_files_are_streamed_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = npy(tmp_path)
    assert isinstance(load_data(where).train, Split)
    monkeypatch.setattr(loading, "memory_bytes", lambda: 2 * X.nbytes)
    assert isinstance(load_data(where).train, StreamedSplit)
    assert load_data(where).origin["stream"] == "on"
    assert isinstance(load_data(where, stream=False).train, Split)
    assert isinstance(load_data("digits").train, Split)


def test_what_cannot_be_streamed_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'digits' cannot be streamed"):
        load_data("digits", stream=True)
    with pytest.raises(DataError, match="stream='maybe'; expected auto"):
        load_data("digits", stream="maybe")
    np.save(tmp_path / "f.npy", np.asfortranarray(TABLE))
    with pytest.raises(DataError, match="column by column"):
        load_data(tmp_path / "f.npy", stream=True)
    np.save(tmp_path / "three.npy", X[:2])
    with pytest.raises(DataError, match=r"2 block\(s\) for 3 splits"):
        load_data(tmp_path / "three.npy", stream=True)


def test_truncated_npy(tmp_path: Path) -> None:
    path = Path(npy(tmp_path))
    data = load_data(path, stream=True)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"a\.npy is truncated or damaged \(\d+ bytes were announced, \d+ are there\)"):
        load_data(path, stream=True)
    path.write_bytes(content[:200])
    with pytest.raises(DataError, match=r"a\.npy is truncated or damaged"):
        everything(data.train)
    with pytest.raises(DataError, match=r"a\.npy is truncated or damaged"):
        data.train.batch(torch.tensor([200]))
    path.write_bytes(content)
    assert len(data.train.batch(torch.tensor([200]))) == 1  # a block that could not be read is tried again


@pytest.mark.parametrize("source", [parquet, tar])
@pytest.mark.parametrize("share", [0.001, 0.5])
def test_damaged_files(source: Callable[[Path], str], share: float, tmp_path: Path) -> None:
    path = Path(source(tmp_path))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match=rf"a{path.suffix} is truncated or damaged"):
        load_data(path, stream=True)


def test_garbage_in_the_middle(tmp_path: Path) -> None:
    for source, begin in ((parquet, 200), (tar, 1536)):
        path = Path(source(tmp_path))
        content = bytearray(path.read_bytes())
        content[begin : begin + 1536] = b"\xff" * 1536
        path.write_bytes(content)
        with pytest.raises(DataError, match=f"a{path.suffix}"):
            read_all(path)


def test_a_bad_value_is_found_with_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = TABLE.copy()
    bad[77, 1] = np.nan
    np.save(tmp_path / "a.npy", bad)
    with pytest.raises(DataError, match="nan in row 77, column 1"):
        read_all(tmp_path / "a.npy")
    bits = (X > 99) * np.uint8(1)
    bits[123, 0, 0, 0] = 7
    np.save(tmp_path / "b.npy", bits)
    monkeypatch.setattr("reparam.data.streaming.SAMPLE_BYTES", 1)
    seeds = [seed for seed in range(20) if load_data(tmp_path / "b.npy", stream=True, seed=seed).kind == "binary"]
    with pytest.raises(DataError, match=r"7 in row 123 .* held only 0 and 1\. Mend that row"):
        read_all(tmp_path / "b.npy", seed=seeds[0])


def test_shards_must_be_alike(tmp_path: Path) -> None:
    shards(tmp_path)
    np.save(tmp_path / "part-9.npy", X[:, :, :2])
    with pytest.raises(DataError, match=r"part-9.npy has rows of shape \(3, 2, 5\), .* Make all shards alike"):
        load_data(tmp_path, stream=True)
    np.save(tmp_path / "part-9.npy", X.astype(np.int16))
    with pytest.raises(DataError, match="values of type int16"):
        load_data(tmp_path)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="several formats"):
        load_data(tmp_path)


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "b/../../a.png"])
def test_tar_with_members_outside(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="in an odd place"):
        load_data(write_tar(tmp_path / "a.tar", [(name, picture(X[0]))] * 4), stream=True)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_tar_with_links(kind: bytes, tmp_path: Path) -> None:
    where = write_tar(tmp_path / "a.tar", [("a.png", b"")], type=kind, linkname="/etc/hostname")
    with pytest.raises(DataError, match="holds a link"):
        load_data(where, stream=True)


def test_tar_with_odd_labels(tmp_path: Path) -> None:
    one, two = picture(X[0]), picture(X[1])
    with pytest.raises(DataError, match="holds no pictures"):
        load_data(write_tar(tmp_path / "a.tar", [("a.txt", b"1")]), stream=True)
    with pytest.raises(DataError, match=r"no picture beside 'a\.cls'"):
        load_data(write_tar(tmp_path / "a.tar", [("a.cls", b"1"), ("b.cls", b"1"), ("a.png", one)]), stream=True)
    with pytest.raises(DataError, match="some pictures have labels"):
        load_data(write_tar(tmp_path / "b.tar", [("a.png", one), ("a.cls", b"1"), ("b.png", two)]), stream=True)
    with pytest.raises(DataError, match="holds no label"):
        load_data(write_tar(tmp_path / "c.tar", [("a.png", one), ("a.cls", b"\xff")]), stream=True)
    with tarfile.open(tmp_path / "d.tar", "w:gz") as archive:
        archive.add(tmp_path / "a.tar", "a.png")
    with pytest.raises(DataError, match=r"compressed|no end of the archive"):
        load_data(tmp_path / "d.tar", stream=True)


def test_tar_labels_may_be_folders(tmp_path: Path) -> None:
    members = [(f"{'cat' if i % 2 else 'dog'}/{i}.png", picture(x)) for i, x in enumerate(X[:40])]
    data = load_data(write_tar(tmp_path / "a.tar", members), stream=True)
    assert data.spec.classes == ("cat", "dog")
    assert sorted(data.train.labels.unique().tolist()) == [0, 1]


def test_labels_may_be_of_any_type(tmp_path: Path) -> None:
    pa, pq = (pytest.importorskip(name) for name in ("pyarrow", "pyarrow.parquet"))
    names = pa.array([f"c{label}" for label in LABELS])
    for i, column in enumerate((names.dictionary_encode(), pa.array(LABELS % 2 == 0), pa.array(LABELS.astype(float)))):
        pq.write_table(pa.table({"a": TABLE[:, 0], "label": column}), tmp_path / f"{i}.parquet", row_group_size=9)
        loaded, streamed = load_data(tmp_path / f"{i}.parquet"), load_data(tmp_path / f"{i}.parquet", stream=True)
        assert streamed.spec.classes == loaded.spec.classes
        assert (streamed.train.labels is None) == (loaded.train.labels is None)
    fraction = pa.table({"a": TABLE[:, 0], "label": TABLE[:, 1]})
    pq.write_table(fraction, tmp_path / "x.parquet", row_group_size=9)
    with pytest.warns(UserWarning, match="'label' is called as labels are"):
        assert load_data(tmp_path / "x.parquet", stream=True).shape == (2,)


def test_tables_must_be_of_numbers_without_gaps(tmp_path: Path) -> None:
    pa, pq = (pytest.importorskip(name) for name in ("pyarrow", "pyarrow.parquet"))
    path = tmp_path / "a.parquet"
    for columns, said in (
        ({"a": [1.0, None] * 9}, "column 'a' has 1 empty cells"),
        ({"a": ["x", "y"] * 9, "b": ["x", "y"] * 9}, "the columns 'a', 'b' are no numbers"),
        ({"label": [1, 2] * 9}, "no column of numbers"),
        ({"image": [b"x", b"y"] * 9}, "not a whole picture"),
        ({"image": [{"bytes": b"x"}, {"bytes": None}] * 9}, "a row without a picture"),
        ({"image": [{"bytes": "x"}, {"bytes": "y"}] * 9}, "the columns 'image' are no numbers"),
    ):
        pq.write_table(pa.table(columns), path, row_group_size=2)
        with pytest.raises(DataError, match=said):
            load_data(path, stream=True)


def test_blocks_are_about_four_mebibytes() -> None:
    assert blocks.cut(10**6, 12_288)[0] == (4 << 20) // 12_288
    assert sum(blocks.cut(10**6 + 1, 12_288)) == 10**6 + 1
    assert blocks.cut(5, 10**9) == [1] * 5


def test_packages_that_are_not_there_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r'needs datasets, .* "reparam\[data\]"'):
        load_data("hf:owner/name")
    where = parquet(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtraError, match=r'needs pyarrow, .* "reparam\[tabular\]"'):
        load_data(where, stream=True)


def test_hub_names_are_loaded_by_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = hub(tmp_path)
    datasets = importlib.import_module("datasets")
    halves = datasets.DatasetDict({"train": found.select(range(200)), "test": found.select(range(200, 300))})
    monkeypatch.setattr(datasets, "load_dataset", lambda name: {"owner/name": halves}[name])
    data = load_data("hf:owner/name", stream=True)
    assert torch.equal(everything(data.test)[0], torch.from_numpy(X[200:]) / 255)
    assert data.spec.classes == tuple("abcdefghijk")
    assert isinstance(load_data("hf:owner/name").train, Split)
    with pytest.raises(DataError, match=r"hf:no/where cannot be loaded .* Is the name right"):
        load_data("hf:no/where")


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        ("hf:owner/name", (("owner/name",), {})),
        ("hf:owner/name:small", (("owner/name",), {"name": "small"})),
        ("hf:owner/name@v1.0", (("owner/name",), {"revision": "v1.0"})),
        ("hf:name:20220301.en@refs/pr/3", (("name",), {"name": "20220301.en", "revision": "refs/pr/3"})),
    ],
)
def test_a_configuration_and_a_revision_of_a_hub_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, asked: Any
) -> None:
    found, calls = hub(tmp_path), []

    def load_dataset(*names: str, **chosen: str) -> Any:
        calls.append((names, chosen))
        return found

    monkeypatch.setattr(importlib.import_module("datasets"), "load_dataset", load_dataset)
    data = load_data(source)
    assert calls[0] == asked
    assert data.origin["source"] == source


@pytest.mark.parametrize("source", ["hf:", "hf:owner/name:", "hf:owner/name@", "hf:a:b:c", "hf:a@b@c"])
def test_a_hub_name_of_another_form_is_refused(source: str) -> None:
    with pytest.raises(DataError, match=r"names no data set of Hugging Face; expected hf:owner/name\[:config\]\[@rev"):
        load_data(source)


def test_what_cannot_be_streamed_is_named_by_its_type(tmp_path: Path) -> None:
    for source, name in ((hub(tmp_path).to_iterable_dataset(), "IterableDataset"), (X, "ndarray")):
        with pytest.raises(DataError, match=rf"^A {name} cannot be streamed; .* with a length \(a Dataset, no Iter"):
            load_data(source, stream=True)


def test_hub_data_of_other_columns_are_read_item_by_item() -> None:
    datasets = pytest.importorskip("datasets")
    lists = datasets.Dataset.from_dict({"x": TABLE.tolist(), "y": LABELS.tolist()})
    assert load_items(lists).stored.numpy() == pytest.approx(TABLE)
    with pytest.raises(DataError, match="are no numbers"):
        load_data(lists, stream=True)
    assert load_items(lists.to_iterable_dataset()).labels.tolist() == LABELS.tolist()
