"""A ranking of candidates, learned by boosted trees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from features.recommending.candidates import CANDIDATE_FEATURES, candidate_hash
from scoring.ranker import Ranker
from training.recommender.questions import RankingRows

DEFAULTS: Mapping[str, Any] = {
    "objective": "rank:ndcg",
    "eta": 0.07,
    "max_depth": 6,
    "min_child_weight": 5.0,
    "subsample": 0.8,
    "colsample_bytree": 0.5,
    "lambda": 1.0,
    "rounds": 150,
}
POINTWISE: Mapping[str, Any] = {
    **DEFAULTS,
    "objective": "binary:logistic",
    "max_depth": 4,
    "min_child_weight": 20.0,
}
FIRST = (DEFAULTS, POINTWISE)  # where habits never change, each product's probability ranks better than pairs do
_PAIRS = 20  # of each question, from the top of the list


def fit_ranker(rows: RankingRows, params: Mapping[str, Any], *, seed: int) -> Ranker:
    """Learn to put what was bought before what was not.

    References
    ----------
    Burges (2010), "From RankNet to LambdaRank to LambdaMART: an overview".
    """
    import xgboost

    told = {name: value for name, value in params.items() if name != "rounds"}
    if told["objective"].startswith("rank:"):
        told |= {"lambdarank_pair_method": "topk", "lambdarank_num_pair_per_sample": _PAIRS}
    data = xgboost.QuantileDMatrix(rows.matrix, rows.label.astype(np.float32), qid=rows.group)
    settings = {**told, "seed": seed, "tree_method": "hist"}
    booster = xgboost.train(settings, data, num_boost_round=int(params["rounds"]))
    return Ranker(features=tuple(CANDIDATE_FEATURES), feature_hash=candidate_hash(), booster=booster)
