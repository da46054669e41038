"""Files that mean harm, made in code, one of each kind."""

import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from PIL import Image

MIB = 1 << 20


class Canary:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def pickled(path: Path) -> bytes:
    """A pickle that runs code."""
    return pickle.dumps(Canary(path))


def npy_header(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    """The header of an .npy file."""
    buffer = io.BytesIO()
    npy.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def objects(canary: Path) -> bytes:
    """An .npy file of Python objects."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([Canary(canary)], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def zipped(members: dict[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A .zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, packing)
    return buffer.getvalue()


def lying_zip(name: str, content: bytes, declared: int) -> bytes:
    """A .zip file with one member that announces fewer bytes than it has."""
    good = zipped({name: content})
    return good.replace(struct.pack("<I", len(content)), struct.pack("<I", declared))


def tarred(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A .tar file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for item, content in members:
            item.size = len(content)
            archive.addfile(item, io.BytesIO(content))
    return buffer.getvalue()


def picture(width: int = 4, height: int = 5, kind: str = "png", **settings: Any) -> bytes:
    """An honest picture."""
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((height, width), dtype=np.uint8)).save(buffer, kind, **settings)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A .png file that announces a size and has next to no pixels."""
    body = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", body), (b"IDAT", zlib.compress(bytes(64))), (b"IEND", b""))
    packed = (len(c).to_bytes(4, "big") + k + c + zlib.crc32(k + c).to_bytes(4, "big") for k, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def gif_of_frames(width: int, height: int) -> bytes:
    """An animation whose size is announced and never stored."""
    frames = [Image.fromarray(np.full((2, 2), value, dtype=np.uint8)) for value in (0, 90, 180)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "gif", save_all=True, append_images=frames[1:])
    content = bytearray(buffer.getvalue())
    content[6:10] = struct.pack("<HH", width, height)
    return bytes(content)


def deep_json(depth: int = 100_000) -> str:
    """Lists in lists."""
    return "[" * depth + "]" * depth


def laughs(levels: int = 9) -> str:
    """YAML of a few lines that stands for a thousand million words."""
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


def mat_element(kind: int, content: bytes) -> bytes:
    """An element of a MATLAB file."""
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def mat(*pieces: bytes, compress: bool = True) -> bytes:
    """A MATLAB file with one matrix made of these pieces."""
    content = mat_element(14, b"".join(pieces))
    if compress:
        content = zlib.compress(content)
        content = struct.pack("<II", 15, len(content)) + content
    return b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + content


def mat_head(kind: int, dims: bytes, name: bytes = b"x") -> bytes:
    """What each matrix begins with."""
    return mat_element(6, struct.pack("<II", kind, 0)) + mat_element(5, dims) + mat_element(1, name)


def surrogates() -> bytes:
    """An .npz file whose labels are no text."""
    good, wrong = io.BytesIO(), io.BytesIO()
    np.save(good, np.zeros((3, 2)))
    np.save(wrong, np.array(["a", "b", "c"]))
    labels = wrong.getvalue()[:-4] + struct.pack("<I", 0x110000)
    return zipped({"x.npy": good.getvalue(), "y.npy": labels})


def pax_of_digits(count: int) -> bytes:
    """A .tar file with an extended header that older versions of Python search in quadratic time."""
    digits = b"1" * count
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, len(digits)
    png = picture()
    member = tarfile.TarInfo("a.png")
    member.size = len(png)
    padded = digits + bytes(-len(digits) % 512)
    return header.tobuf() + padded + member.tobuf() + png + bytes(-len(png) % 512) + bytes(1024)


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    """A link in a .tar file."""
    item = tarfile.TarInfo(name)
    item.type, item.linkname = kind, target
    return item


def zip_link(name: str, target: str) -> bytes:
    """A link in a .zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        item = zipfile.ZipInfo(name)
        item.external_attr = 0o120777 << 16
        archive.writestr(item, target)
    return buffer.getvalue()


def npz_of_header(length: int) -> bytes:
    """An .npz file whose header announces a length of its own, and is a bomb."""
    return zipped({"x.npy": b"\x93NUMPY\x02\x00" + struct.pack("<I", length) + bytes(8 * MIB)})


def twice_packed(pictures: int, side: int) -> bytes:
    """A .tar.gz file of black pictures: each packs well, and all together pack well again."""
    png = picture(side, side)
    members = [(tarfile.TarInfo(f"{number}.png"), png) for number in range(pictures)]
    return gzip.compress(tarred(*members), mtime=0)


HOSTILE: dict[str, tuple[str, Callable[[Path], bytes], str]] = {
    "pickle in npy": ("a.npy", objects, "Python objects .* never read"),
    "pickle in npz": ("a.npz", lambda canary: zipped({"x.npy": objects(canary)}), "Python objects .* never read"),
    "pickle": ("a.pkl", pickled, "pickle, which can run any code and is never read"),
    "torch file": ("a.pt", pickled, "pickle, which can run any code and is never read"),
    "pickle named npy": ("a.npy", pickled, "truncated or damaged"),
    "pickle named npz": ("a.npz", pickled, "truncated or damaged"),
    "pickle named mat": ("a.mat", pickled, "no MATLAB v5 header"),
    "npy of any size": ("a.npy", lambda _: npy_header((1 << 40, 1 << 10)), "decompression bomb"),
    "npy of too many axes": ("a.npy", lambda _: npy_header((0,) * 99), "truncated or damaged"),
    "npy of endless axes": ("a.npy", lambda _: npy_header((0, 1 << 62, 1 << 62)), "truncated or damaged"),
    "npy of one axis that is true": ("a.npy", lambda _: npy_header((3, True)) + bytes(3), "truncated or damaged"),
    "npy whose type ends the line": (
        "a.npy",
        lambda _: npy_header((3,), "\x0bf4,,,,") + bytes(12),
        "truncated or damaged",
    ),
    "npy whose header nests": ("a.npy", lambda _: b"\x93NUMPY\x01\x00\xff\x1f" + b"(" * 0x1FFF, "truncated or damaged"),
    "npz bomb": ("a.npz", lambda _: zipped({"x.npy": npy_header((34 * MIB,)) + bytes(34 * MIB)}), "decompression bomb"),
    "npz bomb that lies": (
        "a.npz",
        lambda _: lying_zip("x.npy", npy_header((9 * MIB,)) + bytes(9 * MIB), 99),
        "truncated or damaged",
    ),
    "npz bomb in the header": ("a.npz", lambda _: npz_of_header(1 << 31), "truncated or damaged"),
    "npz packed without limit": (
        "a.npz",
        lambda _: zipped({"x.npy": npy_header((9,)) + bytes(9)}, zipfile.ZIP_BZIP2),
        "packed in a way that is not read",
    ),
    "npz of labels that are no text": ("a.npz", lambda _: surrogates(), "truncated or damaged"),
    "gz bomb": ("a.idx.gz", lambda _: gzip.compress(idx(34 * MIB) + bytes(34 * MIB)), "decompression bomb"),
    "gz bomb that lies": ("a.idx.gz", lambda _: gzip.compress(idx(9) + bytes(34 * MIB)), "more than the 9 bytes"),
    "idx of any size": ("a.idx", lambda _: struct.pack(">HBB4I", 0, 8, 4, *[0xFFFFFFFF] * 4), "decompression bomb"),
    "idx of nothing, endless": (
        "a.idx",
        lambda _: struct.pack(">HBB4I", 0, 14, 4, 0, *[0xFFFFFFFF] * 3),
        "truncated or damaged",
    ),
    "gz bomb of text": ("a.csv.gz", lambda _: gzip.compress(b"1\n" * (5 * MIB)), "decompression bomb"),
    "gz bomb of bits": ("a.amat.gz", lambda _: gzip.compress(b"0 1\n" * (5 * MIB)), "decompression bomb"),
    "csv of NUL": ("a.csv", lambda _: b"a,b\n1,\x00\n2,3\n", "expected a number"),
    "csv of one long line": ("a.csv", lambda _: b"1," * MIB, "1,048,577 columns, expected at most"),
    "csv of one long cell": ("a.csv", lambda _: b"x" * MIB, "not a text table"),
    "csv of one long label": (
        "a.csv",
        lambda _: b"x,label\n" + b"1,a\n" * 9999 + b"1," + b"b" * 99_999 + b"\n",
        "a label of 99,999 characters",
    ),
    "csv of formulas": ("a.csv", lambda _: b'a,b\n"=cmd|calc!A1",2\n3,4\n5,6\n', "expected a number"),
    "mat of zeros": ("a.mat", lambda _: mat(bytes(34 * MIB)), "decompression bomb"),
    "mat of tiny elements": ("a.mat", lambda _: mat(mat_head(1, bytes(8)), bytes(16 * MIB)), "has 'x'|no arrays"),
    "mat of many axes": (
        "a.mat",
        lambda _: mat(mat_head(9, b"\xff\xff\xff\x7f" * MIB), mat_element(2, b"\1")),
        "truncated or damaged",
    ),
    "mat of one long name": (
        "a.mat",
        lambda _: mat(mat_head(1, struct.pack("<ii", 1, 2)), *mat_texts([b"a"] * 999 + [b"b" * 99_999])),
        "a label of 99,999 characters",
    ),
    "mat of bytes that become doubles": (
        "a.mat",
        lambda _: mat(mat_head(6, struct.pack("<ii", 16 * MIB, 1)), mat_element(2, bytes(16 * MIB))),
        "decompression bomb",
    ),
    "mat whose text is numbers": (
        "a.mat",
        lambda _: mat(
            mat_head(1, struct.pack("<ii", 1, 1)), mat_element(14, mat_head(4, bytes(8)) + mat_element(9, bytes(8)))
        ),
        "truncated or damaged",
    ),
    "picture of any size": ("a.png", lambda _: png_header(60_000, 60_000), "decompression bomb"),
    "picture larger than it looks": ("a.png", lambda _: png_header(9000, 9000), "decompression bomb"),
    "animation of any size": ("a.gif", lambda _: gif_of_frames(60_000, 60_000), "decompression bomb"),
    "frames of any size": ("a.webp", lambda _: webp(16_383, 16_383), "bomb|not a whole picture"),
    "picture of endless scans": ("a.jpg", lambda _: jpeg_of_scans(1024, 2000), "more than 100 scans"),
    "PostScript named png": (
        "a.png",
        lambda _: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "not a whole picture",
    ),
    "zip slip": ("a.zip", lambda _: zipped({"../../a.png": picture()}), "a picture in an odd place"),
    "zip of names that write to the terminal": (
        "a.zip",
        lambda _: zipped({"a\n\x1b[31m.png": b"x"}),
        "a picture in an odd place",
    ),
    "zip from the root": ("a.zip", lambda _: zipped({"/a.png": picture()}), "a picture in an odd place"),
    "zip of links": ("a.zip", lambda _: zip_link("a.png", "/etc/passwd"), "a link in place of a file"),
    "zip bomb": ("a.zip", lambda _: zipped({"a.bmp": bytes(34 * MIB)}), "decompression bomb"),
    "zip bomb that lies": ("a.zip", lambda _: lying_zip("a.bmp", bytes(9 * MIB), 99), "truncated or damaged"),
    "zip of endless folders": (
        "a.zip",
        lambda _: zipped({"a/" * 30_000 + "a.png": picture()}),
        "a picture in an odd place",
    ),
    "zip of one long class": (
        "a.zip",
        lambda _: zipped({f"{n}/a.png": picture() for n in range(200)} | {"b" * 60_000 + "/a.png": picture()}),
        "a label of 60,000 characters",
    ),
    "tar slip": ("a.tar", lambda _: tarred((tarfile.TarInfo("../../a.png"), picture())), "a picture in an odd place"),
    "tar of links": ("a.tar", lambda _: tarred((link("a.png", "/etc/passwd"), b"")), "a link in place of a file"),
    "tar of hard links": (
        "a.tar",
        lambda _: tarred((link("a.png", "/etc/passwd", tarfile.LNKTYPE), b"")),
        "a link in place of a file",
    ),
    "tar bomb": ("a.tar.gz", lambda _: gzip.compress(bytes(34 * MIB)), "decompression bomb|no pictures"),
    "tar of endless headers": (
        "a.tar.gz",
        lambda _: gzip.compress(tarfile.TarInfo("x").tobuf() * 9999 + bytes(1024)),
        "headers longer than its files could need",
    ),
    "tar of one endless header": ("a.tar", lambda _: pax_of_digits(20_000), "headers longer than its files could need"),
    "tar packed twice": ("a.tar.gz", lambda _: twice_packed(20, 5000), "decompression bomb"),
}


def idx(count: int) -> bytes:
    """The header of an IDX file."""
    return struct.pack(">HBBI", 0, 8, 1, count)


def mat_texts(texts: list[bytes]) -> list[bytes]:
    """The strings of a cell in a MATLAB file."""
    return [mat_element(14, mat_head(4, bytes(8)) + mat_element(16, text)) for text in texts]


def webp(width: int, height: int) -> bytes:
    """An animation that announces a canvas and has a frame of one pixel."""
    canvas = b"\x02\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    pixel = io.BytesIO()
    Image.new("L", (1, 1)).save(pixel, "webp", lossless=True)
    frame = bytes(16) + pixel.getvalue()[12:]
    chunks = b"".join(
        kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
        for kind, data in ((b"VP8X", canvas), (b"ANIM", bytes(6)), (b"ANMF", frame))
    )
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def jpeg_of_scans(side: int, scans: int) -> bytes:
    """A progressive .jpg whose every scan says in a few bytes that nothing changes."""

    def segment(kind: int, content: bytes) -> bytes:
        return b"\xff" + bytes([kind]) + struct.pack(">H", len(content) + 2) + content

    def coded(bits: str) -> bytes:
        padded = bits + "1" * (-len(bits) % 8)
        content = bytes(int(padded[at : at + 8], 2) for at in range(0, len(padded), 8))
        return content.replace(b"\xff", b"\xff\x00")

    blocks = (side // 8) ** 2
    tables = segment(0xDB, bytes([0] + [1] * 64)) + segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0")
    tables += segment(0xC4, b"\x00\1" + bytes(15) + b"\x00") + segment(0xC4, b"\x10\1" + bytes(15) + b"\xe0")
    first = segment(0xDA, b"\1\1\x00\0\0\0") + coded("0" * blocks)
    more = segment(0xDA, b"\1\1\x00\1\x3f\0") + coded(("0" + "0" * 14) * (blocks // 16384))
    return b"\xff\xd8" + tables + first + more * scans + b"\xff\xd9"


def safetensors(header: dict[str, Any], data: bytes = b"") -> bytes:
    """A file of weights with any header."""
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data
