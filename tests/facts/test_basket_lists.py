"""Published basket sets are read as they are; what is none is refused by customer and basket."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.basket_lists import UnreadableBaskets, read_basket_lists
from facts.baskets import Baskets

ITEMS = st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=4)


def held(baskets: Baskets) -> dict[str, list[set[str]]]:
    """Return the baskets as lists again."""
    found: dict[str, list[set[str]]] = {}
    for number, customer in enumerate(baskets.customer):
        products = baskets.product_ids[baskets.product[baskets.basket == number]]
        found.setdefault(str(baskets.customer_ids[customer]), []).append(set(products.tolist()))
    return found


def read(tmp_path, told, future=None):
    (tmp_path / "baskets.json").write_text(json.dumps(told), encoding="utf-8")
    if future is None:
        return read_basket_lists(tmp_path / "baskets.json")
    (tmp_path / "future.json").write_text(json.dumps(future), encoding="utf-8")
    return read_basket_lists(tmp_path / "baskets.json", tmp_path / "future.json")


@given(told=st.dictionaries(st.text(min_size=1, max_size=3), st.lists(ITEMS, min_size=1, max_size=5), max_size=5))
def test_the_last_basket_of_who_has_several_is_foretold(tmp_path_factory, told):
    past, future = read(tmp_path_factory.mktemp("lists"), told)
    several = {customer: baskets for customer, baskets in told.items() if len(baskets) > 1}
    assert held(future) == {customer: [set(baskets[-1])] for customer, baskets in several.items()}
    assert held(past) == {
        customer: [set(basket) for basket in (baskets[:-1] if customer in several else baskets)]
        for customer, baskets in told.items()
    }
    assert past.product_ids.tolist() == sorted({item for baskets in told.values() for b in baskets for item in b})
    assert past.product_ids is future.product_ids


def test_positions_stand_for_time_and_customers_are_looked_at_from_the_next(tmp_path):
    past, future = read(tmp_path, {"a": [["x"], ["y"], ["x"]], "b": [["y"]]})
    assert past.at.tolist() == [-2, -1, 0]
    assert past.now.tolist() == [0, 1]
    assert future.at.tolist() == [0]


def test_marks_of_published_files_are_no_baskets(tmp_path):
    told, future = {"7": [[-1], [3, 4], [3], [-1]]}, {"7": [[-1], [4, 9], [-1]], "8": [[-1], [4], [-1]]}
    past, later = read(tmp_path, told, future)
    assert held(past) == {"7": [{"3", "4"}, {"3"}]}
    assert held(later) == {"7": [{"4", "9"}]}  # whose past is not known is left out


@pytest.mark.parametrize("future", [{"a": ["z"]}, {"a": [["z"], ["x"]]}, {"a": [{"at": "2024-03-05", "items": ["z"]}]}])
def test_times_are_days_or_dates(tmp_path, future):
    told = {"a": [{"at": "2024-03-01T12:00:00+02:00", "items": ["x"]}, {"at": 19_784, "items": ["y"]}]}
    past, later = read(tmp_path, told, future)
    assert past.at.tolist() == [19_783 + 10 / 24, 19_784]
    assert held(later) == {"a": [{"z"}]}
    assert past.now.tolist() == later.at.tolist() == [19_787 if "at" in str(future) else 19_785]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ([["x"]], "holds a list"),
        ({"a": 3}, "customer 'a': 3 is no list of baskets"),
        ({"a": [["x"], 3]}, "customer 'a', basket 2: 3 is no list of items"),
        ({"a": [["x", None]]}, "customer 'a', basket 1: None is no item"),
        ({"a": [["x", 1.5]]}, "customer 'a', basket 1: 1.5 is no item"),
        ({"a": [{"at": "soon", "items": ["x"]}]}, "customer 'a', basket 1: 'soon' is neither"),
        ({"a": [{"at": 1, "items": ["x"]}, ["y"]]}, "some baskets have a time and some have none"),
    ],
)
def test_what_is_no_basket_list_is_refused(tmp_path, told, said):
    with pytest.raises(UnreadableBaskets, match="baskets") as refused:
        read(tmp_path, told)
    assert said in str(refused.value)


def test_a_file_that_is_not_there_and_one_that_is_no_json(tmp_path):
    with pytest.raises(UnreadableBaskets, match="No such file"):
        read_basket_lists(tmp_path / "baskets.json")
    (tmp_path / "baskets.json").write_text("{", encoding="utf-8")
    with pytest.raises(UnreadableBaskets, match="line 1"):
        read_basket_lists(tmp_path / "baskets.json")
