"""The family on a GPU: each job trains, judges, and prints one row beside what was wished.

    python benchmarks/gpu_family.py [JOB ...] [--folder DIR] [--device cuda] [--scale 1] [--list]

Without names all jobs run, in the order of the table. A job's runs lie under ``--folder``; one that was stopped goes
on where it stood, one that is done is only judged. ``--scale 0.01`` shrinks the time, the draws and the test items of
every job, to see on any machine that it runs. ``REPARAM_DATA`` names the folder where MNIST lies.
"""

import argparse
import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import reparam
from reparam.samplers import sampler_of
from reparam.training import has_checkpoints

DEEP = {"hierarchy": {"depth": "1x2,4x4,7x8,14x12,28x6", "channels": 128, "latent_channels": 16}}
DEEP_TRAIN = {"batch_size": 256, "learning_rate": 1e-3, "precision": "bfloat16"}
SMALL = {"network": {"kind": "mlp", "hidden_dims": [200, 200]}, "latent_dim": 50}


@dataclass(frozen=True)
class Job:
    """One row: a recipe with settings, for some minutes and seeds, and what is asked of it.

    Attributes:
        wished: Key of the evaluation, and the number it should reach.
        sampler: Where new examples come from.
    """

    recipe: str
    data: str
    minutes: float
    wished: tuple[str, str]
    over: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[str, ...] = ("elbo", "nll")
    samples: int = 1000
    seeds: int = 1
    sampler: str = ""


RAE = {"metrics": ("reconstruction", "fid", "precision-recall"), "sampler": "gmm"}
MIG = ("mig", "sampled-mig", "dci")  # the first as Locatello et al. (2019), the second as Chen et al. (2018)
JOBS: dict[str, Job] = {
    "deep-static": Job("very-deep-vae", "static-mnist", 30, ("nll", "<= 78.2"), {"model": DEEP, "train": DEEP_TRAIN}),
    "deep-dynamic": Job("very-deep-vae", "mnist", 30, ("nll", "<= 77.9"), {"model": DEEP, "train": DEEP_TRAIN}),
    "iwae-50": Job(
        "iwae", "static-mnist", 30, ("nll", "<= 86.8"), {"model": SMALL, "objective": {"samples": 50}}, samples=5000
    ),
    "rae-l2": Job("rae-l2", "mnist", 10, ("fid", "stated with its network"), **RAE),  # type: ignore[arg-type]
    "rae-gp": Job("rae-gp", "mnist", 10, ("fid", "stated with its network"), **RAE),  # type: ignore[arg-type]
    "two-stage": Job(
        "vae", "mnist", 10, ("fid", "stated with its network"), metrics=("elbo", "fid"), sampler="two-stage"
    ),
    "beta-tcvae": Job("beta-tcvae", "sprites", 15, ("sampled_mig", "mean >= 0.24"), metrics=MIG, seeds=10),
    "factor-vae": Job("factor-vae", "sprites", 15, ("sampled_mig", "best >= 0.34"), metrics=MIG, seeds=10),
}


def trained(name: str, job: Job, seed: int, folder: Path, device: str, scale: float) -> reparam.Run:
    """The run of a job, from wherever it stands."""
    out = folder / f"{name}-{seed}"
    if has_checkpoints(out):
        return reparam.resume(out, device=device)
    train = {"max_minutes": job.minutes * scale, **job.over.get("train", {})}
    over = {**job.over, "data": {"source": job.data}, "train": train, "seed": seed}
    return reparam.train(job.recipe, over, out=out, device=device)


def judged(run: reparam.Run, job: Job, scale: float) -> dict[str, Any]:
    """What the job asks of its run."""
    sampler = sampler_of(run, job.sampler) if job.sampler else None
    limit = None if scale == 1 else max(200, int(10_000 * scale))
    samples = max(5, int(job.samples * scale))
    return run.evaluate("test", job.metrics, samples=samples, sampler=sampler, limit=limit)


def main() -> None:
    """Runs the jobs, and prints a line of JSON for each run and a line of text for each job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="*", metavar="JOB")
    parser.add_argument("--folder", type=Path, default=Path("runs/gpu-family"))
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    unknown = set(arguments.jobs) - set(JOBS)
    if unknown:
        parser.error(f"there is no job {min(unknown)!r}; there are {', '.join(JOBS)}")
    for name in arguments.jobs or JOBS:
        job, found = JOBS[name], []
        if arguments.list:
            wish = " ".join(job.wished)
            print(f"{name}: {job.recipe} on {job.data}, {job.minutes:g} minutes, {job.seeds} seed(s): {wish}")
            continue
        for seed in range(job.seeds):
            run = trained(name, job, seed, arguments.folder, arguments.device, arguments.scale)
            row = judged(run, job, arguments.scale)
            found.append(row[job.wished[0]])
            numbers = {key: value for key, value in row.items() if not isinstance(value, list)}
            print(json.dumps({"job": name, "seed": seed, "epochs": run.metrics[-1]["epoch"], **numbers}), flush=True)
        key, wish = job.wished
        print(f"{name}: {key} {statistics.mean(found):.4g} (best {max(found):.4g}), wished {wish}", flush=True)


if __name__ == "__main__":
    main()
