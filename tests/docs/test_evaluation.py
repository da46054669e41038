"""The page of metrics has every metric, and every number that one gives."""

import re
from pathlib import Path

import pytest

from reparam.evaluation import METRICS
from reparam.evaluation.metrics import is_of
from reparam.report.measured import MEASURED

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### `([a-z-]+)`\n(.*?)(?=^##|\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))


def test_every_metric_has_a_section() -> None:
    assert SECTIONS.keys() == METRICS.keys()


@pytest.mark.parametrize("name", METRICS)
def test_every_number_stands_where_its_metric_does(name: str) -> None:
    named = {word.replace("STATISTIC", "mean") for word in re.findall(r"`([A-Za-z0-9_]+)`", SECTIONS[name])}
    assert any(is_of(key, [name]) for key in named)
    keys = {key for key in MEASURED if is_of(key, [name]) and not re.match("ppc_(?!mean)", key)}
    assert keys <= named
