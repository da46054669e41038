"""Small valid files of every kind that the package reads, and ways to damage them."""

import gzip
import io
import json
import random
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import reparam
from reparam.data import Data, DataSpec, Split
from reparam.recipes import build
from reparam.training.checkpoint import Checkpoint, _sealed, save_checkpoint

Change = Callable[[bytes, random.Random], bytes]
X = np.random.default_rng(0).integers(0, 256, (3, 5, 4), dtype=np.uint8)
ODD_INTEGERS = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    60000,
    1 << 20,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
)
ODD_WORDS = (
    *(
        "-1",
        "0",
        "65535",
        "99999999999999999999",
        "9" * 5000,
        "1e999",
        "-1e400",
        "nan",
        "inf",
        "0x" + "f" * 5000,
        "1_0",
    ),
    *("null", "true", "[]", "{}", "[" * 3000, "{a: " * 300, "&a [*a]", "*a", "!!python/object/apply:os.system [x]"),
    *(
        "!!int x",
        "!!bool x",
        "!!timestamp x",
        "!!binary x",
        "!!float ''",
        "2001-13-45",
        "<<: {}",
        "? [a]",
        "kind:",
        "NaN",
    ),
    *(
        "\0",
        "\ufeff",
        "\x85",
        "\u2028",
        "\r\n",
        "\n\n",
        '"',
        "'",
        ",,,,",
        ";",
        "\t",
        "É" * 300,
        "x" * 70000,
        "\x1b[31m",
    ),
    *(
        "('x',)",
        "|O",
        "<U9",
        "<f8",
        "|V8",
        "<M8",
        ">c16",
        "(1" + ", 1" * 80 + ")",
        "(0, 4294967296, 4294967296)",
        "True",
    ),
)


@dataclass(frozen=True)
class Sample:
    """A valid file, and what can be damaged in it.

    Attributes:
        name: Where it lies in its folder.
        inner: What is damaged.
        wrap: What makes a file of it: compression, checksums, a container.
        others: The other files of the folder.
        change: A way of damage of its own, beside those for bytes.
    """

    name: str
    inner: bytes
    wrap: Callable[[bytes], bytes] = bytes
    others: dict[str, bytes] = field(default_factory=dict)
    change: Change | None = None


def damaged(samples: list[Sample], key: str) -> tuple[Sample, bytes]:
    """One of the samples, and a damaged file made of it; the same for the same key."""
    dice = random.Random(key)
    sample = dice.choice(samples)
    inside = sample.wrap is bytes or dice.random() < 0.7
    content = sample.inner if inside else sample.wrap(sample.inner)
    if inside and sample.change and dice.random() < 0.7:
        content = sample.change(content, dice)
    else:
        for _ in range(dice.choice((1, 1, 2, 3, 8))):
            content = dice.choice(CHANGES)(content, dice)
    return sample, sample.wrap(content) if inside else content


def place_in(content: bytes, dice: random.Random) -> int:
    """A place in a file: its first bytes, the headers, are more likely."""
    return dice.randrange(1 + min(len(content), dice.choice((16, 128, 1 << 30))))


def set_bytes(content: bytes, dice: random.Random) -> bytes:
    """Sets some bytes anyhow."""
    changed = bytearray(content or b"\0")
    for _ in range(dice.choice((1, 1, 2, 6))):
        changed[place_in(content, dice) % len(changed)] = dice.randrange(256)
    return bytes(changed)


def flip_bit(content: bytes, dice: random.Random) -> bytes:
    """Flips one bit."""
    changed = bytearray(content or b"\0")
    changed[place_in(content, dice) % len(changed)] ^= 1 << dice.randrange(8)
    return bytes(changed)


def set_integer(content: bytes, dice: random.Random) -> bytes:
    """Writes an extreme integer over some bytes."""
    size = dice.choice((1, 2, 4, 8))
    number = dice.choice(ODD_INTEGERS) % (1 << 8 * size)
    at = place_in(content, dice)
    return content[:at] + number.to_bytes(size, dice.choice(("little", "big"))) + content[at + size :]


def set_word(content: bytes, dice: random.Random) -> bytes:
    """Writes an odd word over a number or a word, or between two bytes."""
    word = dice.choice(ODD_WORDS).encode()
    at = place_in(content, dice)
    end = at
    while dice.random() < 0.9 and end < len(content) and content[end : end + 1].isalnum():
        end += 1
    return content[:at] + word + content[end:]


def cut(content: bytes, dice: random.Random) -> bytes:
    """Ends the file early."""
    return content[: dice.randrange(len(content) + 1)]


def remove(content: bytes, dice: random.Random) -> bytes:
    """Takes some bytes out."""
    at = place_in(content, dice)
    return content[:at] + content[at + dice.choice((1, 4, 30)) :]


def repeat(content: bytes, dice: random.Random) -> bytes:
    """Repeats some bytes, sometimes often."""
    at = place_in(content, dice)
    piece = content[at : at + dice.choice((1, 8, 64, 512))]
    return content[:at] + piece * dice.choice((2, 2, 9, 200)) + content[at:]


def insert(content: bytes, dice: random.Random) -> bytes:
    """Puts some bytes between two others."""
    at = place_in(content, dice)
    return content[:at] + dice.randbytes(dice.choice((1, 4, 64))) + content[at:]


CHANGES: tuple[Change, ...] = (set_bytes, flip_bit, set_integer, set_integer, set_word, cut, remove, repeat, insert)


def odd_value(dice: random.Random) -> Any:
    """A value that a JSON file of ours never has there."""
    deep: Any = [1]
    for _ in range(80):
        deep = [deep]
    return dice.choice(
        [
            *(None, True, -1, 0, 1, 7, 1 << 31, 1 << 63, 10**30, 10**12, 1e308, -0.5, float("inf"), float("nan")),
            *(
                "",
                "x" * 9000,
                "../../x",
                "mlp",
                "os.system",
                "__class__",
                [],
                {},
                [[]],
                [0],
                [10**6] * 3,
                [10**9, 10**9],
            ),
            *(
                {"kind": "mlp"},
                {"kind": "standardized"},
                {"kind": "__init__"},
                deep,
                [1] * 3000,
                {"a": {"b": 1}},
                "\ud800",
            ),
        ]
    )


def change_json(content: bytes, dice: random.Random) -> bytes:
    """Replaces, removes or adds a few values anywhere in a JSON text."""
    tree = {"": json.loads(content)}
    for _ in range(dice.choice((1, 1, 2, 4))):
        holder: Any = tree
        key: Any = ""
        while isinstance(holder[key], dict | list) and holder[key] and dice.random() < 0.85:
            holder = holder[key]
            key = dice.choice(list(holder)) if isinstance(holder, dict) else dice.randrange(len(holder))
        what = dice.random()
        if what < 0.7:
            holder[key] = odd_value(dice)
        elif what < 0.85 and holder is not tree:
            del holder[key]
        elif isinstance(holder, dict) and holder is not tree:
            holder[dice.choice(("kind", "x", "data_shape", "blocks", "hidden_dims", "5"))] = odd_value(dice)
    return json.dumps(tree[""]).encode()


def written(write: Callable[[io.BytesIO], object]) -> bytes:
    """What is written to a buffer."""
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def packed(content: bytes) -> bytes:
    """As gzip does it."""
    return gzip.compress(content, 1, mtime=0)


def zipped(**members: bytes) -> bytes:
    """A .zip file; a dot in the names is written ``__``."""

    def write(to: io.BytesIO) -> None:
        with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(zipfile.ZipInfo(name.replace("__", ".")), content, zipfile.ZIP_DEFLATED, 1)

    return written(write)


def array(values: Any) -> bytes:
    """An array as .npy."""
    return written(lambda to: np.save(to, values))


def npy() -> list[Sample]:
    """Arrays."""
    values = (X, X.astype(">f4"), np.asfortranarray(X), X[0] / 7, X > 99, np.array([1.5, -2]), X.astype("f2"))
    return [Sample("a.npy", array(one)) for one in values]


def npz() -> list[Sample]:
    """Archives of arrays: damaged inside, and outside."""
    names = np.array(["b", "a", "b"])
    return [
        Sample("a.npz", array(X), lambda inner: zipped(x__npy=inner, y__npy=array(np.arange(3)))),
        Sample("a.npz", array(names), lambda inner: zipped(x__npy=array(X), y__npy=inner)),
        Sample("a.npz", array(names.astype("S")), lambda inner: zipped(x__npy=array(X), y__npy=inner)),
        Sample("a.npz", array(names), lambda inner: zipped(x__npy=array(X), classes__npy=inner)),
        Sample("a.npz", zipped(x_train__npy=array(X), x_test__npy=array(X), y_test__npy=array(names))),
        Sample("a.npz", written(lambda to: np.savez(to, x=X, labels=np.arange(3.0)))),
    ]


def csv() -> list[Sample]:
    """Tables of text."""
    tables = (
        b"a,b,label\n1,2.5,cat\n3,4,dog\n",
        b"1;2\n3;4\n",
        b',x,"y ""q"""\r\n0,1,2\r\n1,3,4\r\n',
        b"a\ty\n1\t0.5\n3\t1\n",
        b"\xef\xbb\xbfa,b\n1e-3,-2\n",
    )
    return [*(Sample("a.csv", table) for table in tables), Sample("a.csv.gz", tables[0], packed)]


def amat() -> list[Sample]:
    """Bits and numbers as text."""
    return [
        Sample("a.amat", b"0 1 1\n1 0 0\n"),
        Sample("a.amat", b"0.5 1\r\n1 0"),
        Sample("a.amat.gz", b"0 1\n", packed),
    ]


def idx() -> list[Sample]:
    """Files as MNIST has them."""
    plain = struct.pack(">HBB3I", 0, 8, 3, *X.shape) + X.tobytes()
    real = struct.pack(">HBBI", 0, 0x0D, 1, 4) + np.arange(4, dtype=">f4").tobytes()
    return [Sample("a.idx", plain), Sample("a-ubyte.gz", plain, packed), Sample("a.idx", real)]


def element(kind: int, content: bytes) -> bytes:
    """An element of a MATLAB file."""
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def mat_matrix(name: str, kind: int, shape: tuple[int, ...], *pieces: bytes) -> bytes:
    """A matrix of a MATLAB file."""
    head = element(6, struct.pack("<II", kind, 0)) + element(5, struct.pack(f"<{len(shape)}i", *shape))
    return element(14, head + element(1, name.encode()) + b"".join(pieces))


def mat() -> list[Sample]:
    """MATLAB files, plain and compressed."""
    header = b"MATLAB 5.0".ljust(124) + b"\x00\x01IM"
    x = mat_matrix("x", 9, X.shape, element(2, X.tobytes("F")))
    double = mat_matrix("x", 6, X.shape, element(2, X.tobytes("F")))
    names = [mat_matrix("", 4, (1, 3), element(4, text.encode("utf-16-le"))) for text in ("one", "two")]
    classes = mat_matrix("classes", 1, (1, 2), *names)
    y = mat_matrix("y", 6, (1, 3), element(9, np.array([0.0, 1, 1]).tobytes()))

    def compressed(inner: bytes) -> bytes:
        squeezed = zlib.compress(inner, 1)
        return header + struct.pack("<II", 15, len(squeezed)) + squeezed

    return [
        Sample("a.mat", header + x + y + classes),
        Sample("a.mat", double, compressed),
        Sample("a.mat", classes, lambda inner: compressed(x) + compressed(inner)[len(header) :]),
    ]


def parquet() -> list[Sample]:
    """Tables as pyarrow writes them, where it is installed."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        return csv()
    table = pa.table({"a": [1.5, 2.0, 3.0] * 3, "target": ["u", "v", "u"] * 3, "b": [1, 2, 3] * 3})
    files = pa.table({"image": [picture("png")] * 3, "label": [0, 1, 0]})
    return [
        Sample("a.parquet", written(lambda to: parquet.write_table(table, to, row_group_size=2))),
        Sample("a.parquet", written(lambda to: parquet.write_table(files, to, row_group_size=1))),
    ]


def with_checksums(content: bytes) -> bytes:
    """A damaged .png whose chunks have the right checksums."""
    fixed, at = bytearray(content), 8
    while at + 12 <= len(fixed):
        end = at + 8 + int.from_bytes(fixed[at : at + 4], "big")
        if end + 4 > len(fixed):
            break
        fixed[end : end + 4] = zlib.crc32(fixed[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(fixed)


def png_of(header: bytes) -> bytes:
    """A .png with this header."""
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in X[0].tolist()), 1)
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    body = b"".join(len(data).to_bytes(4, "big") + kind + data + bytes(4) for kind, data in chunks)
    return with_checksums(b"\x89PNG\r\n\x1a\n" + body)


def picture(kind: str, **settings: Any) -> bytes:
    """A small picture."""
    return written(lambda to: Image.fromarray(X[0]).save(to, kind, **settings))


def pictures() -> list[Sample]:
    """Pictures of every kind, one of several frames among them."""
    more = [Image.fromarray(X[1]), Image.fromarray(X[2])]
    colour = written(lambda to: Image.fromarray(np.stack([X[0]] * 3, -1)).save(to, "webp", lossless=True))
    return [
        *(Sample(f"a.{kind}", picture(kind)) for kind in ("png", "jpeg", "bmp", "gif", "webp")),
        Sample("a.gif", picture("gif", save_all=True, append_images=more)),
        Sample("a.webp", colour),
        Sample("a.png", picture("png"), with_checksums),
        Sample("a.png", struct.pack(">IIBBBBB", 4, 5, 8, 0, 0, 0, 0), png_of),
    ]


def zips() -> list[Sample]:
    """Pictures in a .zip file."""
    png = picture("png")
    return [
        Sample("a.zip", png, lambda inner: zipped(**{"a/0__png": inner, "b/1__png": png})),
        Sample("a.zip", zipped(**{"train/a/0__png": png, "test/b/1__png": png})),
    ]


def summed(content: bytes) -> bytes:
    """A damaged .tar whose headers have the right checksums."""
    fixed = bytearray(content)
    for at in range(0, len(fixed) - 511, 512):
        if fixed[at + 257 : at + 262] == b"ustar":
            fixed[at + 148 : at + 156] = b" " * 8
            fixed[at + 148 : at + 156] = f"{sum(fixed[at : at + 512]):06o}\0 ".encode()
    return bytes(fixed)


def tars() -> list[Sample]:
    """Pictures in .tar files, with all that a header can have."""

    def write(to: io.BytesIO) -> None:
        with tarfile.open(fileobj=to, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name in ("a/0.png", "b/" + "n" * 120 + "/1.png"):
                item = tarfile.TarInfo(name)
                item.size, item.pax_headers = len(png), {"comment": "x"}
                archive.addfile(item, io.BytesIO(png))

    png = picture("png")
    plain = written(write)
    labelled = [("0.png", png), ("0.cls", b"cat"), ("1.png", png), ("1.cls", b"dog")]
    shard = written(lambda to: write_members(to, labelled))
    return [
        Sample("a.tar", plain),
        Sample("a.tar", plain, summed),
        Sample("a.tar", shard, summed),
        Sample("a.tar.gz", plain, lambda inner: packed(summed(inner))),
    ]


def write_members(to: io.BytesIO, members: list[tuple[str, bytes]]) -> None:
    """A plain .tar file."""
    with tarfile.open(fileobj=to, mode="w") as archive:
        for name, content in members:
            item = tarfile.TarInfo(name)
            item.size = len(content)
            archive.addfile(item, io.BytesIO(content))


def streams() -> list[Sample]:
    """Files that can be read block by block."""
    png = picture("png")
    shard = [
        (f"{number}.{ending}", content) for number in range(9) for ending, content in (("png", png), ("cls", b"a"))
    ]
    rows = np.arange(1200.0).reshape(400, 3)
    return [
        Sample("a.npy", array(rows[:40])),
        Sample("1.npy", array(rows[:40]), others={"2.npy": array(rows[40:80])}),
        Sample("a.tar", written(lambda to: write_members(to, shard)), summed),
        *(sample for sample in parquet() if sample.name.endswith("parquet")),
    ]


def configs() -> list[Sample]:
    """Configurations: YAML, and JSON, which is YAML too."""
    parts = {
        "latent_dim": 2,
        "encoder": {"kind": "mlp", "hidden_dims": [5]},
        "posterior": "normal",
        "prior": "normal",
        "decoder": {"kind": "conv", "channels": [2], "blocks": 1},
        "likelihood": {"kind": "bernoulli"},
    }
    whole = {"recipe": "vae", "data": {"source": "x"}, "model": parts, "objective": "elbo", "train": {"epochs": 1}}
    text = b"recipe: vae\ndata:\n  limit: 9\nmodel:\n  latent_dim: 2\n  network: {kind: mlp, hidden_dims: [5]}\n"
    more = b"objective:\n  kind: elbo\n  beta: 2\ntrain: {epochs: 1}\nmodel: null\nseed: 1\n"
    return [
        Sample("c.yaml", json.dumps(whole).encode(), change=change_json),
        Sample("c.yaml", text),
        Sample("c.yaml", more),
    ]


def tiny() -> Data:
    """Data with units of their own."""
    spec = DataSpec("tiny", (4,), "real", shift=(0.0,) * 4, scale=(1.0,) * 4)
    return Data(*[Split(torch.zeros(4, 4), spec)] * 3)


def models() -> list[Sample]:
    """A model folder: its configuration, or its weights, damaged."""
    made = build("sigma-vae", tiny(), network={"kind": "mlp", "hidden_dims": [3]}, latent_dim=2)
    with tempfile.TemporaryDirectory() as folder:
        reparam.save(made, f"{folder}/model", tiny().spec)
        files = {path.name: path.read_bytes() for path in Path(folder, "model").iterdir()}
    weights, size = files["weights.safetensors"], int.from_bytes(files["weights.safetensors"][:8], "little")

    def headed(header: bytes) -> bytes:
        return len(header).to_bytes(8, "little") + header + weights[8 + size :]

    return [
        Sample("config.json", files["config.json"], others=files, change=change_json),
        Sample("weights.safetensors", weights, others=files),
        Sample("weights.safetensors", weights[8 : 8 + size], headed, files, change_json),
    ]


def checkpoints() -> list[Sample]:
    """A checkpoint: its state or its weights damaged; and a state that was sealed again."""
    with tempfile.TemporaryDirectory() as folder:
        state = {"step": 3, "best_elbo": -1.5, "about": {"model": {"kind": "flat"}}}
        save_checkpoint(Path(folder), 3, Checkpoint({"weights": {"a": torch.ones(3)}, "sums": {}}, state))
        files = {
            str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*.*") if path.is_file()
        }
    name = next(place for place in files if place.endswith("state.json"))

    def sealed(content: bytes) -> bytes:
        try:
            found = json.loads(content)
            return _sealed({key: value for key, value in found.items() if key != "checksum"}).encode()
        except (ValueError, AttributeError, RecursionError):
            return content

    return [
        Sample(name, files[name], others=files),
        Sample(name, files[name], sealed, files, change_json),
        *(Sample(place, plain, others=files) for place, plain in files.items() if place != name),
    ]


def metrics() -> list[Sample]:
    """The log of a run."""
    row = {"step": 1, "epoch": 0.5, "split": "train", "elbo": -9.5, "wall_s": 0.1}
    line = json.dumps(row).encode()

    def lines(inner: bytes) -> bytes:
        return line + b"\n" + inner + b"\n" + line + b"\n"

    return [Sample("metrics.jsonl", line, lines, change=change_json), Sample("metrics.jsonl", lines(line))]


def evaluations() -> list[Sample]:
    """The numbers of a run."""
    numbers = json.dumps({"split": "test", "nll": 90.5, "nll_samples": 500, "n": 10}, indent=1).encode()
    return [Sample("evaluation.json", numbers), Sample("evaluation.json", numbers, change=change_json)]
