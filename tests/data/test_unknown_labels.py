"""Labels that nobody knows: one reading of them, wherever they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reparam.data import Data, load_data, load_items
from reparam.errors import DataError, RefusedError
from reparam.evaluation import evaluate
from reparam.recipes import build
from reparam.runs import fit, train

X = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
UNKNOWN = [-1, 0, 1] * 10


def labels(source: Any, **how: Any) -> tuple[tuple[str, ...], list[int] | None]:
    """The classes, and the number of each label in its place."""
    data = load_data(source, **how)
    batches = [batch for split in (data.train, data.validation, data.test) for batch in split.batches(100)]
    if any("labels" not in batch.named for batch in batches):
        return data.spec.classes, None
    rows = torch.cat([batch.x for batch in batches])
    found = torch.cat([batch.named["labels"] for batch in batches])
    place = {tuple(row): i for i, row in enumerate(torch.from_numpy(X).tolist())}
    order = torch.tensor([place[tuple(row)] for row in rows.tolist()])
    return data.spec.classes, found[order.argsort()].tolist()


def test_three_signs_are_said_to_be_two_classes() -> None:
    with pytest.warns(UserWarning, match="Labels of -1 beside 0 and 1 are taken for not known"):
        found = labels((X, np.array([-1, 0, 1] * 10)))
    assert found == (("0", "1"), UNKNOWN)


@pytest.mark.parametrize(
    ("y", "names"),
    [
        ([None, "a", "b"], ("a", "b")),
        ([np.nan, "a", "b"], ("a", "b")),
        (["", "a", "b"], ("a", "b")),
        ([None, 4, 7], ("4", "7")),
        ([np.nan, 4.0, 7.0], ("4", "7")),
        ([-1, 4, 7], ("4", "7")),
    ],
)
@pytest.mark.parametrize("kind", ["pair", "dict", "items", "named items", "frame", "csv", "parquet", "stream"])
def test_one_reading_everywhere(tmp_path: Path, kind: str, y: list[Any], names: tuple[str, ...]) -> None:
    y = y * 10
    path = tmp_path / "a.csv"
    if kind in ("pair", "dict", "items", "named items"):
        items = list(zip(X, y, strict=True))
        named = [{"x": x, "label": one} for x, one in items]
        sources: dict[str, Any] = {"pair": (X, y), "dict": {"x": X, "y": y}, "items": items, "named items": named}
        assert labels(sources[kind]) == (names, UNKNOWN)
        return
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abc")).assign(label=y)
    if kind == "csv":
        frame.to_csv(path, index=False)
    if kind in ("parquet", "stream"):
        pytest.importorskip("pyarrow")
        path = tmp_path / "a.parquet"
        frame.to_parquet(path, row_group_size=3)
    assert labels(frame if kind == "frame" else path, stream=kind == "stream") == (names, UNKNOWN)


def test_minus_one_beside_one_other_class_is_a_class() -> None:
    assert labels((X, np.arange(30) % 2 * 2 - 1)) == (("-1", "1"), [0, 1] * 15)
    assert labels((X, np.arange(30) % 3 - 2))[0] == ("-2", "-1", "0")
    assert labels((X, ["-1", "a", "b"] * 10))[0] == ("-1", "a", "b")


def test_minus_one_of_classes_that_have_names_is_no_class() -> None:
    assert labels({"x": X, "y": np.array(UNKNOWN), "classes": ["n", "m"]}) == (("n", "m"), UNKNOWN)


def test_numbers_for_classes_of_a_model_that_have_names() -> None:
    named = load_data((X, ["n", "m", "o"] * 10)).spec
    assert labels((X, np.array([-1, 0, 2] * 10)), spec=named) == (named.classes, [-1, 0, 2] * 10)
    assert labels((X, np.array([np.int64(1), np.int64(2), None] * 10, dtype=object)))[1] == [0, 1, -1] * 10


def test_no_label_at_all_is_no_labels() -> None:
    for y in ([None] * 30, [np.nan] * 30, [""] * 30):
        assert labels((X, y)) == ((), None)
        assert labels(list(zip(X, y, strict=True))) == ((), None)


def test_labels_for_a_model_that_knows_its_classes() -> None:
    spec = load_data((X, [4, 7, 9] * 10)).spec
    found = load_items((X[:3], [-1, 9, 7]), spec=spec).labels
    assert found is not None
    assert found.tolist() == [-1, 2, 1]
    assert load_items((X[:3], [-1, 9, 8]), spec=spec).labels is None  # a class that it does not know


def half_known() -> Data:
    """Two classes far apart, of which every other label is known."""
    y = np.arange(60) % 2
    x = np.random.default_rng(1).normal(size=(60, 3)).astype(np.float32) + 20 * y[:, None]
    return load_data((x, np.where(np.arange(60) % 4 < 2, y.astype(str), "")))


@pytest.mark.parametrize("recipe", ["cvae", "cgan"])
def test_models_that_must_be_told_each_refuse(recipe: str) -> None:
    data = half_known()
    said = r"of 48 labels of pair are not known, and this model must be told each of them.*recipe m2"
    with pytest.raises(RefusedError, match=said):
        fit(build(recipe, data), data, epochs=1, device="cpu")
    with pytest.raises(RefusedError, match=said):
        train(recipe, {"train": {"epochs": 1}}, data=data, device="cpu")
    with pytest.raises(RefusedError, match=said):
        evaluate(build(recipe, data), data.train, ["reconstruction"])


def test_semi_supervised_models_and_metrics_use_those_that_are_known() -> None:
    data = half_known()
    run = fit(build("m2", data, latent_dim=2), data, epochs=30, device="cpu")
    found = run.evaluate("train", ["class-accuracy", "probe", "mig", "nmi"])
    assert found["labelled"] == int((data.train.labels >= 0).sum())  # type: ignore[operator, union-attr]
    assert found["class_accuracy"] > 0.9
    assert found["probe_accuracy"] > 0.9
    assert "mig" in found


def test_groups_of_one_where_a_label_is_not_known() -> None:
    data = half_known()
    assert fit(build("ml-vae", data, latent_dim=2, content_dim=1), data, epochs=1, device="cpu").metrics


def test_other_data_without_all_labels_have_none_for_a_model_that_must_be_told_each() -> None:
    data = load_data((X, [4, 7, 9] * 10))
    run = fit(build("cvae", data, latent_dim=2), data, epochs=1, device="cpu")
    assert run.load_items((X, [4, 7, None] * 10)).labels is None
    with pytest.raises(DataError, match="Labels count where every item has one"):
        run.evaluate("all", "elbo", source=(X, [4, 7, None] * 10))
