"""What came of a training, and the forms in which it is shown: report, metrics, plots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from facts.lake import Shop
from scoring.model import TaskModel
from training import plots
from training.dataset import TrainingSet
from training.means import Means
from training.metrics import METRICS, Estimate
from training.objectives import QUANTILES_OF_DAYS
from training.plan import Plan
from training.search import Found
from training.verdict import MODEL, Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHAP_ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A trained model with all that led to it and all that was measured of it."""

    plan: Plan
    means: Means
    shop: Shop
    found: Found
    model: TaskModel
    evaluation: Evaluation
    train_rows: TrainingSet
    test_rows: TrainingSet


def build_report(result: Result) -> dict[str, Any]:
    """Build `report.json`: what was trained on what, and everything that was measured."""
    plan, found, evaluation = result.plan, result.found, result.evaluation
    return {
        "task": plan.task.name,
        "shop": result.shop.name,
        "horizon_days": plan.horizon.days,
        "horizon_reason": plan.horizon.reason,
        "train_cutoffs": [cutoff.isoformat() for cutoff in plan.splits.train],
        "validation_cutoffs": [fold.validation.isoformat() for fold in plan.splits.folds],
        "test_cutoff": plan.splits.test.isoformat(),
        "customer_share": plan.share,
        "train_rows": len(result.train_rows.frame),
        "test_rows": len(evaluation.actual),
        "params": {**found.params, **found.rounds},
        "search": {"metric": plan.task.search_metric, "value": found.value, "folds": found.fold_values},
        "search_ended_by": found.ended_by,
        "trials": len(found.trials),
        "workers": result.means.workers,
        "storage": result.means.storage_kind,
        "device": result.means.device,
        "calibration": result.model.calibration.method,
        "feature_hash": result.model.feature_hash,
        "estimates": {p: {m: asdict(e) for m, e in ms.items()} for p, ms in evaluation.estimates.items()},
        "interval": {name: asdict(estimate) for name, estimate in evaluation.interval.items()},
        "calibration_error_by_chance": evaluation.calibration_error_by_chance,
        "potential": evaluation.growth.told() if evaluation.growth else None,
        "groups": [group.told() for group in evaluation.groups],
        "comparisons": [asdict(comparison) | {"holds": comparison.holds} for comparison in evaluation.comparisons],
        "deciles": evaluation.deciles.to_dict("records"),
        "is_champion": evaluation.is_champion,
        "verdict": evaluation.verdict,
        "reason": evaluation.reason,
        "largest_customer": evaluation.largest.told() if evaluation.largest else None,
        "notes": [*plan.notes, *evaluation.notes],
    }


def build_metrics(result: Result) -> dict[str, float]:
    """Build the metrics of a run: of the model, each baseline and each group, with intervals."""
    evaluation = result.evaluation
    metrics: dict[str, float] = {}
    for predictor, measured in evaluation.estimates.items():
        metrics |= _with_ends(measured, prefix="" if predictor == MODEL else f"{predictor}.")
    metrics |= _with_ends(evaluation.interval)
    if growth := evaluation.growth:
        metrics |= _with_ends({"potential_ratio": growth.ratio})
    for group in evaluation.groups:
        metrics[f"{group.group}.rows"] = group.rows
        metrics |= _with_ends(group.estimates, prefix=f"{group.group}.")
    if largest := evaluation.largest:
        metrics["largest_customer_share"] = largest.share
        metrics |= _with_ends(largest.without, prefix="without_largest_customer.")
    return {name: value for name, value in metrics.items() if not np.isnan(value)}


def _with_ends(estimates: Mapping[str, Estimate], *, prefix: str = "") -> dict[str, float]:
    """Return each estimate under its name, and the ends of its interval as `<name>_low` and `<name>_high`."""
    return {
        f"{prefix}{name}{end}": value
        for name, found in estimates.items()
        for end, value in (("", found.value), ("_low", found.low), ("_high", found.high))
    }


def build_figures(result: Result) -> dict[str, Figure]:
    """Draw the plots of a run, by name."""
    plan, found, evaluation, model = result.plan, result.found, result.evaluation, result.model
    task, actual = plan.task, evaluation.actual
    subject = plots.Subject(kind=task.kind, outcome=task.outcome, horizon_days=plan.horizon.days)
    predicted = evaluation.predictions[MODEL]
    baselines = {name: scores for name, scores in evaluation.predictions.items() if name != MODEL}
    sample = result.test_rows.matrix[:SHAP_ROWS]
    shares = model.gain_shares
    unit = _raw_unit(str(found.params["objective"]), currency=model.currency)
    gate_estimates = {name: measured[task.gate_metric] for name, measured in evaluation.estimates.items()}
    figures = {
        "feature_importance": plots.importance_plot(
            list(shares), list(shares.values()), subject=subject, row_count=len(result.train_rows.frame)
        ),
        "shap_summary": plots.shap_summary_plot(
            model.features, model.contributions(sample)[0], sample, subject=subject, unit=unit
        ),
        "comparison": plots.metric_comparison_plot(
            METRICS[task.kind][task.gate_metric], gate_estimates, subject=subject, row_count=len(actual)
        ),
    }
    if task.kind != "days":
        figures["decile"] = plots.decile_plot(actual, predicted, subject=subject)
        figures["gain"] = plots.gain_plot(actual, predicted, baselines, subject=subject)
    if len(found.trials):
        figures["optimisation_history"] = plots.optimisation_plot(
            found.trials, objective=task.search_metric, direction=found.direction, subject=subject
        )
    if evaluation.quantiles is not None:
        figures["interval"] = plots.interval_plot(actual, evaluation.quantiles, subject=subject)
    if task.kind == "probability":
        figures["calibration"] = plots.calibration_plot(actual, {"calibrated": predicted}, subject=subject)
    return figures


def _raw_unit(objective: str, *, currency: str | None) -> str:
    """Return what one unit of a raw score is, before the objective's link."""
    links = {"binary:logistic": "log-odds", "survival:aft": "log of days", QUANTILES_OF_DAYS: "log of 1 + days"}
    links |= dict.fromkeys(("reg:tweedie", "two-part"), f"log of {currency}")
    return links.get(objective, str(currency))
