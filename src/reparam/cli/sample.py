"""``reparam sample``."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from reparam.cli.console import print_json, print_line
from reparam.cli.options import REPORTING, MaybeWhole, OutPath, OwnData, Reports, RunPath, Whole, require_positive


def sample(
    run: RunPath,
    /,
    *,
    n: Annotated[Whole, Parameter(name="-n")] = 64,
    label: str | None = None,
    length: MaybeWhole = None,
    sampler: str = "prior",
    temperature: float = 1.0,
    draw: Annotated[bool, Parameter(negative="")] = False,
    data: OwnData = None,
    out: OutPath = None,
    common: Reports = REPORTING,
) -> None:
    """Makes new items: z is drawn from the prior p(z), or from a sampler, and decoded.

    A model that is told classes or lengths writes them beside the items: what it makes can be loaded as data with
    labels, and sequences as long as they are.

    Args:
        run: A run folder, or a model folder.
        n: How many.
        label: The class to make, by name, for a model that is told classes or draws them. Where nothing is given the
            first makes each class in turn, the other those it draws.
        length: How many steps new sequences have, for a model of sequences of several lengths. Where nothing is given
            they are as long as random test items.
        sampler: prior, or what is fitted to the codes of the training data when it is first used: gmm, two-stage, maf,
            iaf, flow-matching, riemannian; autoregressive where z is made of codes. 'reparam list samplers' says what
            they are.
        temperature: The prior's noise is multiplied by this; over codes and classes, log odds are divided by it.
        draw: Draw x from p(x|z) instead of taking its mean; a table F.csv and music F.mid always hold draws.
        out: A grid F.png, arrays F.npz, a table F.csv, music F.mid, or a folder of pictures; samples.png or .npz in the
            run folder where nothing is given.
    """
    from reparam.cli.files import item_file
    from reparam.cli.items import class_place, names_told, told_of
    from reparam.cli.pictures import write_items
    from reparam.cli.sequences import length_given, lengths_told
    from reparam.runs import open_run
    from reparam.samplers import draw as drawn

    opened = open_run(run, common.device, data)
    path = item_file(out, run, "samples", opened.spec, folder=True, heard=True)
    require_positive("-n", n)
    if temperature != 0:
        require_positive("--temperature", temperature)
    exact = draw or path.suffix.lower() in (".csv", ".mid")
    given: dict[str, Any] = {} if label is None else {"labels": class_place(opened, label)}
    given |= {} if length is None else {"lengths": length_given(opened, length)}
    named = told_of(opened, n, common.draws, given)
    x = drawn(opened, sampler, n, temperature=temperature, draw_x=exact, seed=common.draws, **named)
    write_items(path, x, opened.spec, names_told(opened, n, named), lengths_told(n, named))
    if common.json:
        about = {"run": run, "n": n, "sampler": sampler, "temperature": temperature, "draw": exact, "out": path}
        asked = {"label": label, "length": length}
        print_json(about | {name: value for name, value in asked.items() if value is not None})
    else:
        print_line(f"{n:,} samples: {path}")
