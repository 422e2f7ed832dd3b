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
