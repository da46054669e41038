"""What could be read in two ways, or would be lost without a word, is refused or kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reparam.data import load_data, load_items
from reparam.errors import DataError

pd = pytest.importorskip("pandas")


def test_a_dict_of_splits_keeps_columns_and_levels() -> None:
    train = pd.DataFrame({"a": [0.5, 1.5, 2.5, 3.5], "b": [1000.5, 1001.5, 1002.5, 1003.5]})
    data = load_data({"train": train, "test": train[["b", "a"]]})
    assert data.spec.columns == ("a", "b")
    assert data.test.stored[0].tolist() == [0.5, 1000.5]
    digits = load_data("digits")
    again = load_data({"train": digits.train, "test": digits.test})
    assert (again.spec.levels, again.spec.divisor) == (17, 16.0)
    assert again.test.batch(slice(None)).x.max() == 1
    with pytest.raises(DataError, match="'train' of the dict differ in columns"):
        load_data({"train": train, "test": train[["a"]]})


def test_data_that_are_prepared_again_keep_what_they_are() -> None:
    few = load_data("digits", labelled=100)
    with pytest.raises(DataError, match="Some labels of digits are not known"):
        load_data(few, size=16)
    binary = load_data("digits", binarize="dynamic")
    assert load_data(binary, size=16).spec.binarize == "dynamic"
    assert load_data(binary, spec=load_data("digits").spec).spec.binarize == "none"  # as the model wants it
    with pytest.raises(DataError, match="divided already"):
        load_data(few, validation=0.5)


@pytest.mark.parametrize("role", ["lengths", "attributes"])
def test_what_one_split_lacks_is_not_dropped(role: str) -> None:
    x = np.random.default_rng(0).normal(size=(8, 2, 5))
    values = np.full(8, 5) if role == "lengths" else np.ones((8, 2))
    with pytest.raises(DataError, match=f"has {role} of train but not of test"):
        load_data({"x_train": x, f"{role}_train": values, "x_test": x})


def test_a_stray_folder_beside_splits_is_refused(tmp_path: Path) -> None:
    for place in ("train/cat", "train/dog", "test/cat", "test/dog", "unlabelled"):
        (tmp_path / place).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(np.full((4, 4), 40 * number, np.uint8)).save(tmp_path / place / f"{number}.png")
    with pytest.raises(DataError, match=r"beside them, 'unlabelled/0\.png'"):
        load_data(tmp_path)


@pytest.mark.parametrize(
    ("source", "given", "message"),
    [
        ("", {}, "names nothing"),
        ("digits", {"limit": 2.5}, r"limit=2\.5; expected a whole number"),
        ("digits", {"pieces": True}, "pieces=True; expected a whole number"),
        ("digits", {"validation": float("inf")}, "validation=inf; expected a share"),
        (b"digits", {}, "A bytes holds no examples"),
        ({1.0, 2.0}, {}, "A set holds no examples"),
    ],
)
def test_odd_arguments_get_a_sentence(source: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_data(source, **given)


def test_two_columns_of_one_name_are_not_told_apart(tmp_path: Path) -> None:
    (tmp_path / "twice.csv").write_text("a,a,b\n1.5,2.5,3.5\n4.5,5.5,6.5\n")
    (tmp_path / "other.csv").write_text("b,a,a\n1.5,2.5,3.5\n4.5,5.5,6.5\n")
    spec = load_data(tmp_path / "twice.csv").spec
    assert load_items(tmp_path / "twice.csv", spec=spec).stored[0].tolist() == [1.5, 2.5, 3.5]
    with pytest.raises(DataError, match="two columns 'a'"):
        load_items(tmp_path / "other.csv", spec=spec)


def test_observations_of_a_mat_file(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    rng = np.random.default_rng(0)
    scipy_io.savemat(tmp_path / "o.mat", {"depth": rng.normal(size=(9, 4)), "joints": rng.normal(size=(9, 2))})
    data = load_data(tmp_path / "o.mat", observations=("depth", "joints"))
    assert [(one.name, one.shape) for one in data.spec.observations] == [("depth", (4,)), ("joints", (2,))]
