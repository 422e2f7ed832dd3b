"""What a booster learns: the objectives that a search chooses from, and what of the label each is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.parts import QUANTILES, Floats, Link

SHORTEST_DAYS = 1 / 1440  # an order in the very minute of a cutoff: a logarithm asks for more than nothing
_LEAST_SPREAD = 0.1
QUANTILE_REGRESSION, QUANTILES_OF_DAYS = "reg:quantileerror", "reg:quantileerror of days"

Labels = Mapping[str, NDArray[np.float32]]


def _nothing(_label: Floats, _horizon_days: float) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One way to learn a label.

    Parameters
    ----------
    said
        What it is, for the card.
    labels
        From the label and the horizon to what XGBoost calls the label, or to the label's bounds.
    link
        What the booster's margin is of the label.
    is_of_quantiles
        Its margins, moved, are the quantiles of the label.
    is_of_buyers
        It is learned from the rows with a label above zero; the probability of one is a booster of its own.
    own
        Further parameters of XGBoost's, from the label and the horizon.
    """

    name: str
    said: str
    xgboost: Mapping[str, Any]
    labels: Callable[[Floats, float], Labels]
    link: Link = "identity"
    is_of_quantiles: bool = False
    is_of_buyers: bool = False
    own: Callable[[Floats, float], Mapping[str, Any]] = _nothing

    def margins_of(self, label: Floats) -> Floats:
        """Return labels on the scale of the margin."""
        if self.link == "log":
            return np.log(np.maximum(label, SHORTEST_DAYS))
        if self.link == "identity":
            return label
        logs: Floats = np.log1p(np.maximum(label, 0.0))
        return logs if self.link == "log1p" else -logs


def _as_it_is(label: Floats, _horizon_days: float) -> Labels:
    return {"label": label.astype(np.float32)}


def _not_negative(label: Floats, _horizon_days: float) -> Labels:
    """More sent back than bought counts as nothing, below which such a distribution knows nothing."""
    return {"label": np.maximum(label, 0.0).astype(np.float32)}


def _survival(label: Floats, horizon_days: float) -> Labels:
    """Bounds of the days: who did not come within the horizon comes later, or never."""
    days = np.maximum(label, SHORTEST_DAYS)
    ends = {"label_lower_bound": days, "label_upper_bound": np.where(label >= horizon_days, np.inf, days)}
    return {name: bound.astype(np.float32) for name, bound in ends.items()}


def _spread(label: Floats, horizon_days: float) -> Mapping[str, Any]:
    came = label[label < horizon_days]
    spread = float(np.log(np.maximum(came, SHORTEST_DAYS)).std()) if len(came) else 1.0
    return {"aft_loss_distribution_scale": max(spread, _LEAST_SPREAD)}


BUYS = Objective(
    name="any",
    said="whether there is any at all",
    xgboost={"objective": "binary:logistic"},
    labels=lambda label, _horizon_days: {"label": (label > 0).astype(np.float32)},
)
OBJECTIVES: Mapping[str, Objective] = {
    objective.name: objective
    for objective in (
        Objective(
            name="binary:logistic", said="logistic loss", xgboost={"objective": "binary:logistic"}, labels=_as_it_is
        ),
        Objective(
            name="reg:absoluteerror",
            said="absolute error",
            xgboost={"objective": "reg:absoluteerror"},
            labels=_as_it_is,
        ),
        Objective(
            name="reg:squarederror", said="squared error", xgboost={"objective": "reg:squarederror"}, labels=_as_it_is
        ),
        Objective(
            name="reg:tweedie", said="Tweedie deviance", xgboost={"objective": "reg:tweedie"}, labels=_not_negative
        ),
        Objective(
            name="two-part",
            said="two parts: the probability of any spend, times the spend of those who spend (gamma deviance)",
            xgboost={"objective": "reg:gamma"},
            labels=_as_it_is,
            is_of_buyers=True,
        ),
        Objective(
            name="survival:aft",
            said="accelerated failure time, log-normal; who did not come within the horizon is censored, not dropped",
            xgboost={"objective": "survival:aft", "aft_loss_distribution": "normal"},
            labels=_survival,
            link="log",
            is_of_quantiles=True,
            own=_spread,
        ),
        Objective(
            name=QUANTILE_REGRESSION,
            said="quantile regression",
            xgboost={"objective": "reg:quantileerror", "quantile_alpha": list(QUANTILES)},
            labels=lambda label, _horizon_days: {"label": np.log1p(np.maximum(label, 0.0)).astype(np.float32)},
            link="log1p",
            is_of_quantiles=True,
        ),
        # XGBoost treats a label that equals the prediction as one below it. Where most days are the horizon's, all rows
        # would pull the same way and no tree would split; turned round, the others differ from them.
        Objective(
            name=QUANTILES_OF_DAYS,
            said="quantile regression",
            xgboost={"objective": "reg:quantileerror", "quantile_alpha": list(QUANTILES)},
            labels=lambda label, _horizon_days: {"label": -np.log1p(np.maximum(label, 0.0)).astype(np.float32)},
            link="minus_log1p",
            is_of_quantiles=True,
        ),
    )
}
