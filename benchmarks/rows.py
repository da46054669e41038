"""What is measured: the rows of the table and their contenders. Never imports torch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from startup import startup
from table import Contender, Lap, Line, WorkerError, compare, failed, rounds, slope, started, timed

BATCH = 128
HIDDEN = (128, 256, 512, 1024, 2048)


@dataclass(frozen=True)
class Setting:
    """How to measure.

    Attributes:
        device: cpu or cuda.
        rounds: Laps of each contender.
        quick: Fewer contenders and smaller sizes, to see whether everything runs.
    """

    device: str
    rounds: int
    quick: bool

    def steps(self, on_cpu: int) -> int:
        """Steps of a lap: an epoch of 60,000 images on a GPU, fewer where a step is slow."""
        steps = 468 if self.device == "cuda" else on_cpu
        return max(2, steps // 20) if self.quick else steps


def _training(
    row: str, setting: Setting, rivals: list[tuple[str, str, dict[str, Any]]], steps: int, **same: Any
) -> Iterator[Line]:
    """A row of trainings: fit first, then what it is compared with."""
    options = same | {"steps": setting.steps(steps)}
    contenders = [Contender("reparam.fit", "ours.training", options)]
    contenders += [Contender(name, function, options | more) for name, function, more in rivals]
    return compare(row, "ms/step", 1e3, contenders, setting.rounds, setting.device)


def _plain(setting: Setting) -> list[tuple[str, str, dict[str, Any]]]:
    ways = ["eager", "channels_last"] + ([] if setting.quick else ["compile"])
    return [(f"plain loop, {way}", "rivals.training", {"how": way}) for way in ways]


def mlp(setting: Setting) -> Iterator[Line]:
    """784-400-20, Bernoulli, batch 128."""
    steps = setting.steps(468)
    options = {"net": "mlp", "shape": [1, 28, 28], "hidden": 400, "steps": steps}
    contenders = [
        Contender("reparam.fit", "ours.training", options),
        Contender("reparam.fit into a folder", "ours.training", options | {"out": "run"}),
        Contender("pythae 0.1.2", "with_pythae.training", options),
        Contender("plain loop, fused Adam", "rivals.training", options),
        Contender("limit: products and Adam", "limits.training", {"steps": steps, "hidden": 400}),
    ]
    return compare("mlp", "ms/step", 1e3, contenders, setting.rounds, setting.device)


def conv28(setting: Setting) -> Iterator[Line]:
    """Two convolutions down and two up, 28x28."""
    return _training("conv 1x28x28", setting, _plain(setting), 50, net="conv", shape=[1, 28, 28])


def conv64(setting: Setting) -> Iterator[Line]:
    """The same for 3x64x64."""
    return _training("conv 3x64x64", setting, _plain(setting), 10, net="conv", shape=[3, 64, 64])


def conv_pythae(setting: Setting) -> Iterator[Line]:
    """The convolutional network that pythae ships for MNIST."""
    rivals = [("pythae 0.1.2", "with_pythae.training", {}), *_plain(setting)]
    return _training("pythae's conv", setting, rivals, 2, net="pythae-conv", shape=[1, 28, 28])


def likelihood(setting: Setting) -> Iterator[Line]:
    """log p(x) with 1000 draws an item."""
    options = {"items": 20 if setting.quick else 200, "samples": 1000}
    contenders = [
        Contender("reparam.log_likelihood", "ours.likelihood", options),
        Contender("pythae 0.1.2", "with_pythae.likelihood", options),
        Contender("pythae 0.1.2, batch_size=1000", "with_pythae.likelihood", options | {"batch_size": 1000}),
        Contender("limit: the decoder's products", "limits.likelihood", options),
    ]
    return compare("likelihood", "ms/item", 1e3, contenders, setting.rounds, setting.device)


def memory(setting: Setting) -> Iterator[Line]:
    """Peak memory of log p(x), in fresh processes, for more draws and for more items."""
    small, large = (100, 1000) if setting.quick else (100, 10_000)
    for items, samples in ((small, small), (small, large), (large, small)):
        name = f"{items:,} items, {samples:,} draws"
        contender = Contender(name, "ours.likelihood", {"items": items, "samples": samples})
        try:
            with started(contender, setting.device) as worker:
                yield timed("memory", name, "ms/item", 1e3, [worker.first])
        except WorkerError as error:
            yield failed("memory", name, "ms/item", error)


def overhead(setting: Setting) -> Iterator[Line]:
    """A model of one parameter: the loop and nothing else."""
    contenders = [
        Contender("reparam.fit", "ours.empty_training", {"steps": 468}),
        Contender("plain loop, fused Adam", "rivals.empty_training", {"steps": 468}),
    ]
    return compare("empty model", "us/step", 1e6, contenders, setting.rounds, setting.device)


def decoding(setting: Setting) -> Iterator[Line]:
    """One code through the decoder."""
    for net in ("mlp", "conv"):
        options = {"net": net, "shape": [1, 28, 28], "calls": 100 if setting.quick else 1000}
        contenders = [
            Contender("model.decode(z).mean", "ours.decoding", options),
            Contender("the bare network", "rivals.decoding", options),
        ]
        yield from compare(f"decode, {net}", "us/call", 1e6, contenders, setting.rounds, setting.device)


def data_size(setting: Setting) -> Iterator[Line]:
    """An epoch, its validation included, over more and more items of 64 numbers."""
    counts = [1_000, 10_000, 100_000] + ([] if setting.quick else [1_000_000])
    steps = {f"{count:,} items": count // BATCH for count in counts}
    options = {"net": "mlp", "shape": [64], "hidden": 64}
    contenders = [Contender(name, "ours.training", options | {"steps": number}) for name, number in steps.items()]
    found = rounds(contenders, setting.rounds, setting.device)
    done = {name: laps for name, laps in found.items() if not isinstance(laps, WorkerError)}
    lines = []
    for name, laps in found.items():
        if isinstance(laps, WorkerError):
            yield failed("data size", name, "s/epoch", laps)
            continue
        lines.append(timed("data size", name, "s/epoch", 1.0, [Lap(lap.seconds, 1, lap.peak_bytes) for lap in laps]))
        yield lines[-1]
    yield from _growth("data size", "items", [steps[name] for name in done], lines)


def model_size(setting: Setting) -> Iterator[Line]:
    """The MLP with wider and wider hidden layers."""
    ours = []
    for hidden in HIDDEN:
        row = f"hidden {hidden}"
        options = {"net": "mlp", "shape": [1, 28, 28], "hidden": hidden, "steps": setting.steps(100)}
        contenders = [
            Contender("reparam.fit", "ours.training", options),
            Contender("plain loop, fused Adam", "rivals.training", options),
        ]
        lines = list(compare(row, "ms/step", 1e3, contenders, setting.rounds, setting.device))
        ours.append(lines[0])
        yield from lines
    yield from _growth("model size", "hidden", HIDDEN, ours)


def _growth(row: str, of: str, sizes: Sequence[float], lines: Sequence[Line]) -> Iterator[Line]:
    """How time and memory grow, as exponents."""
    known = [(size, line) for size, line in zip(sizes, lines, strict=True) if line.value and line.peak_bytes]
    if len(known) < 2:
        return
    times = slope([size for size, _ in known], [line.value or 0.0 for _, line in known])
    peaks = slope([size for size, _ in known], [line.peak_bytes or 0 for _, line in known])
    yield Line(row, f"time ~ {of}^", times, "")
    yield Line(row, f"memory ~ {of}^", peaks, "")


ROWS: dict[str, Callable[[Setting], Iterator[Line]]] = {
    "mlp": mlp,
    "conv28": conv28,
    "conv64": conv64,
    "conv-pythae": conv_pythae,
    "likelihood": likelihood,
    "memory": memory,
    "overhead": overhead,
    "decode": decoding,
    "data-size": data_size,
    "model-size": model_size,
    "startup": lambda setting: startup(setting.rounds, setting.device),
}
GROUPS = {
    "training": ("mlp", "conv28", "conv64", "conv-pythae"),
    "scaling": ("data-size", "model-size"),
    "all": tuple(ROWS),
}
