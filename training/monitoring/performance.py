"""What became of the answers: a version's real performance, beside what its test cutoff promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from facts.lake import Lake
from scoring.decision_log import Decision, DecisionLog
from scoring.parts import QUANTILE_NAMES, Figures
from training.checks import Check, check_all, measure_beside
from training.dataset import label_rows
from training.evaluation import DRAWS
from training.metrics import (
    METRICS,
    Estimate,
    Kind,
    calibration_by_chance,
    estimate_all,
    goodness,
)
from training.monitoring.drift import Thresholds
from training.promise import Promise
from training.silences import find_silences
from training.tasks import Task
from training.verdict import MODEL

Verdict = Literal["not enough yet", "holds", "worse than promised"]
_UNTOLD = (np.nan, np.nan, np.nan)
LEAST_OF_EACH_OUTCOME = 0.1  # of the least number of customers


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """A version's answers whose horizon has passed, held against what customers then did.

    `estimates` is by metric, empty where too little is known: `found` of `needed`, in `counted` things. Of amounts and
    days it has the interval's and the mean's, too. `checks` are the gate's, of the answers.
    """

    model: str
    version: str
    gate_metric: str
    kind: Kind
    customers: int
    answers: int
    estimates: Mapping[str, Estimate]
    promised: Mapping[str, Estimate]
    tolerated_loss: float
    needed: int
    found: int
    counted: str = "customers"
    checks: tuple[Check, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Return whether the version holds what was promised, by the metric that made it champion.

        Worse is what lies beyond the promised interval while the promise lies beyond the measured one, by more than is
        tolerated: neither the luck of a few customers nor that of the test cutoff is an alarm.
        """
        if not self.estimates:
            return "not enough yet"
        measured, promised = self.estimates[self.gate_metric], self.promised[self.gate_metric]
        metric = METRICS[self.kind][self.gate_metric]
        good, good_promise = goodness(metric, np.array([measured.value, promised.value]))
        is_beyond = not (
            promised.low <= measured.value <= promised.high or measured.low <= promised.value <= measured.high
        )
        loss = (good_promise - good) / abs(promised.value) if promised.value else np.inf
        return "worse than promised" if is_beyond and loss > self.tolerated_loss else "holds"


def settled_answers(lake: Lake, task: Task, log: DecisionLog) -> list[Decision]:
    """Return the answers whose horizon lies within the record, of a version, customer and day the first.

    Those whose horizon fell into a silence of the shop are left out, as such cutoffs are of training.
    """
    silences = find_silences(lake)
    settled = log.first_of_each_day(task.name, settled_by=lake.shop().observed_until)
    return [told for told in settled if not silences.misleads(told.answered_at, horizon_days=told.horizon_days)]


def measure(
    lake: Lake, task: Task, decisions: Sequence[Decision], promise: Promise, *, thresholds: Thresholds, seed: int = 1
) -> Performance:
    """Measure one version on what it answered.

    Parameters
    ----------
    decisions
        Of this version, a customer's first of a day, their horizon within the record; at least one.
        Those for an instant before the test cutoff are left out: the version was trained on what came of them.
    thresholds
        Of `least_customers` different customers the outcome must be known, and of a tenth of that number either one.
    """
    unseen = [decision for decision in decisions if decision.answered_at >= promise.test_cutoff]
    rows = labelled_answers(lake, task, unseen)
    needed, found, counted = _enough(task, rows, thresholds.least_customers)
    estimates: Mapping[str, Estimate] = {}
    checks: tuple[Check, ...] = ()
    if found >= needed:
        estimates, checks = _measured(task, rows, least_customers=thresholds.least_customers, seed=seed)
    return Performance(
        model=decisions[0].model,
        version=promise.version,
        gate_metric=task.gate_metric,
        kind=task.kind,
        customers=rows["customer_id"].nunique(),
        answers=len(rows),
        estimates=estimates,
        promised=promise.estimates,
        tolerated_loss=thresholds.tolerated_loss,
        needed=needed,
        found=found,
        counted=counted,
        checks=checks,
    )


def _measured(
    task: Task, rows: pd.DataFrame, *, least_customers: int, seed: int
) -> tuple[Mapping[str, Estimate], tuple[Check, ...]]:
    """Return the metrics of answers, whole customers drawn, and the checks of them.

    Logs of earlier releases kept the score only; interval and mean are looked at where enough customers have them.
    """
    label, clusters = rows["label"].to_numpy(), rows["customer_id"].tolist()
    estimates = estimate_all(
        task.kind, label, {MODEL: rows["score"].to_numpy()}, draws=DRAWS, seed=seed, clusters=clusters
    )[MODEL]
    if task.kind == "probability":
        each = rows.drop_duplicates("customer_id")["score"].to_numpy()  # chance is drawn by customer, not by answer
        return estimates, check_all(estimates, calibration_by_chance=calibration_by_chance(each, seed=seed))
    told = rows.dropna(subset=[QUANTILE_NAMES[0]])
    if told["customer_id"].nunique() < least_customers:
        return estimates, ()
    figures = Figures(
        score=told["score"].to_numpy(),
        interval=told[list(QUANTILE_NAMES)].to_numpy(),
        mean=told["mean"].to_numpy() if task.kind == "amount" else None,
    )
    beside = measure_beside(
        told["label"].to_numpy(), figures, draws=DRAWS, seed=seed, clusters=told["customer_id"].tolist()
    )
    return {**estimates, **beside}, check_all(beside, calibration_by_chance=None)


def labelled_answers(lake: Lake, task: Task, decisions: Sequence[Decision]) -> pd.DataFrame:
    """Build one row per decision of one version: customer_id, cutoff (the instant of the answer), label, the figures.

    They are `score`, `p10`, `p50`, `p90` and `mean`, missing where they were not answered.
    """
    if not decisions:
        return pd.DataFrame({name: [] for name in ("customer_id", "cutoff", "score", *QUANTILE_NAMES, "mean", "label")})
    told = pd.DataFrame(
        {
            "customer_id": [decision.customer_id for decision in decisions],
            "cutoff": pd.to_datetime([decision.answered_at for decision in decisions], utc=True).as_unit("us"),
            "score": [decision.score for decision in decisions],
            **dict(zip(QUANTILE_NAMES, zip(*(d.interval or _UNTOLD for d in decisions), strict=True), strict=True)),
            "mean": [np.nan if decision.mean is None else decision.mean for decision in decisions],
        }
    )
    labels = label_rows(lake, task, told, horizon_days=decisions[0].horizon_days)
    labels["cutoff"] = pd.to_datetime(labels["cutoff"], utc=True).dt.as_unit("us")
    return told.merge(labels, on=["customer_id", "cutoff"], validate="one_to_one")


def _enough(task: Task, rows: pd.DataFrame, least_customers: int) -> tuple[int, int, str]:
    """Return how much is needed, how much there is, and of what: customers first, then the rarer outcome."""
    customers = rows["customer_id"].nunique()
    if customers < least_customers or task.kind != "probability":
        return least_customers, customers, "customers"
    of_each = [rows.loc[rows["label"] == outcome, "customer_id"].nunique() for outcome in (0, 1)]
    return round(least_customers * LEAST_OF_EACH_OUTCOME), min(of_each), "customers of the rarer outcome"
