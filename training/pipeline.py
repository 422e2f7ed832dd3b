"""One training, end to end: data, search, calibration, the test cutoff, and a registered version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version as package_version
from typing import TYPE_CHECKING, Any

from facts.home import Home
from facts.lake import Lake, Shop, short_hash
from features.build import snapshot_cutoffs
from features.catalog import NAMES, feature_hash
from features.store import SNAPSHOTS
from scoring.model import Calibration, TaskModel
from training import plots, tracking
from training.calibration import fit_calibration
from training.card import model_card
from training.dataset import TrainingSet, build_training_set
from training.evaluation import MODEL, Evaluation, evaluate
from training.metrics import METRICS
from training.search import Budget, Found, fit, search
from training.splits import Splits, latest_test_cutoff, split
from training.tasks import TASKS, Horizon, Task, auto_horizons, visit_gaps

if TYPE_CHECKING:
    from feast import FeatureStore
    from matplotlib.figure import Figure
    from mlflow.tracking import MlflowClient

SHAP_ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a training of one task is made of; equal plans over equal data lead to equal models."""

    task: Task
    horizon: Horizon
    splits: Splits
    budget: Budget
    seed: int

    def key(self, lake: Lake) -> str:
        """Return one short hash of the plan and of the data it would train on."""
        made_of = [self.task.name, self.horizon.days, [c.isoformat() for c in self.splits.cutoffs]]
        data = [lake.stored(SNAPSHOTS).sha256, lake.digest("orders", "order_lines"), feature_hash()]
        return short_hash([*made_of, *data, self.budget.trials, self.seed, package_version("regulars")])


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A registered version and what was measured of it (`report.json` of its run)."""

    task: str
    version: str
    is_champion: bool
    was_trained: bool
    report: Mapping[str, Any]


def choose_horizons(lake: Lake) -> Mapping[str, Horizon]:
    """Choose every task's horizon from the shop's own gaps between visits."""
    shop = lake.shop()
    with lake.connect() as connection:
        gaps = visit_gaps(lake.table(connection, "orders"))
    return auto_horizons(gaps, history_days=(shop.observed_until - shop.observed_from).days)


def plan(
    lake: Lake, names: list[str], *, horizon_days: int | None = None, budget: Budget | None = None, seed: int = 1
) -> list[Plan]:
    """Plan the training of some tasks: horizons, and splits that share one test cutoff.

    Raises
    ------
    GateFailed
        The history is too short.
    """
    shop, cutoffs = lake.shop(), snapshot_cutoffs(lake)
    if horizon_days is None:
        horizons = choose_horizons(lake)
    else:
        horizons = dict.fromkeys(TASKS, Horizon(days=horizon_days, reason="given by the user"))
    longest = max(horizon.days for horizon in horizons.values())
    test = latest_test_cutoff(cutoffs, horizon_days=longest, observed_until=shop.observed_until)
    return [
        Plan(
            task=TASKS[name],
            horizon=horizons[name],
            splits=split(cutoffs, horizon_days=horizons[name].days, test=test, observed_from=shop.observed_from),
            budget=budget or Budget(),
            seed=seed,
        )
        for name in names
    ]


def train(
    plan: Plan,
    home: Home,
    store: FeatureStore,
    *,
    on_step: Callable[[str], None] = lambda _step: None,
    is_forced: bool = False,
) -> Trained:
    """Train one task and register the version; the alias `champion` follows only if the gate is passed.

    The same plan over the same data is not trained twice unless forced: its version is returned as it stands.
    """
    lake = Lake(home.lake)
    name, key = f"regulars-{plan.task.name}", plan.key(lake)
    with tracking.tracked(home) as client:
        known = None if is_forced else tracking.version_of_key(client, name, key)
        if known is not None:
            report = tracking.read_report(client, known)
            if report["is_champion"]:
                tracking.crown(client, name, known.version)
            is_champion = bool(report["is_champion"])
            return Trained(
                task=plan.task.name,
                version=str(known.version),
                is_champion=is_champion,
                was_trained=False,
                report=report,
            )
        return _train_anew(plan, home, store, client, key=key, on_step=on_step)


def _train_anew(
    plan: Plan, home: Home, store: FeatureStore, client: MlflowClient, *, key: str, on_step: Callable[[str], None]
) -> Trained:
    import mlflow

    task, splits, shop = plan.task, plan.splits, Lake(home.lake).shop()
    name = f"regulars-{task.name}"
    experiment = tracking.experiment_id(client, home, name, description=task.description)
    tracking.close_abandoned_runs(client, experiment, key)
    on_step("training set")
    data = build_training_set(store, Lake(home.lake), task, splits.cutoffs, horizon_days=plan.horizon.days)
    title = tracking.run_name(shop.name, plan.horizon.days, at=datetime.now().astimezone())
    with mlflow.start_run(
        experiment_id=experiment, run_name=title, tags={tracking.KEY_TAG: key, "task": task.name, "shop": shop.name}
    ) as run:
        found = search(
            task,
            data,
            splits,
            budget=plan.budget,
            seed=plan.seed,
            journal=home.search / f"{task.name}.journal",
            study_name=f"{task.name}-{key}",
            on_trial=lambda done: on_step(f"search, trial {done} of {plan.budget.trials}"),
        )
        on_step("fit and calibrate")
        train_rows, test_rows = data.at(splits.train), data.at([splits.test])
        model = _fit(plan, train_rows, found, shop)
        on_step("test cutoff")
        evaluation = evaluate(task, model, train_rows, test_rows, seed=plan.seed)
        on_step("MLflow")
        report = _report(plan, model, found, evaluation, shop, train_row_count=len(train_rows.frame))
        source = str(Lake(home.lake).path(SNAPSHOTS))
        _log_run(plan, found, evaluation, model, train_rows, test_rows, report, source=source)
        tracking.log_trials(client, experiment, run.info.run_id, found.trials, metric=task.search_metric)
        uri = tracking.log_model(model, test_rows)
        card = model_card(
            task, model, shop=shop, horizon=plan.horizon, splits=splits, found=found, evaluation=evaluation,
            row_count=len(train_rows.frame),
        )  # fmt: skip
        mlflow.set_tag("mlflow.note.content", card)
        mlflow.set_tag("verdict", evaluation.verdict[0])
        tags = {
            tracking.KEY_TAG: key,
            "verdict": "champion" if evaluation.is_champion else "refused",
            "feature_hash": model.feature_hash,
            "horizon_days": str(plan.horizon.days),
        }
        version = tracking.register(client, uri, model, card=card, tags=tags)
        if evaluation.is_champion:
            tracking.crown(client, name, version)
    return Trained(task=task.name, version=version, is_champion=evaluation.is_champion, was_trained=True, report=report)


def _fit(plan: Plan, train_rows: TrainingSet, found: Found, shop: Shop) -> TaskModel:
    task = plan.task
    booster = fit(train_rows, found.params, rounds=found.rounds, seed=plan.seed)
    is_probability = task.kind == "probability"
    return TaskModel(
        task=task.name,
        kind=task.kind,
        horizon_days=plan.horizon.days,
        features=NAMES,
        feature_hash=feature_hash(),
        gate=task.gate,
        calibration=fit_calibration(found.held_out) if is_probability else Calibration(method="none"),
        currency=None if is_probability else shop.currency,
        booster=booster,
    )


def _report(
    plan: Plan, model: TaskModel, found: Found, evaluation: Evaluation, shop: Shop, *, train_row_count: int
) -> dict[str, Any]:
    return {
        "task": plan.task.name,
        "shop": shop.name,
        "horizon_days": plan.horizon.days,
        "horizon_reason": plan.horizon.reason,
        "train_cutoffs": [cutoff.isoformat() for cutoff in plan.splits.train],
        "validation_cutoffs": [fold.validation.isoformat() for fold in plan.splits.folds],
        "test_cutoff": plan.splits.test.isoformat(),
        "train_rows": train_row_count,
        "test_rows": len(evaluation.actual),
        "params": {**found.params, "rounds": found.rounds},
        "search": {"metric": plan.task.search_metric, "value": found.value, "folds": found.fold_values},
        "search_ended_by": found.ended_by,
        "trials": len(found.trials),
        "calibration": model.calibration.method,
        "feature_hash": model.feature_hash,
        "estimates": {p: {m: asdict(e) for m, e in ms.items()} for p, ms in evaluation.estimates.items()},
        "comparisons": [asdict(comparison) | {"holds": comparison.holds} for comparison in evaluation.comparisons],
        "is_champion": evaluation.is_champion,
        "verdict": evaluation.verdict,
    }


def _log_run(
    plan: Plan,
    found: Found,
    evaluation: Evaluation,
    model: TaskModel,
    train_rows: TrainingSet,
    test_rows: TrainingSet,
    report: Mapping[str, Any],
    *,
    source: str,
) -> None:
    import mlflow

    mlflow.log_params({**found.params, "rounds": found.rounds, "calibration": model.calibration.method})
    mlflow.log_params({"seed": plan.seed, "trials": len(found.trials), "horizon_days": plan.horizon.days})
    mlflow.log_params({"test_cutoff": plan.splits.test.isoformat(), "feature_hash": model.feature_hash})
    mlflow.log_metrics(_metrics(evaluation))
    for step, value in enumerate(found.fold_values):
        mlflow.log_metric(f"validation_{plan.task.search_metric}", value, step=step)
    tracking.log_data(train_rows, source=source, name=f"{plan.task.name}-training", context="training")
    tracking.log_data(test_rows, source=source, name=f"{plan.task.name}-test", context="test")
    mlflow.log_dict(dict(report), tracking.REPORT)
    mlflow.log_dict({"features": list(model.features), "hash": model.feature_hash}, "features.json")
    mlflow.log_text(evaluation.deciles.to_csv(index=False), "deciles.csv")
    tracking.log_figures(_figures(plan, found, evaluation, model, train_rows, test_rows))


def _raw_unit(objective: str, *, currency: str | None) -> str:
    """Return what one unit of a raw score is, before the objective's link."""
    links = {"binary:logistic": "log-odds", "reg:tweedie": f"log of {currency}"}
    return links.get(objective, str(currency))


def _metrics(evaluation: Evaluation) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for predictor, measured in evaluation.estimates.items():
        prefix = "" if predictor == MODEL else f"{predictor}."
        for name, estimate in measured.items():
            metrics[f"{prefix}{name}"] = estimate.value
            if predictor == MODEL:
                metrics |= {f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return metrics


def _figures(
    plan: Plan,
    found: Found,
    evaluation: Evaluation,
    model: TaskModel,
    train_rows: TrainingSet,
    test_rows: TrainingSet,
) -> dict[str, Figure]:
    task, actual = plan.task, evaluation.actual
    subject = plots.Subject(kind=task.kind, outcome=task.outcome, horizon_days=plan.horizon.days)
    predicted = evaluation.predictions[MODEL]
    baselines = {name: scores for name, scores in evaluation.predictions.items() if name != MODEL}
    sample = test_rows.matrix[:SHAP_ROWS]
    gains = model.booster.get_score(importance_type="total_gain")
    gain = [float(gains.get(f"f{index}", 0.0)) for index in range(len(model.features))]
    unit = _raw_unit(str(found.params["objective"]), currency=model.currency)
    gate_estimates = {name: measured[task.gate_metric] for name, measured in evaluation.estimates.items()}
    figures = {
        "gain": plots.gain_plot(actual, predicted, baselines, subject=subject),
        "decile": plots.decile_plot(actual, predicted, subject=subject),
        "feature_importance": plots.importance_plot(
            model.features, gain, subject=subject, row_count=len(train_rows.frame)
        ),
        "shap_summary": plots.shap_summary_plot(
            model.features, model.contributions(sample), sample, subject=subject, unit=unit
        ),
        "comparison": plots.metric_comparison_plot(
            METRICS[task.kind][task.gate_metric], gate_estimates, subject=subject, row_count=len(actual)
        ),
    }
    if len(found.trials):
        figures["optimisation_history"] = plots.optimisation_plot(
            found.trials, objective=task.search_metric, direction=found.direction, subject=subject
        )
    if task.kind == "probability":
        figures["calibration"] = plots.calibration_plot(actual, {"calibrated": predicted}, subject=subject)
    return figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A registered version and how its gate decided."""

    task: str
    version: str
    verdict: str
    horizon_days: int


def read_versions(home: Home) -> list[Version]:
    """Return every registered version of every task, oldest first."""
    with tracking.tracked(home) as client:
        found = [(name, v) for name in TASKS for v in client.search_model_versions(f"name = 'regulars-{name}'")]
    versions = [
        Version(task=name, version=str(v.version), verdict=v.tags["verdict"], horizon_days=int(v.tags["horizon_days"]))
        for name, v in found
    ]
    return sorted(versions, key=lambda v: (v.task, int(v.version)))
