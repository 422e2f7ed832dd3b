"""What a decision log keeps, and what every such log promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from facts.errors import RegularsError


class DecisionLogFailed(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """The decision log cannot be opened, written or read."""

    def __init__(self, place: object, reason: object) -> None:
        super().__init__(
            f"decision log {place}: {reason}; see that the disk is not full and no other program holds the file"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One task's score of one customer, as it was answered.

    Parameters
    ----------
    score
        A probability, an amount in the shop's currency, or days.
    interval, mean
        p10, p50 and p90 of an amount or of days, and of an amount what such customers spend on average, where they were
        answered.
    model
        Name and version ("regulars-churn/3").
    answered_at
        The instant that the answer was for: the clock's, which stands where the shop's record ended.
    features_as_of
        The cutoff of the snapshot that it rests on.
    """

    customer_id: str
    task: str
    score: float
    horizon_days: int
    model: str
    answered_at: datetime
    features_as_of: datetime
    request_id: str
    interval: tuple[float, float, float] | None = None
    mean: float | None = None


class DecisionLog(Protocol):
    """Decisions in the order in which they were written; safe to use from several threads and processes."""

    def append(self, decisions: Sequence[Decision], *, recorded_at: datetime) -> None:
        """Keep decisions, all or none; `recorded_at` is the wall's time, by which they grow old.

        Raises
        ------
        DecisionLogFailed
            They could not be kept.
        """

    def first_of_each_day(self, task: str, *, settled_by: datetime) -> list[Decision]:
        """Return the decisions whose horizon had passed by an instant: of a model, customer and UTC day the first.

        They are ordered by model, customer and time. Who is asked a hundred times a day counts once.
        """

    def count(self, task: str) -> int:
        """Return how many decisions of a task are kept."""

    def prune(self, recorded_before: datetime) -> int:
        """Forget the decisions that were written before an instant, and return how many."""

    def close(self) -> None:
        """Let go of the file or the connections."""
