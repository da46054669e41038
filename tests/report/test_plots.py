"""What plots decide: ranges, thinning, classes; and that they leave nothing behind."""

import io
import sys

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from reparam.errors import MissingExtraError
from reparam.report import plots
from reparam.report.plots import Line, Panel, bars, calm_limits, histograms, line_panels, scatter_by_class, thinned
from reparam.report.theme import SHARPNESS, Picture


def size_of(picture: Picture) -> tuple[int, int]:
    return Image.open(io.BytesIO(picture.light)).size


def test_the_first_wild_steps_do_not_set_the_range() -> None:
    values = np.concatenate([[-1e6, -1e5, -1e4], np.linspace(-120, -90, 97)])
    limits = calm_limits([values])
    assert limits is not None
    assert -125 < limits[0] < -110
    assert -92 < limits[1] < -85


def test_the_range_holds_the_end_of_every_curve_and_no_nan() -> None:
    limits = calm_limits([np.array([5.0, 4.0, np.nan, 3.0]), np.array([9.0])])
    assert limits is not None
    assert limits[0] < 3
    assert limits[1] > 9
    assert calm_limits([np.array([np.nan]), np.array([])]) is None


def test_a_constant_curve_has_a_range_too() -> None:
    limits = calm_limits([np.full(20, 7.0)])
    assert limits is not None
    assert limits[0] < 7 < limits[1]


def test_long_curves_are_thinned_to_the_means_of_stretches() -> None:
    x = np.arange(1600.0)
    thin_x, thin_y = thinned(x, 2 * x)
    assert len(thin_x) == 160
    assert thin_x[0] == pytest.approx(4.5)
    np.testing.assert_allclose(thin_y, 2 * thin_x)
    assert thinned(x[:7], x[:7])[0] is not None
    assert len(thinned(x[:7], x[:7])[0]) == 7


NAMES = ("$\\frac", "_hidden", "<b>&", "猫", "x" * 300, "")


@pytest.mark.slow
def test_no_name_of_a_class_or_column_breaks_a_plot() -> None:
    points = np.random.default_rng(0).normal(size=(12, 6))
    lines = [Line(np.arange(6.0), label=name) for name in NAMES]
    assert scatter_by_class(points[:, :2], np.arange(12) % 6, NAMES).light
    assert line_panels([Panel(lines, NAMES[0], NAMES[0], NAMES[0], None, NAMES)]).light
    assert histograms(points, points, NAMES, ("data", "samples")).light


def test_a_class_without_a_name_and_more_than_twenty_classes_are_shown() -> None:
    points = np.random.default_rng(0).normal(size=(60, 2))
    assert scatter_by_class(points, np.arange(60) % 30, ("only one name",)).light


def test_pictures_are_as_large_as_they_say() -> None:
    picture = bars(np.arange(3.0), ["z0", "z1", "z2"], [True, False, True], ("on", "off"), "KL")
    assert size_of(picture) == (picture.width * SHARPNESS, picture.height * SHARPNESS)


def test_plots_leave_no_trace_in_matplotlib() -> None:
    before = dict(mpl.rcParams)
    line_panels([Panel([Line(np.arange(3.0))])] * 3, columns=2)
    assert dict(mpl.rcParams) == before
    assert "matplotlib.pyplot" not in plots.__dict__


def test_without_matplotlib_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(MissingExtraError, match=r'matplotlib.*pip install "reparam\[plot\]"'):
        line_panels([Panel([Line(np.arange(3.0))])])
