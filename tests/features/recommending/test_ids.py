"""Texts are found by what they are, in whatever script, and nothing else is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from features.recommending.ids import Texts

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(texts=st.sets(TEXTS), other=TEXTS)
def test_every_text_is_found_and_no_other(texts, other):
    held = Texts.of(sorted(texts))
    assert [held.text(number) for number in range(len(held))] == sorted(texts)
    assert [held.find(text) for text in sorted(texts)] == list(range(len(texts)))
    assert (held.find(other) is None) == (other not in texts)


def test_a_missing_text_is_an_empty_one():
    assert [Texts.of(["a", None, "b"]).text(number) for number in range(3)] == ["a", "", "b"]
