"""Numbers: what is written in a notation is read back, and what is not is no number."""

from __future__ import annotations

import re
from decimal import Decimal

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facts.ingest.table.guess import NOTATIONS, notations, readings
from facts.ingest.table.numbers import Notation, is_number, read_number, value_of

ENGLISH, GERMAN = Notation(decimal=".", thousands=","), Notation(decimal=",", thousands=".")
PLAIN, FRENCH, SWISS = (Notation(decimal=d, thousands=t) for d, t in ((".", ""), (",", " "), (".", "'")))
# Ones that may be too large for the column are left to the examples below.
TEXTS = st.text(st.sampled_from("0123456789.,' -()€$+EURxe_"), max_size=9).filter(
    lambda text: not re.search(r"[eE]\+?\d\d", text)
)


@pytest.fixture(scope="module")
def engine():
    return ibis.duckdb.connect()


def read(engine, texts, notation):
    table = ibis.memtable({"text": list(texts)}, schema={"text": "string"})
    found = engine.to_pyarrow(table.select(value=read_number(table.text, notation))).to_pylist()
    return [row["value"] for row in found]


def written(value, notation):
    """Write a number as a bookkeeper of that notation would."""
    text = f"{value:,.2f}".replace(",", "_").replace(".", notation.decimal)
    return text.replace("_", notation.thousands)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(NOTATIONS),
    st.lists(st.decimals(min_value=-(10**9), max_value=10**9, places=2), min_size=1, max_size=20),
)
def test_what_is_written_in_a_notation_is_read_back(notation, values):
    texts = [written(value, notation) for value in values]
    assert read(ibis.duckdb.connect(), texts, notation) == values
    assert [value_of(text, notation) for text in texts] == values
    assert notation in notations(texts)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(NOTATIONS),
    st.lists(TEXTS, min_size=1, max_size=50),
)
def test_the_engine_and_the_sample_agree_on_what_is_a_number(notation, texts):
    found = read(ibis.duckdb.connect(), texts, notation)
    assert [value is not None for value in found] == [is_number(text, notation) for text in texts]
    for value, text in zip(found, texts, strict=True):
        told = value_of(text, notation)
        assert (value is None) == (told is None)
        assert told is None or abs(value - told) <= Decimal("0.00005")


@pytest.mark.parametrize(
    ("text", "notation", "value"),
    [
        ("1,234.50", ENGLISH, "1234.5"),
        ("1.234,50", GERMAN, "1234.5"),
        ("1.234", GERMAN, "1234"),
        ("1 234,50", FRENCH, "1234.5"),
        ("1\u202f234,50", FRENCH, "1234.5"),
        ("1\u2019234.50", SWISS, "1234.5"),
        ("€ 5", PLAIN, "5"),
        ("5 €", PLAIN, "5"),
        ("-$5.25", PLAIN, "-5.25"),
        ("$-5.25", PLAIN, "-5.25"),
        ("EUR 5", PLAIN, "5"),
        ("5.00-", PLAIN, "-5"),
        ("(5.00)", PLAIN, "-5"),
        ("(€5.00)", PLAIN, "-5"),
        ("\u22125", PLAIN, "-5"),
        (".5", PLAIN, "0.5"),
        ("1e-05", PLAIN, "0"),
        ("12.34567", PLAIN, "12.3457"),
    ],
)
def test_what_a_number_may_look_like(engine, text, notation, value):
    assert read(engine, [text], notation) == [Decimal(value)]
    assert round(value_of(text, notation), 4) == Decimal(value)


@pytest.mark.parametrize(
    ("text", "notation"),
    [
        ("1.5", GERMAN),
        ("1,5", ENGLISH),
        ("12,34", ENGLISH),
        ("1,234", PLAIN),
        ("1.23.4", GERMAN),
        ("12 34,5", FRENCH),
        ("1_000", PLAIN),
        ("1e5", GERMAN),
        ("0x10", PLAIN),
        ("inf", PLAIN),
        ("1ABC2", PLAIN),
        ("--5", PLAIN),
        ("5%", PLAIN),
        ("n.v.", PLAIN),
        ("99999999999999999", PLAIN),
        ("1e100", PLAIN),
    ],
)
def test_what_is_no_number(engine, text, notation):
    assert read(engine, [text], notation) == [None]


@pytest.mark.parametrize(
    ("texts", "decimal", "expected"),
    [
        (["1,100", "2,300"], ".", [ENGLISH, Notation(decimal=",", thousands="")]),
        (["1,100", "20.50"], ".", [ENGLISH]),
        (["1,100", "20,50"], ".", [Notation(decimal=",", thousands="")]),
        (["1.100", "20"], ",", [GERMAN, PLAIN]),
        (["1 100", "3"], ".", [Notation(decimal=".", thousands=" ")]),
        (["1 100", "3"], ",", [FRENCH]),
        (["12.50", "n.v."], ".", [PLAIN]),
        (["12.50", "1,5"], ".", []),
        (["n.v."], ".", []),
    ],
)
def test_every_way_to_read_some_texts_is_told_once(texts, decimal, expected):
    assert readings(texts, decimal=decimal) == expected
