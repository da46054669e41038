"""The configurations that the page of recipes shows train as they stand."""

import re
from pathlib import Path

import pytest
import yaml

from reparam.parts import PARTS, WRAPPERS
from reparam.recipes import resolve
from reparam.runs import train
from tests.contracts.members import tiny_data

PAGE = Path(__file__).resolve().parents[2] / "docs" / "recipes.md"
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_configuration_trains(number: int) -> None:
    values = yaml.safe_load(BLOCKS[number])
    recipe, source = values.pop("recipe"), values["data"].pop("source")
    del values["data"], values["train"]
    data = tiny_data("levels", (1, 8, 8))
    assert resolve(recipe, data, values).objective is not None
    run = train(recipe, values | {"train": {"epochs": 1, "tensorboard": False}}, data=data, device="cpu")
    assert run.metrics, source


def test_a_combination_nobody_foresaw_has_ten_lines() -> None:
    assert len(BLOCKS[-1].splitlines()) <= 10
    assert all(word in BLOCKS[-1] for word in ("vamp", "iwae", "laplace", "residual", "free_bits"))


@pytest.mark.parametrize("section", [section for section in PARTS if section != "model"])
def test_the_table_of_parts_has_every_kind(section: str) -> None:
    table = PAGE.read_text(encoding="utf-8").partition("| part | kinds |")[2].partition("\n\n")[0]
    (row,) = re.findall(rf"^\| [^|]*`{section}`[^|]* \| (.*) \|$", table, flags=re.MULTILINE)
    assert {*re.findall(r"`([a-z-]+)`", row)} == PARTS[section].keys() - {*WRAPPERS}
