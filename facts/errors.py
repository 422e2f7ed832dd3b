"""What can go wrong, as sentences: what it was, what is known, what next."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

_MOST_LISTED = 12


class RegularsError(Exception):
    """Base of every error that a user can mend; the command line prints it and exits with code 2."""


class UnknownName(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """A name that stands for nothing."""

    def __init__(self, kind: str, name: str, *, known: Collection[str], hint: str = "") -> None:
        super().__init__(f"no {kind} named {name!r}{_nearest(name, known)}{f'; {hint}' if hint else ''}")


class MissingColumns(RegularsError):  # noqa: N818
    """A table that lacks columns which are needed."""

    def __init__(self, table: str, missing: Collection[str], *, known: Collection[str]) -> None:
        names = ", ".join(repr(name) for name in missing)
        super().__init__(f"{table} has no column {names}{_nearest(next(iter(missing)), known)}")


class GateFailed(RegularsError):  # noqa: N818
    """There is too little to answer honestly: which gate, what it needs and what was found.

    Parameters
    ----------
    gate
        What is asked for, as a noun ("customers with an order before the first cutoff").
    needed, found
        The figures, with their units.
    """

    def __init__(self, gate: str, *, needed: str, found: str, advice: str = "") -> None:
        self.gate, self.needed, self.found = gate, needed, found
        super().__init__(f"not enough data: {gate}: needed {needed}, found {found}{f'; {advice}' if advice else ''}")


class DeliveryRefused(RegularsError):  # noqa: N818
    """What a source delivered cannot be trusted as a whole; the lake stays as it was."""

    def __init__(self, reason: str, *, advice: str) -> None:
        super().__init__(f"the delivery was refused and nothing was changed: {reason}; {advice}")


class DamagedFile(RegularsError):  # noqa: N818
    """A file of ours that is not as we wrote it."""

    def __init__(self, path: object, reason: str, *, advice: str) -> None:
        super().__init__(f"damaged file {path}: {reason}; {advice}")


class EarlierLake(RegularsError):  # noqa: N818
    """A lake whose tables lack what this version asks of them."""

    def __init__(self, folder: object) -> None:
        super().__init__(
            f"the lake in {folder} is of another version of Regulars, whose products and order lines have other "
            "columns; move the folder away and `regulars ingest` all that was delivered"
        )


class NotYet(RegularsError):  # noqa: N818
    """A step that stands on another one which has not been run."""

    def __init__(self, missing: str, *, advice: str) -> None:
        super().__init__(f"there is no {missing} yet; {advice}")


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: "1 row", "1,200 rows"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _nearest(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    near = [f"did you mean {close[0]!r}?"] if close else []
    listed = ", ".join(sorted(known)[:_MOST_LISTED])
    more = f" and {len(known) - _MOST_LISTED:,} more" if len(known) > _MOST_LISTED else ""
    told = " ".join([*near, *([f"known: {listed}{more}"] if known else [])])
    return f"; {told}" if told else ""
