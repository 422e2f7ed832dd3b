"""A snapshot row as one value: what is packed is unpacked, and what no vector can be is refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from features.catalog import feature_hash
from features.vectors import HASH_LENGTH, VALUE, pack, unpack, unpack_all

NAMES = ("spend_amount_7d", "order_count_7d")
ROWS = pa.table({
    "customer_id": ["ann", "bob"],
    "order_count_7d": pa.array([1, None], pa.float32()),
    "spend_amount_7d": pa.array([2.5, -0.1], pa.float32()),
})  # fmt: skip


def test_what_is_packed_is_unpacked_bit_for_bit():
    ann, bob = map(unpack, pack(ROWS, NAMES).to_pylist())
    assert ann[0] == bob[0] == feature_hash(NAMES)
    assert ann[1].tolist() == [2.5, 1]
    np.testing.assert_array_equal(bob[1], np.array([-0.1, np.nan], np.float32))


def test_its_bytes_are_the_hash_and_little_endian_floats():
    told = pack(ROWS, NAMES).to_pylist()[0]
    assert told[:HASH_LENGTH] == feature_hash(NAMES).encode()
    assert told[HASH_LENGTH:].hex() == "00002040" + "0000803f"


def test_of_nobody_there_are_none():
    assert pack(ROWS.slice(0, 0), NAMES).to_pylist() == []


@pytest.mark.parametrize("of", ["half a value", "no letters"])
def test_what_is_no_vector_is_refused(of):
    whole = pack(ROWS, NAMES).to_pylist()[0]
    with pytest.raises(ValueError, match=r"buffer|codec"):
        unpack(whole[: -VALUE.itemsize // 2] if of == "half a value" else b"\xff" + whole[1:])


@pytest.mark.parametrize("start", [0, 1])
def test_many_at_once_are_each_of_them(start):
    vectors = pack(ROWS, NAMES).slice(start)
    known, values = unpack_all(vectors)
    assert known == feature_hash(NAMES)
    np.testing.assert_array_equal(values, [unpack(vector)[1] for vector in vectors.to_pylist()])


@pytest.mark.parametrize(
    ("others", "said"),
    [([None], "missing"), ([b"short"], "of 2 lengths"), ([b"0" * (HASH_LENGTH + 8)], "several lists")],
)
def test_many_that_are_not_alike_are_refused(others, said):
    with pytest.raises(ValueError, match=said):
        unpack_all(pa.array([*pack(ROWS, NAMES).to_pylist(), *others], pa.binary()))
