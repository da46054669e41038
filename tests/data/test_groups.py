"""Groups travel beside the labels, and models of groups are told them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import reparam
from reparam.data import load_data, load_items
from reparam.errors import DataError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4))
KINDS = np.array(["cat", "dog"])[np.arange(40) % 2]
HOMES = np.array(["north", "south", "east", "west", "hill"])[np.arange(40) // 8]
NAMES = ("east", "hill", "north", "south", "west")


def sources(folder: Path) -> dict[str, Any]:
    """The same data in every form that can hold groups."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({f"x{i}": X[:, i] for i in range(4)} | {"label": KINDS, "group": HOMES})
    frame.to_csv(folder / "a.csv", index=False)
    frame.rename(columns={"label": "kind"}).to_parquet(folder / "a.parquet")  # the only text beside the groups
    np.savez(folder / "a.npz", x=X, labels=KINDS, groups=HOMES)
    items = [{"x": x, "label": str(k), "group": str(h)} for x, k, h in zip(X, KINDS, HOMES, strict=True)]
    given = {"x": X, "y": KINDS, "group": HOMES}
    return {"csv": folder / "a.csv", "parquet": folder / "a.parquet", "npz": folder / "a.npz"} | {
        "frame": frame, "items": items, "dict": given, "again": load_data(given).train,
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz", "frame", "items", "dict", "again"])
def test_groups_stand_beside_labels(tmp_path: Path, kind: str) -> None:
    items = load_items(sources(tmp_path)[kind])
    assert (items.spec.shape, items.spec.classes, items.spec.groups) == ((4,), ("cat", "dog"), NAMES)
    for x, label, group in zip(items.stored, items.labels, items.named["groups"], strict=True):
        row = int(np.abs(X - x.numpy()).sum(1).argmin())
        assert (items.spec.classes[label], items.spec.groups[group]) == (KINDS[row], HOMES[row])


def test_without_labels_groups_are_the_labels(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,group\n1.5,u\n2.5,v\n")
    for source in (tmp_path / "a.csv", {"x": X[:2], "group": ["u", "v"]}):
        items = load_items(source)
        assert (items.spec.classes, items.spec.groups, items.labels.tolist()) == (("u", "v"), (), [0, 1])


def test_groups_of_a_model() -> None:
    """Groups that the model knows keep their numbers; those that training never saw are groups too."""
    spec = load_data({"x": X, "y": KINDS, "group": HOMES}).spec
    few = {"x": X[:2], "y": KINDS[:2], "groups": np.array(["west", "east"])}
    assert load_items(few, spec=spec).named["groups"].tolist() == [4, 0]
    other = load_items(few | {"groups": np.array(["west", "moon"])}, spec=spec)
    assert (other.named["groups"].tolist(), other.spec.groups) == ([4, 5], (*NAMES, "moon"))
    numbers = load_items(few | {"groups": np.array([3, 0])}, spec=spec)  # no places among the names
    assert (numbers.named["groups"].tolist(), numbers.spec.groups) == ([6, 5], (*NAMES, "0", "3"))


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (HOMES[:3], r"40 examples but 3 groups \(all\)"),
        (np.full(40, 0.5), "of type float64; expected whole numbers or names"),
        (np.full(40, np.nan), "40 of 40 groups are empty"),
        (["north", ""] * 20, "20 of 40 groups are empty"),
    ],
)
def test_groups_that_are_not_one_each_are_left_out(groups: Any, said: str) -> None:
    given = {"x": X, "y": KINDS, "groups": groups}
    with pytest.warns(UserWarning, match=f"{said}.*the groups are left out"):
        data = load_data(given)
    assert (data.spec.groups, "groups" in data.train.named, data.spec.classes) == ((), False, ("cat", "dog"))
    with pytest.raises(DataError, match=said):
        load_data(given, split_by="groups")


def test_items_of_two_groups_have_none() -> None:
    items = [{"x": x, "label": str(kind), "group": [1, 2]} for x, kind in zip(X, KINDS, strict=True)]
    with pytest.warns(UserWarning, match="the groups are left out"):
        assert load_items(items).spec.groups == ()


def test_a_column_that_a_model_knows_as_a_feature_stays_one(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,group\n1.5,0.5\n2.5,1\n")
    spec = load_data(tmp_path / "a.csv").spec
    (tmp_path / "b.csv").write_text("a,group,label\n1.5,0,u\n2.5,1,v\n")
    assert load_items(tmp_path / "b.csv", spec=spec).stored.tolist() == [[1.5, 0.0], [2.5, 1.0]]


@pytest.mark.parametrize("kind", ["parquet", "hub"])
def test_streamed_data_have_groups(tmp_path: Path, kind: str) -> None:
    frame = sources(tmp_path)["frame"]
    frame.to_parquet(tmp_path / "s.parquet", row_group_size=4)
    hub = pytest.importorskip("datasets").Dataset.from_pandas(frame) if kind == "hub" else None
    data = load_data(tmp_path / "s.parquet" if hub is None else hub, stream=True)
    train = data.train
    assert (data.shape, data.spec.classes, data.spec.groups) == ((4,), ("cat", "dog"), NAMES)
    order = train.order(0, 0, group_size=2)[:]
    for batch in (*train.batches(7), train.take(order[:9]).batch(slice(None)), train.batch(order)):
        for x, label, group in zip(batch.x, batch.named["labels"], batch.named["groups"], strict=True):
            row = int(np.abs(X - x.numpy()).sum(1).argmin())
            assert (data.spec.classes[label], data.spec.groups[group]) == (KINDS[row], HOMES[row])
    assert torch.equal(train.groups, train.named["groups"])
    sizes = train.groups.bincount()
    runs = 1 + (train.groups[order].diff() != 0).sum()
    assert runs <= ((sizes + 1) // 2).sum()  # members of a group stand side by side
    few = load_data(frame[:24].rename(columns={"label": "kind"}), spec=data.spec)
    assert few.train.groups.max() < len(NAMES)
    assert reparam.build("ml-vae", data).observes == ("groups",)


def test_streamed_groups_that_are_not_one_each_are_left_out(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"x": X[:, 0], "label": KINDS, "group": np.where(np.arange(40) % 5, HOMES, None)})
    for group, said in (
        (frame.group, "1 of 6 groups are empty"),
        (np.where(X[:, 1] > 0, 1, np.nan), "1 of 2 groups are empty"),
    ):
        frame.assign(group=group).to_parquet(tmp_path / "a.parquet", row_group_size=4)
        names = {"label_column": "label", "group_column": "group"}
        with pytest.warns(UserWarning, match=f"{said}.*the groups are left out"):
            data = load_data(tmp_path / "a.parquet", stream=True, **names)
        assert (data.spec.groups, list(data.train.named)) == ((), ["labels"])
    frame.assign(group=X[:, 1]).to_parquet(tmp_path / "a.parquet", row_group_size=4)
    assert load_data(tmp_path / "a.parquet", stream=True).spec.columns == ("x", "group")  # fractions are values


@pytest.mark.parametrize("recipe", ["ml-vae", "group-vae"])
def test_models_of_groups_are_told_groups(tmp_path: Path, recipe: str) -> None:
    data = load_data({"x": X, "y": KINDS, "group": HOMES})
    reparam.save(reparam.build(recipe, data), tmp_path / "model", data.spec)
    model = reparam.load(tmp_path / "model")
    assert model.observes == ("groups",)
    x, groups = data.train.batch(slice(None)).x, data.train.named["groups"]
    contents = model.infer(x, groups=groups).mean[:, : model.content_dim]
    for group in groups.unique():
        assert len(contents[groups == group].unique(dim=0)) == 1
    assert len(torch.unique(contents, dim=0)) == len(groups.unique())
    assert reparam.build(recipe, load_data((X, KINDS))).observes == ("labels",)


@pytest.mark.parametrize("seed", range(3))
def test_splits_of_whole_groups(seed: int) -> None:
    given = {"x": X, "y": KINDS, "group": HOMES}
    data = load_data(given, split_by="groups", seed=seed)
    splits = [set(split.named["groups"].tolist()) for split in (data.train, data.validation, data.test)]
    assert [len(own) for own in splits] == [3, 1, 1]
    assert len(set.union(*splits)) == 5
    assert torch.equal(load_data(given, **data.origin).test.stored, data.test.stored)
    labelled = load_data((X, HOMES), split_by="groups", seed=seed)  # labels, where there are no groups
    assert torch.equal(labelled.test.stored, data.test.stored)


def test_splits_of_groups_come_near_their_share() -> None:
    groups = np.repeat(np.arange(50), np.arange(50) % 5 + 1)
    data = load_data({"x": np.arange(150.0)[:, None] / 7, "y": np.arange(150) % 2, "group": groups}, split_by="groups")
    assert len(data.train) + len(data.validation) + len(data.test) == 150
    assert all(abs(len(split) - 15) <= 2 for split in (data.validation, data.test))


@pytest.mark.parametrize("seed", range(6))
def test_one_large_group_is_trained_on(seed: int) -> None:
    groups = np.repeat(np.arange(4), [24, 2, 2, 2])
    data = load_data((X[:30], groups), split_by="groups", seed=seed)
    assert [len(split) for split in (data.train, data.validation, data.test)] == [26, 2, 2]
    large = load_data((X, np.repeat(np.arange(4), [10, 9, 11, 10])), split_by="groups", seed=seed)  # all overshoot
    assert (len(large.test), len(large.validation), len(large.train)) == (9, 10, 21)


@pytest.mark.parametrize(
    ("source", "more", "said"),
    [
        ({"x": X, "y": KINDS}, {}, "has 2 groups for 3 splits"),
        ({"x": X}, {}, "has neither groups nor labels"),
        ({"x_train": X, "x_val": X, "x_test": X} | {f"y_{s}": KINDS for s in ("train", "val", "test")}, {}, "its own"),
        ("sprites", {}, "sprites has no groups"),
        (load_data(X), {}, "divided already"),
        ({"x": X, "y": KINDS}, {"split_by": "people"}, "expected examples or groups"),
    ],
)
def test_what_cannot_be_divided_by_groups(source: Any, more: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        load_data(source, **({"split_by": "groups"} | more))


def test_data_of_a_model_are_divided_by_groups_where_they_have_some() -> None:
    spec = load_data({"x": X, "y": KINDS, "group": HOMES}).spec
    for source in (X, load_data({"x": X, "y": KINDS, "group": HOMES})):
        assert len(load_data(source, spec=spec, split_by="groups").train) == 32
    for labels in (np.repeat("cat", 40), np.array(["cat", "dog", "", "dog"] * 10)):  # one group, or some that are empty
        data = load_data((X, labels), spec=spec, split_by="groups")
        assert torch.equal(data.test.stored, load_data(X, spec=spec).test.stored)


def named_otherwise(kind: str, folder: Path) -> Any:
    """A table whose labels and groups are not called so, beside numbers called ``target``."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({f"x{i}": X[:, i] for i in range(4)})
    frame = frame.assign(species=KINDS, home=HOMES, target=np.arange(40))
    frame.to_csv(folder / "a.csv", index=False)
    frame.to_csv(folder / "a.tsv", index=False, sep="\t")
    frame.to_parquet(folder / "a.parquet")
    frame.to_csv(folder / "bare.csv", index=False, header=False)
    items = [{"x": row[:4].astype(float), "species": row[4], "home": row[5]} for row in frame.to_numpy()]
    hub = pytest.importorskip("datasets").Dataset.from_pandas(frame) if kind == "hub" else None
    return {"frame": frame, "items": items, "hub": hub}.get(kind, folder / kind)


@pytest.mark.parametrize("kind", ["a.csv", "a.tsv", "a.parquet", "bare.csv", "frame", "items", "hub"])
def test_columns_of_any_name_are_told_to_hold_labels_and_groups(tmp_path: Path, kind: str) -> None:
    source = named_otherwise(kind, tmp_path)
    names = {"label_column": "species", "group_column": "home"} if kind != "bare.csv" else {
        "label_column": 4, "group_column": "5",
    }  # fmt: skip
    data = load_data(source, **names, seed=3)
    assert (data.spec.classes, data.spec.groups) == (("cat", "dog"), NAMES)
    assert data.shape == ((4,) if kind == "items" else (5,))  # the target is an ordinary column
    for x, label in zip(data.test.stored, data.test.labels, strict=True):
        assert data.spec.classes[label] == KINDS[int(np.abs(X - x[:4].numpy()).sum(1).argmin())]
    assert torch.equal(load_data(**data.origin | {"source": source}).test.stored, data.test.stored)
    again = load_items(source, spec=data.spec)  # a model remembers the names
    assert (again.labels.tolist(), again.spec) == ([0, 1] * 20, data.spec)


def test_another_table_may_lack_the_label(tmp_path: Path) -> None:
    frame = named_otherwise("frame", tmp_path)
    spec = load_data(frame, label_column="species", group_column="home").spec
    items = load_items(frame.drop(columns=["species", "home"]), spec=spec)
    assert (items.labels, items.spec.shape) == (None, (5,))
    with pytest.raises(DataError, match="label_column='species': The frame has no such column"):
        load_data(frame.drop(columns="species"), spec=spec, label_column="species", group_column="home")


@pytest.mark.parametrize("stream", ["off", "on"])
def test_a_column_that_is_not_there_is_named_with_the_nearest(tmp_path: Path, stream: str) -> None:
    source = named_otherwise("a.parquet", tmp_path)
    with pytest.raises(DataError, match=r"label_column='specie': .* no such column; expected one of 'species', "):
        load_data(source, label_column="specie", stream=stream)


@pytest.mark.parametrize(
    ("source", "more", "said"),
    [
        ("digits", {"label_column": "y"}, "label_column='y': digits is no table"),
        ("sprites", {"group_column": "g"}, "group_column='g': sprites is no table"),
        (load_data(X), {"label_column": "y"}, "is no table"),
        ({"x": X, "species": KINDS}, {"label_column": "species"}, "dict is no table"),
        (
            [{"x": X[0], "kind": "a"}] * 9,
            {"label_column": "king"},
            "An item has no such column; expected one of 'kind'",
        ),
        (X, {"label_column": "a", "group_column": "a"}, "are both 'a'"),
    ],
)
@pytest.mark.filterwarnings("ignore:dict")
def test_what_has_no_columns_is_told_none(source: Any, more: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        load_data(source, **more)


def test_a_column_of_lists_holds_no_labels() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"x": [[1.0, 2.0]] * 4, "kind": [[1], [2], [1], [2]]})
    with pytest.raises(DataError, match="column 'kind' holds lists"):
        load_data(frame, label_column="kind")
