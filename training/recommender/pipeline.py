"""One training of the recommender, end to end: nights, search, the test night, and a registered version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from importlib.metadata import version as package_version
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from facts.errors import GateFailed
from facts.home import Home
from facts.lake import Lake, short_hash
from features.recommending.candidates import CANDIDATE_FEATURES, candidate_hash, find_candidates
from scoring.ranker import FORMAT, RECOMMENDER, REGISTERED_NAME, Ranker, read_ranker, write_ranker
from scoring.registry import UnusableChampion, logged_folder, read_recommender
from scoring.trees import gain_shares
from training import tracking
from training.means import core_count
from training.metrics import Estimate
from training.parity import obstacle_between
from training.recommender.card import ranking_card
from training.recommender.evaluation import GATED_BY, MODEL, RankingEvaluation, evaluate
from training.recommender.fitting import fit_ranker
from training.recommender.next_category import MAP, measure_next_category
from training.recommender.nights import LEAST_QUESTIONS, NightPlan, plan_nights, read_night_questions
from training.recommender.questions import Night, RankingRows, ranking_rows
from training.recommender.replenishing import Replenished, measure_replenishment
from training.recommender.search import FoundRanking, search
from training.registering import Trained, Verdict, register, standing
from training.trials import Budget

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

DESCRIPTION = "What a customer will most likely buy next, as a ranking of candidates"
_COMPARED = 20  # customers of whose candidates what was logged must say the same
_TABLES = ("orders", "order_lines", "products", "events")


def train_recommender(
    home: Home,
    *,
    budget: Budget,
    seed: int,
    on_step: Callable[[str], None] = lambda _step: None,
    is_forced: bool = False,
    asked_by: str = "",
) -> Trained:
    """Train the recommender and register the version; the alias `champion` follows only if the gate is passed.

    The same data, budget and seed are not registered twice unless forced: the version stands, of two that are trained
    at once the first. A search that its time ended goes on, to another version.

    Raises
    ------
    GateFailed
        There is too little to learn from or to be tested on; nothing was written.
    """
    lake = Lake(home.lake)
    nights = plan_nights(lake.shop())
    plan = _Plan(nights=nights, budget=budget, seed=seed, key=_key(lake, nights, budget, seed))
    if home.has_tracking:
        with tracking.tracked(home) as client:
            tracking.require_unmoved(client, home, REGISTERED_NAME)
            stands = None if is_forced else _standing(home, client, key=plan.key, trials=budget.trials)
        if stands is not None:
            return stands
    past = _read(lake, plan, on_step)
    return _train_anew(home, plan, past, on_step=on_step, is_forced=is_forced, asked_by=asked_by)


def _standing(home: Home, client: MlflowClient, *, key: str, trials: int) -> Trained | None:
    return standing(
        home, client, RECOMMENDER, key=key, trials=trials, read=lambda version: read_recommender(home, version)
    )


def _train_anew(
    home: Home, plan: _Plan, past: _Past, *, on_step: Callable[[str], None], is_forced: bool, asked_by: str
) -> Trained:
    import mlflow

    key, seed, shop = plan.key, plan.seed, Lake(home.lake).shop().name
    title = tracking.run_name(shop, plan.nights.wait.days, at=datetime.now().astimezone())
    with tracking.tracked(home) as client:
        experiment = tracking.experiment_id(client, home, REGISTERED_NAME, description=DESCRIPTION)
        tracking.close_abandoned_runs(client, experiment, key)
        tags = tracking.run_tags(key=key, task=RECOMMENDER, shop=shop)
        with mlflow.start_run(experiment_id=experiment, run_name=title, tags=tags) as run:
            found, rows, ranker = _learn(home, plan, past, on_step)
            on_step("test night")
            evaluation = evaluate(past.test, ranker, champion=_champion(home), seed=seed)
            on_step("MLflow")
            with tracking.alone_in(home.folder):
                trials = len(found.trials)
                if not is_forced and (stands := _standing(home, client, key=key, trials=trials)):
                    mlflow.set_tag("verdict", f"not registered: version {stands.version} is the same, and came first")
                    return stands
                uri, obstacles = _log_model(home, ranker, past.test)
                evaluation = replace(evaluation, failed=(*evaluation.failed, *obstacles))
                report = _report(shop, plan, past, found, rows, ranker, evaluation)
                _log(report, found, evaluation)
                tracking.log_trials(client, experiment, run.info.run_id, found.trials, metric=GATED_BY, key=key)
                verdict = Verdict(
                    is_champion=evaluation.is_champion,
                    said=evaluation.reason,
                    reason=evaluation.reason,
                    card=ranking_card(report),
                )
                version = register(
                    client,
                    uri,
                    RECOMMENDER,
                    verdict,
                    key=key,
                    asked_by=asked_by,
                    feature_hash=ranker.feature_hash,
                    horizon_days=plan.nights.wait.days,
                )
    return Trained(
        task=RECOMMENDER, version=version, is_champion=evaluation.is_champion, was_trained=True, report=report
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What a training is made of, and its one short hash over its data (`key`)."""

    nights: NightPlan
    budget: Budget
    seed: int
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    """The rows of the nights that are learned from, the last of these, the one tested on, and what came again."""

    train: list[RankingRows]
    validation: Night
    test: Night
    replenished: Mapping[str, Replenished]


def _read(lake: Lake, plan: _Plan, on_step: Callable[[str], None]) -> _Past:
    wait, cutoffs = plan.nights.wait, plan.nights.cutoffs

    def read(cutoff: datetime) -> tuple[Night | None, RankingRows | None]:
        night = read_night_questions(lake, cutoff, wait)
        rows = None if cutoff == plan.nights.test else ranking_rows(night)
        return night if cutoff in cutoffs[-2:] else None, rows  # of a large shop, a night is large

    on_step(f"{len(cutoffs)} nights")
    with ThreadPoolExecutor(max_workers=core_count()) as threads:  # sorting and counting do not hold Python
        coming = threads.submit(measure_replenishment, lake, lake.shop(), seed=plan.seed)
        nights = list(threads.map(read, cutoffs))
        replenished = coming.result()
    train = [rows for _, rows in nights if rows is not None]
    *_, validation, test = (night for night, _ in nights if night is not None)
    asked = sum(len(np.unique(rows.group)) for rows in train)
    for where, count in (("the nights that are learned from", asked), ("the test night", test.count)):
        if count < LEAST_QUESTIONS:
            gate = f"customers who bought products again within {wait.days} days of {where}"
            raise GateFailed(gate, needed=str(LEAST_QUESTIONS), found=str(count))
    return _Past(train=train, validation=validation, test=test, replenished=replenished)


def _learn(
    home: Home, plan: _Plan, past: _Past, on_step: Callable[[str], None]
) -> tuple[FoundRanking, RankingRows, Ranker]:
    train = past.train
    every = RankingRows.joined(train)
    found = search(
        RankingRows.joined(train[:-1] or train),
        past.validation,
        budget=plan.budget if len(train) > 1 else Budget(trials=0),
        seed=plan.seed,
        journal=home.search / f"{RECOMMENDER}.journal",
        study_name=f"{RECOMMENDER}-{plan.key}",
        on_trial=lambda done: on_step(f"search, trial {done} of {plan.budget.trials}"),
    )
    on_step("fit")
    return found, every, fit_ranker(every, found.params, seed=plan.seed)


def _champion(home: Home) -> Ranker | None:
    """Return the champion to be measured beside a challenger; one that cannot be read cannot be served either."""
    try:
        champion = read_recommender(home)
    except UnusableChampion:
        return None
    return champion if champion is not None and champion.feature_hash == candidate_hash() else None


def _log_model(home: Home, ranker: Ranker, test: Night) -> tuple[str, list[str]]:
    """Log a ranking, and return its address and why what was logged is not what was measured, where it is not."""
    import mlflow

    rows = find_candidates(test.shelf, test.ask(np.arange(min(test.count, _COMPARED)))).matrix
    frame = pd.DataFrame(rows, columns=list(ranker.features))
    uri = tracking.log_files(
        lambda folder: write_ranker(ranker, folder),
        name=REGISTERED_NAME,
        pyfunc="ranker_pyfunc.py",
        rows=frame.head(3),
        answer=lambda matrix: pd.DataFrame({"score": ranker.score(matrix)}),
    )
    folder = logged_folder(home, uri.removeprefix("models:/"), label=REGISTERED_NAME)
    obstacle = obstacle_between(
        pd.DataFrame({"score": ranker.score(rows)}),
        {
            "as it is served": lambda: pd.DataFrame({"score": read_ranker(folder).score(rows)}),
            "as a pyfunc": lambda: mlflow.pyfunc.load_model(uri).predict(frame),
        },
    )
    return uri, [obstacle] if obstacle else []


def _report(
    shop: str,
    plan: _Plan,
    past: _Past,
    found: FoundRanking,
    rows: RankingRows,
    ranker: Ranker,
    evaluation: RankingEvaluation,
) -> dict[str, Any]:
    def told(estimates: Mapping[str, Estimate]) -> dict[str, list[float]]:
        return {name: [of.value, of.low, of.high] for name, of in estimates.items()}

    return {
        "task": RECOMMENDER,
        "shop": shop,
        "cutoffs": [cutoff.isoformat() for cutoff in plan.nights.cutoffs],
        "wait_days": plan.nights.wait.days,
        "questions": len(np.unique(rows.group)),
        "candidates": len(rows.group),
        "test_customers": evaluation.customers,
        "trials": len(found.trials),
        "search": found.ended_by,
        "params": dict(found.params),
        "validation": found.value,
        "seed": plan.seed,
        "feature_hash": ranker.feature_hash,
        "metrics": {name: {part: told(of) for part, of in parts.items()} for name, parts in evaluation.metrics.items()},
        "ahead": {name: told(of) for name, of in evaluation.ahead.items()},
        "replenishment": {
            items: {"pairs": of.pairs, "horizon_days": of.horizon_days, "metrics": told(of.measured)}
            for items, of in past.replenished.items()
        },
        "next_category": {name: told(of) for name, of in measure_next_category(past.test, seed=plan.seed).items()},
        "settings": {
            name: {"metrics": told(metrics), **asdict(effects)}
            for name, (metrics, effects) in evaluation.settings.items()
        },
        "side_effects": {name: asdict(of) for name, of in evaluation.side_effects.items()},
        "gain_shares": gain_shares(ranker.booster, ranker.features),
        "is_champion": evaluation.is_champion,
        "reason": evaluation.reason,
    }


def _log(report: Mapping[str, Any], found: FoundRanking, evaluation: RankingEvaluation) -> None:
    import mlflow

    mlflow.log_params({**found.params, "trials": report["trials"], "seed": report["seed"]})
    mlflow.log_params({"wait_days": report["wait_days"], "test_cutoff": report["cutoffs"][-1]})
    mlflow.log_params({"feature_hash": report["feature_hash"]})
    mlflow.log_metric(f"validation_{GATED_BY}", found.value)
    for part, of in evaluation.metrics[MODEL].items():
        prefix = "" if part == "all" else f"{part.replace(' ', '_')}_"
        for metric, estimate in of.items():
            named = {"": estimate.value, "_low": estimate.low, "_high": estimate.high}
            mlflow.log_metrics({f"{prefix}{metric}{end}": v for end, v in named.items() if np.isfinite(v)})
    mlflow.log_metrics(dict(report["side_effects"][MODEL]))
    for items, of in report["replenishment"].items():
        mlflow.log_metrics({f"replenishment_of_{items}_{metric}": told[0] for metric, told in of["metrics"].items()})
    for metric, told in report["next_category"].get(MAP, {}).items():
        mlflow.log_metric(f"next_category_{metric}", told[0])
    mlflow.log_dict(report, tracking.REPORT)
    mlflow.log_dict(
        {"features": list(CANDIDATE_FEATURES), "meaning": dict(CANDIDATE_FEATURES), "hash": report["feature_hash"]},
        "features.json",
    )


def _key(lake: Lake, plan: NightPlan, budget: Budget, seed: int) -> str:
    cutoffs = [cutoff.isoformat() for cutoff in plan.cutoffs]
    data = lake.digest(*_TABLES)
    return short_hash([FORMAT, candidate_hash(), *cutoffs, data, budget.trials, seed, package_version("regulars")])
