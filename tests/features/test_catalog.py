"""The catalog: every record is well formed, and Feast registers the same features in the same order."""

from __future__ import annotations

import re
from collections import Counter
from typing import get_args

import pytest

from facts.errors import UnknownName
from features import feature_services, feature_views
from features.catalog import BY_NAME, FEATURES, NAMES, OWNER, THEMES, Unit, feature, feature_hash, of_theme
from features.measures import DaysSince, Ratio
from features.store import TTL

# The last word before the window says what was measured; the unit must be one in which that can be told.
UNITS_OF = {
    "count": {"count"},
    "amount": {"amount"},
    "rate": {"rate"},
    "ratio": {"ratio", "rate"},
    "trend": {"ratio"},
    "irregularity": {"ratio"},
    "days": {"days"},
    "mean": {"days", "amount", "count", "hour"},
    "median": {"days", "amount"},
    "max": {"days", "amount", "count"},
    "std": {"days"},
}
VIEWS = [getattr(feature_views, f"customer_{theme}") for theme in THEMES]
TASKS = [feature_services.regulars_repurchase, feature_services.regulars_churn, feature_services.regulars_clv]


@pytest.mark.parametrize("record", FEATURES, ids=NAMES)
class TestEveryFeature:
    def test_has_a_known_unit_theme_and_owner(self, record):
        assert record.unit in get_args(Unit)
        assert record.theme in THEMES
        assert record.owner == OWNER

    def test_is_named_noun_measure_window(self, record):
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+(_\d+d)?", record.name)
        measure = re.sub(r"_\d+d$", "", record.name).rsplit("_", 1)[-1]
        assert record.unit in UNITS_OF[measure]

    def test_ends_in_its_window(self, record):
        if record.window_days is not None:
            assert record.name.endswith(f"_{record.window_days}d")
            assert 7 <= record.window_days <= 365
        else:
            assert isinstance(record.measure, DaysSince | Ratio)

    def test_is_described(self, record):
        assert len(record.description) > 10
        assert record.description[0].isupper()
        assert not record.description.endswith(".")
        if record.window_days is not None:
            assert str(record.window_days) in record.description

    def test_stands_on_features_that_exist(self, record):
        if isinstance(record.measure, Ratio):
            operands = [BY_NAME[record.measure.numerator], BY_NAME[record.measure.denominator]]
            assert not any(isinstance(operand.measure, Ratio) for operand in operands)
            assert record.measure.scale > 0

    def test_can_be_looked_up(self, record):
        assert feature(record.name) is record


def test_there_are_at_least_forty_with_names_of_their_own():
    assert len(FEATURES) >= 40
    assert [name for name, times in Counter(NAMES).items() if times > 1] == []


def test_descriptions_tell_features_apart():
    assert [text for text, times in Counter(f.description for f in FEATURES).items() if times > 1] == []


def test_a_misspelt_name_is_told_the_nearest():
    with pytest.raises(
        UnknownName, match=r"no feature named 'oders_7d'; did you mean '\w+_7d'\?.*regulars features list"
    ):
        feature("oders_7d")
    with pytest.raises(UnknownName, match=r"did you mean 'order_count_7d'\?.*shows all 93"):
        feature("order_cont_7d")


def test_themes_divide_the_catalog_in_its_order():
    assert tuple(f.name for theme in THEMES for f in of_theme(theme)) == NAMES


@pytest.mark.parametrize(("theme", "view"), list(zip(THEMES, VIEWS, strict=True)), ids=list(THEMES))
def test_feast_registers_every_theme_as_the_catalog_has_it(theme, view):
    assert view.name == f"customer_{theme}"
    assert [field.name for field in view.features] == [f.name for f in of_theme(theme)]
    assert [field.tags["unit"] for field in view.features] == [f.unit for f in of_theme(theme)]
    assert [field.description for field in view.features] == [f.description for f in of_theme(theme)]
    assert view.ttl == TTL
    assert view.description == THEMES[theme]


@pytest.mark.parametrize("service", TASKS, ids=lambda service: service.name)
def test_every_model_is_given_the_catalog_by_name_and_order(service):
    given = [field.name for projection in service.feature_view_projections for field in projection.features]
    assert tuple(given) == NAMES


def test_the_online_vector_carries_the_hash_of_the_list():
    assert feature_views.customer_vector.tags["feature_hash"] == feature_hash(NAMES)


def test_the_hash_tells_another_order_from_this_one():
    assert feature_hash(NAMES[::-1]) != feature_hash(NAMES)
    assert feature_hash(NAMES[1:]) != feature_hash(NAMES)
