"""One training, end to end: data, search, calibration, the test cutoff, and a registered version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from facts.home import Home
from facts.lake import Lake, Shop
from features.snapshots import SNAPSHOTS
from scoring.registry import UnusableChampion, read_champion, read_version
from training import tracking
from training.card import model_card
from training.dataset import TrainingSet, build_training_set
from training.enough import usable_splits
from training.evaluation import Reigning, evaluate
from training.final import learn
from training.known import Known
from training.means import Means, require_means
from training.monitoring.reference import build_reference, log_reference
from training.parity import parity_obstacle
from training.plan import Plan
from training.promise import read_promise
from training.registering import Trained, Verdict, register, standing
from training.reign import MODELS
from training.result import Result, build_figures, build_metrics, build_report

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


def train(
    plan: Plan,
    home: Home,
    known: Known,
    *,
    means: Means | None = None,
    on_step: Callable[[str], None] = lambda _step: None,
    is_forced: bool = False,
    asked_by: str = "",
) -> Trained:
    """Train one task and register the version; the alias `champion` follows only if the gate is passed.

    The same plan over the same data is not registered twice unless forced: its version is returned as it stands, and
    of two that are trained at once the first. A search that its time ended goes on, to another version.
    `known` is of the same home; given to several tasks, it has what they share joined once. With what means it is
    searched is not part of the plan. `asked_by` is written on the version.

    Raises
    ------
    GateFailed
        There is too little to train or to test the task on; nothing was written.
    """
    means = means or Means()
    require_means(means)
    lake = Lake(home.lake)
    key = plan.key(lake)
    if home.has_tracking:
        with tracking.tracked(home) as client:
            tracking.require_unmoved(client, home, f"regulars-{plan.task.name}")
            stands = None if is_forced else _standing(plan, home, client, key=key, trials=plan.budget.trials)
        if stands is not None:
            return stands
    on_step("training set")
    data = build_training_set(known, plan.task, plan.splits.cutoffs, horizon_days=plan.horizon.days, share=plan.share)
    plan = replace(plan, splits=usable_splits(plan.task, data.frame, plan.splits))
    return _train_anew(plan, home, data, key=key, means=means, on_step=on_step, is_forced=is_forced, asked_by=asked_by)


def _standing(plan: Plan, home: Home, client: MlflowClient, *, key: str, trials: int) -> Trained | None:
    name = plan.task.name
    return standing(home, client, name, key=key, trials=trials, read=lambda version: read_version(home, name, version))


def _train_anew(
    plan: Plan,
    home: Home,
    data: TrainingSet,
    *,
    key: str,
    means: Means,
    on_step: Callable[[str], None],
    is_forced: bool,
    asked_by: str,
) -> Trained:
    import mlflow

    task, shop = plan.task, Lake(home.lake).shop()
    title = tracking.run_name(shop.name, plan.horizon.days, at=datetime.now().astimezone())
    tags = tracking.run_tags(key=key, task=task.name, shop=shop.name)
    with tracking.tracked(home) as client:  # makes MLflow's store, so not before there is enough to train on
        experiment = tracking.experiment_id(client, home, f"regulars-{task.name}", description=task.description)
        tracking.close_abandoned_runs(client, experiment, key)
        with mlflow.start_run(experiment_id=experiment, run_name=title, tags=tags) as run:
            result = _fit_and_measure(plan, home, shop, data, key=key, means=means, on_step=on_step)
            on_step("MLflow")
            with tracking.alone_in(home.folder):
                trials = len(result.found.trials)
                if not is_forced and (stands := _standing(plan, home, client, key=key, trials=trials)):
                    mlflow.set_tag("verdict", f"not registered: version {stands.version} is the same, and came first")
                    return stands
                uri = tracking.log_model(result.model, result.test_rows)
                result = _read_back(home, uri, result)
                _log(result, source=str(Lake(home.lake).path(SNAPSHOTS)))
                tracking.log_trials(
                    client, experiment, run.info.run_id, result.found.trials, metric=task.search_metric, key=key
                )
                verdict = Verdict(
                    is_champion=result.evaluation.is_champion,
                    said=result.evaluation.verdict[0],
                    reason=result.evaluation.reason,
                    card=model_card(result),
                )
                version = register(
                    client,
                    uri,
                    task.name,
                    verdict,
                    key=key,
                    asked_by=asked_by,
                    feature_hash=result.model.feature_hash,
                    horizon_days=result.model.horizon_days,
                )
    return Trained(
        task=task.name,
        version=version,
        is_champion=result.evaluation.is_champion,
        was_trained=True,
        report=build_report(result),
    )


def _fit_and_measure(
    plan: Plan,
    home: Home,
    shop: Shop,
    data: TrainingSet,
    *,
    key: str,
    means: Means,
    on_step: Callable[[str], None],
) -> Result:
    found, model = learn(
        plan,
        data,
        shop,
        journal=home.search / f"{plan.task.name}.journal",
        study_name=f"{plan.task.name}-{key}",
        means=means,
        on_trial=lambda done: on_step(f"search, trial {done} of {plan.budget.trials}"),
        on_found=lambda: on_step("fit and calibrate"),
    )
    train_rows, test_rows = data.at(plan.splits.train), data.at([plan.splits.test])
    on_step("test cutoff")
    evaluation = evaluate(
        plan.task, model, train_rows, test_rows, reigning=_reigning(home, plan.task.name), seed=plan.seed
    )
    if evaluation.growth is None or not evaluation.growth.holds:
        model = replace(model, potential=None)  # who was not seen to out-grow others is not flagged
    return Result(
        plan=plan,
        means=means,
        shop=shop,
        found=found,
        model=model,
        evaluation=evaluation,
        train_rows=train_rows,
        test_rows=test_rows,
    )


def _reigning(home: Home, task: str) -> Reigning | None:
    """Return the champion to be measured beside a challenger; one that cannot be read cannot be served either."""
    try:
        if (model := read_champion(home, task)) is None:
            return None
        return Reigning(model=model, tested_on=read_promise(home, task, model.version).test_cutoff)
    except UnusableChampion:
        return None


def _log(result: Result, *, source: str) -> None:
    import mlflow

    plan, means, found, model = result.plan, result.means, result.found, result.model
    mlflow.log_params({**found.params, **found.rounds, "calibration": model.calibration.method})
    mlflow.log_params({"seed": plan.seed, "trials": len(found.trials), "horizon_days": plan.horizon.days})
    mlflow.log_params({"customer_share": plan.share})
    mlflow.log_params({"workers": means.workers, "storage": means.storage_kind, "device": means.device})
    mlflow.log_params({"test_cutoff": plan.splits.test.isoformat(), "feature_hash": model.feature_hash})
    mlflow.log_metrics(build_metrics(result))
    mlflow.log_metric(f"validation_{plan.task.search_metric}", found.value)  # the mean, which the search improved
    for step, value in enumerate(found.fold_values):
        mlflow.log_metric(f"validation_{plan.task.search_metric}_by_cutoff", value, step=step)
    tracking.log_data(result.train_rows, source=source, name=f"{plan.task.name}-training", context="training")
    tracking.log_data(result.test_rows, source=source, name=f"{plan.task.name}-test", context="test")
    mlflow.log_dict(build_report(result), tracking.REPORT)
    mlflow.log_dict({"features": list(model.features), "hash": model.feature_hash}, "features.json")
    mlflow.log_text(result.evaluation.deciles.to_csv(index=False), "deciles.csv")
    tracking.log_figures(build_figures(result))
    log_reference(build_reference(model, result.train_rows, result.test_rows, seed=plan.seed))


def _read_back(home: Home, uri: str, result: Result) -> Result:
    """Return the result with what keeps the stored model from being the measured one, where something does."""
    obstacle = parity_obstacle(home, uri, result.model, result.test_rows.matrix)
    if obstacle is None:
        return result
    evaluation = result.evaluation
    return replace(result, evaluation=replace(evaluation, obstacles=(*evaluation.obstacles, obstacle)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A registered version, how its gate decided and why, and who or what asked for it."""

    task: str
    version: str
    verdict: str
    reason: str
    asked_by: str
    horizon_days: int


def read_versions(home: Home) -> list[Version]:
    """Return every registered version of every task, oldest first."""
    with tracking.tracked(home) as client:
        found = [(name, v) for name in MODELS for v in client.search_model_versions(f"name = 'regulars-{name}'")]
    versions = [
        Version(
            task=name,
            version=str(v.version),
            verdict=v.tags["verdict"],
            reason=v.tags.get("verdict_reason", ""),
            asked_by=v.tags.get("asked_by", ""),
            horizon_days=int(v.tags["horizon_days"]),
        )
        for name, v in found
    ]
    return sorted(versions, key=lambda v: (v.task, int(v.version)))
