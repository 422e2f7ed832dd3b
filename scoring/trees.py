"""What a booster's trees say: of few rows by ONNX Runtime, of many by XGBoost, to the bit the same.

ONNX Runtime has one row in a twentieth of XGBoost's time, XGBoost many in half of ONNX Runtime's. Both begin with where
the margin starts from and add the leaves in the order of the trees, in float32: a row has the same bits alone and in a
crowd. It imports nothing of this project, so that MLflow can carry this folder with the model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnxruntime
    import xgboost

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]

_ROWS, _MARGIN = "rows", "margin"
FEW_ROWS = 50  # up to so many XGBoost's preparations cost more than the rows
_IR_VERSION, _OPSETS = 8, (("", 17), ("ai.onnx.ml", 3))  # what readers have known since 2022
_NO_CHILD = -1


class UnknownTrees(ValueError):  # noqa: N818 - reads as the sentence it prints
    """A booster that is not of plain trees."""


def _logistic(margin: Floats) -> Floats:
    return np.exp(-np.logaddexp(0.0, -margin))


# What XGBoost makes of a margin; an objective that is not named leaves it as it is.
_FIGURE_OF: Mapping[str, Callable[[Floats], Floats]] = {
    "binary:logistic": _logistic,
    "reg:gamma": np.exp,
    "reg:tweedie": np.exp,
    "survival:aft": np.exp,
}


class Trees:
    """The trees of one booster, loaded for scoring a few rows.

    Parameters
    ----------
    content
        The ONNX file: `rows` (n, features) float32, missing as NaN, in; `margin` (n, outputs) float32 out.
    objective
        XGBoost's name of what was learned: it says what a margin is of a figure.
    """

    def __init__(self, content: bytes, *, objective: str) -> None:
        self.content, self.objective = content, objective
        self._session = _session(content)

    @property
    def is_of_logarithm(self) -> bool:
        """Whether a margin is the logarithm of a figure."""
        return _FIGURE_OF.get(self.objective) is np.exp

    def margins(self, rows: Rows) -> Floats:
        """Return (n, outputs) margins."""
        found: Floats = self._session.run([_MARGIN], {_ROWS: rows})[0].astype(np.float64)
        return found


def margins(booster: xgboost.Booster, rows: Rows, *, few: int = FEW_ROWS) -> Floats:
    """Return (n, outputs) margins; of more rows than `few`, all cores that XGBoost may use work them out."""
    if len(rows) <= few:
        return trees_of(booster).margins(rows)
    return xgboost_margins(booster, rows)


def xgboost_margins(booster: xgboost.Booster, rows: Rows) -> Floats:
    """Return (n, outputs) margins as XGBoost gives them."""
    found: Floats = booster.inplace_predict(rows, predict_type="margin").astype(np.float64).reshape(len(rows), -1)
    return found


def figures(booster: xgboost.Booster, rows: Rows) -> Floats:
    """Return (n, outputs) of what was learned: probabilities, amounts, days."""
    objective, found = trees_of(booster).objective, margins(booster, rows)
    return _FIGURE_OF[objective](found) if objective in _FIGURE_OF else found


def gain_shares(booster: xgboost.Booster, features: Sequence[str]) -> dict[str, float]:
    """Return how much of the gain of a booster each feature brings, in [0, 1]."""
    gains = booster.get_score(importance_type="total_gain")
    whole = sum(float(gain) for gain in gains.values()) or 1.0
    return {name: float(gains.get(f"f{place}", 0.0)) / whole for place, name in enumerate(features)}


def trees_of(booster: xgboost.Booster) -> Trees:
    """Return the trees of a booster, loaded once in the booster's life."""
    found = _LOADED.get(booster)
    return found if found is not None else adopt(booster, to_onnx(booster))


def adopt(booster: xgboost.Booster, content: bytes) -> Trees:
    """Load a booster's ONNX file as its trees."""
    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    _LOADED[booster] = found = Trees(content, objective=objective)
    return found


_LOADED: WeakKeyDictionary[xgboost.Booster, Trees] = WeakKeyDictionary()


def to_onnx(booster: xgboost.Booster) -> bytes:
    """Write a booster's margin as one ONNX TreeEnsembleRegressor, whatever its objective.

    Converters write an objective's figure and know some only: of quantiles they add the outputs up, and of failure
    times they make a class. The margin is the same sum of leaves for all. ONNX would add where it starts from at the
    end, and XGBoost begins with it: it is the leaf of a first tree.

    Raises
    ------
    UnknownTrees
        It is not of trees with numeric splits, each counted once.
    """
    from onnx import TensorProto, helper

    learner = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]
    if learner["name"] != "gbtree" or any(any(tree["split_type"]) for tree in learner["model"]["trees"]):
        raise UnknownTrees(f"a booster {learner['name']!r} of other than numeric splits cannot be written as ONNX")
    outputs, features = max(learner["model"]["tree_info"]) + 1, booster.num_features()
    starts = [_tree_of_one_leaf(start) for start in _starts(booster)]
    attributes: dict[str, Any] = _nodes(
        [*starts, *learner["model"]["trees"]], [*range(outputs), *learner["model"]["tree_info"]]
    )
    ensemble = helper.make_node(
        "TreeEnsembleRegressor", [_ROWS], [_MARGIN], domain="ai.onnx.ml", n_targets=outputs, **attributes
    )
    graph = helper.make_graph(
        [ensemble],
        "booster",
        [helper.make_tensor_value_info(_ROWS, TensorProto.FLOAT, [None, features])],
        [helper.make_tensor_value_info(_MARGIN, TensorProto.FLOAT, [None, outputs])],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS]
    content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION).SerializeToString()
    return content


def _nodes(trees: Sequence[Mapping[str, Any]], output_of: Sequence[int]) -> dict[str, list[Any]]:
    """Return the nodes and leaves of all trees as the operator's attributes: x < value goes to `true`."""
    nodes: dict[str, list[Any]] = {name: [] for name in _NODE_ATTRIBUTES}
    leaves: dict[str, list[Any]] = {name: [] for name in _LEAF_ATTRIBUTES}
    for number, (tree, output) in enumerate(zip(trees, output_of, strict=True)):
        told = zip(*(tree[name] for name in _TREE_ARRAYS), strict=True)
        for place, (left, right, feature, value, missing_goes_left) in enumerate(told):
            is_leaf = left == _NO_CHILD
            node = (
                (0, 0.0, "LEAF", 0, 0, 0) if is_leaf else (feature, value, "BRANCH_LT", left, right, missing_goes_left)
            )
            for name, said in zip(_NODE_ATTRIBUTES, (number, place, *node), strict=True):
                nodes[name].append(said)
            for name, said in zip(_LEAF_ATTRIBUTES, (number, place, output, value) if is_leaf else (), strict=False):
                leaves[name].append(said)
    return nodes | leaves


_TREE_ARRAYS = ("left_children", "right_children", "split_indices", "split_conditions", "default_left")
_NODE_ATTRIBUTES = (
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_featureids",
    "nodes_values",
    "nodes_modes",
    "nodes_truenodeids",
    "nodes_falsenodeids",
    "nodes_missing_value_tracks_true",
)
_LEAF_ATTRIBUTES = ("target_treeids", "target_nodeids", "target_ids", "target_weights")


def _tree_of_one_leaf(value: float) -> Mapping[str, Any]:
    return dict(zip(_TREE_ARRAYS, ([_NO_CHILD], [_NO_CHILD], [0], [value], [0]), strict=True))


def _starts(booster: xgboost.Booster) -> list[float]:
    """Return what each output's sum of leaves starts from, to the bit: what the trees say if every leaf is nothing.

    How XGBoost writes it differs by version and objective.
    """
    import xgboost

    told = json.loads(booster.save_raw("json"))
    for tree in told["learner"]["gradient_booster"]["model"]["trees"]:
        are_leaves = [left == _NO_CHILD for left in tree["left_children"]]
        tree["split_conditions"] = np.where(are_leaves, 0.0, tree["split_conditions"]).tolist()
    bare = xgboost.Booster(model_file=bytearray(json.dumps(told).encode()))
    blank = np.full((1, booster.num_features()), np.nan, np.float32)
    return list(xgboost_margins(bare, blank)[0])


def _session(content: bytes) -> onnxruntime.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # With one thread a row's leaves are added in one order, whatever the number of rows.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
