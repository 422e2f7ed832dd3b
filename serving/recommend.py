"""From a request for products to the answer: the last night's files, the events since, and the champion's ranking."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from facts.errors import NotYet, RegularsError
from facts.feed import feed_stamp
from facts.home import Home
from features.live import REACH
from features.recommending.asking import ask, numbers_of
from features.recommending.category_map import CategoryMap, map_categories
from features.recommending.nearest import NOBODY, Nearest
from features.recommending.night import ShopNight, as_the_feed_has_it, night_stamp, read_night
from scoring.ranker import Ranker
from scoring.recommend import Due, Floats, Kind, Wish, explain, recommend
from serving.recommend_schema import (
    CategoriesResponse,
    CategoryLeaning,
    DueGiven,
    NearProduct,
    NearProductsResponse,
    ProductGiven,
    RecommendRequest,
    RecommendResponse,
)

if TYPE_CHECKING:
    from facts.event_log import EventLog
    from facts.event_log.records import Event

LOOK_AGAIN_SECONDS = 1.0
_log = logging.getLogger("bentoml.regulars")
_NOBODY = "nobody"


class UnknownProduct(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """A product that the shop is not known to have."""

    def __init__(self, product_id: str) -> None:
        super().__init__(f"no product {product_id[:60]!r} is known")


class LaterNight(RegularsError):  # noqa: N818
    """The products are those of a night after the instant that is asked for."""

    def __init__(self, cutoff: datetime, at: datetime) -> None:
        super().__init__(
            f"what recommendations are made of is as of {cutoff.isoformat()}, later than the instant asked for; "
            f"run `regulars materialize --as-of {at.isoformat()}` first"
        )


class Recommendations:
    """What recommendations are made of: the night that was written last, the event log, and the champion."""

    def __init__(self, home: Home, log: EventLog, ranker: Ranker | None) -> None:
        self._home, self._log, self._ranker = home, log, ranker
        self._night: ShopNight | None = None
        self._stamp: object = None
        self._looking, self._looked_at = Lock(), 0.0

    def answer(self, request: RecommendRequest, *, at: datetime, request_id: str) -> RecommendResponse:
        """Recommend products to a customer as of an instant.

        Raises
        ------
        UnknownFilter
            Products are not grouped by what a filter names.
        NotYet
            No night was written, or the recommender has no champion.
        """
        ranker, night = self._ready(at)
        events = self._events_of(request.customer_id, at)
        context = numbers_of(night.catalog, request.context_product_ids)
        unknown = [name for name, number in zip(request.context_product_ids, context, strict=True) if number == NOBODY]
        excluded = [number for number in numbers_of(night.catalog, request.exclude_product_ids) if number != NOBODY]
        asked = ask(
            night, [request.customer_id], events, at=at, context=[number for number in context if number != NOBODY]
        )
        wish = Wish(
            count=request.count,
            kind=request.kind,
            filters=request.filters,
            excluded=np.array(sorted(set(excluded)), dtype=np.int64),
            diversity=request.diversity,
            repeat_share=request.repeat_share,
        )
        lists = recommend(night, ranker, asked, wish)
        is_known = len(asked.baskets.customer) > 0
        return RecommendResponse.model_construct(
            customer_id=request.customer_id,
            status="ok" if is_known else "unknown_customer",
            detail=_detail(night, request, len(lists.product), is_known=is_known),
            products=[
                ProductGiven.model_construct(
                    product_id=night.catalog.product_ids.text(product),
                    name=night.catalog.names.text(product) or None,
                    score=score,
                    reason=why.reason,
                    source=why.source,
                    due=_due_at(lists.due, place, at=at) if lists.due is not None else None,
                )
                for place, (product, score, why) in enumerate(
                    zip(lists.product.tolist(), lists.score.tolist(), explain(night, asked, lists), strict=True)
                )
            ],
            unknown_product_ids=unknown,
            products_as_of=night.cutoff,
            model=ranker.label,
            recommended_at=at,
            request_id=request_id,
        )

    def similar(self, product_id: str, *, count: int, at: datetime, request_id: str) -> NearProductsResponse:
        """Return what the same customers buy.

        Raises
        ------
        UnknownProduct
            The shop is not known to have the product.
        """
        night = self._last_night(at)
        return _near(night, night.shelf.same_customers, product_id, count=count, request_id=request_id)

    def bought_together(self, product_id: str, *, count: int, at: datetime, request_id: str) -> NearProductsResponse:
        """Return what lies in the same baskets; raises as `similar`."""
        night = self._last_night(at)
        return _near(night, night.shelf.together, product_id, count=count, request_id=request_id)

    def categories(self, customer_id: str, *, count: int, at: datetime, request_id: str) -> CategoriesResponse:
        """Return the categories that a customer leans to; no model is asked."""
        night = self._last_night(at)
        asked = ask(night, [customer_id], self._events_of(customer_id, at), at=at)
        leanings = _leanings(night, map_categories(night, asked, count=count), at=at)
        return CategoriesResponse.model_construct(
            customer_id=customer_id,
            status="ok" if len(asked.baskets.customer) else "unknown_customer",
            categories=leanings,
            products_as_of=night.cutoff,
            answered_at=at,
            request_id=request_id,
        )

    def warm_up(self, at: datetime) -> None:
        """Answer nobody once, so that the first request is not slow; nothing where there is nothing to answer with."""
        if self._ranker is None:
            return
        self._ranker.booster.set_param({"nthread": 1})
        try:
            self.answer(RecommendRequest(customer_id=_NOBODY), at=at, request_id="")
        except RegularsError:
            return  # a request will say so

    def _events_of(self, customer_id: str, at: datetime) -> Mapping[str, Sequence[Event]]:
        return self._log.recent([customer_id], since=at - REACH, known_before=at)

    def _ready(self, at: datetime) -> tuple[Ranker, ShopNight]:
        if self._ranker is None:
            raise NotYet("champion of the recommender", advice="run `regulars recommender train`, then start again")
        return self._ranker, self._last_night(at)

    def _last_night(self, at: datetime) -> ShopNight:
        """Return the night that was written last; looked for anew at most every second.

        One that cannot be read is not taken: the one before answers on, where there is one.
        """
        night = self._night
        if night is None or time.monotonic() - self._looked_at > LOOK_AGAIN_SECONDS:
            with self._looking:
                night = self._look_again()
        if night.cutoff > at:
            raise LaterNight(night.cutoff, at)
        return night

    def _look_again(self) -> ShopNight:
        held, before = self._night, self._stamp
        self._stamp, self._looked_at = (night_stamp(self._home), feed_stamp(self._home)), time.monotonic()
        if held is not None and self._stamp == before:
            return held
        try:
            self._night = found = as_the_feed_has_it(self._home, read_night(self._home))
        except RegularsError as error:
            if held is None:
                raise
            _log.error("recommendations go on as of %s: %s", held.cutoff, error)
            return held
        return found


def _near(night: ShopNight, nearest: Nearest, product_id: str, *, count: int, request_id: str) -> NearProductsResponse:
    number = night.catalog.product_ids.find(product_id)
    if number is None:
        raise UnknownProduct(product_id)
    found = zip(nearest.number[number].tolist(), nearest.likeness[number].tolist(), strict=True)
    products = [
        NearProduct.model_construct(
            product_id=night.catalog.product_ids.text(other),
            name=night.catalog.names.text(other) or None,
            likeness=likeness,
        )
        for other, likeness in found
        if other != NOBODY and night.catalog.is_offered[other]
    ]
    return NearProductsResponse.model_construct(
        product_id=product_id, products=products[:count], products_as_of=night.cutoff, request_id=request_id
    )


def _leanings(night: ShopNight, found: CategoryMap, *, at: datetime) -> list[CategoryLeaning]:
    names, near = night.category_names, night.affinities.together.number
    horizon_days = night.categories_again.horizon_days
    return [
        CategoryLeaning.model_construct(
            category=names.text(number),
            probability=float(found.probability[row]),
            affinity=_known(found.affinity[row]),
            basket_count=int(found.basket_count[row]),
            last_bought_at=_after(at, -found.recency_days[row]),
            due=_due(
                found.due_days[row], found.again_probability[row], found.interval[row], horizon_days=horizon_days, at=at
            ),
            bought_together=[names.text(other) for other in near[number].tolist() if other != NOBODY],
        )
        for row, number in enumerate(found.category.tolist())
    ]


def _due_at(due: Due, place: int, *, at: datetime) -> DueGiven | None:
    days, probability, interval = due.due_days[place], due.probability[place], due.interval[place]
    return _due(days, probability, interval, horizon_days=due.horizon_days, at=at)


def _due(days: float, probability: float, interval: Floats, *, horizon_days: float, at: datetime) -> DueGiven | None:
    """Return when something is expected; nothing where no gap of it is known."""
    due_at = _after(at, days)
    if due_at is None:
        return None
    earliest, expected, latest = (_after(at, day) for day in interval.tolist())
    return DueGiven.model_construct(
        due_at=due_at,
        horizon_days=horizon_days,
        probability=_known(probability),
        earliest_at=earliest,
        expected_at=expected,
        latest_at=latest,
    )


def _after(at: datetime, days: float) -> datetime | None:
    return None if math.isnan(days) else at + timedelta(days=float(days))


def _known(figure: float) -> float | None:
    return None if math.isnan(figure) else float(figure)


def _detail(night: ShopNight, request: RecommendRequest, found: int, *, is_known: bool) -> str | None:
    said: list[str] = [] if is_known else ["no basket of this customer is known: popular products"]
    if unknown := night.catalog.unknown_groups(request.filters):
        said.append(f"no product is of {', '.join(unknown)}")
    if found < request.count:
        said.append(f"{found} of {request.count} found: no more products {_WHICH[request.kind]}")
    return "; ".join(said) or None


_WHICH: Mapping[Kind, str] = {
    "next_basket": "may be offered",
    "discover": "may be offered and were never bought",
    "replenish": "are due",
}
