"""What the endpoint is asked and what it answers, as pydantic models; BentoML makes its OpenAPI page of them."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from facts.errors import UnknownName
from scoring.answers import Status
from scoring.parts import RawScale

Task = Literal["repurchase", "churn", "clv", "next_order"]

TASKS: tuple[Task, ...] = ("repurchase", "churn", "clv", "next_order")
MOST_CUSTOMERS = 1_000
LONGEST_ID = 128
MOST_REASONS = 20
WHOLE_BODY = "body"  # named as the field where no single field is at fault
_LONGEST_QUOTE = 60
_QUOTED = re.compile("'([^']*)'")

# No customer's id has a NUL: SQLite would read it up to there, as another's.
CustomerId = Annotated[str, Field(min_length=1, max_length=LONGEST_ID, pattern=r"^[^\x00]*$")]


class ScoreRequest(BaseModel):
    """Whom to score, on what, and how much to say about it."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        json_schema_extra={"example": {"customer_ids": ["1", "2"], "tasks": ["repurchase", "clv"], "reasons": 3}},
    )

    customer_ids: list[CustomerId] = Field(
        min_length=1,
        max_length=MOST_CUSTOMERS,
        description="The shop's own customer ids, opaque strings; the answer keeps their order and repetitions",
        examples=[["1", "2"]],
    )
    tasks: list[Task] | None = Field(
        default=None,
        min_length=1,
        description="What to score; by default every task that has a champion",
        examples=[["repurchase", "churn", "clv"]],
    )
    reasons: int = Field(
        default=0, ge=0, le=MOST_REASONS, description="How many reasons to give for each score", examples=[3]
    )
    features: bool = Field(
        default=False, description="Whether to add what was known of each customer", examples=[False]
    )


class ProbabilityScore(BaseModel):
    """A calibrated probability."""

    probability: float = Field(description="In [0, 1], calibrated on held-out time", examples=[0.83])
    horizon_days: int = Field(description="How far it looks ahead, in days", examples=[7])
    model: str = Field(description="Registered model and version", examples=["regulars-repurchase/1"])


class PotentialGiven(BaseModel):
    """A customer with more to come, and why."""

    spend_amount: float = Field(description="Spent in the last 365 days, in the lower half", examples=[48.2])
    typical_amount: float = Field(
        description="Median of what customers of equal spend are expected to", examples=[35.0]
    )
    reason: str = Field(
        description="The same in a sentence",
        examples=["spent 48.20 in 365 days, expected to spend 180.00: customers of equal spend 35.00 in the middle"],
    )


class AmountScore(BaseModel):
    """An amount of money, and the interval that 80 % of such customers end in."""

    amount: float = Field(
        description="Net spend, never negative, in `currency`: the figure that is least wrong for this customer",
        examples=[412.5],
    )
    mean: float = Field(
        description="What such customers spend on average: to be summed, where amounts would fall short because most "
        "customers of a shop spend less than the average",
        examples=[426.4],
    )
    p10: float = Field(description="A tenth of such customers spend less", examples=[120.0])
    p50: float = Field(description="Half of such customers spend less", examples=[398.0])
    p90: float = Field(description="A tenth of such customers spend more", examples=[760.0])
    potential: PotentialGiven | None = Field(
        default=None,
        description="Where little was spent so far and far more is expected than of others who spent as little; such "
        "customers out-grew the others on a later period, else nobody is flagged",
    )
    currency: str = Field(description="ISO 4217 code of the shop's currency", examples=["USD"])
    horizon_days: int = Field(description="How far it looks ahead, in days", examples=[90])
    model: str = Field(description="Registered model and version", examples=["regulars-clv/1"])


class DaysScore(BaseModel):
    """When the next order is to be expected, and the interval that 80 % of such orders come in."""

    days: float = Field(
        description="The median days from now to the next order; at the horizon: not within it, if ever", examples=[6.4]
    )
    p10: float = Field(description="Of a tenth of such customers the order comes in fewer days", examples=[2.1])
    p50: float = Field(description="The median again, as in every interval", examples=[6.4])
    p90: float = Field(description="Of a tenth it comes in more days, or never", examples=[31.7])
    expected_at: datetime | None = Field(
        default=None,
        description="The median; absent where it lies beyond the horizon: an order within it is not to be expected",
        examples=["2017-10-05T16:20:00Z"],
    )
    earliest_at: datetime | None = Field(
        default=None, description="A tenth of such orders come before it", examples=["2017-10-02T09:00:00Z"]
    )
    latest_at: datetime | None = Field(
        default=None,
        description="A tenth of such orders come after it, or never; absent where it lies beyond the horizon",
        examples=["2017-10-28T11:00:00Z"],
    )
    horizon_days: int = Field(description="How far it looks ahead, in days", examples=[90])
    model: str = Field(description="Registered model and version", examples=["regulars-next_order/1"])


class ReasonGiven(BaseModel):
    """The part that some features have together in one score, as a sentence of the customer's own values."""

    task: Task = Field(description="The score that it explains")
    name: str = Field(description="Name of the group of features", examples=["rhythm"])
    statement: str = Field(
        description="What is known of the customer", examples=["orders every 12 days, last order 31 days ago"]
    )
    direction: Literal["raises", "lowers"] = Field(description="Which way it moves the score")
    share: float = Field(description="Its part of the sum of all contributions' sizes, in [0, 1]", examples=[0.12])
    contribution: float = Field(
        description="The sum of its features' TreeSHAP values, on the raw scale of the score", examples=[0.41]
    )
    features: dict[str, float | None] = Field(
        description="The features of the group with their values, in catalog units; null is not known",
        examples=[{"order_recency_live_days": 31.2, "visit_gap_mean_365d": 12.4}],
    )


class ReasonsSum(BaseModel):
    """What reconciles a score with its reasons: base + the contributions given + rest = raw."""

    task: Task = Field(description="The score that it is about")
    base: float = Field(description="Where the contributions start from: the mean over the training", examples=[-0.2])
    rest: float = Field(description="The contributions of all that is not among the reasons given", examples=[0.07])
    raw: float = Field(description="The score on the raw scale, before its calibration", examples=[0.28])
    scale: RawScale = Field(
        description="What `raw` is: `log_odds` of a probability; of an amount or of days `log` its logarithm, "
        "`log1p` that of one more, `identity` itself. A probability is calibrated after that; an amount is 0.95 of it, "
        "at least 0, and 0.05 of the mean",
        examples=["log_odds"],
    )


class CustomerResult(BaseModel):
    """The answer for one customer; a score stands there only where the status is ok."""

    customer_id: str = Field(description="As it was asked", examples=["1"])
    status: Status = Field(
        description="`ok`; `unknown_customer`: no order was known; `stale_features`: what is known is too old; "
        "`insufficient_data`: too little is known for the models asked"
    )
    detail: str | None = Field(default=None, description="Why the status is not ok")
    repurchase: ProbabilityScore | None = Field(default=None, description="At least one order within the horizon")
    churn: ProbabilityScore | None = Field(default=None, description="No order within the horizon")
    clv: AmountScore | None = Field(default=None, description="Net spend within the horizon")
    next_order: DaysScore | None = Field(default=None, description="When the next order is to be expected")
    features_as_of: datetime | None = Field(
        default=None, description="The instant before which facts were used", examples=["2017-10-01T04:00:00Z"]
    )
    reasons: list[ReasonGiven] = Field(default=[], description="By task, the strongest first")
    reasons_sum: list[ReasonsSum] | None = Field(
        default=None,
        description="By task, what reconciles the reasons with the score; there where reasons are asked for",
    )
    features: dict[str, float | None] | None = Field(
        default=None, description="What was known, by feature name, where it was asked for; null is not known"
    )


class ScoreResponse(BaseModel):
    """One result for each id of the request, in its order; fields without a value are left out."""

    results: list[CustomerResult] = Field(description="In the order of the request")
    scored_at: datetime = Field(
        description="The instant of the answer: what had been received before it was known",
        examples=["2017-10-01T04:00:00Z"],
    )
    request_id: str = Field(
        description="The request's X-Request-ID, or one made for it; the X-Request-ID of the response too",
        examples=["6f0f1f6c2b0f4c0f9d7f0d8b6a1e2c3d"],
    )


class Problem(BaseModel):
    """What is wrong, and where."""

    field: str | None = Field(default=None, description="The field at fault", examples=["customer_ids.3"])
    reason: str = Field(description="One sentence", examples=["it has 0 characters, at least 1 is needed"])


class ProblemResponse(BaseModel):
    """The answer to a request that cannot be answered."""

    error: Problem
    request_id: str = Field(
        description="The request's X-Request-ID, or one made for it; the X-Request-ID of the response too",
        examples=["6f0f1f6c2b0f4c0f9d7f0d8b6a1e2c3d"],
    )


def problem_of(error: ValidationError, body: type[BaseModel]) -> Problem:
    """Return the first thing that is wrong with a request's body, as a field and a sentence.

    A field that is unknown comes before one that is missing, which it may have been meant to be.
    """
    first = min(error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden")
    field = ".".join(str(part)[:_LONGEST_QUOTE] for part in first["loc"]) or WHOLE_BODY
    return Problem(field=field, reason=_sentence(first, body))


def choose_tasks(asked: list[Task] | None, served: Iterable[str]) -> list[Task] | Problem:
    """Return the tasks to score, in the usual order, or what is wrong: a task that was asked for has no champion."""
    known = set(served)
    for index, task in enumerate(asked or ()):
        if task not in known:
            reason = f"no champion for {task!r} yet; run `regulars train {task}`"
            return Problem(field=f"tasks.{index}", reason=reason)
    return [task for task in TASKS if task in (asked or known)]


def _sentence(error: ErrorDetails, body: type[BaseModel]) -> str:
    if error["type"] == "extra_forbidden":
        name = str(error["loc"][-1])[:_LONGEST_QUOTE]
        return str(UnknownName("field", name, known=tuple(body.model_fields)))
    say = _SAYINGS.get(error["type"])
    if say is not None:
        return say(error)
    said = error["msg"]
    return f"{said[0].lower()}{said[1:]}"


def _unknown_choice(error: ErrorDetails) -> str:
    found, what = error["input"], str(error["loc"][0]).removesuffix("s")
    name = found if isinstance(found, str) else json.dumps(found)
    return str(UnknownName(what, name[:_LONGEST_QUOTE], known=_QUOTED.findall(error["ctx"]["expected"])))


def _another_type(error: ErrorDetails, *, wanted: str) -> str:
    found = error["input"]
    shown = _NAMED.get(type(found)) or json.dumps(found)[:_LONGEST_QUOTE]
    return f"it is {shown}, not {wanted}"


def _too_few(error: ErrorDetails, *, unit: str) -> str:
    least = error["ctx"]["min_length"]
    return f"it has {_count(len(error['input']), unit)}, at least {least:,} {'is' if least == 1 else 'are'} needed"


def _too_many(error: ErrorDetails, *, unit: str) -> str:
    return f"it has {_count(len(error['input']), unit)}, at most {error['ctx']['max_length']:,} are allowed"


def _too_small(error: ErrorDetails) -> str:
    return f"it is {str(error['input'])[:_LONGEST_QUOTE]}, at least {error['ctx']['ge']} is needed"


def _too_large(error: ErrorDetails) -> str:
    return f"it is {str(error['input'])[:_LONGEST_QUOTE]}, at most {error['ctx']['le']} is allowed"


def _count(count: int, unit: str) -> str:
    return f"{count:,} {unit}{'' if count == 1 else 's'}"


_NAMED: Mapping[type, str] = {dict: "an object", list: "a list", str: "a string"}
_WANTED = {
    "bool_type": "true or false",
    "dict_type": "an object",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "an object",
    "string_type": "a string",
}
# What pydantic calls an error, and how it is said here; what is not listed is said in pydantic's words.
_SAYINGS: Mapping[str, Callable[[ErrorDetails], str]] = {
    **{kind: partial(_another_type, wanted=wanted) for kind, wanted in _WANTED.items()},
    "greater_than_equal": _too_small,
    "json_invalid": lambda error: f"it is not JSON: {error['ctx']['error']}",
    "less_than_equal": _too_large,
    "literal_error": _unknown_choice,
    "missing": lambda _error: "it is required",
    "string_pattern_mismatch": lambda _error: "it has a NUL character",
    "string_too_long": partial(_too_many, unit="character"),
    "string_too_short": partial(_too_few, unit="character"),
    "too_long": partial(_too_many, unit="item"),
    "too_short": partial(_too_few, unit="item"),
}
