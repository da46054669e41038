"""Columns of a table that are named as those that x is made of."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reparam.config import parse_config
from reparam.data import load_data, load_items
from reparam.errors import DataError
from reparam.runs.settings import own_data

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
ROWS = 40


@pytest.fixture
def frame() -> Any:
    numbers = np.random.default_rng(0).normal(size=(ROWS, 3))
    kinds = ["s" if number > 0 else "t" for number in numbers[:, 0]]
    words = {"name": [f"n{i}" for i in range(ROWS)], "kind": kinds}
    return pd.DataFrame({"id": np.arange(ROWS), **words, "age": numbers[:, 0], "group": numbers[:, 1].round()})


def written(frame: Any, form: str, folder: Path) -> Any:
    """The frame as a source, and how it is streamed."""
    if form == "frame":
        return {"source": frame}
    path = folder / f"t.{form.removeprefix('streamed ')}"
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, row_group_size=8)
    return {"source": str(path), "stream": "on" if form.startswith("streamed") else "off"}


@pytest.mark.parametrize("form", ["frame", "csv", "parquet", "streamed parquet"])
def test_only_the_columns_that_are_named(frame: Any, form: str, tmp_path: Path) -> None:
    source = written(frame, form, tmp_path)
    with pytest.raises(DataError, match=r"'name', 'kind' are (text|no numbers).*--data.columns A,B"):
        load_data(**source)
    data = load_data(**source, columns=["group", "age"], label_column="kind")
    assert data.spec.columns == ("group", "age")
    assert (data.spec.classes, data.spec.groups) == (("s", "t"), ())
    batch = data.test.batch(slice(None))
    assert ((batch.x[:, 1] > 0) == (batch.named["labels"] == 0)).all()
    alone = load_data(**written(frame.drop(columns="name"), form, tmp_path), columns=("age", "group"))
    assert alone.spec.classes == ()  # a text that is left out is no label either


def test_a_model_finds_its_columns_beside_others(frame: Any) -> None:
    spec = load_data(frame, columns=["group", "age"]).spec
    x = load_items(frame, spec=spec).batch(slice(None)).x
    assert np.allclose(x.numpy(), frame[["group", "age"]].to_numpy(), atol=1e-6)
    with pytest.raises(DataError, match="lacks the column 'group', which the model needs"):
        load_items(frame[["id", "age"]], spec=spec)
    other = load_data(frame.drop(columns="kind"), spec=load_data(frame, columns=["age"], label_column="kind").spec)
    assert other.train.labels is None


def test_columns_without_names_are_told_by_number(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("1.5,a,x\n2.5,b,y\n3.5,c,x\n")
    data = load_data(tmp_path / "t.csv", columns=(0,), label_column=2)  # type: ignore[arg-type]
    assert (data.spec.shape, data.spec.classes) == ((1,), ("x", "y"))
    (tmp_path / "u.csv").write_text("1.5,2.5,3.5\n4.5,5.5,6.5\n")
    spec = load_data(tmp_path / "u.csv", columns=["2", "0"]).spec
    assert load_items(tmp_path / "u.csv", spec=spec).stored[0].tolist() == [3.5, 1.5]


def test_columns_of_lists(tmp_path: Path) -> None:
    lists = [np.full(4, number).tolist() for number in np.linspace(0.1, 2.2, 8)]
    pd.DataFrame({"v": lists, "w": lists[::-1], "word": list("abcdefgh")}).to_parquet(tmp_path / "t.parquet")
    spec = load_data(tmp_path / "t.parquet", columns=["w"]).spec
    found = load_items(tmp_path / "t.parquet", spec=spec).stored
    assert found.shape == (8, *spec.shape)
    assert found.flatten()[0].item() == pytest.approx(2.2)


def test_a_run_finds_its_columns_again(frame: Any, tmp_path: Path) -> None:
    source = written(frame, "csv", tmp_path)
    config = parse_config(
        {
            "recipe": "vae",
            "data": {**source, "columns": "age"},
            "model": None,
            "objective": None,
            "train": {"epochs": 1},
        }
    )
    assert config.data.columns == ("age",)
    assert own_data(config, own_data(config, None).spec).spec.columns == ("age",)


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (["age", "grup"], r"columns='grup': The frame has no such column; expected one of 'group'"),
        (["age", "age"], "columns names 'age' twice"),
        (["age", "kind"], "columns names 'kind' beside label_column or group_column"),
        ("age", r"columns='age'; expected the names of several columns, or \['age'\] for one"),
        (["name"], "'name' are text"),
        (3, r"columns=3; expected the names of several columns"),
    ],
)
def test_refuses_what_are_no_columns_of_values(frame: Any, columns: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        load_data(frame, columns=columns, label_column="kind")


@pytest.mark.parametrize("source", ["digits", np.zeros((9, 2))])
def test_what_is_no_table_has_no_columns(source: Any) -> None:
    with pytest.raises(DataError, match=r"columns='age': .* is no table"):
        load_data(source, columns=["age"])
