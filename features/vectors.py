"""A whole snapshot row as one value, for one small read per request.

Twelve ASCII characters, the hash of its feature list; then the features as float32, little-endian, in the list's order,
missing values as NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from features.catalog import feature_hash

if TYPE_CHECKING:
    from numpy.typing import NDArray

VALUE = np.dtype("<f4")
HASH_LENGTH = 12


def pack(rows: pa.Table, names: Sequence[str]) -> pa.Array:
    """Return the vectors of the rows of a snapshot, of the features named."""
    stamp = np.frombuffer(feature_hash(tuple(names)).encode("ascii"), np.uint8)
    packed = np.empty((len(rows), HASH_LENGTH + VALUE.itemsize * len(names)), np.uint8)
    packed[:, :HASH_LENGTH] = stamp
    for place, name in enumerate(names):
        start = HASH_LENGTH + VALUE.itemsize * place
        packed[:, start : start + VALUE.itemsize] = rows[name].to_numpy().astype(VALUE).reshape(-1, 1).view(np.uint8)
    fixed = pa.binary(packed.shape[1])
    return pa.FixedSizeBinaryArray.from_buffers(fixed, len(rows), [None, pa.py_buffer(packed)]).cast(pa.binary())


def unpack(vector: bytes) -> tuple[str, NDArray[np.float32]]:
    """Return the hash of a vector's feature list, and its values.

    Raises
    ------
    ValueError
        No vector has so many bytes, or they begin with something else.
    """
    return vector[:HASH_LENGTH].decode("ascii"), np.frombuffer(vector, VALUE, offset=HASH_LENGTH)


def unpack_all(vectors: pa.BinaryArray) -> tuple[str, NDArray[np.float32]]:
    """Return the hash of the feature list of many vectors of one list, and their values: (vectors, features).

    Raises
    ------
    ValueError
        They are of several lists, or of different lengths, or one is missing.
    """
    offsets = np.frombuffer(vectors.buffers()[1], np.int32)[vectors.offset : vectors.offset + len(vectors) + 1]
    sizes = np.unique(np.diff(offsets))
    if vectors.null_count or len(sizes) != 1:
        raise ValueError(f"{len(vectors)} vectors of {len(sizes)} lengths, {vectors.null_count} of them missing")
    held = np.frombuffer(vectors.buffers()[2], np.uint8)[offsets[0] : offsets[-1]].reshape(len(vectors), sizes[0])
    known = held[0, :HASH_LENGTH]
    if (held[:, :HASH_LENGTH] != known).any():
        raise ValueError("vectors of several lists of features")
    return known.tobytes().decode("ascii"), held[:, HASH_LENGTH:].copy().view(VALUE)
