"""A night is read as it was written, and a damaged one is named."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from facts.errors import DamagedFile, NotYet
from facts.home import Home
from facts.lake import Lake
from features.recommending.night import build_night, drop_night, night_stamp, read_night, write_night


@pytest.fixture
def home(market: Home, tmp_path) -> Home:
    home = Home(tmp_path / "home")
    shutil.copytree(market.shelf, home.shelf)
    return home


def test_what_is_read_is_what_was_built(market: Home):
    built, read = build_night(Lake(market.lake), Lake(market.lake).shop().observed_until), read_night(market)
    assert read.cutoff == built.cutoff
    for part in ("traits", "category_traits", "category", "popular", "rising"):
        assert np.array_equal(getattr(read.shelf, part), getattr(built.shelf, part), equal_nan=part.endswith("traits"))
    assert np.array_equal(read.histories.product, built.histories.product)
    assert list(read.catalog.product_ids) == list(built.catalog.product_ids)
    assert list(read.catalog.groupings) == ["department", "category", "brand"]


def test_it_is_read_without_copying(market: Home):
    assert not read_night(market).histories.product.flags.owndata


def test_another_night_takes_its_place_while_the_old_one_is_read(home: Home, market: Home):
    old, stamp = read_night(home), night_stamp(home)
    lake = Lake(market.lake)
    write_night(home, build_night(lake, old.cutoff.replace(day=1)))
    assert night_stamp(home) != stamp
    assert read_night(home).cutoff < old.cutoff
    write_night(home, read_night(home))
    assert len([path for path in home.shelf.iterdir() if path.is_dir()]) == 2  # it and the one before
    assert old.histories.product.sum() > 0  # what is read stays readable


def test_none_is_named_with_the_command_that_brings_it(tmp_path, home: Home):
    with pytest.raises(NotYet, match="regulars materialize"):
        read_night(Home(tmp_path / "other"))
    drop_night(home)
    with pytest.raises(NotYet, match="regulars materialize"):
        read_night(home)


@pytest.mark.parametrize("how", ["cut", "gone", "other", "format"])
def test_a_damaged_one_is_named(home: Home, how):
    pointer = home.shelf / "current.json"
    told = json.loads(pointer.read_text())
    path = home.shelf / told["folder"] / "night.histories.product.npy"
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-8])
    elif how == "gone":
        path.unlink()
    elif how == "other":
        np.save(path, np.zeros(3))
    else:
        pointer.write_text(json.dumps(told | {"format": 0}))
        path = pointer
    with pytest.raises(DamagedFile, match=path.name):
        read_night(home)
