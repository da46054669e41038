"""Data: any source -> train, validation and test, and what a model must know of them."""

from reparam.data.catalogue import describe_sources
from reparam.data.load import load_data, load_items
from reparam.data.records import Batch, Binarize, Data, DataSpec, Kind, Order, Split
from reparam.data.streams import StreamedSplit

__all__ = [
    "Batch",
    "Binarize",
    "Data",
    "DataSpec",
    "Kind",
    "Order",
    "Split",
    "StreamedSplit",
    "describe_sources",
    "load_data",
    "load_items",
]
