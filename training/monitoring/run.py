"""One look at a champion: what it is given and says today beside its training, and what became of its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from facts.errors import GateFailed, NotYet, counted
from facts.lake import Lake
from features.store import TTL
from scoring.answers import FeatureRows, answer
from scoring.decision_log import Decision, DecisionLog
from scoring.model import TaskModel
from scoring.registry import UnusableChampion, read_champion
from training import plots, tracking
from training.metrics import Estimate, Floats
from training.monitoring.drift import FeatureDrift, Thresholds, as_frame, drift_of, drift_table
from training.monitoring.performance import Performance, measure, settled_answers
from training.monitoring.reference import Reference, read_reference
from training.promise import read_promise
from training.tasks import Task

if TYPE_CHECKING:
    from facts.home import Home

EXPERIMENT = "regulars-monitor"
SCORE = "score"
_DESCRIPTION = "Is a champion still what its training said: drift of features and scores, performance on its answers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitored:
    """What was seen of a task's champion at an instant.

    `features` has one record per input, the one that moved furthest first; `performances` one per version whose
    answers' horizon has passed; `logged_answers` is how many scores of the task were answered in all. `gain_shares`
    says how much of the model's gain each input brings, in [0, 1]: what it does not go by may drift.
    """

    task: Task
    model: TaskModel
    at: datetime
    thresholds: Thresholds
    features: tuple[FeatureDrift, ...]
    gain_shares: Mapping[str, float]
    score: FeatureDrift
    customers: int
    performances: tuple[Performance, ...]
    logged_answers: int
    run_id: str = ""

    @property
    def drifted_share(self) -> float:
        """Return the share of features that have drifted, in [0, 1]."""
        return sum(drift.is_drifted for drift in self.features) / len(self.features)

    @property
    def drifted_gain_share(self) -> float:
        """Return how much of the model's gain the drifted features bring, in [0, 1]."""
        return sum(self.gain_shares[drift.name] for drift in self.features if drift.is_drifted)

    @property
    def performance(self) -> Performance | None:
        """Return what became of the champion's own answers, None where the horizon of none has passed."""
        return next((found for found in self.performances if found.version == self.model.version), None)

    @property
    def alarms(self) -> tuple[str, ...]:
        """Return what is beyond its threshold, as sentences; an earlier champion's performance is no alarm."""
        found = []
        if self.drifted_gain_share > self.thresholds.drifted_share:
            found.append(f"features that bring {self.drifted_gain_share:.0%} of the model's gain have drifted")
        if self.score.is_drifted:
            found.append(f"the scores have drifted: {self.score.psi:.2f}, at most {self.score.limit:.2f} is usual")
        if self.performance and self.performance.verdict == "worse than promised":
            found.append(f"the champion's {self.task.gate_metric} is worse than promised")
        checks = self.performance.checks if self.performance else ()
        found += [f"on what the champion answered {check.said}" for check in checks if not check.holds]
        return tuple(found)


def monitor(
    home: Home, task: Task, rows: FeatureRows, log: DecisionLog | None, *, at: datetime, thresholds: Thresholds
) -> Monitored:
    """Look at a task's champion and log what is seen as a run of the experiment `regulars-monitor`.

    Parameters
    ----------
    rows
        What is known of every customer at `at`: what batch scoring would use.
    log
        What was answered; None where nothing was.

    Raises
    ------
    NotYet
        The task has no champion, or its version keeps no reference rows.
    GateFailed
        Nobody can be scored at `at`.
    """
    model = read_champion(home, task.name)
    if model is None:
        raise NotYet(f"champion of {task.name}", advice=f"run `regulars train {task.name}`")
    reference = read_reference(home, model)
    matrix, scores = _scored(rows, model, at=at)
    seen = Monitored(
        task=task,
        model=model,
        at=at,
        thresholds=thresholds,
        features=drift_table(
            model.features,
            reference.features[list(model.features)].to_numpy(dtype=np.float32),
            matrix,
            threshold=thresholds.feature_psi,
        ),
        gain_shares=model.gain_shares,
        score=drift_of(SCORE, reference.scores, scores, threshold=thresholds.score_psi),
        customers=len(scores),
        performances=_performances(home, task, log, thresholds),
        logged_answers=log.count(task.name) if log else 0,
    )
    return _log(home, seen, reference, scores)


def _scored(rows: FeatureRows, model: TaskModel, *, at: datetime) -> tuple[np.ndarray[Any, Any], Floats]:
    """Return the inputs and scores of the customers that the model answers for."""
    answers = answer(rows, {model.task: model}, at=at, ttl=TTL)
    is_ok = np.array([status == "ok" for status in answers.statuses], dtype=bool)
    if not is_ok.any():
        advice = "run `regulars features build`"
        raise GateFailed(f"customers that {model.label} answers for today", needed="1", found="0", advice=advice)
    return rows.of_model(model)[is_ok], answers.figures[model.task].score[is_ok]


def _performances(home: Home, task: Task, log: DecisionLog | None, thresholds: Thresholds) -> tuple[Performance, ...]:
    """Measure every version that answered and is still there, the latest first."""
    lake = Lake(home.lake)
    found = []
    for version, answered in groupby(settled_answers(lake, task, log) if log else (), key=_version):
        decisions = list(answered)
        with suppress(UnusableChampion):  # a version that was deleted since; the champion's reference was read
            promise = read_promise(home, task.name, version)
            found.append(measure(lake, task, decisions, promise, thresholds=thresholds))
    return tuple(sorted(found, key=lambda performance: -int(performance.version)))


def _version(decision: Decision) -> str:
    return decision.model.rpartition("/")[2]


def _log(home: Home, seen: Monitored, reference: Reference, scores: Floats) -> Monitored:
    import mlflow

    shop, model = Lake(home.lake).shop(), seen.model
    title = f"{model.label}, {shop.name}, {seen.at:%Y-%m-%d %H:%M}"
    tags = {
        "task": seen.task.name,
        "shop": shop.name,
        "model": model.registered_name,
        "model_version": model.version,
        "alarm": str(bool(seen.alarms)).lower(),
        "mlflow.note.content": describe(seen),
    }
    with tracking.tracked(home) as client:
        tracking.require_unmoved(client, home, EXPERIMENT)
        experiment = tracking.experiment_id(client, home, EXPERIMENT, description=_DESCRIPTION)
        with mlflow.start_run(experiment_id=experiment, run_name=title, tags=tags) as run:
            mlflow.log_params(asdict(seen.thresholds) | {"as_of": seen.at.isoformat()})
            mlflow.log_metrics(build_metrics(seen))
            mlflow.log_text(as_frame([seen.score, *seen.features]).to_csv(index=False), "drift.csv")
            mlflow.log_text(performance_frame(seen.performances).to_csv(index=False), "performance.csv")
            tracking.log_figures(_figures(seen, reference, scores))
            run_id = str(run.info.run_id)
    return replace(seen, run_id=run_id)


def build_metrics(seen: Monitored) -> dict[str, float]:
    """Build the metrics of a run: of drift, of every feature, and the champion's performance where it is known."""
    metrics = {
        "customers": float(seen.customers),
        "score_psi": seen.score.psi,
        "drifted_features": float(sum(drift.is_drifted for drift in seen.features)),
        "drifted_features_share": seen.drifted_share,
        "drifted_gain_share": seen.drifted_gain_share,
        "logged_answers": float(seen.logged_answers),
        "alarms": float(len(seen.alarms)),
    }
    metrics |= {f"psi.{drift.name}": drift.psi for drift in seen.features}
    if performance := seen.performance:
        metrics |= {"settled_answers": float(performance.answers), "settled_customers": float(performance.customers)}
        for name, estimate in performance.estimates.items():
            metrics |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return metrics


def performance_frame(performances: Sequence[Performance]) -> pd.DataFrame:
    """Return one row per version and metric: what was measured on its answers, and what it promised."""
    rows: list[Mapping[str, object]] = []
    for found in performances:
        head = {"version": found.version, "customers": found.customers, "answers": found.answers}
        for metric, promised in found.promised.items():
            measured = found.estimates.get(metric, Estimate(value=np.nan, low=np.nan, high=np.nan))
            told = asdict(measured) | {f"promised_{end}": value for end, value in asdict(promised).items()}
            is_judged = metric == found.gate_metric
            rows.append({**head, "metric": metric, **told, "verdict": found.verdict if is_judged else ""})
    return pd.DataFrame(rows)


def describe(seen: Monitored) -> str:
    """Write what was seen in Markdown: the description of the run."""
    furthest = ", ".join(f"`{drift.name}` {drift.psi:.2f}" for drift in seen.features[:5])
    moved = f"{seen.drifted_share:.0%} of {len(seen.features)} features have drifted"
    lines = [
        f"**{'Alarm' if seen.alarms else 'Within thresholds'}**: {seen.model.label} at {seen.at:%Y-%m-%d %H:%M} UTC",
        *[f"- {alarm}" for alarm in seen.alarms],
        f"- {counted(seen.customers, 'customer')}; score PSI {seen.score.psi:.3f}, limit {seen.score.limit:.3f}",
        f"- {moved}, which bring {seen.drifted_gain_share:.0%} of the model's gain; furthest: {furthest}",
        f"- {performance_sentence(seen)}",
    ]
    return "\n".join([lines[0], "", *lines[1:]])


def performance_sentence(seen: Monitored) -> str:
    """Say what became of the champion's answers, or how much is missing to say so."""
    found, metric = seen.performance, seen.task.gate_metric
    if found is None or not found.estimates:
        needed, so_far = (found.needed, found.found) if found else (seen.thresholds.least_customers, 0)
        what = found.counted if found else "customers"
        return (
            f"performance: not enough yet: {so_far} of {needed} {what} whose {seen.model.horizon_days} days have passed"
        )
    measured, promised = found.estimates[metric], found.promised[metric]
    return (
        f"performance: {found.verdict}: {metric} {measured} on {counted(found.answers, 'answer')} to "
        f"{counted(found.customers, 'customer')}, promised {promised}"
    )


def _figures(seen: Monitored, reference: Reference, scores: Floats) -> dict[str, Any]:
    subject = plots.Subject(kind=seen.task.kind, outcome=seen.task.outcome, horizon_days=seen.model.horizon_days)
    return {
        "drift": plots.drift_plot(
            [drift.name for drift in seen.features],
            [drift.psi for drift in seen.features],
            [drift.limit for drift in seen.features],
            subject=subject,
            row_count=seen.customers,
        ),
        "scores": plots.score_shift_plot(reference.scores, scores, seen.score.psi, subject=subject),
    }
