import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reparam.data import load_data, load_items
from reparam.errors import DataError


def picture(height: int = 6, width: int = 4, colour: bool = True, value: int = 0) -> Image.Image:
    rng = np.random.default_rng(value)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3)[: 2 + colour], dtype=np.uint8))


def save(path: Path, image: Image.Image | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (image or picture()).save(path)
    return path


def test_flat_folder(tmp_path: Path) -> None:
    for i, ending in enumerate(("jpg", "png", "bmp", "webp", "gif", "JPEG")):
        save(tmp_path / f"{i}.{ending}")
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / ".hidden.png").write_text("nor this")
    items = load_items(tmp_path)
    assert (items.stored.shape, items.labels, items.spec.kind) == ((6, 3, 6, 4), None, "levels")


def test_class_folders_are_labels(tmp_path: Path) -> None:
    for i in range(4):
        save(tmp_path / "cat" / f"{i}.png", picture(value=i))
        save(tmp_path / "dog" / "small" / f"{i}.png", picture(value=10 + i))
    items = load_items(tmp_path)
    assert items.spec.classes == ("cat", "dog/small")
    assert items.labels.tolist() == [0] * 4 + [1] * 4
    assert np.array_equal(items.stored[5].permute(1, 2, 0).numpy(), np.asarray(picture(value=11)))


def test_split_folders_are_honoured(tmp_path: Path) -> None:
    for split, count in (("train", 8), ("val", 3), ("test", 2)):
        for i in range(count):
            save(tmp_path / "wrapped" / split / "ab"[i % 2] / f"{i}.png", picture(colour=False, value=i))
    data = load_data(tmp_path)
    assert [len(data.train), len(data.validation), len(data.test)] == [8, 3, 2]
    assert data.spec.classes == ("a", "b")
    assert data.shape == (1, 6, 4)


def test_grey_among_colour_becomes_colour(tmp_path: Path) -> None:
    save(tmp_path / "train" / "0.png", picture(colour=False))
    save(tmp_path / "test" / "1.png")
    assert load_data(tmp_path).shape == (3, 6, 4)


def test_one_bit_and_sixteen_bit_pictures(tmp_path: Path) -> None:
    save(tmp_path / "a.png", Image.fromarray(np.eye(5, dtype=bool)))
    assert load_items(tmp_path / "a.png").spec.kind == "binary"
    save(tmp_path / "b.png", Image.fromarray(np.array([[0, 256], [512, 65535]], dtype=np.uint16)))
    assert load_items(tmp_path / "b.png").stored.ravel().tolist() == [0, 1, 2, 255]


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(6, 4).save(tmp_path / "a.jpg", exif=exif)
    assert load_items(tmp_path / "a.jpg").spec.shape == (3, 4, 6)


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz", ".tgz"])
def test_archives(tmp_path: Path, ending: str) -> None:
    folder, path = tmp_path / "in", tmp_path / f"a{ending}"
    for i in range(6):
        save(folder / ("train" if i < 4 else "test") / "xy"[i % 2] / f"{i}.png", picture(value=i))
    if ending == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(folder.rglob("*.png")):
                archive.write(file, file.relative_to(folder))
    else:
        with tarfile.open(path, "w:gz" if "gz" in ending else "w") as archive:
            archive.add(folder, "wrapped")
    data, same = load_data(path), load_data(folder)
    assert (data.train.stored == same.train.stored).all()
    assert (data.test.labels == same.test.labels).all()
    content = path.read_bytes()
    for cut in (0, 100, len(content) // 2):
        path.write_bytes(content[:cut])
        with pytest.raises(DataError, match=r"truncated or damaged|no pictures"):
            load_data(path)


def test_mixed_sizes_name_two_files_and_the_way_out(tmp_path: Path) -> None:
    save(tmp_path / "a.png", picture(6, 4))
    save(tmp_path / "b.png", picture(7, 9))
    with pytest.raises(DataError, match=r"a\.png is 6x4, .*b\.png is 7x9 .*--data\.size"):
        load_data(tmp_path)
    with pytest.warns(UserWarning, match=r"cut at the edges: 1 of them, the first is .*b\.png") as said:
        assert load_data(tmp_path, size=(8, 5)).shape == (3, 8, 5)
    assert len(said) == 1
    assert load_data([picture(6, 4), picture(7, 9)], size=5).shape == (3, 5, 5)
    with pytest.raises(DataError, match="differ in shape"):
        load_data([picture(6, 4), picture(7, 9)])


def test_lists_of_pillow_images() -> None:
    items = load_items([(picture(), "a"), (picture(colour=False), "b"), (picture(), "a")])
    assert (items.stored.shape, items.labels.tolist()) == ((3, 3, 6, 4), [0, 1, 0])


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no pictures"):
        load_data(tmp_path)
    save(tmp_path / "a" / "0.png")
    save(tmp_path / "1.png")
    with pytest.raises(DataError, match=r"also beside them \(1\.png\)"):
        load_data(tmp_path)


@pytest.mark.parametrize("ending", ["jpg", "png", "gif", "webp", "bmp"])
def test_truncated_pictures(tmp_path: Path, ending: str) -> None:
    path = save(tmp_path / f"a.{ending}", picture(40, 40))
    content = path.read_bytes()
    for cut in (0, 10, len(content) // 2):
        path.write_bytes(content[:cut])
        with pytest.raises(DataError, match=rf"a\.{ending} is not a whole picture"):
            load_data(tmp_path)


def test_picture_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.png", picture(40, 40))
    for most in (1000, 100):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        with pytest.raises(DataError, match="decompression bomb"):
            load_data(path)


def test_more_than_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.png")
    save(tmp_path / "b.png")
    monkeypatch.setattr("reparam.data.images.MEMORY_BYTES", 100)
    with pytest.raises(DataError, match=r"2 pictures of 6x4 take 144 B"):
        load_data(tmp_path)


def test_archive_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((400, 400), dtype=np.uint8)).save(buffer, "bmp")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.bmp", buffer.getvalue())
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("a.bmp")
        member.size = len(buffer.getvalue())
        archive.addfile(member, io.BytesIO(buffer.getvalue()))
    monkeypatch.setattr("reparam.data.limits.MODEST_BYTES", 1000)
    monkeypatch.setattr("reparam.data.limits.MODEST_RATIO", 2)
    for name in ("a.zip", "a.tar.gz"):
        with pytest.raises(DataError, match="decompression bomb"):
            load_data(tmp_path / name)
