"""Pictures: decoding them, making them one size, resizing arrays of them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable
from typing import IO, cast

import numpy as np
from PIL import Image, ImageOps

from reparam.data.limits import MEMORY_BYTES, MODEST_BYTES, Readable, bomb, check_expansion, readable_bytes, reason
from reparam.data.raw import Array, Wanted
from reparam.errors import DataError

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif")
# Whatever a file is called, Pillow would try all it knows, and hand PostScript to an interpreter.
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF")
DEFLATE_RATIO = 1032
# A progressive JPEG is decoded once for each scan, however few bytes the scan has.
JPEG, JPEG_SCAN, MOST_SCANS = b"\xff\xd8", b"\xff\xda", 100
GREY_MODES = ("1", "L", "LA", "La", "F", "I")


def decode(name: str, stream: Readable, wanted: Wanted) -> Array:
    """One picture as uint8, (H, W) if grey and (H, W, 3) if not; of an animation the first frame.

    Raises:
        DataError: if it is damaged, or so large that it must be a decompression bomb.
    """
    file = cast(IO[bytes], stream)
    try:
        stored = file.seek(0, io.SEEK_END)
        file.seek(0)
        if file.read(2) == JPEG and file.read().count(JPEG_SCAN) > MOST_SCANS:
            raise DataError(
                f"{name} is stored in more than {MOST_SCANS} scans, which only a bomb needs. Save it again."
            )
        file.seek(0)
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)
            with Image.open(file, formats=FORMATS) as image:
                check_expansion(name, image.width * image.height, stored)
                ImageOps.exif_transpose(image, in_place=True)
                if wanted.size is not None and is_cut(image.size, wanted.size):
                    wanted.cut.append(name)
                return to_array(image, wanted)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{name} is refused as a decompression bomb: {error}") from None
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise errors of many kinds
        raise DataError(f"{name} is not a whole picture ({reason(error)}). Replace or remove it.") from None


def is_cut(extents: tuple[int, int], size: tuple[int, int]) -> bool:
    """True where a picture (width, height) loses more than rounding takes when it is brought to (H, W)."""
    width, height = extents
    scale = max(size[1] / width, size[0] / height)
    return width * scale > size[1] + 1 or height * scale > size[0] + 1


def to_array(image: Image.Image, wanted: Wanted) -> Array:
    """A Pillow image as uint8, (H, W) or (H, W, 3), in the size and channels that are wanted."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    grey = image.mode in GREY_MODES if wanted.channels is None else wanted.channels == 1
    image = image.convert("L" if grey else "RGB")
    if wanted.size is not None:
        image = fitted(image, wanted.size)
    return np.asarray(image)


def fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture in size (H, W): scaled with antialiasing, and cut at the middle where the proportions differ."""
    height, width = size
    if image.size == (width, height):
        return image
    return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)


def stack(pictures: Iterable[tuple[str, Array]], count: int, stored: int) -> Array:
    """Pictures of one size as (N, H, W), or (N, H, W, 3) if any has colour.

    Args:
        pictures: Names and values.
        count: How many they are.
        stored: Bytes of the files or of the archive that they come from.

    Raises:
        DataError: if two sizes differ, or all together take more than half the memory, or far more than is stored.
    """
    found: list[Array] = []
    first = ""
    for name, picture in pictures:
        first = first or name
        if picture.nbytes * count > max(8 * MODEST_BYTES, DEFLATE_RATIO * stored):  # packed twice
            raise bomb(f"{name} with its {count - 1} others", picture.nbytes * count, stored)
        if found and picture.shape[:2] != found[0].shape[:2]:
            (h0, w0), (h, w) = found[0].shape[:2], picture.shape[:2]
            raise DataError(
                f"Pictures differ in size: {first} is {h0}x{w0}, {name} is {h}x{w} (height x width). "
                "Make them one size, or let me: --data.size 64 (size=64 in Python)."
            )
        if picture.nbytes * count > MEMORY_BYTES:
            raise DataError(
                f"{count} pictures of {picture.shape[0]}x{picture.shape[1]} take "
                f"{readable_bytes(picture.nbytes * count)} in memory. Make them smaller: "
                "--data.size 64 (size=64 in Python)."
            )
        found.append(picture)
    if any(picture.ndim == 3 for picture in found):
        found = [np.repeat(p[:, :, None], 3, 2) if p.ndim == 2 else p for p in found]
    return np.stack(found)


def resize(x: Array, size: tuple[int, int]) -> Array:
    """Pictures (N, C, H, W), uint8 or float, in another size; values stay in their range.

    Shapes:
        x: (N, C, H, W) -> (N, C, *size)
    """
    if x.shape[2:] == size:
        return x
    low, high = x.min(), x.max()
    planes = x.reshape(-1, *x.shape[2:])
    planes = planes if x.dtype == np.uint8 else planes.astype(np.float32)
    done = np.stack([np.asarray(fitted(Image.fromarray(plane), size)) for plane in planes])
    done = np.clip(done, low, high).reshape(*x.shape[:2], *size)
    return np.asarray(done, dtype=x.dtype)
