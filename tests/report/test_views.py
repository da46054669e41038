"""How signals are shown: where their lines end."""

import numpy as np
import pytest
import torch

from reparam.data.spec import DataSpec
from reparam.report import views
from reparam.report.plots import Panel
from reparam.report.views import ended, view_of

SIGNALS = DataSpec("waves", (2, 6), "real", shift=(1.0, 1.0), scale=(2.0, 2.0))
pytestmark = pytest.mark.usefixtures("sketched")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Panel]:
    """The panels that are drawn."""
    panels: list[Panel] = []
    draw = views.line_panels

    def note(given: list[Panel], *size: float, **named: float) -> object:
        panels.extend(given)
        return draw(given, *size, **named)

    monkeypatch.setattr(views, "line_panels", note)
    return panels


def test_lines_end_where_their_sequences_end(drawn: list[Panel]) -> None:
    view, x = view_of(SIGNALS, torch.ones(2, 2, 6)), torch.ones(2, 2, 6)
    shown = ended(view, x, torch.tensor([4, 6]))
    view.copies([("original", shown), ("reconstruction", shown)])
    for panel, length in zip(drawn, (4, 6), strict=True):
        for line in panel.lines:
            np.testing.assert_array_equal(line.y, [0.0] * length + [np.nan] * (6 - length))


def test_one_length_holds_for_every_step_of_a_walk() -> None:
    walks = ended(view_of(SIGNALS, torch.ones(2, 2, 6)), torch.ones(3, 5, 2, 6), torch.tensor([4]))
    assert walks.isnan().sum((-1, -2)).eq(2 * 2).all()


def test_rolls_and_sequences_of_one_length_stay_as_they_are() -> None:
    x = torch.ones(2, 2, 6)
    assert ended(view_of(DataSpec("keys", (2, 6), "binary"), x), x, torch.tensor([4, 6])) is x
    assert ended(view_of(SIGNALS, x), x, None) is x


def test_several_continuations_look_alike_and_have_one_name(drawn: list[Panel]) -> None:
    x = torch.ones(1, 2, 6)
    view_of(SIGNALS, x).copies([("original", x), ("continued 1", x), ("continued 2", x)])
    lines = drawn[0].lines
    assert [line.label for line in lines] == ["original", "", "continued", "", "", ""]
    assert {(line.color, line.style, line.wide) for line in lines[:2]} == {("faint", "-", True)}
    assert {(line.color, line.style, line.wide) for line in lines[2:]} == {("accent", "-", False)}


@pytest.mark.parametrize(("spec", "unit"), [(SIGNALS, "standard deviations"), (DataSpec("raw", (2, 6), "real"), "")])
def test_the_axis_says_its_unit(drawn: list[Panel], spec: DataSpec, unit: str) -> None:
    x = torch.ones(1, 2, 6)
    view_of(spec, x).copies([("original", x), ("reconstruction", x)])
    assert drawn[0].y_label == unit
