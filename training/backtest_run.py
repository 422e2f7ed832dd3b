"""What MLflow keeps of a backtest: one run, with the metrics of every cutoff as steps; no model is registered."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from facts.home import Home
from facts.lake import Lake
from training import plots, tracking
from training.backtest import Backtest
from training.learning_curve import LearningCurve
from training.metrics import METRICS
from training.verdict import MODEL

EXPERIMENT = "regulars-backtest"
_ABOUT = "What the models of a task would have measured, had each been trained at a cutoff of the past"


def log_backtest(home: Home, done: Backtest, curve: LearningCurve | None = None) -> str:
    """Log a backtest, and return the id of its run; it is made when all is measured, so it is whole or not there."""
    import mlflow

    plan, shop = done.plan, Lake(home.lake).shop()
    with tracking.tracked(home) as client:
        tracking.require_unmoved(client, home, EXPERIMENT)
        experiment = tracking.experiment_id(client, home, EXPERIMENT, description=_ABOUT)
        title = tracking.run_name(f"{plan.task.name}, {shop.name}", plan.horizon.days, at=datetime.now().astimezone())
        tags = {"task": plan.task.name, "shop": shop.name}
        with mlflow.start_run(experiment_id=experiment, run_name=title, tags=tags) as run:
            mlflow.log_params(
                {
                    "task": plan.task.name,
                    "horizon_days": plan.horizon.days,
                    "cutoffs": len(done.measured),
                    "trials": plan.budget.trials,
                    "seed": plan.seed,
                }
            )
            _log_metrics(done)
            mlflow.log_dict(build_backtest_report(done, curve), tracking.REPORT)
            mlflow.log_text(done.table().to_csv(index=False), "by_cutoff.csv")
            mlflow.log_table(_columns(done.table()), "by_cutoff.json")
            tracking.log_figures(_figures(done, curve))
    return str(run.info.run_id)


def build_backtest_report(done: Backtest, curve: LearningCurve | None) -> dict[str, Any]:
    """Build `report.json`: the cutoffs, all of them together, their spread, and the learning curve if there is one."""
    plan = done.plan
    return {
        "task": plan.task.name,
        "horizon_days": plan.horizon.days,
        "horizon_reason": plan.horizon.reason,
        "notes": plan.notes,
        "skipped": done.skipped,
        "cutoffs": [
            {
                "test_cutoff": at.cutoff.isoformat(),
                "train_cutoffs": [cutoff.isoformat() for cutoff in at.plan.splits.train],
                "train_rows": at.train_rows,
                "customers": len(at.actual),
                "search": at.searched,
                "params": at.params,
                "estimates": {p: {m: asdict(e) for m, e in ms.items()} for p, ms in at.estimates.items()},
                "interval": {name: asdict(estimate) for name, estimate in at.interval.items()},
            }
            for at in done.measured
        ],
        "pooled": {p: {m: asdict(e) for m, e in ms.items()} for p, ms in done.pooled.items()},
        "pooled_interval": {name: asdict(estimate) for name, estimate in done.interval.items()},
        "advantages": {name: asdict(estimate) for name, estimate in done.advantages.items()},
        "spread": {p: done.spread(p).replace({np.nan: None}).to_dict("index") for p in done.pooled},
        "learning_curve": None if curve is None else asdict(curve) | {"answers": curve.answers},
    }


def _log_metrics(done: Backtest) -> None:
    import mlflow

    for step, at in enumerate(done.measured):
        for predictor in at.estimates:
            prefix = "" if predictor == MODEL else f"{predictor}."
            for name, e in at.measured(predictor).items():
                ends = {f"{prefix}{name}": e.value}
                ends |= {f"{name}_low": e.low, f"{name}_high": e.high} if predictor == MODEL else {}
                mlflow.log_metrics({key: value for key, value in ends.items() if np.isfinite(value)}, step=step)
    for name, e in {**done.pooled[MODEL], **done.interval}.items():
        ends = {f"pooled.{name}": e.value, f"pooled.{name}_low": e.low, f"pooled.{name}_high": e.high}
        mlflow.log_metrics({key: value for key, value in ends.items() if np.isfinite(value)})


def _columns(table: pd.DataFrame) -> dict[str, Any]:
    said = table.assign(cutoff=table["cutoff"].map(lambda cutoff: cutoff.isoformat()))
    return {str(name): values for name, values in said.to_dict("list").items()}


def _figures(done: Backtest, curve: LearningCurve | None) -> dict[str, Any]:
    task = done.plan.task
    metric, rows = METRICS[task.kind][task.gate_metric], sum(len(at.actual) for at in done.measured)
    subject = plots.Subject(kind=task.kind, outcome=task.outcome, horizon_days=done.plan.horizon.days)
    figures = {
        "over_cutoffs": plots.cutoffs_plot(
            metric,
            [at.cutoff for at in done.measured],
            {name: [at.estimates[name][metric.name] for at in done.measured] for name in done.pooled},
            done.pooled[MODEL][metric.name],
            subject=subject,
            row_count=rows,
        )
    }
    if curve is not None:
        by_customers, by_cutoffs = (
            [(point.size, point.estimate) for point in curve.of(what)] for what in ("customers", "cutoffs")
        )
        figures["learning_curve"] = plots.learning_curve_plot(
            metric, by_customers, by_cutoffs, subject=subject, row_count=rows
        )
    return figures
