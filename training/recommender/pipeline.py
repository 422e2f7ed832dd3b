"""One training of the recommender, end to end: nights, search, the test night, and a registered version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from facts.errors import GateFailed
from facts.home import Home
from facts.lake import Lake, short_hash
from features.recommending.candidates import CANDIDATE_FEATURES, candidate_hash, find_candidates
from scoring.ranker import FORMAT, RECOMMENDER, REGISTERED_NAME, Again, Ranker, read_ranker, write_ranker
from scoring.registry import UnusableChampion, champion_version, logged_folder, read_recommender
from training import tracking
from training.means import core_count
from training.metrics import Estimate
from training.recommender.card import ranking_card
from training.recommender.evaluation import GATED_BY, MODEL, RankingEvaluation, evaluate
from training.recommender.fitting import fit_ranker
from training.recommender.nights import LEAST_QUESTIONS, NightPlan, plan_nights, read_night_questions
from training.recommender.questions import Night, RankingRows, ranking_rows
from training.recommender.replenishing import Replenished, measure_replenishment
from training.recommender.search import FoundRanking, search
from training.reign import BY_GATE, crown, who
from training.trials import Budget

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

DESCRIPTION = "What a customer will most likely buy next, as a ranking of candidates"
_LONGEST_REASON = 500
_TOLERANCE = 1e-6
_TABLES = ("orders", "order_lines", "products", "events")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedRanking:
    """A registered version of the recommender and what was measured of it (`report.json` of its run)."""

    version: str
    is_champion: bool
    was_trained: bool
    report: Mapping[str, Any]


def train_recommender(
    home: Home,
    *,
    budget: Budget,
    seed: int,
    on_step: Callable[[str], None] = lambda _step: None,
    is_forced: bool = False,
    asked_by: str = "",
) -> TrainedRanking:
    """Train the recommender and register the version; the alias `champion` follows only if the gate is passed.

    The same data, budget and seed are not registered twice unless forced: the version stands.

    Raises
    ------
    GateFailed
        There is too little to learn from or to be tested on; nothing was written.
    """
    import mlflow

    lake = Lake(home.lake)
    shop, plan = lake.shop(), plan_nights(lake.shop())
    key = _key(lake, plan, budget, seed)
    if home.has_tracking and not is_forced:
        with tracking.tracked(home) as client:
            tracking.require_unmoved(client, home, REGISTERED_NAME)
            stands = tracking.version_of_key(client, REGISTERED_NAME, key)
            if stands is not None:
                report = tracking.read_report(client, stands)
                is_champion = champion_version(home, RECOMMENDER) == str(stands.version)
                return TrainedRanking(
                    version=str(stands.version), is_champion=is_champion, was_trained=False, report=report
                )
    past = _read(lake, plan, seed, on_step)
    test = past.test
    title = tracking.run_name(shop.name, plan.wait.days, at=datetime.now().astimezone())
    with tracking.tracked(home) as client:
        experiment = tracking.experiment_id(client, home, REGISTERED_NAME, description=DESCRIPTION)
        tracking.close_abandoned_runs(client, experiment, key)
        tags = {tracking.KEY_TAG: key, "task": RECOMMENDER, "shop": shop.name}
        with mlflow.start_run(experiment_id=experiment, run_name=title, tags=tags) as run:
            again = Again(**asdict(past.replenished.replenishment))
            found, rows, ranker = _learn(home, past.train, again, budget=budget, seed=seed, key=key, on_step=on_step)
            on_step("MLflow")
            example = find_candidates(test.shelf, test.ask(np.arange(min(test.count, 20)))).matrix
            uri = tracking.log_files(
                lambda folder: write_ranker(ranker, folder),
                name=REGISTERED_NAME,
                pyfunc="ranker_pyfunc.py",
                rows=pd.DataFrame(example[:3], columns=list(CANDIDATE_FEATURES)),
                answer=lambda matrix: pd.DataFrame({"score": ranker.score(matrix)}),
            )
            on_step("test night")
            obstacle = _obstacle(home, uri, ranker, example)
            evaluation = evaluate(test, ranker, champion=_champion(home), seed=seed, obstacles=obstacle)
            report = _report(shop.name, plan, found, rows, ranker, evaluation, past.replenished, seed=seed)
            _log(report, found, evaluation)
            tracking.log_trials(client, experiment, run.info.run_id, found.trials, metric=GATED_BY, key=key)
            version = _register(client, uri, report, evaluation, ranker, key=key, asked_by=asked_by)
    return TrainedRanking(version=version, is_champion=evaluation.is_champion, was_trained=True, report=report)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    """The nights that are learned from, each with its rows, the one that is tested on, and what came again."""

    train: list[tuple[Night, RankingRows]]
    test: Night
    replenished: Replenished


def _read(lake: Lake, plan: NightPlan, seed: int, on_step: Callable[[str], None]) -> _Past:
    def read(cutoff: datetime) -> tuple[Night, RankingRows | None]:
        night = read_night_questions(lake, cutoff, plan.wait)
        return night, None if cutoff == plan.test else ranking_rows(night)

    on_step(f"{len(plan.cutoffs)} nights")
    with ThreadPoolExecutor(max_workers=core_count()) as threads:  # sorting and counting do not hold Python
        coming = threads.submit(measure_replenishment, lake, lake.shop(), seed=seed)
        nights = list(threads.map(read, plan.cutoffs))
        replenished = coming.result()
    train, test = [(night, rows) for night, rows in nights if rows is not None], nights[-1][0]
    asked = sum(len(np.unique(rows.group)) for _, rows in train)
    for where, count in (("the nights that are learned from", asked), ("the test night", test.count)):
        if count < LEAST_QUESTIONS:
            gate = f"customers who bought products again within {plan.wait.days} days of {where}"
            raise GateFailed(gate, needed=str(LEAST_QUESTIONS), found=str(count))
    return _Past(train=train, test=test, replenished=replenished)


def _learn(
    home: Home,
    train: list[tuple[Night, RankingRows]],
    again: Again,
    *,
    budget: Budget,
    seed: int,
    key: str,
    on_step: Callable[[str], None],
) -> tuple[FoundRanking, RankingRows, Ranker]:
    every = RankingRows.joined([rows for _, rows in train])
    earlier = [rows for _, rows in train[:-1]] or [train[0][1]]
    found = search(
        RankingRows.joined(earlier),
        train[-1][0],
        budget=budget if len(train) > 1 else Budget(trials=0),
        seed=seed,
        journal=home.search / f"{RECOMMENDER}.journal",
        study_name=f"{RECOMMENDER}-{key}",
        on_trial=lambda done: on_step(f"search, trial {done} of {budget.trials}"),
    )
    on_step("fit")
    return found, every, fit_ranker(every, found.params, seed=seed, again=again)


def _champion(home: Home) -> Ranker | None:
    """Return the champion to be measured beside a challenger; one that cannot be read cannot be served either."""
    try:
        champion = read_recommender(home)
    except UnusableChampion:
        return None
    return champion if champion is not None and champion.feature_hash == candidate_hash() else None


def _obstacle(home: Home, uri: str, ranker: Ranker, rows: np.ndarray[Any, Any]) -> list[str]:
    """Return why the logged model is not the one that was measured; nothing where it is."""
    import mlflow

    expected = ranker.score(rows)
    try:
        stored = read_ranker(logged_folder(home, uri.removeprefix("models:/"), label=REGISTERED_NAME))
        frame = pd.DataFrame(rows, columns=list(CANDIDATE_FEATURES))
        told = {
            "as it is served": stored.score(rows),
            "as a pyfunc": mlflow.pyfunc.load_model(uri).predict(frame)["score"].to_numpy(),
        }
    except Exception as error:  # noqa: BLE001 - whatever keeps it from being read keeps it from being served
        return [f"it cannot be read back from what MLflow stored: {(str(error).splitlines() or [''])[0]}"]
    return [
        f"read back {how} it scores otherwise than was measured"
        for how, scores in told.items()
        if not np.allclose(scores, expected, rtol=_TOLERANCE, atol=_TOLERANCE)
    ]


def _report(
    shop: str,
    plan: NightPlan,
    found: FoundRanking,
    rows: RankingRows,
    ranker: Ranker,
    evaluation: RankingEvaluation,
    replenished: Replenished,
    *,
    seed: int,
) -> dict[str, Any]:
    def told(estimates: Mapping[str, Estimate]) -> dict[str, list[float]]:
        return {name: [of.value, of.low, of.high] for name, of in estimates.items()}

    gains = ranker.booster.get_score(importance_type="total_gain")
    whole = sum(float(gain) for gain in gains.values()) or 1.0
    return {
        "task": RECOMMENDER,
        "shop": shop,
        "cutoffs": [cutoff.isoformat() for cutoff in plan.cutoffs],
        "wait_days": plan.wait.days,
        "questions": len(np.unique(rows.group)),
        "candidates": len(rows.group),
        "test_customers": evaluation.customers,
        "trials": len(found.trials),
        "search": found.ended_by,
        "params": dict(found.params),
        "validation": found.value,
        "seed": seed,
        "feature_hash": ranker.feature_hash,
        "metrics": {name: {part: told(of) for part, of in parts.items()} for name, parts in evaluation.metrics.items()},
        "ahead": {name: told(of) for name, of in evaluation.ahead.items()},
        "replenishment": {
            "pairs": replenished.pairs,
            "horizon_days": replenished.replenishment.horizon_days,
            "metrics": told(replenished.measured),
        },
        "side_effects": {name: asdict(of) for name, of in evaluation.side_effects.items()},
        "gain_shares": {name: float(gains.get(f"f{place}", 0.0)) / whole for place, name in enumerate(ranker.features)},
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
    for metric, estimate in report["replenishment"]["metrics"].items():
        mlflow.log_metric(f"replenishment_{metric}", estimate[0])
    mlflow.log_dict(report, tracking.REPORT)
    mlflow.log_dict(
        {"features": list(CANDIDATE_FEATURES), "meaning": dict(CANDIDATE_FEATURES), "hash": report["feature_hash"]},
        "features.json",
    )


def _register(
    client: MlflowClient,
    uri: str,
    report: Mapping[str, Any],
    evaluation: RankingEvaluation,
    ranker: Ranker,
    *,
    key: str,
    asked_by: str,
) -> str:
    import mlflow

    now = datetime.now(UTC)
    asked = ", ".join(part for part in (who(), asked_by) if part)
    code = " ".join(part for part in ("Regulars", *tracking.code_version()) if part)
    card = f"{ranking_card(report)}\nAsked by {asked}; decided {now:%Y-%m-%d %H:%M} UTC; made by {code}.\n"
    mlflow.set_tags({"mlflow.note.content": card, "verdict": evaluation.reason})
    tags = {
        tracking.KEY_TAG: key,
        "verdict": "champion" if evaluation.is_champion else "refused",
        "verdict_reason": shorten(evaluation.reason, _LONGEST_REASON, placeholder=" ..."),
        "asked_by": asked,
        "decided_at": now.isoformat(timespec="seconds"),
        "feature_hash": ranker.feature_hash,
        "horizon_days": str(report["wait_days"]),
    }
    version = tracking.register(client, uri, REGISTERED_NAME, card=card, tags=tags)
    if evaluation.is_champion:
        crown(client, REGISTERED_NAME, version, by=BY_GATE, reason=evaluation.reason)
    return version


def _key(lake: Lake, plan: NightPlan, budget: Budget, seed: int) -> str:
    cutoffs = [cutoff.isoformat() for cutoff in plan.cutoffs]
    data = lake.digest(*_TABLES)
    return short_hash([FORMAT, candidate_hash(), *cutoffs, data, budget.trials, seed, package_version("regulars")])
