"""The recommender's model: boosted trees that put a customer's candidates in order.

Its files are those of every other model: UBJSON, ONNX, and `model.json` with the digest of all. Nothing is unpickled.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring import trees
from scoring.model import UnusableModel
from scoring.model_files import BOOSTER_FILE, MODEL_FILE, changed, digest_of, onnx_name, sha256_of
from scoring.parts import Floats, Rows

if TYPE_CHECKING:
    import xgboost

FORMAT, KIND = 2, "ranking"
RECOMMENDER = "recommender"
REGISTERED_NAME = f"regulars-{RECOMMENDER}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """What the past says of what comes again: the fields of `features.recommending.replenishment.Replenishment`.

    They stand here once more because MLflow carries this folder without the features.
    """

    horizon_days: float
    shares: tuple[float, ...]
    levels: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranker:
    """A ranking of candidates by features, and what the past says of what comes again; `version` is the registry's."""

    features: tuple[str, ...]
    feature_hash: str
    again: Again
    version: str = ""
    booster: xgboost.Booster = field(repr=False, compare=False)

    @property
    def label(self) -> str:
        """Return name and version as answers show them."""
        return f"{REGISTERED_NAME}/{self.version}" if self.version else REGISTERED_NAME

    def with_version(self, version: str) -> Ranker:
        """Return the same ranking under a registered version."""
        return replace(self, version=version)

    def score(self, matrix: Rows) -> Floats:
        """Score candidates, (n, features) in the ranking's order, missing as NaN.

        Returns
        -------
        (n,) figures: of two candidates of one customer the one with the greater figure is put first. Figures of two
        customers cannot be compared.

        Raises
        ------
        UnusableModel
            The rows do not have the ranking's number of features.
        """
        if matrix.ndim != 2 or matrix.shape[1] != len(self.features):  # noqa: PLR2004
            raise UnusableModel(
                f"{self.label} needs {len(self.features)} features in its order, not {matrix.shape[-1]}"
            )
        rows = np.ascontiguousarray(matrix, dtype=np.float32)
        margins: Floats = (trees.trees_of(self.booster).margins if len(rows) <= _FEW else self._by_xgboost)(rows)[:, 0]
        return margins

    def _by_xgboost(self, rows: Rows) -> Floats:
        return trees.xgboost_margins(self.booster, rows)


_FEW = 1_000  # candidates of one request; of more, XGBoost has the cores


def write_ranker(ranker: Ranker, folder: Path) -> None:
    """Write the files of a ranking into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    ranker.booster.save_model(folder / BOOSTER_FILE)
    (folder / onnx_name(BOOSTER_FILE)).write_bytes(trees.trees_of(ranker.booster).content)
    told: dict[str, Any] = {"format": FORMAT, "kind": KIND}
    told |= {"features": list(ranker.features), "feature_hash": ranker.feature_hash}
    told["again"] = asdict(ranker.again)
    told["files"] = {name: sha256_of(folder / name) for name in (BOOSTER_FILE, onnx_name(BOOSTER_FILE))}
    told["sha256"] = digest_of(told)
    (folder / MODEL_FILE).write_text(json.dumps(told, indent=2), encoding="utf-8")


def read_ranker(folder: Path, *, version: str = "") -> Ranker:
    """Read a ranking from its folder.

    Raises
    ------
    UnusableModel
        A file is missing or damaged, or of another format; the message names the file.
    """
    import xgboost

    path = folder / MODEL_FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if (told["format"], told["kind"]) != (FORMAT, KIND):
            raise UnusableModel(f"{path} has a format that this version does not read; train again")
        if told.pop("sha256") != digest_of(told):
            raise changed(path)
        for name, digest in told["files"].items():
            path = folder / name
            if sha256_of(path) != digest:
                raise changed(path)
        booster = xgboost.Booster(model_file=str(folder / BOOSTER_FILE))
        trees.adopt(booster, (folder / onnx_name(BOOSTER_FILE)).read_bytes())
        features = tuple(told["features"])
        again = Again(
            horizon_days=told["again"]["horizon_days"],
            shares=tuple(told["again"]["shares"]),
            levels=tuple(tuple(band) for band in told["again"]["levels"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, xgboost.core.XGBoostError) as error:
        raise UnusableModel(f"damaged model file {path}: {str(error).splitlines()[0][:200]}; train again") from error
    if booster.num_features() != len(features):
        raise UnusableModel(
            f"damaged model file {path}: it holds {booster.num_features()} features, not {len(features)}"
        )
    return Ranker(
        features=features,
        feature_hash=told["feature_hash"],
        again=again,
        version=version,
        booster=booster,
    )
