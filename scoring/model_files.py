"""A model on disk: boosters as XGBoost's UBJSON and as ONNX, and `model.json` with the digest of all.

Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from scoring.model import TaskModel, UnusableModel
from scoring.parts import Calibration, Gate, Quantiles, Windows
from scoring.potential import Potential
from scoring.trees import adopt, trees_of

if TYPE_CHECKING:
    import xgboost

BOOSTER_FILE, MODEL_FILE = "booster.ubj", "model.json"
FORMAT = 6
Model = TypeVar("Model")
_SAID = ("task", "kind", "horizon_days", "features", "feature_hash", "currency")


def write_model(model: TaskModel, folder: Path) -> None:
    """Write the files of a model into a folder."""
    told: dict[str, Any] = {"format": FORMAT, **{name: getattr(model, name) for name in _SAID}}
    told |= {"gate": asdict(model.gate), "calibration": asdict(model.calibration)}
    told["windows"] = asdict(model.windows) if model.windows else None
    told["quantiles"] = {"link": model.quantiles.link, "shifts": model.quantiles.shifts} if model.quantiles else None
    told["potential"] = asdict(model.potential) if model.potential else None
    write_files(folder, told, _boosters_of(model))


def write_files(folder: Path, told: dict[str, Any], boosters: Mapping[str, xgboost.Booster]) -> None:
    """Write boosters, by the names of their files, and what is told beside them, its `format` and `features` in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, booster in boosters.items():
        booster.save_model(folder / name)
        (folder / onnx_name(name)).write_bytes(trees_of(booster).content)
    told["boosters"] = {name: {file: sha256_of(folder / file) for file in (name, onnx_name(name))} for name in boosters}
    told["sha256"] = digest_of(told)
    (folder / MODEL_FILE).write_text(json.dumps(told, indent=2), encoding="utf-8")


def onnx_name(booster: str) -> str:
    """Return the name of the ONNX file beside a booster's."""
    return str(Path(booster).with_suffix(".onnx"))


def read_model(folder: Path, *, version: str = "") -> TaskModel:
    """Read a model from its folder.

    Raises
    ------
    UnusableModel
        A file is missing or damaged, or of another format; the message names the file.
    """
    return read_files(folder, FORMAT, lambda told, boosters: _model(told, boosters, version=version))


def read_files(
    folder: Path, expected: object, make: Callable[[dict[str, Any], dict[str, xgboost.Booster]], Model]
) -> Model:
    """Read what `write_files` wrote of an expected format, and make a model of it; raise as `read_model` does."""
    import xgboost

    path = folder / MODEL_FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["format"] != expected:
            raise UnusableModel(f"{path} has a format that this version does not read; train again")
        if told.pop("sha256") != digest_of(told):
            raise _changed(path)
        boosters = {}
        for name, digests in told["boosters"].items():
            # XGBoost and ONNX Runtime trust a file: a cut one may end the process, a changed one may score.
            for file, digest in digests.items():
                path = folder / file
                if sha256_of(path) != digest:
                    raise _changed(path)
            boosters[name] = xgboost.Booster(model_file=str(folder / name))
            adopt(boosters[name], (folder / onnx_name(name)).read_bytes())
        model, features = make(told, boosters), len(told["features"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, xgboost.core.XGBoostError) as error:
        raise UnusableModel(f"damaged model file {path}: {str(error).splitlines()[0][:200]}; train again") from error
    for name, booster in boosters.items():
        if booster.num_features() != features:
            held = f"it holds {booster.num_features()} features, not {features}"
            raise UnusableModel(f"damaged model file {folder / name}: {held}")
    return model


def _boosters_of(model: TaskModel) -> dict[str, xgboost.Booster]:
    held = {BOOSTER_FILE: model.booster, "buys.ubj": model.buys}
    if model.quantiles and model.quantiles.booster is not model.booster:
        held["quantiles.ubj"] = model.quantiles.booster
    return {name: booster for name, booster in held.items() if booster is not None}


def _model(told: dict[str, Any], boosters: dict[str, xgboost.Booster], *, version: str) -> TaskModel:
    booster, knots, windows, quantiles = boosters[BOOSTER_FILE], told["calibration"], told["windows"], told["quantiles"]
    return TaskModel(
        **{name: told[name] for name in _SAID} | {"features": tuple(told["features"])},
        version=version,
        gate=Gate(**told["gate"]),
        calibration=Calibration(method=knots["method"], raw=tuple(knots["raw"]), calibrated=tuple(knots["calibrated"])),
        windows=windows and Windows(**_frozen(windows)),
        booster=booster,
        buys=boosters.get("buys.ubj"),
        quantiles=quantiles
        and Quantiles(
            booster=boosters.get("quantiles.ubj", booster),
            link=quantiles["link"],
            shifts=tuple(quantiles["shifts"]),
        ),
        potential=told["potential"] and Potential(**_frozen(told["potential"])),
    )


def _frozen(told: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}


def _changed(path: Path) -> UnusableModel:
    return UnusableModel(f"damaged model file {path}: its content is not what was written; train again")


def digest_of(told: dict[str, Any]) -> str:
    """Return the digest of what a model file says, however it is laid out."""
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Return the digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
