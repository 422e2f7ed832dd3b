"""The model as MLflow loads it: a table of features in, calibrated scores out (MLflow's models from code)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from scoring.model import UnusableModel, score_frame
from scoring.model_files import read_model

ARTIFACT = "model"


class CalibratedModel(PythonModel):  # type: ignore[misc]
    """`predict` takes the model's features by name, in any order, and returns the figures of the endpoint.

    A frame with the rows' index: `probability`; or `amount` or `days`, and `p10`, `p50`, `p90`; of an amount `mean`.
    """

    def load_context(self, context: Any) -> None:  # noqa: ANN401, D102 - MLflow's own signature
        self._model = read_model(Path(context.artifacts[ARTIFACT]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ANN401, ARG002, D102
        missing = [name for name in self._model.features if name not in model_input.columns]
        if missing:
            raise UnusableModel(
                f"{self._model.label} lacks {len(missing)} of its columns: {', '.join(map(repr, missing[:3]))}"
            )
        matrix = model_input[list(self._model.features)].to_numpy(dtype=np.float32, na_value=np.nan)
        return score_frame(self._model, matrix).set_index(model_input.index)


set_model(CalibratedModel())
