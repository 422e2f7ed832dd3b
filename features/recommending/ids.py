"""Texts by number, read from a file that all processes share: ids in their order, and names."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Texts(Sequence[bytes]):
    """Texts as UTF-8, one after another in `letters`; text n ends where `ends[n]` says."""

    letters: NDArray[np.uint8]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Iterable[str | None]) -> Texts:
        """Take texts in their order; a missing one is an empty one."""
        coded = [(text or "").encode() for text in texts]
        ends = np.cumsum([len(code) for code in coded], dtype=np.int64)
        return cls(np.frombuffer(b"".join(coded), dtype=np.uint8), ends)

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, number: int) -> bytes: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[bytes]: ...
    def __getitem__(self, number: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(number, slice):
            return [self[place] for place in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError(number)
        start = int(self.ends[number - 1]) if number else 0
        return bytes(self.letters[start : int(self.ends[number])])

    def text(self, number: int) -> str:
        """Return one text."""
        return self[number].decode()

    def find(self, text: str) -> int | None:
        """Return the number of a text, None where it is not among them; they must be in their order."""
        code = text.encode(errors="surrogatepass")
        place = bisect_left(self, code)
        return place if place < len(self) and self[place] == code else None
