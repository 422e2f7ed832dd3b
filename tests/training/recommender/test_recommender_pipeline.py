"""The recommender is learned from the shop's own past, held against what is simpler, and registered once."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from facts.errors import GateFailed
from facts.home import Home
from facts.lake import Lake
from features.recommending.candidates import CANDIDATE_FEATURES
from scoring.registry import read_recommender
from tests.builders import Line, Order, at
from tests.market import bring_in as bring_in_market
from tests.training.small_shops import bring_in, visits
from training.metrics.ranking import ranking_values
from training.recommender import questions
from training.recommender.fitting import FIRST
from training.recommender.nights import plan_nights, read_night_questions
from training.recommender.pipeline import train_recommender
from training.recommender.questions import Found, ranking_rows
from training.tracking import read_report, tracked
from training.trials import Budget

NO_SEARCH = Budget(trials=0)


def test_a_version_is_registered_once_with_all_that_was_measured(market: Home):
    again = train_recommender(market, budget=NO_SEARCH, seed=1)
    assert (again.version, again.was_trained, again.is_champion) == ("1", False, True)
    with tracked(market) as client:
        version = client.get_model_version_by_alias("regulars-recommender", "champion")
        assert read_report(client, version) == again.report
        run = client.get_run(version.run_id)
    for metric in ("recall_at_10", "ndcg_at_20", "hit_rate_at_10", "new_recall_at_10", "repeat_share", "novelty"):
        assert metric in run.data.metrics
    assert "On the test night" in version.description
    assert version.tags["verdict_reason"] == again.report["reason"]


def test_what_is_expected_again_is_measured_on_a_later_night(market: Home):
    told = train_recommender(market, budget=NO_SEARCH, seed=1).report["replenishment"]
    assert list(told) == ["products", "categories"]
    report = told["products"]
    covered, came = (report["metrics"][name] for name in ("coverage", "came"))
    assert covered[0] == pytest.approx(0.8, abs=0.1)
    assert report["metrics"]["expected_to_come"][0] == pytest.approx(came[0], abs=0.1)
    assert report["metrics"]["mae_days"][0] < report["metrics"]["mae_days_of_mean_gap"][0]
    assert report["pairs"] > 1_000
    assert told["categories"]["metrics"]["coverage"][0] == pytest.approx(0.8, abs=0.12)


def test_the_next_category_and_the_settings_are_measured(market: Home):
    report = train_recommender(market, budget=NO_SEARCH, seed=1).report
    told = report["next_category"]
    assert told["ahead of popularity"]["hit_rate_at_1"][1] > 0
    hit, low, high = told["this map"]["hit_rate_at_1"]
    assert told["this map"]["expected_hit_rate_at_1"][0] == pytest.approx(hit, abs=0.1)
    assert low <= hit <= high
    settings = report["settings"]
    usual = settings["the ranking as it is"]
    assert usual["metrics"]["ndcg_at_10"] == pytest.approx(report["metrics"]["this ranking"]["all"]["ndcg_at_10"])
    assert settings["repeat_share 0"]["repeat_share"] == 0
    assert settings["repeat_share 0.5"]["repeat_share"] <= 0.5
    assert settings["diversity 1"]["category_count"] > usual["category_count"]
    assert usual["metrics"]["recall_at_10"][0] > settings["repeat_share 0"]["metrics"]["recall_at_10"][0]


def test_it_finds_tastes_that_popularity_does_not(market: Home):
    lake = Lake(market.lake)
    plan = plan_nights(lake.shop())
    night = read_night_questions(lake, plan.test, plan.wait)
    ranker = read_recommender(market)
    assert ranker is not None
    found = Found.of(night)
    values = ranking_values(found.rank(ranker, 10), night.wanted[found.places], lengths=(10,))
    report = train_recommender(market, budget=NO_SEARCH, seed=1).report
    told = report["metrics"]["this ranking"]["all"]["recall_at_10"][0]
    assert float(np.nanmean(values["recall_at_10"])) == pytest.approx(told)
    assert report["ahead"]["popularity"]["ndcg_at_10"][1] > 0


def test_nights_do_not_see_each_others_answers(market: Home):
    plan = plan_nights(Lake(market.lake).shop())
    assert all(later - earlier >= plan.wait for earlier, later in zip(plan.cutoffs, plan.cutoffs[1:], strict=False))
    assert plan.test + plan.wait <= Lake(market.lake).shop().observed_until


def test_questions_are_asked_before_they_are_answered(market: Home):
    lake = Lake(market.lake)
    plan = plan_nights(lake.shop())
    night = read_night_questions(lake, plan.cutoffs[0], plan.wait)
    asked = night.ask(np.arange(night.count))
    assert (asked.baskets.now <= night.future.at).all()
    assert (asked.baskets.at < asked.baskets.now[asked.baskets.customer]).all()
    rows = ranking_rows(night)
    counts = np.bincount(rows.group, rows.label)
    assert set(counts[np.unique(rows.group)]) <= set(range(1, 20))  # every question that is learned from has an answer


@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_third_of_the_questions_have_a_cart_however_many_customers_are_left_out(market: Home, monkeypatch, every):
    lake = Lake(market.lake)
    plan = plan_nights(lake.shop())
    night = read_night_questions(lake, plan.cutoffs[0], plan.wait)
    monkeypatch.setattr(questions, "MOST_ASKED", -(-night.count // every))
    rows = ranking_rows(night)
    has_cart = rows.matrix[:, list(CANDIDATE_FEATURES).index("context_count")] > 0
    asked, carts = (len(np.unique(rows.group[of])) for of in (slice(None), has_cart))
    assert carts / asked == pytest.approx(1 / 3, abs=0.12)


def test_a_search_tries_what_comes_first_and_is_kept(tmp_path):
    home = Home(tmp_path / "home")
    bring_in_market(home)
    done = train_recommender(home, budget=Budget(trials=2), seed=3)
    assert done.report["trials"] == 2
    storage = JournalStorage(JournalFileBackend(str(home.search / "recommender.journal")))
    (name,) = optuna.get_all_study_names(storage)
    tried = [trial.params for trial in optuna.load_study(study_name=name, storage=storage).trials]
    assert tried == list(FIRST)
    assert done.report["params"] in tried


def test_too_short_a_record_is_refused_and_nothing_is_written(tmp_path):
    home = Home(tmp_path / "home")
    bring_in(home, visits(20), days=20)
    with pytest.raises(GateFailed, match=r"days of record for a recommender .*: needed 28, found 20"):
        train_recommender(home, budget=NO_SEARCH, seed=1)
    assert not home.has_tracking


def test_too_few_who_came_back_are_refused_and_nothing_is_written(tmp_path):
    home = Home(tmp_path / "home")
    orders = [Order(customer=f"c{n}", at=at(day, 10), lines=(Line(),)) for n in range(20) for day in range(0, 200, 5)]
    bring_in(home, orders, days=200)
    with pytest.raises(GateFailed, match=r"who bought products again within 28 days of .*: needed 100"):
        train_recommender(home, budget=NO_SEARCH, seed=1)
    assert not home.has_tracking
