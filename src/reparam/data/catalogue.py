"""The data sets known by name, as rows: their files, how to read them, and what the literature does with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reparam.data import fetch
from reparam.data.cells import read_cells, read_counts
from reparam.data.fetch import File
from reparam.data.generated import GENERATED
from reparam.data.photographs import read_coil, read_olivetti, read_utkface
from reparam.data.pictures import (
    idx_reader,
    read_caltech,
    read_cifar_jpegs,
    read_cifar_records,
    read_digits,
    read_frey,
    read_omniglot,
    read_omniglot_zips,
    read_static_mnist,
)
from reparam.data.raw import Raw, Wanted
from reparam.data.sequences import read_mocap, read_music, read_sketches
from reparam.data.views import MFEAT, read_mfeat
from reparam.errors import DataError

Files = Mapping[str, Path]


@dataclass(frozen=True)
class Bundle:
    """One form in which a data set comes: the files, and the function that reads them."""

    files: tuple[File, ...]
    read: Callable[[str, Files, Wanted], Raw]

    def at_hand(self, folder: str) -> bool:
        """True if nothing must be downloaded."""
        return all(fetch.at_hand(folder, file) for file in self.files)


@dataclass(frozen=True)
class Dataset:
    """A data set with a name.

    Attributes:
        name: What users write.
        about: One line.
        licence: As its owners state it.
        bundles: The forms in which it comes; the first one at hand is read.
        within: The folder that it shares with others; empty for one of its own.
    """

    name: str
    about: str
    licence: str
    bundles: tuple[Bundle, ...]
    within: str = ""

    @property
    def folder(self) -> str:
        """Name of its folder below $REPARAM_DATA and in the cache."""
        return self.within or self.name.removesuffix("-exact").replace("-", "_")

    @property
    def at_hand(self) -> bool:
        """True if nothing must be downloaded."""
        return any(bundle.at_hand(self.folder) for bundle in self.bundles)

    def read(self, wanted: Wanted) -> Raw:
        """Reads the form that is at hand, or downloads the first that has an address.

        Raises:
            DataError: if it can be had in no form, or a file is not the right one.
        """
        ready = [bundle for bundle in self.bundles if bundle.at_hand(self.folder)]
        offered = [bundle for bundle in self.bundles if all(file.urls for file in bundle.files)]
        if not ready and not offered:
            names = " and ".join(file.name for file in self.bundles[0].files)
            places = " or ".join(map(str, fetch.places(self.folder)))
            raise DataError(
                f"{self.name!r} is not at hand and has no download address. Put {names} into {places}, "
                "or set $REPARAM_DATA to the folder above."
            )
        bundle = (ready or offered)[0]
        return bundle.read(self.name, fetch.obtain_all(self.folder, bundle.files), wanted)


def idx_files(checksums: tuple[str, ...], bases: tuple[str, ...]) -> tuple[File, ...]:
    """The four files of MNIST and its kin."""
    stems = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    names = [f"{stem}-ubyte.gz" for stem in stems]
    return tuple(
        File(name, checksum, tuple(base + name for base in bases))
        for name, checksum in zip(names, checksums, strict=True)
    )


def static_files(ending: str, checksums: tuple[str, ...], base: str = "") -> tuple[File, ...]:
    """The three files of static MNIST."""
    names = [f"binarized_mnist_{split}.amat{ending}" for split in ("train", "valid", "test")]
    return tuple(
        File(name, checksum, (base + name,) if base else ()) for name, checksum in zip(names, checksums, strict=True)
    )


MNIST_BASES = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
MNIST_SUMS = (
    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
)
FASHION_SUMS = (
    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
)
FASHION_CLASSES = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Boot")
STATIC_PACKED = (
    "877c7951e875c52ab7801f4ff16aeecb7816ebd697658231efeb2b640f01a3d8",
    "aeb77ba9e35dc39d9e5034538273523e37ff578c97d723a59f7ee4345373abad",
    "b70dc82f02d6c858f598dbd879445709c2e5070d9a9749588b9c3800efa44af1",
)
STATIC_PLAIN = (
    "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
    "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
    "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
)
STATIC_BASE = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/"
OMNIGLOT_BASE = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/"
OMNIGLOT_SUMS = {
    "omniglot_small_28.npz": "ac9ea7742d8e0e8f9c95aa8677ddd5c53c68ab51f164034df7d2f29af7bc9837",
    "images_background_small1.zip": "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4",
    "images_background_small2.zip": "3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f",
}
CALTECH = File(
    "caltech101_silhouettes_28_split1.mat",
    "eb6735e8d84b1850fabc5590124aab1755e90c9fd28123585324398405e1e42a",
    ("https://people.cs.umass.edu/~marlin/data/caltech101_silhouettes_28_split1.mat",),
)
FREY = File("frey_faces.npz", "1db9f7ae1031695bbe9b3a207d68832783a5ef1a838b82b39c7de87acd4b25e4")
CIFAR_JPEGS = File("cifar10_jpeg_25k.tar.gz", "9a50d1c7139e498e89aca89dc743dc6f2403625c244007b2b6c32e3176f73f89")
CIFAR_EXACT = File("data_batch_1_first4000.bin.gz", "0bb145d179ecb2a750190e62493390eeb7162bf39f48bbe8e48630dd27a8a1ba")
COIL = File("COIL20.mat", "b22b9beb0668f707990eda2b5f922384fd3e6d63d6df7ede3a3b5e2319c4e397")
OLIVETTI = File("olivettifaces.mat", "b1988d02c72fe5b8ee82b5ef3bb7982eafc74f1e1ff0ae0ade35061ad0af534d")
UTKFACE = File("utkface64.tar.gz", "ee1b3dd58e7f78195d5fefbbc26bafdc70d03a09de2b5ec11969447eae3a962a")
SHEEP = File("aaron_sheep.npz", "0241dc431ea12f77368a68e166476003e84aaabe9abd4a518b98223033c9a020")
STROKES = File("omniglot_strokes.npz", "aef1e7aabd42b39308e3de0478e42b5ff66bcb48027b2318a81edac7a582de4f")
MOCAP = File("mocap35.npz", "725eae0da82a0f0daed6f2122cc4a099e36be04b03041a709f13d2f5da273c08")
CELLS = (
    File("pbmc_10k_protein_v3_200cells.h5ad", "512fe360bd1cc79821f67959cc47e19b92bb7edbbb9351da5d1e9d70b35102a2"),
    File("pbmc_5k_protein_v3_200cells.h5ad", "83f2c7d175600acf458d839920ce52448beeab66557a76d8b0312c91102a3326"),
)
WORM = File("worm_neuron_cell.h5", "4f2a3c4b8492bcd11d957a8a74098ba258c271d714718c175854a7c44b1e31e6")
BLADDER = File("mouse_bladder_cell_select_2100.h5", "4e686932884fc04d8bc9a92dad1a648d6e23f490b0c106903bca95d68093f591")
MFEAT_SUMS = {
    "fou": "71ad1032848af3b11f0a093eeddccaa7c81bceb76859bc95d8e2b3c4fed12305",
    "fac": "115c65d51b7dea5922bdf9f7dd19b2d05cce58289b528075df7a43075b5d5f5f",
    "kar": "42848898132904f2854cf594c280aaf2693d1bf4e8bfbbb2a92b3ddaefc21132",
    "pix": "d377d285b6b7fcfe8f4c1f49f8e872d8c6aa2b62ef6a2a3db3a40a6a2f274951",
    "zer": "e21d4ce1f8ce649e3a57b696666201e2aeb776aac4766e6e788d53a7d9f19729",
    "mor": "4acef5002b2d4afb39578a3259340960c1fec749808511895cbbb669031e4237",
}
MUSIC = {
    "jsb-chorales": ("382 chorales by Bach", "64e3edff74e6dc537c245df1153f749af80b4bfac689176dd2f3f3a6fa68e4a7"),
    "nottingham": ("1,037 folk tunes", "828c12674d956c6d9bd64abecd012474ca6f2d63bb15c3581af69dae9fae73ee"),
    "piano-midi": ("124 piano pieces", "aa2e6a2ab85aff4bc4e7b10785c42e7b4471f7ae23b53f5aac0382e79da2f37f"),
    "muse-data": ("783 classical pieces", "8c9f8eecbc6398c27e5d5f51c1f30c14d25bc4aad140bf37782829c5eb307a91"),
}

ROWS = (
    Dataset(
        "digits",
        "1,797 handwritten digits, 8x8, 17 grey levels (UCI Optical Recognition of Handwritten Digits); in the package",
        "CC BY 4.0",
        (Bundle((), read_digits),),
    ),
    Dataset(
        "mnist",
        "70,000 handwritten digits, 28x28 grey",
        "CC BY-SA 3.0",
        (Bundle(idx_files(MNIST_SUMS, MNIST_BASES), idx_reader(tuple("0123456789"), "dynamic")),),
    ),
    Dataset(
        "static-mnist",
        "MNIST made binary once (Larochelle), fixed split 50,000 / 10,000 / 10,000: the likelihood benchmark",
        "CC BY-SA 3.0, as MNIST",
        (
            Bundle(static_files(".gz", STATIC_PACKED), read_static_mnist),
            Bundle(static_files("", STATIC_PLAIN, STATIC_BASE), read_static_mnist),
        ),
    ),
    Dataset(
        "fashion-mnist",
        "70,000 pieces of clothing, 28x28 grey",
        "MIT",
        (
            Bundle(
                idx_files(FASHION_SUMS, ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)),
                idx_reader(FASHION_CLASSES, "none"),
            ),
        ),
    ),
    Dataset(
        "omniglot",
        "4,840 handwritten characters of 8 alphabets, 28x28 grey (the small background sets, not Burda's 28x28 files)",
        "MIT",
        (
            Bundle((File("omniglot_small_28.npz", OMNIGLOT_SUMS["omniglot_small_28.npz"]),), read_omniglot),
            Bundle(
                tuple(File(name, OMNIGLOT_SUMS[name], (OMNIGLOT_BASE + name,)) for name in list(OMNIGLOT_SUMS)[1:]),
                read_omniglot_zips,
            ),
        ),
    ),
    Dataset(
        "caltech101-silhouettes",
        "8,671 binary outlines of 101 kinds of object, 28x28",
        "not stated",
        (Bundle((CALTECH,), read_caltech),),
    ),
    Dataset("frey-faces", "1,965 frames of one face, 28x20 grey", "not stated", (Bundle((FREY,), read_frey),)),
    Dataset(
        "cifar10",
        "25,000 small colour photographs, 3x32x32, as JPEG (lossy: not for bits per dimension)",
        "not stated",
        (Bundle((CIFAR_JPEGS,), read_cifar_jpegs),),
    ),
    Dataset(
        "cifar10-exact",
        "4,000 small colour photographs, 3x32x32, exact (for likelihoods)",
        "not stated",
        (Bundle((CIFAR_EXACT,), read_cifar_records),),
    ),
    Dataset(
        "coil20",
        "1,440 pictures of 20 objects in 72 poses, 32x32 grey (groups)",
        "Columbia University, for research",
        (Bundle((COIL,), read_coil),),
    ),
    Dataset(
        "olivetti-faces",
        "400 faces of 40 people, 64x64 grey (groups)",
        "AT&T Laboratories Cambridge, for research",
        (Bundle((OLIVETTI,), read_olivetti),),
    ),
    Dataset(
        "utkface64",
        "8,000 faces with age and gender, 3x64x64 (attributes)",
        "for research that is not commercial",
        (Bundle((UTKFACE,), read_utkface),),
    ),
    Dataset(
        "mfeat",
        "2,000 handwritten digits in six views, tables of 6 to 240 numbers (several observations)",
        "CC BY 4.0 (UCI)",
        (Bundle(tuple(File(f"mfeat-{view}.csv.gz", MFEAT_SUMS[view]) for view in MFEAT), read_mfeat),),
    ),
    Dataset(
        "single-cell",
        "400 blood cells: the 500 genes that vary most, and 14 proteins (several observations)",
        "CC BY 4.0 (10x Genomics)",
        (Bundle(CELLS, read_cells),),
    ),
    Dataset(
        "worm-neuron",
        "4,186 neurons of a worm: counts of the 2,000 genes that vary most, 10 types",
        "Apache 2.0 (scDeepCluster's copy of Cao et al., 2017)",
        (Bundle((WORM,), read_counts),),
        "single_cell",
    ),
    Dataset(
        "mouse-bladder",
        "2,100 cells of a mouse's bladder: counts of the 2,000 genes that vary most, 16 types",
        "Apache 2.0 (scDeepCluster's copy of Han et al., 2018)",
        (Bundle((BLADDER,), read_counts),),
        "single_cell",
    ),
    Dataset(
        "sketches",
        "8,000 drawings of sheep as strokes (sequences of different lengths)",
        "CC BY-NC 4.0 (Aaron Koblin)",
        (Bundle((SHEEP,), read_sketches),),
    ),
    Dataset(
        "omniglot-strokes",
        "32,000 handwritten characters as strokes (sequences of different lengths)",
        "MIT",
        (Bundle((STROKES,), read_sketches),),
        "sketches",
    ),
    Dataset(
        "mocap35",
        "23 walks of one person, 300 steps of 50 numbers (sequences)",
        "free for research (CMU)",
        (Bundle((MOCAP,), read_mocap),),
    ),
    *(
        Dataset(
            name,
            f"{about} as piano rolls of 88 keys (sequences of different lengths)",
            "not stated (Boulanger-Lewandowski et al., 2012)",
            (Bundle((File(f"{name.replace('-', '_')}.npz", checksum),), read_music),),
            "polyphonic_music",
        )
        for name, (about, checksum) in MUSIC.items()
    ),
)
DATASETS = {row.name: row for row in ROWS}


def canonical(name: str) -> str:
    """``Static_MNIST`` as ``static-mnist``."""
    return name.strip().lower().replace("_", "-")


def is_named(source: Any) -> bool:
    """True for a name of :func:`describe_sources`."""
    return isinstance(source, str) and (
        canonical(source) in DATASETS or canonical(source).partition(":")[0] in GENERATED
    )


def describe_sources() -> list[dict[str, Any]]:
    """What is known by name: ``name``, ``about``, ``licence``, and whether it is ``at_hand`` without a download."""
    read = [
        {"name": row.name, "about": row.about, "licence": row.licence, "at_hand": row.at_hand}
        for row in DATASETS.values()
    ]
    made = [
        {"name": row.name, "about": row.about, "licence": "made by this package", "at_hand": True}
        for row in GENERATED.values()
    ]
    return read + made
