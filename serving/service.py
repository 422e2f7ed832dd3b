"""The BentoML service: `POST /v1/score`. It holds the store, the champions and the clock; the rest is `respond`."""

import gc
import logging
from collections.abc import Mapping
from typing import Any

import bentoml
import numpy as np
from starlette.responses import Response

from facts.errors import RegularsError
from facts.home import Home
from facts.lake import Lake
from features.catalog import NAMES
from scoring.answers import FeatureMismatch
from scoring.model import TaskModel
from scoring.reasons import reasons
from serving.champions import read_champions
from serving.clock import Clock, as_of_from_environment
from serving.door import ROUTE, Door, refusal
from serving.online import OnlineFeatures
from serving.respond import respond
from serving.schema import Problem, ScoreRequest, ScoreResponse, choose_tasks

_log = logging.getLogger("bentoml.regulars")

# An id that no customer has: empty ids are refused at the door.
NOBODY = ""


@bentoml.service(
    name="Regulars",
    # Both cost a third of a millisecond of every request; /metrics counts requests all the same.
    tracing={"excluded_urls": ".*"},
    logging={"access": {"enabled": False}},
    traffic={"timeout": 30},
    # One thread answers a request; more of them wait for each other longer than they compute. Cores are for workers.
    envs=[{"name": "OMP_NUM_THREADS", "value": "1"}],
)
class Regulars:
    """How likely a customer buys again or leaves, what the customer is worth, and why."""

    _online: OnlineFeatures
    _champions: Mapping[str, TaskModel]  # one reference: new champions take over between two requests
    _clock: Clock

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    def open(self) -> None:
        """Read the home that `REGULARS_HOME` names and answer nobody once, so that the first request is not slow.

        Raises
        ------
        RegularsError
            There is nothing to serve, or it does not fit together.
        """
        home = Home.from_environment()
        self._clock = Clock.of(Lake(home.lake).shop(), as_of=as_of_from_environment())
        self._champions = read_champions(home)
        self._online = OnlineFeatures.open(home)
        for model in self._champions.values():
            _require_same_features(model, self._online.registered_hash)
            _warm_up(model)
        self._online.read([NOBODY])
        gc.collect()
        gc.freeze()  # what lives as long as the service need not be visited by every collection

    @bentoml.api(route=ROUTE, output_spec=ScoreResponse)  # type: ignore[untyped-decorator]
    def score(self, request: ScoreRequest, /, ctx: bentoml.Context) -> Response:
        """Score 1 to 1,000 customers: repurchase, churn and lifetime value, with reasons if asked.

        Unknown customers, and customers of whom too little or nothing recent is known, get a status that says so.
        A body that cannot be answered gets 400 with the field and the reason.
        """
        request_id: str = ctx.request.state.request_id
        champions = self._champions
        tasks = choose_tasks(request.tasks, champions)
        if isinstance(tasks, Problem):
            return _refuse(ctx, tasks, status=400)
        try:
            rows = self._online.read(list(dict.fromkeys(request.customer_ids)))
            results = respond(request, rows, {task: champions[task] for task in tasks}, at=self._clock.now())
        except RegularsError as error:
            _log.error("request %s: %s", request_id, error)
            return _refuse(ctx, Problem(reason=str(error)), status=503)
        told = ScoreResponse.model_construct(results=results, request_id=request_id)
        return Response(told.model_dump_json(exclude_none=True), media_type="application/json")

    def __is_ready__(self) -> bool:
        """Return whether the online store answers."""
        try:
            self._online.read([NOBODY])
        except RegularsError:
            return False
        return True


def _refuse(ctx: bentoml.Context, problem: Problem, *, status: int) -> Response:
    ctx.response.status_code = status  # BentoML puts the context's status over the response's own
    return refusal(problem, request_id=ctx.request.state.request_id, status=status)


def _require_same_features(model: TaskModel, registered_hash: str) -> None:
    if model.feature_hash != registered_hash:
        raise FeatureMismatch(model.label, model.feature_hash, registered_hash, where="Feast's registry")


def _warm_up(model: TaskModel) -> None:
    model.booster.set_param({"nthread": 1})
    nothing: Any = np.full((1, len(NAMES)), np.nan, dtype=np.float32)
    model.score(nothing)
    reasons(model, nothing, count=1)


Regulars.add_asgi_middleware(Door)  # type: ignore[attr-defined]  # the decorator made it a service
