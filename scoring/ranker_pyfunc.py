"""The ranking as MLflow loads it: a table of candidates in, their scores out (MLflow's models from code)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from scoring.model import UnusableModel
from scoring.ranker import read_ranker

ARTIFACT = "model"


class RankingModel(PythonModel):  # type: ignore[misc]
    """`predict` takes the features of candidates by name, in any order, and returns `score`: greater comes first."""

    def load_context(self, context: Any) -> None:  # noqa: ANN401, D102 - MLflow's own signature
        self._ranker = read_ranker(Path(context.artifacts[ARTIFACT]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ANN401, ARG002, D102
        missing = [name for name in self._ranker.features if name not in model_input.columns]
        if missing:
            raise UnusableModel(
                f"{self._ranker.label} lacks {len(missing)} of its columns: {', '.join(map(repr, missing[:3]))}"
            )
        matrix = model_input[list(self._ranker.features)].to_numpy(dtype=np.float32, na_value=np.nan)
        return pd.DataFrame({"score": self._ranker.score(matrix)}, index=model_input.index)


set_model(RankingModel())
