"""``reparam traverse``."""

from __future__ import annotations

from reparam.cli.console import print_json, print_line
from reparam.cli.options import REPORTING, OutPath, OwnData, Reports, RunPath, Whole, numbers_in, require_positive

_MOST = 16


def traverse(
    run: RunPath,
    /,
    *,
    item: str | None = None,
    label: str | None = None,
    dims: str | None = None,
    span: float = 3.0,
    steps: Whole = 9,
    data: OwnData = None,
    out: OutPath = None,
    common: Reports = REPORTING,
) -> None:
    """Moves one latent dimension at a time and shows what it changes; the most used dimensions come first.

    Args:
        run: A run folder, or a model folder.
        item: What stays fixed otherwise: a number in the test split, class:NAME, or a path; the prior's mean where
            nothing is given.
        label: The class, for a model that is told classes; that of the item where nothing is given.
        dims: Dimensions such as 0,4,7, in this order; the 16 with the largest KL where nothing is given.
        span: How far to go to either side, in standard deviations.
        steps: Pictures for each dimension.
        out: F.png or F.npz; traversal.png or .npz in the run folder where nothing is given.
    """
    from reparam.cli.files import item_file
    from reparam.cli.items import read_item, told
    from reparam.cli.pictures import write_walks
    from reparam.cli.sequences import lengths_of
    from reparam.latents import traverse as walk
    from reparam.report.subject import look_at
    from reparam.runs import open_run

    require_positive("--span", span)
    opened = open_run(run, common.device, data)
    where = item_file(out, run, "traversal", opened.spec, endings=(".png", ".npz"))
    anchor = None if item is None else read_item(opened, item, common.draws)
    model = told(opened, label, anchor)
    shown = opened.model if opened.model.conditions else model  # of those that are told, each test item is told its own
    subject = look_at(shown, opened.load_data(), opened.evaluation, common.draws)
    chosen = subject.order[:_MOST] if dims is None else numbers_in(dims, "--dims")
    x = walk(model, None if anchor is None else anchor.x[0], chosen, span, steps, codes=subject.scale_codes)
    lengths = None if anchor is None else lengths_of(anchor)
    write_walks(where, x, [subject.dim_label(dim) for dim in chosen], span, opened.spec, lengths)
    if common.json:
        kl = None if subject.kl is None else subject.kl[chosen].tolist()
        print_json({"run": run, "item": item, "dims": chosen, "kl": kl, "steps": steps, "span": span, "out": where})
    else:
        print_line(f"dimensions {', '.join(map(str, chosen))}: {where}")
