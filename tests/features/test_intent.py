"""Intent: patterns are found in time order, with their evidence, whatever the order of arrival."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.intent import PATTERNS, Pattern, Step, latest_match
from features.live_events import IN_TIME, LiveEvent

NOON = datetime(2024, 6, 3, 12, tzinfo=UTC)
VIEW, ORDER, DELIVERY = "Product Viewed", "Order Viewed", "Delivery Options Viewed"
REORDER = PATTERNS[0]
EXAMPLES = settings(deadline=None, max_examples=200)


def happened(minute, event, category=None, *, message_id=None):
    occurred_at = NOON + timedelta(minutes=minute)
    properties = {} if category is None else {"category": category}
    return LiveEvent(message_id or f"{event} {minute}", event, occurred_at, occurred_at, properties)


def views(*minutes, category="tea"):
    return [happened(minute, VIEW, category) for minute in minutes]


def minutes_of(match):
    return None if match is None else [(e.occurred_at - NOON) / timedelta(minutes=1) for e in match.evidence]


ENDING = [happened(20, ORDER), happened(25, DELIVERY)]


class TestReorder:
    @pytest.mark.parametrize(
        ("events", "found_at"),
        [
            ([*views(0, 1, 2), *ENDING], [0, 1, 2, 20, 25]),
            ([*views(0, 1, 2, 3, 4), *ENDING], [2, 3, 4, 20, 25]),
            ([*views(0, 1), *ENDING], None),
            ([*views(0, 1), *views(2, category="bread"), *ENDING], None),
            ([*views(0, 1), *views(2, 3, category="bread"), *views(5), *ENDING], [0, 1, 5, 20, 25]),
            ([*views(0, 1), *views(2, 3, 4, category="bread"), *ENDING], [2, 3, 4, 20, 25]),
            ([*views(0, 1, 22), *ENDING], None),
            ([*views(0, 1, 2), happened(20, DELIVERY), happened(25, ORDER)], None),
            ([*views(0, 1, 2), ENDING[0]], None),
            ([*views(0, 1, 2), happened(5, "Page"), *ENDING], [0, 1, 2, 20, 25]),
            ([*views(0, 1, 2), happened(3, ORDER), *ENDING], [0, 1, 2, 20, 25]),
            ([*views(0, 1, 2), *ENDING, happened(28, DELIVERY)], [0, 1, 2, 20, 28]),
            ([*views(0, 1, 2), *ENDING, happened(31, DELIVERY)], [0, 1, 2, 20, 25]),
        ],
        ids=[
            "three views, order, delivery", "the last three of five", "two views", "two categories",
            "the third view of a category", "the second category only", "third view after the order", "other order",
            "no delivery options", "others between", "the later order", "the later end", "a later end that is too late",
        ],
    )  # fmt: skip
    def test_table(self, events, found_at):
        assert minutes_of(latest_match(REORDER, events)) == found_at

    @pytest.mark.parametrize(("microsecond", "is_found"), [(0, True), (1, False)])
    def test_thirty_minutes_and_no_more(self, microsecond, is_found):
        last = NOON + timedelta(minutes=30, microseconds=microsecond)
        events = [*views(0, 1, 2), ENDING[0], LiveEvent("late", DELIVERY, last, last, {})]
        assert (latest_match(REORDER, events) is not None) is is_found

    def test_says_which_messages_show_it(self):
        match = latest_match(REORDER, [*views(0, 1, 2), *ENDING])
        assert match.pattern == "reorder"
        assert [(e.message_id, e.event) for e in match.evidence] == [
            (f"{VIEW} 0", VIEW), (f"{VIEW} 1", VIEW), (f"{VIEW} 2", VIEW), (f"{ORDER} 20", ORDER),
            (f"{DELIVERY} 25", DELIVERY),
        ]  # fmt: skip

    @pytest.mark.parametrize("category", [None, "", 1.5, ["tea"], {"tea": 1}], ids=str)
    def test_a_view_without_a_category_is_no_view_of_one(self, category):
        unsaid = [happened(minute, VIEW, category) for minute in (0, 1, 2)]
        assert latest_match(REORDER, [*unsaid, *ENDING]) is None

    def test_events_of_one_instant_go_by_their_ids(self):
        order, delivery = (happened(20, name, message_id=key) for name, key in ((ORDER, "a"), (DELIVERY, "b")))
        assert latest_match(REORDER, [*views(0, 1, 2), delivery, order]) is not None
        order, delivery = (happened(20, name, message_id=key) for name, key in ((ORDER, "b"), (DELIVERY, "a")))
        assert latest_match(REORDER, [*views(0, 1, 2), order, delivery]) is None


steps = st.builds(
    Step,
    events=st.sampled_from([("a",), ("b",), ("a", "b"), ("c",)]),
    times=st.integers(1, 3),
    same=st.sampled_from([None, "category"]),
)
patterns = st.builds(
    Pattern,
    name=st.just("any"),
    steps=st.lists(steps, min_size=1, max_size=3).map(tuple),
    window=st.integers(0, 12).map(lambda minutes: timedelta(minutes=minutes)),
    description=st.just("Any"),
)


@st.composite
def histories(draw, *, max_size=9):
    told = st.tuples(st.integers(0, 15), st.sampled_from("abc"), st.sampled_from(["x", "y", None]))
    listed = draw(st.lists(told, max_size=max_size))
    return [happened(minute, event, category, message_id=f"{i}") for i, (minute, event, category) in enumerate(listed)]


def all_matches(pattern, events):
    """Try every choice of as many events as the steps ask for."""
    ordered = sorted(events, key=IN_TIME)
    for chosen in combinations(ordered, sum(step.times for step in pattern.steps)):
        if chosen[-1].occurred_at - chosen[0].occurred_at <= pattern.window and _fits(pattern.steps, chosen):
            yield chosen


def _fits(steps, chosen):
    rest = list(chosen)
    for step in steps:
        mine, rest = rest[: step.times], rest[step.times :]
        if any(event.event not in step.events for event in mine):
            return False
        values = {event.properties.get(step.same) for event in mine}
        if step.same and (None in values or len(values) > 1):
            return False
    return True


class TestLaws:
    @EXAMPLES
    @given(patterns, histories())
    def test_finds_what_trying_every_choice_finds(self, pattern, events):
        choices = list(all_matches(pattern, events))
        match = latest_match(pattern, events)
        assert (match is not None) is bool(choices)
        if match is not None:
            latest_end = max(IN_TIME(chosen[-1]) for chosen in choices)
            latest_start = max(IN_TIME(chosen[0]) for chosen in choices if IN_TIME(chosen[-1]) == latest_end)
            shown = [e.message_id for e in match.evidence]
            assert shown in [[e.message_id for e in chosen] for chosen in choices]
            assert IN_TIME(match.evidence[0]) == latest_start
            assert IN_TIME(match.evidence[-1]) == latest_end

    @EXAMPLES
    @given(patterns, histories(max_size=14), st.randoms(use_true_random=False))
    def test_the_order_of_arrival_does_not_matter(self, pattern, events, random):
        shuffled = random.sample(events, len(events))
        assert latest_match(pattern, shuffled) == latest_match(pattern, events)

    @EXAMPLES
    @given(patterns, histories(max_size=12), histories(max_size=3))
    def test_another_event_never_takes_a_match_away(self, pattern, events, others):
        match = latest_match(pattern, events)
        more = [LiveEvent(f"+{e.message_id}", e.event, e.occurred_at, e.received_at, e.properties) for e in others]
        if match is not None:
            later = latest_match(pattern, [*events, *more])
            assert IN_TIME(later.evidence[-1]) >= IN_TIME(match.evidence[-1])


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
class TestEveryPattern:
    def test_is_found_in_the_events_that_its_steps_ask_for(self, pattern):
        asked = [(step, name) for step in pattern.steps for name in step.events[:1] for _ in range(step.times)]
        events = [
            LiveEvent(f"{i:02}", name, NOON, NOON, {} if step.same is None else {step.same: "one"})
            for i, (step, name) in enumerate(asked)
        ]
        assert latest_match(pattern, events) is not None
        assert latest_match(pattern, events[1:]) is None

    def test_is_described_and_named_once(self, pattern):
        assert pattern.description[0].isupper()
        assert not pattern.description.endswith(".")
        assert [p.name for p in PATTERNS].count(pattern.name) == 1
        assert pattern.window % timedelta(minutes=1) == timedelta(0)
