"""The BentoML service: `POST /v1/score`, `/v1/recommend` and `/v1/events`, and products near others.

It holds the store, the champions, the two logs and the clock; the rest is `respond` and `take_in`.
"""

import asyncio
import gc
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import bentoml
import numpy as np
from starlette.responses import Response

from facts.errors import RegularsError
from facts.event_log import EventLog, event_log_from_environment
from facts.home import Home
from facts.lake import Lake
from features.recommending.catalog import UnknownFilter
from scoring.model import TaskModel
from scoring.reasons import explain
from serving.champions import find_champions, find_recommender, no_champion
from serving.clock import Clock, as_of_from_environment
from serving.decisions import Recorder, recorder_from_environment
from serving.door import ROUTE, Door, refusal
from serving.events import EVENTS_ROUTE, EventBatch, EventsResponse, received_now, take_in
from serving.lifeline import end_with_supervisor
from serving.lookups import APPLICATIONS
from serving.online import NOBODY, OnlineFeatures, open_online
from serving.openapi import Documented
from serving.recommend import Recommendations
from serving.recommend_schema import RECOMMEND_ROUTE, RecommendRequest, RecommendResponse
from serving.respond import respond
from serving.schema import Problem, ScoreRequest, ScoreResponse, choose_tasks

_log = logging.getLogger("bentoml.regulars")


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
    _currency: str
    _events: EventLog
    _writer: ThreadPoolExecutor  # of its own, so that no score waits for a disk
    _recorder: Recorder | None
    _recommendations: Recommendations

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    def open(self) -> None:
        """Read the home that `REGULARS_HOME` names and answer nobody once, so that the first request is not slow.

        Raises
        ------
        RegularsError
            There is nothing to serve, or it does not fit together.
        """
        end_with_supervisor()
        home = Home.from_environment()
        shop = Lake(home.lake).shop()
        self._clock, self._currency = Clock.of(shop, as_of=as_of_from_environment()), shop.currency
        self._champions = find_champions(home)
        self._events = event_log_from_environment(home)
        self._online = open_online(home, self._events, self._champions, at=self._clock.now())
        for model in self._champions.values():
            _warm_up(model, currency=shop.currency)
        self._recommendations = Recommendations(home, self._events, find_recommender(home))
        self._recommendations.warm_up(self._clock.now())
        for application in APPLICATIONS.values():
            application.state.recommendations, application.state.clock = self._recommendations, self._clock
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="events")
        self._recorder = recorder_from_environment(home)
        gc.collect()
        gc.freeze()  # what lives as long as the service need not be visited by every collection

    @bentoml.api(route=ROUTE, output_spec=ScoreResponse)  # type: ignore[untyped-decorator]
    def score(self, request: ScoreRequest, /, ctx: bentoml.Context) -> Response:
        """Score 1 to 1,000 customers: repurchase, churn and lifetime value, with reasons if asked.

        Unknown customers, and customers of whom too little or nothing recent is known, get a status that says so.
        A body that cannot be answered gets 400 with the field and the reason. As long as no task has a champion it is
        503.
        """
        request_id: str = ctx.request.state.request_id
        champions = self._champions
        if not champions:
            return _refuse(ctx, Problem(reason=str(no_champion())), status=503)
        tasks = choose_tasks(request.tasks, champions)
        if isinstance(tasks, Problem):
            return _refuse(ctx, tasks, status=400)
        try:
            at = self._clock.now()
            rows = self._online.read(list(dict.fromkeys(request.customer_ids)), at=at)
            models: Mapping[str, TaskModel] = {task: champions[task] for task in tasks}
            results = respond(request, rows, models, at=at, currency=self._currency)
        except RegularsError as error:
            _log.error("request %s: %s", request_id, error)
            return _refuse(ctx, Problem(reason=str(error)), status=503)
        if self._recorder is not None:
            self._recorder.take(results, models, answered_at=at, request_id=request_id)
        told = ScoreResponse.model_construct(results=results, scored_at=at, request_id=request_id)
        return Response(told.model_dump_json(exclude_none=True), media_type="application/json")

    @bentoml.api(route=RECOMMEND_ROUTE, output_spec=RecommendResponse)  # type: ignore[untyped-decorator]
    def recommend(self, request: RecommendRequest, /, ctx: bentoml.Context) -> Response:
        """Recommend products to one customer: the next basket, something new, or what is due again, with reasons.

        Orders, carts and views count from the moment they were sent as events. A body that cannot be answered gets 400
        with the field and the reason. As long as the recommender has no champion it is 503.
        """
        request_id: str = ctx.request.state.request_id
        try:
            told = self._recommendations.answer(request, at=self._clock.now(), request_id=request_id)
        except UnknownFilter as error:
            return _refuse(ctx, Problem(field="filters", reason=str(error)), status=400)
        except RegularsError as error:
            _log.error("request %s: %s", request_id, error)
            return _refuse(ctx, Problem(reason=str(error)), status=503)
        return Response(told.model_dump_json(exclude_none=True), media_type="application/json")

    @bentoml.api(route=EVENTS_ROUTE, output_spec=EventsResponse)  # type: ignore[untyped-decorator]
    async def events(self, batch: EventBatch, /, ctx: bentoml.Context) -> Response:
        """Take in 1 to 1,000 messages in Segment's batch format; those that are accepted are on disk.

        Each message is accepted, a duplicate of one that was, or rejected with the field and the reason; it holds up
        no other. A body that is no batch gets 400. Where the log does not answer it is 503: send the batch again.
        """
        request_id: str = ctx.request.state.request_id
        work = partial(self._take_in, batch, request_id)
        try:
            told = await asyncio.get_running_loop().run_in_executor(self._writer, work)
        except RegularsError as error:
            _log.error("request %s: %s", request_id, error)
            return _refuse(ctx, Problem(reason=str(error)), status=503)
        return Response(told.model_dump_json(exclude_none=True), media_type="application/json")

    def _take_in(self, batch: EventBatch, request_id: str) -> EventsResponse:
        received_at = received_now(self._clock)
        return take_in(batch, self._events, received_at=received_at, currency=self._currency, request_id=request_id)

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Let the batch in hand and the last answers be written, and close the logs."""
        self._writer.shutdown()
        if self._recorder is not None:
            self._recorder.close()
        self._events.close()

    def __is_ready__(self) -> bool:
        """Return whether the online store and the event log answer: what a score and what an event needs."""
        now = self._clock.now()
        try:
            self._online.read([NOBODY], at=now)
            self._online.require_readable()
            self._events.recent([NOBODY], since=now, known_before=now)
        except RegularsError:
            return False
        return True


def _refuse(ctx: bentoml.Context, problem: Problem, *, status: int) -> Response:
    ctx.response.status_code = status  # BentoML puts the context's status over the response's own
    return refusal(problem, request_id=ctx.request.state.request_id, status=status)


def _warm_up(model: TaskModel, *, currency: str) -> None:
    for booster in model.boosters:
        booster.set_param({"nthread": 1})
    nothing: Any = np.full((1, len(model.features)), np.nan, dtype=np.float32)
    model.score(nothing)
    explain(model, nothing, count=1, currency=currency)


for _path, _application in APPLICATIONS.items():
    Regulars.mount_asgi_app(_application, path=_path)  # type: ignore[attr-defined]  # as below
for _middleware in (Door, Documented):
    Regulars.add_asgi_middleware(_middleware)  # type: ignore[attr-defined]  # the decorator made it a service
