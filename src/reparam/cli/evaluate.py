"""``reparam evaluate``."""

from __future__ import annotations

from typing import Literal

from reparam.cli.console import print_json
from reparam.cli.options import REPORTING, MaybeWhole, Reports, RunPath, Whole, require_positive, words_in


def evaluate(
    run: RunPath,
    /,
    *,
    data: str | None = None,
    split: Literal["all", "train", "validation", "test"] = "test",
    metrics: str | None = None,
    samples: Whole = 5000,
    sampler: str = "prior",
    features: str = "auto",
    limit: MaybeWhole = None,
    common: Reports = REPORTING,
) -> None:
    """Judges a model on a split of its data, or of other data prepared the same way.

    Args:
        run: A run folder, or a model folder.
        data: Other data: a name, or a path.
        split: Which part of the data; all is every item of --data.
        metrics: Names from 'reparam list metrics', with commas between them; when left out elbo,reconstruction,nll, of
            models without a density fid,precision-recall, of those whose likelihood was not trained (vae-gan, cvae-gan)
            fid,precision-recall,reconstruction.
        samples: Importance samples for each item, or particles of each sequence for filtered; log p(x) is estimated
            from below, and rises with them.
        sampler: What new items come from, for metrics of them such as fid: prior, or a sampler as in 'reparam sample'.
        features: The network in whose features items are compared, by fid and others: auto (a small classifier trained
            on the labels, a random network where there are none), random, squeezenet, vgg16, vgg19, mobilenet, or with
            --trust-code a class of your own, package.module:Class.
        limit: Judge on a seeded random subset of so many items.
    """
    from reparam.cli.ending import print_numbers
    from reparam.cli.progress import CountingProgress
    from reparam.runs import open_run
    from reparam.samplers import PRIOR, sampler_of

    require_positive("--samples", samples)
    if limit is not None:
        require_positive("--limit", limit)
    opened = open_run(run, common.device)
    chosen = None if sampler == PRIOR else sampler_of(opened, sampler)
    with CountingProgress() as progress:
        found = opened.evaluate(
            split,
            None if metrics is None else words_in(metrics, "--metrics"),
            features=features,
            samples=samples,
            sampler=chosen,
            limit=limit,
            seed=common.draws,
            source=data,
            progress=progress,
        )
    if common.json:
        print_json({"run": run, **found})
    else:
        print_numbers(found)
