"""What can be wrong with a file or with the mapping that says how to read it."""

from __future__ import annotations

from facts.errors import RegularsError


class BadMapping(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """A mapping that does not say how to read a file."""

    def __init__(self, origin: object, sentence: str) -> None:
        super().__init__(f"mapping {origin}: {sentence}")


class BadFile(RegularsError):  # noqa: N818
    """A file that is not what its mapping says."""

    def __init__(self, path: object, sentence: str, *, advice: str) -> None:
        super().__init__(f"{path}: {sentence}; {advice}")
