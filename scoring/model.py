"""A trained model: a booster, its calibration, and what must hold of the features that it is given.

On disk it is two files, `booster.ubj` (XGBoost's UBJSON) and `model.json`, which has the digest of both; nothing is
unpickled. It imports nothing of this project, so that MLflow can carry this file with the model.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xgboost

BOOSTER_FILE, MODEL_FILE = "booster.ubj", "model.json"
FORMAT = 2
_MANY_ROWS = 1000  # below this, waking the other threads costs more than they save


class UnusableModel(Exception):  # noqa: N818 - reads as the sentence it prints
    """Model files that cannot be read, or features that are not the model's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A monotone map from raw score to calibrated score: straight lines between knots, level beyond the ends."""

    method: str
    raw: tuple[float, ...] = ()
    calibrated: tuple[float, ...] = ()

    def apply(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return calibrated scores; without knots the raw ones."""
        return np.interp(scores, self.raw, self.calibrated) if self.raw else scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Whom the model can answer for: customers whose `feature` is at least so much; the others it never saw."""

    feature: str
    at_least: float
    said: str

    def __str__(self) -> str:
        return f"{self.said}: needed at least {self.at_least:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskModel:
    """One task's model. `version` is the registry's, once it has one."""

    task: str
    kind: Literal["probability", "amount"]
    horizon_days: int
    features: tuple[str, ...]
    feature_hash: str
    gate: Gate
    calibration: Calibration
    currency: str | None = None
    version: str = ""
    booster: xgboost.Booster = field(repr=False, compare=False)

    @property
    def registered_name(self) -> str:
        """Return the name of the model in the registry and of its feature service."""
        return f"regulars-{self.task}"

    @property
    def label(self) -> str:
        """Return name and version as answers show them."""
        return f"{self.registered_name}/{self.version}" if self.version else self.registered_name

    def with_version(self, version: str) -> TaskModel:
        """Return the same model under a registered version."""
        return replace(self, version=version)

    def score(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score rows of features in the model's order, missing as NaN.

        Returns
        -------
        (n,) probabilities in [0, 1], or amounts of at least 0 in the shop's currency.

        Raises
        ------
        UnusableModel
            The rows do not have the model's number of features.
        """
        if not len(matrix):
            return np.empty(0)
        raw = self.booster.inplace_predict(self._checked(matrix)).astype(np.float64)
        limits = (0.0, 1.0) if self.kind == "probability" else (0.0, np.inf)
        return np.clip(self.calibration.apply(raw), *limits)

    def contributions(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, features) TreeSHAP values of the raw score, before its link and calibration.

        References
        ----------
        Lundberg et al. (2020), "From local explanations to global understanding with explainable AI for trees".
        """
        import xgboost

        rows = xgboost.DMatrix(self._checked(matrix), nthread=1 if len(matrix) < _MANY_ROWS else None)
        whole = self.booster.predict(rows, pred_contribs=True)
        return np.asarray(whole[:, :-1], dtype=np.float32)  # the last column is the mean of all rows

    def _checked(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        if matrix.ndim != 2 or matrix.shape[1] != len(self.features):  # noqa: PLR2004
            found = f"{matrix.shape[-1]} features given"
            raise UnusableModel(f"{self.label} needs {len(self.features)} features in its order, {found}")
        return np.ascontiguousarray(matrix, dtype=np.float32)


def write_model(model: TaskModel, folder: Path) -> None:
    """Write the two files of a model into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    model.booster.save_model(folder / BOOSTER_FILE)
    told: dict[str, Any] = {"format": FORMAT}
    told |= {name: getattr(model, name) for name in ("task", "kind", "horizon_days", "features", "feature_hash")}
    told["booster_sha256"] = _sha256(folder / BOOSTER_FILE)
    told |= {"currency": model.currency, "gate": asdict(model.gate), "calibration": asdict(model.calibration)}
    told["sha256"] = _digest(told)
    (folder / MODEL_FILE).write_text(json.dumps(told, indent=2), encoding="utf-8")


def read_model(folder: Path, *, version: str = "") -> TaskModel:
    """Read a model from its folder.

    Raises
    ------
    UnusableModel
        A file is missing or damaged, or of another format; the message names the file.
    """
    import xgboost

    path = folder / MODEL_FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["format"] != FORMAT:
            raise UnusableModel(f"{path} has a format that this version does not read; train again")
        if told.pop("sha256") != _digest(told):
            raise _changed(path)
        del told["format"]
        knots = told.pop("calibration")
        calibration = Calibration(
            method=knots["method"], raw=tuple(knots["raw"]), calibrated=tuple(knots["calibrated"])
        )
        gate = Gate(**told.pop("gate"))
        path = folder / BOOSTER_FILE
        # XGBoost trusts the file: a cut one may end the process, a changed one may score.
        if _sha256(path) != told.pop("booster_sha256"):
            raise _changed(path)
        booster = xgboost.Booster(model_file=str(path))
        told["features"] = tuple(told["features"])
        model = TaskModel(**told, gate=gate, calibration=calibration, booster=booster, version=version)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, xgboost.core.XGBoostError) as error:
        raise UnusableModel(f"damaged model file {path}: {str(error).splitlines()[0][:200]}; train again") from error
    if booster.num_features() != len(model.features):
        raise UnusableModel(
            f"damaged model file {path}: it holds {booster.num_features()} features, not {len(model.features)}"
        )
    return model


def _changed(path: Path) -> UnusableModel:
    return UnusableModel(f"damaged model file {path}: its content is not what was written; train again")


def _digest(told: dict[str, Any]) -> str:
    """Return the digest of what a model file says, however it is laid out."""
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
