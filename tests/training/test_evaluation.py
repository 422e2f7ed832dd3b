"""The gate: who becomes champion, decided by paired differences."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
import xgboost

from scoring.model import TaskModel
from scoring.parts import Calibration
from training.checks import MEAN_TOTAL, Check, check_all
from training.dataset import TrainingSet
from training.evaluation import MARGIN, Reigning, evaluate
from training.metrics import CALIBRATION_ERROR, COVERAGE, INSIDE, Estimate, calibration_by_chance
from training.tasks import TASKS
from training.verdict import Comparison, Evaluation

CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)
_KEPT = {"actual": None, "predictions": {}, "estimates": {}, "deciles": None, "gate_metric": "auc"}
COLUMNS = ("order_recency_live_days", "order_count_30d", "order_count_365d", "spend_amount_90d", "spend_amount_365d")


def between(low, high):
    return Estimate(value=(low + high) / 2, low=low, high=high)


def about(value):
    return between(value, value)


def _comparison(low, high, *, must_win):
    return Comparison(baseline="b", advantage=between(low, high), must_win=must_win, margin=0.02)


@pytest.mark.parametrize(
    ("low", "high", "must_win", "holds"),
    [
        (0.01, 0.03, True, True),
        (-0.01, 0.03, True, False),  # better, but not beyond noise
        (-0.01, 0.03, False, True),
        (-0.03, 0.01, False, True),  # worse, but neither beyond noise nor by more than the margin
        (-0.3, 0.2, False, False),  # so noisy that noise excuses what the margin does not
        (-0.03, -0.01, False, False),
        (-0.03, -0.01, True, False),
    ],
)
def test_a_single_feature_must_be_beaten_and_no_other_may_win(low, high, must_win, holds):
    assert _comparison(low, high, must_win=must_win).holds is holds


def test_one_failed_comparison_refuses():
    good, bad = _comparison(0.01, 0.02, must_win=True), _comparison(-0.01, 0.02, must_win=True)
    assert Evaluation(comparisons=(good, good), **_KEPT).is_champion
    refused = Evaluation(comparisons=(good, bad), **_KEPT)
    assert not refused.is_champion
    assert refused.verdict[0] == "refused as champion, judged by auc (95 % intervals)"
    assert "fails" in refused.verdict[2]


def test_probabilities_must_be_taken_at_their_word_but_for_chance():
    random = np.random.default_rng(1)
    said = random.random(160)
    perfect = calibration_by_chance(said, seed=1)
    assert 0.05 < perfect < 0.15  # of 160 customers in ten bins
    assert calibration_by_chance(random.random(20_000), seed=1) < 0.02
    (near,), (far,) = (check_all({CALIBRATION_ERROR: about(0.11)}, calibration_by_chance=c) for c in (perfect, 0.02))
    assert near.holds
    assert not far.holds
    assert str(far) == "its probabilities are 0.110 off on average, up to 0.070 is accepted, 0.020 as chance: fails"


@pytest.mark.parametrize(
    ("covered", "inside", "holds", "said"),
    [
        ((0.7, 0.76), (0.7, 0.76), True, "covers 73% (70% to 76%) with its ends"),
        ((0.6, 0.7), (0.6, 0.7), False, "covers 65%"),
        ((0.86, 0.9), (0.86, 0.9), False, "and 88% (86% to 90%) without, up to 85%"),
        ((0.91, 0.93), (0.3, 0.32), True, "covers 92%"),  # most spend nothing, and p10 says so
    ],
)
def test_an_interval_must_cover(covered, inside, holds, said):
    (found,) = check_all({COVERAGE: between(*covered), INSIDE: between(*inside)}, calibration_by_chance=None)
    assert found.holds is holds
    assert said in found.said


@pytest.mark.parametrize(
    ("low", "high", "holds", "said"),
    [(0.7, 0.8, True, "is 75%"), (0.1, 0.12, False, "is 11% (10% to 12%) of what"), (1.4, 1.6, False, "150%")],
)
def test_means_must_sum_to_about_what_was_spent(low, high, holds, said):
    (found,) = check_all({MEAN_TOTAL: between(low, high)}, calibration_by_chance=None)
    assert found.holds is holds
    assert said in found.said


def test_what_was_not_measured_is_not_looked_at():
    assert check_all({"mae": about(1.0)}, calibration_by_chance=None) == ()
    assert check_all({MEAN_TOTAL: about(np.nan)}, calibration_by_chance=None) == ()  # nobody spent anything


def test_one_failed_check_refuses():
    good = _comparison(0.01, 0.02, must_win=True)
    refused = Evaluation(
        comparisons=(good,), checks=(Check(said="one", holds=True), Check(said="two", holds=False)), **_KEPT
    )
    assert not refused.is_champion
    assert refused.reason == "two: fails"
    assert refused.verdict[-2:] == ("one: holds", "two: fails")


class TestTheReigningChampion:
    @pytest.fixture(scope="class")
    def rows(self):
        chance = np.random.default_rng(1)
        frame = pd.DataFrame(chance.normal(size=(600, len(COLUMNS))).astype(np.float32), columns=list(COLUMNS))
        frame["order_count_365d"] = 3.0
        frame["label"] = (frame["spend_amount_90d"] + frame["spend_amount_365d"] + chance.normal(size=600) > 0).astype(
            float
        )
        return TrainingSet(frame.assign(cutoff=CUTOFF), COLUMNS)

    def test_itself_is_not_better_than_itself(self, rows):
        model = _model(rows)
        measured = evaluate(TASKS["churn"], model, rows, rows, reigning=_reigns(model), seed=1)
        *_, beside = measured.comparisons
        assert (beside.baseline, beside.must_win, beside.advantage.value, beside.holds) == ("champion", True, 0, False)
        assert not measured.is_champion
        assert {c.margin for c in measured.comparisons} == {
            MARGIN * measured.estimates[c.baseline]["auc"].value for c in measured.comparisons
        }

    def test_a_worse_one_is_replaced(self, rows):
        worse = _model(
            TrainingSet(rows.frame.assign(label=rows.frame["label"].sample(frac=1, random_state=1).values), COLUMNS)
        )
        assert evaluate(TASKS["churn"], _model(rows), rows, rows, reigning=_reigns(worse), seed=1).is_champion

    def test_it_is_asked_for_its_own_features(self, rows):
        narrow = _model(TrainingSet(rows.frame, COLUMNS[::-2]))
        measured = evaluate(TASKS["churn"], _model(rows), rows, rows, reigning=_reigns(narrow), seed=1)
        assert measured.estimates["champion"]["auc"].value > 0.5

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"horizon_days": 7}, "it looks 7 days ahead, this one 30"),
            ({"features": ("sent_by_post", *COLUMNS[1:])}, "it asks for 'sent_by_post', which the shop has no longer"),
        ],
    )
    def test_one_that_cannot_be_measured_is_replaced_by_hand_only(self, rows, changed, said):
        model = _model(rows)
        measured = evaluate(TASKS["churn"], model, rows, rows, reigning=_reigns(replace(model, **changed)), seed=1)
        assert not measured.is_champion
        assert said in measured.verdict[-1]
        assert "champion" not in measured.predictions

    def test_one_that_learned_from_what_is_asked_is_replaced_by_hand_only(self, rows):
        later = Reigning(model=_model(rows), tested_on=CUTOFF + timedelta(seconds=1))
        measured = evaluate(TASKS["churn"], _model(rows), rows, rows, reigning=later, seed=1)
        assert not measured.is_champion
        assert "it has learned from what happened until 2024-03-01" in measured.verdict[-1]
        assert "champion" not in measured.predictions

    def test_the_verdict_names_the_version_and_what_else_was_looked_at(self, rows):
        measured = evaluate(TASKS["churn"], _model(rows), rows, rows, reigning=_reigns(_model(rows)), seed=1)
        assert any("than champion regulars-churn/7:" in said for said in measured.verdict)
        assert "its probabilities are" in measured.verdict[-1]


def _reigns(model):
    return Reigning(model=model.with_version("7"), tested_on=CUTOFF)


def _model(rows):
    booster = xgboost.train(
        {"objective": "binary:logistic", "max_depth": 3, "seed": 1}, xgboost.DMatrix(rows.matrix, rows.label), 20
    )
    return TaskModel(
        task="churn",
        kind="probability",
        horizon_days=30,
        features=rows.features,
        feature_hash="",
        gate=TASKS["churn"].gate,
        calibration=Calibration(method="none"),
        booster=booster,
    )
