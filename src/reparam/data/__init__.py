"""Data: any source -> train, validation and test, and what a model must know of them."""

from reparam.data.catalogue import describe_sources
from reparam.data.load import load_data, load_items
from reparam.data.observations import hide
from reparam.data.records import Batch, Data, Order, Split
from reparam.data.spec import Binarize, DataSpec, Kind, Observation
from reparam.data.streams import StreamedSplit

__all__ = [
    "Batch",
    "Binarize",
    "Data",
    "DataSpec",
    "Kind",
    "Observation",
    "Order",
    "Split",
    "StreamedSplit",
    "describe_sources",
    "hide",
    "load_data",
    "load_items",
]
