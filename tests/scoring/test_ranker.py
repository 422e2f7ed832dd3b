"""A ranking is read as it was written, one row says the same as many, and damaged files are named."""

from __future__ import annotations

import json

import numpy as np
import pytest

from scoring.model import UnusableModel
from scoring.model_files import BOOSTER_FILE, MODEL_FILE
from scoring.ranker import Ranker, read_ranker, write_ranker
from training.recommender.fitting import DEFAULTS, fit_ranker
from training.recommender.questions import RankingRows


@pytest.fixture(scope="module")
def rows() -> RankingRows:
    from features.recommending.candidates import CANDIDATE_FEATURES

    chance = np.random.default_rng(3)
    matrix = chance.normal(size=(4_000, len(CANDIDATE_FEATURES))).astype(np.float32)
    matrix[chance.random(matrix.shape) < 0.2] = np.nan
    label = np.nan_to_num(matrix[:, 0]) + chance.normal(size=len(matrix)) > 1
    return RankingRows(matrix=matrix, label=label, group=np.repeat(np.arange(40), 100))


@pytest.fixture(scope="module")
def ranker(rows: RankingRows) -> Ranker:
    return fit_ranker(rows, {**DEFAULTS, "rounds": 20}, seed=1)


def test_it_is_read_as_it_was_written(ranker, rows, tmp_path):
    write_ranker(ranker, tmp_path / "model")
    stored = read_ranker(tmp_path / "model", version="3")
    assert (stored.label, stored.features, stored.feature_hash) == (
        "regulars-recommender/3",
        ranker.features,
        ranker.feature_hash,
    )
    assert np.array_equal(stored.score(rows.matrix), ranker.score(rows.matrix))


def test_one_row_says_the_same_as_many(ranker, rows):
    among = ranker.score(rows.matrix)
    assert [ranker.score(row[None, :])[0] for row in rows.matrix[:50]] == among[:50].tolist()


def test_what_was_learned_puts_the_wanted_first(ranker, rows):
    score = ranker.score(rows.matrix)
    assert score[rows.label].mean() > score[~rows.label].mean() + 0.1


def test_other_features_are_refused(ranker):
    with pytest.raises(UnusableModel, match="features in its order, not 2"):
        ranker.score(np.zeros((1, 2), np.float32))


@pytest.mark.parametrize("how", ["cut booster", "changed words", "no booster", "other format"])
def test_damaged_files_are_named(ranker, tmp_path, how):
    write_ranker(ranker, tmp_path)
    told = json.loads((tmp_path / MODEL_FILE).read_text())
    damaged = BOOSTER_FILE if "booster" in how else MODEL_FILE
    if how == "cut booster":
        (tmp_path / BOOSTER_FILE).write_bytes((tmp_path / BOOSTER_FILE).read_bytes()[:-9])
    elif how == "no booster":
        (tmp_path / BOOSTER_FILE).unlink()
    else:
        changed = {"feature_hash": "x"} if how == "changed words" else {"format": 0}
        (tmp_path / MODEL_FILE).write_text(json.dumps(told | changed))
    with pytest.raises(UnusableModel, match=damaged):
        read_ranker(tmp_path)
