"""The recommender's model: boosted trees that put a customer's candidates in order.

Its files are those of every other model: UBJSON, ONNX, and `model.json` with the digest of all. Nothing is unpickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring import trees
from scoring.model import UnusableModel
from scoring.model_files import BOOSTER_FILE, read_files, write_files
from scoring.parts import Floats, Rows

if TYPE_CHECKING:
    import xgboost

FORMAT = "ranking 4"
RECOMMENDER = "recommender"
REGISTERED_NAME = f"regulars-{RECOMMENDER}"
_FEW = 1_000  # candidates of one request; of more, XGBoost has the cores


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranker:
    """A ranking of candidates by features; `version` is the registry's."""

    features: tuple[str, ...]
    feature_hash: str
    version: str = ""
    booster: xgboost.Booster = field(repr=False, compare=False)

    @property
    def label(self) -> str:
        """Return name and version as answers show them."""
        return f"{REGISTERED_NAME}/{self.version}" if self.version else REGISTERED_NAME

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
        margins: Floats = trees.margins(self.booster, np.ascontiguousarray(matrix, dtype=np.float32), few=_FEW)[:, 0]
        return margins


def write_ranker(ranker: Ranker, folder: Path) -> None:
    """Write the files of a ranking into a folder."""
    told: dict[str, Any] = {"format": FORMAT, "features": list(ranker.features), "feature_hash": ranker.feature_hash}
    write_files(folder, told, {BOOSTER_FILE: ranker.booster})


def read_ranker(folder: Path, *, version: str = "") -> Ranker:
    """Read a ranking from its folder.

    Raises
    ------
    UnusableModel
        A file is missing or damaged, or of another format; the message names the file.
    """
    return read_files(folder, FORMAT, lambda told, boosters: _ranker(told, boosters[BOOSTER_FILE], version=version))


def _ranker(told: Mapping[str, Any], booster: xgboost.Booster, *, version: str) -> Ranker:
    return Ranker(
        features=tuple(told["features"]),
        feature_hash=told["feature_hash"],
        version=version,
        booster=booster,
    )
