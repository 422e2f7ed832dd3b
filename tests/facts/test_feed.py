"""A feed says what may be offered, and one that cannot be read changes nothing."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

from facts.errors import DamagedFile
from facts.feed import UnreadableFeed, feed_stamp, take_feed
from facts.home import Home
from features.recommending.night import as_the_feed_has_it, read_night
from tests.market import ODD


@pytest.fixture
def home(market: Home, tmp_path) -> Home:
    home = Home(tmp_path / "home")
    shutil.copytree(market.shelf, home.shelf)
    return home


def offered(home: Home) -> list[str]:
    catalog = as_the_feed_has_it(home, read_night(home)).catalog
    return [catalog.product_ids.text(number) for number in range(len(catalog)) if catalog.is_offered[number]]


def test_only_what_the_feed_has_in_stock_is_offered(home, tmp_path):
    assert len(offered(home)) > 10
    (tmp_path / "feed.csv").write_text(
        f"id,title,availability\n{ODD},cheese,in stock\ncare-1,soap,out_of_stock\n"
        "care-2,soap,Backorder\nnew,x,in_stock\n"
    )
    assert take_feed(home, tmp_path / "feed.csv") == (4, 3)
    assert offered(home) == sorted([ODD, "care-2"])
    before = feed_stamp(home)
    pd.DataFrame({"product_id": ["care-1"], "availability": ["in_stock"]}).to_parquet(tmp_path / "feed.parquet")
    take_feed(home, tmp_path / "feed.parquet")
    assert (offered(home), feed_stamp(home) == before) == (["care-1"], False)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "f.csv",
            "sku,availability\n1,in_stock\n",
            "id and availability are needed, found sku, availability",
        ),
        ("f.csv", "id,availability\n1,in_stock\n2,maybe\n", "line 3, product '2': its availability is none of"),
        ("f.csv", "id,availability\n1,in_stock\n1,in_stock\n", "line 3, product '1': its id stands in an earlier line"),
        ("f.tsv", "id\tavailability\n\tin_stock\n", "line 2, product '': it has no id"),
        ("f.csv", "", "No columns to parse"),
        ("f.parquet", "x", "f.parquet"),
        ("f.txt", "x", "its name ends in '.txt'"),
        ("missing.csv", None, "No such file"),
    ],
)
def test_a_feed_that_cannot_be_read_is_named_and_changes_nothing(home, tmp_path, name, content, said):
    before = offered(home)
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UnreadableFeed, match=name) as failed:
        take_feed(home, tmp_path / name)
    assert said in str(failed.value)
    assert offered(home) == before


def test_a_damaged_one_is_named(home):
    home.feed.write_text("no parquet")
    with pytest.raises(DamagedFile, match=r"feed\.parquet"):
        offered(home)
