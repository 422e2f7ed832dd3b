"""Rows of groups, one group after another, and rows by ascending keys: what is where."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


def slices(start: Numbers, of: NDArray[np.integer]) -> tuple[Numbers, Numbers]:
    """Return the row numbers of some groups one after another, and how many each has; `start` is (groups + 1,)."""
    counts = np.asarray(start[of + 1] - start[of], dtype=np.int64)
    ends = np.cumsum(counts)
    rows = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(start[of] - (ends - counts), counts)
    return rows, counts


def places(group: NDArray[np.integer]) -> Numbers:
    """Return the place of every row in its group, from 0; `group` is (rows,) and ascends."""
    found: Numbers = np.arange(len(group)) - np.searchsorted(group, group)
    return found


def look_up(keys: Numbers, asked: Numbers) -> tuple[Numbers, NDArray[np.bool_]]:
    """Return where each asked key is among ascending ones, and whether it is; some place where it is not.

    There must be at least one key.
    """
    place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return place, keys[place] == asked
