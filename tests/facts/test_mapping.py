"""A mapping says what it may say; what it may not is named, with what is near."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from facts.errors import UnknownName
from facts.ingest.table import BadMapping, check_mapping, load_mapping, shipped_names
from facts.ingest.table.mapping import Mapping
from tests.facts.table_shop import LINES, ORDERS, told, write

DOCUMENT = Path(__file__).parents[2] / "docs" / "ingest.md"


def refused(mapping):
    with pytest.raises(BadMapping) as caught:
        check_mapping(mapping, origin="shop.toml")
    sentence = str(caught.value)
    assert sentence.startswith("mapping shop.toml: ")
    assert "\n" not in sentence
    return sentence.removeprefix("mapping shop.toml: ")


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"columns": {"custmer_id": "x"}}, "there is no key 'columns.custmer_id'; did you mean 'customer_id'?"),
        ({"colums": {"x": "y"}}, "there is no key 'colums'; did you mean 'columns'?"),
        ({"file": {"delimeter": ";"}}, "there is no key 'file.delimeter'; did you mean 'delimiter'?"),
        (
            {"shop": {"zzz": 1}},
            "there is no key 'shop.zzz'; known: name, currency, clock, observed_from, observed_until",
        ),
        ({"columns": {"customer_id": None}}, "'columns.customer_id' is missing: name the column that says who bought"),
        ({"file": {"row": None}}, "'file.row' is missing: say what a row of the file is, row = \"line\" (of an order)"),
        ({"time": {"zone": None}}, "'time.zone' is missing: the shop's own clock, zone = \"Europe/Berlin\""),
        ({"shop": {"currency": None}}, "'shop.currency' is missing: three letters"),
        ({"time": {"zone": "Berlin"}}, "time.zone: there is no time zone 'Berlin'; write it as Europe/Berlin"),
        ({"time": {"format": "dd/mm/yyyy"}}, 'time.format: \'dd/mm/yyyy\' is neither "iso", "unix"'),
        ({"file": {"encoding": "latin9000"}}, "file.encoding: there is no encoding 'latin9000'"),
        ({"file": {"delimiter": ";;"}}, "file.delimiter: ';;' is neither one character nor \"whitespace\""),
        ({"numbers": {"decimal": ",", "thousands": ","}}, "numbers: decimal and thousands are both ','"),
        ({"columns": {"unit_price": None}}, "columns: an amount is needed: net_amount, gross_amount, or unit_price"),
        ({"columns": {"brand": "b", "product_id": None}}, "columns: brand is given and product_id is not"),
        ({"columns": {"order_id": 7}}, 'columns.order_id: a column is "Name", ["First", "Else"]'),
        ({"columns": {"status": "s"}}, "columns.status is given: say under [kinds] what its values mean"),
        ({"kinds": {"status": {"a": "sale"}}}, "kinds.status is given and columns.status is not"),
        ({"columns": {"refunded_amount": "r"}}, "refunded_amount is given and not when"),
        ({"kinds": {"status": {"a": "sold"}}, "columns": {"status": "s"}}, "kinds.status.a: Input should be 'sale'"),
    ],
)
def test_what_is_wrong_is_one_sentence(parts, sentence):
    assert sentence in refused(told(LINES, **parts))


def test_what_belongs_to_an_order_of_several_rows_needs_several_rows():
    sentence = refused(told(ORDERS, columns={"order_discount_amount": "d"}))
    assert sentence == "order_discount_amount is for files of one line a row; here it is discount_amount"


def test_broken_toml_names_its_line(tmp_path):
    file = write(tmp_path / "shop.toml", '[shop]\nname = "Corner\n')
    with pytest.raises(BadMapping, match=r"it is not TOML: .*line 2"):
        load_mapping(file)


def test_a_mapping_that_is_not_there_names_those_that_come_along(tmp_path):
    with pytest.raises(BadMapping, match=r"no such file; mappings that come along: cdnow, shopify, woocommerce"):
        load_mapping(tmp_path / "shop.toml")
    with pytest.raises(UnknownName, match="no mapping named 'shopfy'; did you mean 'shopify'"):
        load_mapping("shopfy")


@pytest.mark.parametrize("name", shipped_names())
def test_each_that_comes_along_needs_only_what_is_the_shops_own(name):
    mapping = load_mapping(name, shop="Corner", currency="EUR", zone="Europe/Berlin")
    assert (mapping.shop.name, mapping.shop.currency, mapping.time.zone) == ("Corner", "EUR", "Europe/Berlin")
    assert mapping.names


def test_the_shops_own_is_asked_for():
    with pytest.raises(BadMapping, match="'shop' is missing: its name and currency"):
        load_mapping("shopify")


class TestTheDocument:
    def examples(self):
        return re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)

    def test_its_full_example_is_a_mapping(self, tmp_path):
        mapping = load_mapping(write(tmp_path / "shop.toml", self.examples()[0]))
        assert set(mapping.model_fields_set) == set(Mapping.model_fields)

    def test_it_names_every_key(self):
        text = DOCUMENT.read_text(encoding="utf-8")
        parts = {name: field.annotation for name, field in Mapping.model_fields.items() if name != "traits"}
        keys = [f"`{key}`" for part in parts.values() for key in part.model_fields]
        assert [key for key in keys if key not in text] == []


@pytest.mark.parametrize("currency", ["EURO", "eur", "E1R", "", "EUR\n"])
def test_what_is_no_currency(currency):
    with pytest.raises(BadMapping, match=r"shop\.currency: '.*' is no currency; write the three capital letters"):
        load_mapping("shopify", shop="Corner", currency=currency, zone="UTC")
