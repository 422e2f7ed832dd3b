"""Answers on their way into the decision log: an answer leaves them here and goes; one thread writes them.

Nothing here can fail or delay an answer. What cannot be kept is counted (`regulars_decisions_dropped_total` at
`/metrics`) and said once in the service's log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from scoring.decision_log import (
    Decision,
    DecisionLog,
    is_decision_log_on,
    kept_days_from_environment,
    open_decision_log,
)
from serving.schema import AmountScore, ProbabilityScore

if TYPE_CHECKING:
    from prometheus_client import Counter

    from facts.home import Home
    from scoring.model import TaskModel
    from serving.schema import CustomerResult

MOST_WAITING = 100_000  # decisions, some 50 MB: half a minute of a busy worker
WRITE_SECONDS = 0.5  # nobody is woken by an answer: the thread looks twice a second
CLOSE_SECONDS = 10.0
PRUNE_EVERY = timedelta(hours=1)

_log = logging.getLogger("bentoml.regulars")


@dataclass(frozen=True, slots=True)
class _Counters:
    kept: Counter
    dropped: Counter


@cache
def _counters() -> _Counters:
    """Make the counters, once a process: BentoML tells Prometheus where workers share theirs after our import."""
    from prometheus_client import Counter

    return _Counters(
        kept=Counter("regulars_decisions_kept", "Scores that were answered and are in the decision log"),
        dropped=Counter("regulars_decisions_dropped", "Scores that were answered and could not be kept"),
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """The results of one request, as they were answered."""

    results: Sequence[CustomerResult]
    models: Mapping[str, TaskModel]
    answered_at: datetime
    request_id: str

    @property
    def size(self) -> int:
        """How many decisions it is at most: counting them is the writer's work."""
        return len(self.results) * len(self.models)


class Recorder:
    """Takes answers from any thread and writes them in batches; it opens the log itself, and again if it must."""

    def __init__(
        self,
        open_log: Callable[[], DecisionLog],
        *,
        kept_days: int,
        most_waiting: int = MOST_WAITING,
        write_seconds: float = WRITE_SECONDS,
    ) -> None:
        self._open_log, self._kept, self._most = open_log, timedelta(days=kept_days), most_waiting
        self._write_seconds, self._counters = write_seconds, _counters()
        self._told: list[_Told] = []
        self._waiting = 0  # decisions that are not on disk, those in the writer's hand included
        self._changing, self._closing = Lock(), Event()
        self._log: DecisionLog | None = None
        self._prune_at = datetime.min.replace(tzinfo=UTC)
        self._is_failing = self._is_full = False
        self._thread = Thread(target=self._run, name="decisions", daemon=True)
        self._thread.start()

    def take(
        self,
        results: Sequence[CustomerResult],
        models: Mapping[str, TaskModel],
        *,
        answered_at: datetime,
        request_id: str,
    ) -> None:
        """Take the results of one request; where too many wait already they are dropped and counted."""
        told = _Told(results, models, answered_at, request_id)
        with self._changing:
            fits = self._waiting + told.size <= self._most
            if fits:
                self._waiting += told.size
                self._told.append(told)
            was_full, self._is_full = self._is_full, not fits
        if not fits:
            self._counters.dropped.inc(len(_decisions(told)))
            if not was_full:
                _log.error("the decision log is behind: answers are given and not kept until it has caught up")

    def close(self) -> None:
        """Write what waits, as far as the disk lets it, and close the log."""
        self._closing.set()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._closing.wait(self._write_seconds):
            self._write()
        self._write()
        if self._log is not None:
            self._log.close()

    def _write(self) -> None:
        with self._changing:
            told, self._told = self._told, []
        decisions = [decision for one in told for decision in _decisions(one)]
        try:
            self._keep(decisions)
        except Exception as error:  # noqa: BLE001 - a thread that ended would keep nothing from there on
            self._counters.dropped.inc(len(decisions))
            if not self._is_failing:
                _log.error("answers are given and not kept: %s", error)
            self._is_failing = True
        finally:
            with self._changing:
                self._waiting -= sum(one.size for one in told)

    def _keep(self, decisions: Sequence[Decision]) -> None:
        now = datetime.now(UTC)
        if self._log is None:
            self._log = self._open_log()
        if decisions:
            self._log.append(decisions, recorded_at=now)
            self._counters.kept.inc(len(decisions))
            self._is_failing = False
        if now >= self._prune_at:
            self._prune_at = now + PRUNE_EVERY
            self._log.prune(now - self._kept)


def require_decision_settings() -> None:
    """Raise BadSetting where the decision log's settings say nothing that is known."""
    is_decision_log_on()
    kept_days_from_environment()


def recorder_from_environment(home: Home) -> Recorder | None:
    """Return what keeps a home's answers, None where `REGULARS_DECISION_LOG` is `off`."""
    if not is_decision_log_on():
        return None
    return Recorder(lambda: open_decision_log(home), kept_days=kept_days_from_environment())


def _decisions(told: _Told) -> list[Decision]:
    """Return one decision per different customer and task that got a score."""
    different = {result.customer_id: result for result in told.results}
    return [
        Decision(
            customer_id=customer_id,
            task=task,
            score=getattr(scored, model.kind),
            interval=None if isinstance(scored, ProbabilityScore) else (scored.p10, scored.p50, scored.p90),
            mean=scored.mean if isinstance(scored, AmountScore) else None,
            horizon_days=model.horizon_days,
            model=model.label,
            answered_at=told.answered_at,
            features_as_of=result.features_as_of,
            request_id=told.request_id,
        )
        for customer_id, result in different.items()
        if result.features_as_of is not None
        for task, model in told.models.items()
        if (scored := getattr(result, task)) is not None
    ]
