"""Several runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from reparam.report.measured import COMPARED
from reparam.report.numbers import is_number, with_error


@dataclass(frozen=True)
class _Column:
    key: str
    shown: str = "{:,.2f}"
    better: Literal["lower", "higher"] | None = None


_COLUMNS = (
    _Column("run", "{}"),
    _Column("recipe", "{}"),
    _Column("data", "{}"),
    _Column("parameters", "{:,}"),
    _Column("epochs", "{:.4g}"),
    _Column("n", "{:,}"),
    _Column("nll", better="lower"),
    _Column("nll_samples", "{:,}"),
    _Column("elbo", better="higher"),
    _Column("rate"),
    _Column("distortion"),
    _Column("active_units", "{:.4g}"),
    _Column("bits_per_dim", "{:.3f}", "lower"),
    _Column("mse", "{:.4g}", "lower"),
    _Column("psnr", better="higher"),
    _Column("ssim", "{:.3f}", "higher"),
    _Column("fid", "{:,.4g}", "lower"),
    _Column("recon_fid", "{:,.4g}", "lower"),
    _Column("kid", "{:,.4g}", "lower"),
    _Column("precision", "{:.3f}", "higher"),
    _Column("recall", "{:.3f}", "higher"),
    _Column("inception_score", "{:.3f}", "higher"),
    _Column("class_diversity", "{:.3f}"),
    _Column("sharpness", "{:.3f}"),
    _Column("completeness", "{:.3f}", "higher"),
    _Column("probe_accuracy", "{:.3f}", "higher"),
    _Column("knn_accuracy", "{:.3f}", "higher"),
    _Column("mig", "{:.3f}", "higher"),
    _Column("factor_vae_score", "{:.3f}", "higher"),
)
_TEXTS = ("run", "recipe", "data")
_SAME_ITEMS = ("data", "split", "n", "seed", "binarize")
# A density and a probability of the same data do not compare, nor do p(x) and p(x|c), likelihoods by more draws and by
# fewer, by noise that was trained and by other, distances in different features, means of p(x|z) and draws of it, or
# what is made of x and of a damaged copy.
_SAME_MEASURE = dict.fromkeys(COMPARED, ("feature_network", "samples")) | {
    "recon_fid": ("feature_network",),
    **dict.fromkeys(("mse", "psnr", "ssim"), ("mse_corrupted",)),
    "elbo": ("discrete", "told", "elbo_note"),
    "nll": ("discrete", "told", "nll_samples", "nll_note"),
    "bits_per_dim": ("told", "nll_samples", "nll_note"),
}


def compare_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The runs as JSON-able objects: the known keys they have, and ``best``, the keys they win.

    A run can only win against others on the same data; where it is alone there, nothing is marked.

    Args:
        rows: One mapping for each run: run, recipe, data, parameters, epochs, and the keys of evaluation.json.
    """
    return [{**_kept(row), "best": _wins(row, rows)} for row in rows]


def compare_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The runs as a plain text table; ``*`` marks the best of those on the same data.

    Args:
        rows: One mapping for each run: run, recipe, data, parameters, epochs, and the keys of evaluation.json.
    """
    if not rows:
        return "There are no runs to compare."
    compared = compare_rows(rows)
    columns = [column for column in _COLUMNS if any(column.key in row for row in compared)]
    cells = [[_heading(column) for column in columns]] + [
        [_cell(column, row) for column in columns] for row in compared
    ]
    widths = [max(len(line[number]) for line in cells) for number in range(len(columns))]
    lines = ["  ".join(_aligned(*part) for part in zip(columns, line, widths, strict=True)).rstrip() for line in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    footer = "* best of the runs on the same data"
    if any("nll" in row for row in compared):
        footer += "; nll \N{PLUS-MINUS SIGN} its standard error"
    return "\n".join([*lines, "", f"{footer}; nll, elbo, rate and distortion in nats per example"])


def _kept(row: Mapping[str, Any]) -> dict[str, Any]:
    texts = {key: str(row[key]) for key in _TEXTS if row.get(key) is not None}
    numbers = [column.key for column in _COLUMNS if column.key not in _TEXTS] + ["nll_stderr"]
    kept = texts | {key: row[key] for key in numbers if is_number(row.get(key))}
    return kept | ({"split": str(row["split"])} if row.get("split") is not None else {})


def _wins(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    wins = []
    for column in _COLUMNS:
        if column.better is None or not is_number(row.get(column.key)):
            continue
        same = (*_SAME_ITEMS, *_SAME_MEASURE.get(column.key, ()))
        rivals = [
            other
            for other in rows
            if all(_asked(row, key) == _asked(other, key) for key in same) and is_number(other.get(column.key))
        ]
        best = (min if column.better == "lower" else max)(float(other[column.key]) for other in rivals)
        if len(rivals) > 1 and float(row[column.key]) == best:
            wins.append(column.key)
    return wins


def _asked(row: Mapping[str, Any], key: str) -> Any:
    """What a number depends on, so far as it is one: samples were means, and all draws without noise are one."""
    if key == "nll_samples" and row.get("noiseless"):
        return None
    return row.get(key, "means" if key == "samples" else None)


def _heading(column: _Column) -> str:
    return column.key.replace("_", " ")


def _cell(column: _Column, row: Mapping[str, Any]) -> str:
    if column.key not in row:
        return "-"
    text = column.shown.format(row[column.key])
    if column.key == "nll" and "nll_stderr" in row:
        text = with_error(row["nll"], row["nll_stderr"])
    if column.better is None:
        return text
    return f"{text} *" if column.key in row["best"] else f"{text}  "


def _aligned(column: _Column, text: str, width: int) -> str:
    return text.ljust(width) if column.key in _TEXTS else text.rjust(width)
