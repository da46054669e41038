"""``reparam score``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reparam.cli.console import print_json, print_line, print_table
from reparam.cli.options import REPORTING, OutPath, Reports, RunPath, Source, SplitName, Whole, require_positive

if TYPE_CHECKING:
    from reparam.data import Split
    from reparam.evaluation import Likelihoods


def score(
    run: RunPath,
    source: Source,
    /,
    *,
    split: SplitName = "all",
    samples: Whole = 500,
    top: Whole = 20,
    out: OutPath = None,
    common: Reports = REPORTING,
) -> None:
    """Estimates log p(x) of each item by importance weighting; the least likely items come first.

    Args:
        run: A run folder, or a model folder.
        source: A data name, or a path.
        samples: Importance samples for each item.
        top: How many outliers to print.
        out: Write all items, in their own order, to F.csv, F.parquet or F.npz.
    """
    from reparam.cli.files import require_ending, write_columns
    from reparam.cli.items import read_split
    from reparam.cli.progress import CountingProgress
    from reparam.evaluation import split_likelihoods
    from reparam.runs import open_run

    require_positive("--samples", samples)
    require_positive("--top", top)
    if out is not None:
        require_ending(out, (".csv", ".parquet", ".npz"))
    opened = open_run(run, common.device)
    items = read_split(opened, source, common.draws, split)
    with CountingProgress() as progress:
        found = split_likelihoods(
            opened.model,
            items,
            samples,
            seed=common.draws,
            progress=lambda done: progress("log p(x)", done, len(items)),
        )
    columns = _columns(items, found)
    if out is not None:
        write_columns(out, columns)
    about = {"run": run, "source": source, "split": split, "n": len(items), "samples": samples, "out": out}
    order = found.log_p_x.argsort().tolist()
    if common.json:
        print_json(about | {"mean": found.log_p_x.mean().item(), "outliers_first": order} | columns)
    else:
        _show(columns, order[:top], found.log_p_x.mean().item(), f"; all of them: {out}" if out else "")


def _columns(items: Split, found: Likelihoods) -> dict[str, list[Any]]:
    from reparam.cli.items import class_names

    numbers = {"log_p_x": found.log_p_x, "stderr": found.stderr, "ess": found.ess}
    labels = class_names(items)
    return {
        "index": list(range(len(items))),
        **({"label": labels} if labels else {}),
        **{name: values.tolist() for name, values in numbers.items()},
    }


def _show(columns: dict[str, list[Any]], order: list[int], mean: float, where: str) -> None:
    from reparam.report.numbers import RELIABLE

    headings = {
        "index": "item",
        "label": "class",
        "log_p_x": "log p(x), nats",
        "stderr": "± error",
        "ess": "eff. samples",
    }
    formats = {"log_p_x": "{:,.2f}", "stderr": "{:.2f}", "ess": "{:,.1f}"}
    rows = [[formats.get(name, "{}").format(values[item]) for name, values in columns.items()] for item in order]
    numbers = [position for position, name in enumerate(columns) if name != "label"]
    print_table([headings[name] for name in columns], rows, numbers=numbers)
    few = sum(ess < RELIABLE for ess in columns["ess"])
    if few:
        print_line(
            f"{few:,} items have fewer than {RELIABLE} effective samples: their log p(x) is a loose lower bound, and "
            "its error larger than stated. Raise --samples."
        )
    print_line(
        f"{len(columns['index']):,} items, {mean:,.2f} nats on average; the least likely {len(order):,} first{where}"
    )
