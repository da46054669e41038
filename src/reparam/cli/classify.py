"""``reparam classify``."""

from __future__ import annotations

from typing import Any

from reparam.cli.console import print_json, print_line
from reparam.cli.options import REPORTING, OutPath, Reports, RunPath, Source, SplitName, Whole, require_positive


def classify(
    run: RunPath,
    source: Source,
    /,
    *,
    split: SplitName = "all",
    samples: Whole = 100,
    out: OutPath = None,
    common: Reports = REPORTING,
) -> None:
    """Tells the class of each item by Bayes' rule: p(C|x) from the likelihoods p(x|C), all classes alike beforehand.

    Args:
        run: A run folder, or a model folder; of a model that is told the class, such as cvae, or observes it.
        source: A data name, or a path. Its own labels, where it has some, say how many answers are right.
        samples: Importance samples for each item and class.
        out: Write all items, in their own order, to F.csv, F.parquet or F.npz, with p of each class.
    """
    from reparam.cli.files import require_ending, write_columns
    from reparam.cli.items import class_names, read_split
    from reparam.cli.progress import CountingProgress
    from reparam.evaluation import split_classes
    from reparam.runs import open_run

    require_positive("--samples", samples)
    if out is not None:
        require_ending(out, (".csv", ".parquet", ".npz"))
    opened = open_run(run, common.device)
    items = read_split(opened, source, common.draws, split)
    names = opened.spec.class_names
    with CountingProgress() as progress:
        total = len(items) * len(names)
        found = split_classes(
            opened.model, items, samples, seed=common.draws, progress=lambda done: progress("log p(x|C)", done, total)
        )
    answers, labels = [names[k] for k in found.argmax(1).tolist()], class_names(items)
    columns: dict[str, Any] = {"index": list(range(len(items)))} | ({"label": labels} if labels else {})
    columns |= {"answer": answers}
    if out is not None:
        write_columns(out, columns | {f"p({name})": p.tolist() for name, p in zip(names, found.unbind(1), strict=True)})
    judged = [a == b for a, b in zip(answers, labels, strict=bool(labels)) if b]
    right = sum(judged) / len(judged) if judged else None
    if common.json:
        about = {"run": run, "source": source, "split": split, "n": len(items), "samples": samples, "out": out}
        print_json(about | ({} if right is None else {"accuracy": right}) | columns)
    else:
        counts = ", ".join(f"{name} {answers.count(name):,}" for name in names)
        correct = "" if right is None else f"; {right:.2%} of {len(judged):,} as labelled"
        print_line(f"{len(items):,} items{correct}: {counts}" + (f"; all of them: {out}" if out else ""))
