"""A shop's night for recommendations: built from the lake, kept in files that all processes read without copying."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import ibis
import numpy as np
import pandas as pd
from ibis import _
from numpy.typing import NDArray

from facts.baskets import Baskets, read_baskets, unnamed
from facts.contracts import INSTANT
from facts.errors import DamagedFile, NotYet
from facts.feed import offered_ids
from facts.home import Home
from facts.lake import Lake, replace_file
from facts.products import latest_products
from features.recommending.affinity import Affinities, learn_affinities
from features.recommending.catalog import GROUPINGS, Catalog, Grouping
from features.recommending.grouped import slices
from features.recommending.ids import Texts
from features.recommending.nearest import Likes, Nearest
from features.recommending.pairs import trait
from features.recommending.replenishment import Replenishment, Rhythms, horizon_at, learn_replenishment
from features.recommending.shelf import Shelf, build_shelf, in_categories

FORMAT = 3
ADVICE = "run `regulars materialize`"
_POINTER = "current.json"
Arrays = dict[str, NDArray[Any]]
Part = TypeVar("Part")


@dataclass(frozen=True, slots=True, kw_only=True)
class Histories:
    """What customers bought up to a night, by number of customer, and of each the nearest reference customers.

    Customer n has the baskets from `start[n]` to `start[n + 1]`; basket b is of `at[b]`, in days since 1970, and holds
    `product[rows[b] : rows[b + 1]]`.
    """

    customer_ids: Texts
    start: NDArray[np.int64]
    at: NDArray[np.float64]
    rows: NDArray[np.int64]
    product: NDArray[np.int32]
    alike: Nearest

    @classmethod
    def of(cls, baskets: Baskets, alike: Nearest) -> Histories:
        """Keep baskets by customer."""
        return cls(
            customer_ids=Texts.of(baskets.customer_ids),
            start=np.concatenate([[0], np.cumsum(baskets.basket_counts)]),
            at=baskets.at,
            rows=np.searchsorted(baskets.basket, np.arange(len(baskets.at) + 1)),
            product=baskets.product,
            alike=alike,
        )

    def baskets(self, customers: NDArray[np.int64], *, now: float, products: int) -> Baskets:
        """Return the baskets of some customers, looked at from one instant; their numbers are places in the list.

        `products` is how many there are.
        """
        of, counts = slices(self.start, customers)
        rows, sizes = slices(self.rows, of)
        return Baskets(
            customer_ids=unnamed(len(customers)),
            product_ids=unnamed(products),
            customer=np.repeat(np.arange(len(customers), dtype=np.int32), counts),
            at=np.asarray(self.at[of]),
            now=np.full(len(customers), now),
            basket=np.repeat(np.arange(len(of), dtype=np.int32), sizes),
            product=np.asarray(self.product[rows]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownShop:
    """All that is known of a shop's products and of what its customers bought, as of a cutoff."""

    cutoff: datetime
    shelf: Shelf
    catalog: Catalog
    histories: Histories

    @property
    def category_names(self) -> Texts:
        """Return what the shop's categories are called, by number; nothing where it has none."""
        grouping = self.catalog.groupings.get("category")
        return Texts.of([]) if grouping is None else grouping.names

    def in_categories(self, baskets: Baskets) -> Baskets:
        """Return baskets of the shop's products as those of their categories."""
        return in_categories(baskets, self.shelf.category, self.shelf.category_count)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopNight(KnownShop):
    """What is known of a shop, and what it leads one to expect: when things come again, and who leans to what."""

    products_again: Replenishment
    categories_again: Replenishment
    affinities: Affinities


def build_night(lake: Lake, cutoff: datetime) -> ShopNight:
    """Build what was known at a cutoff, and learn what it leads one to expect."""
    known, baskets = read_known(lake, cutoff)
    horizon = horizon_at(cutoff - lake.shop().observed_from)
    names = [name.decode() for name in known.catalog.product_ids]
    then = read_baskets(lake, cutoff - horizon, product_ids=names)
    most = horizon / timedelta(days=1)
    categories = known.in_categories(baskets)
    return ShopNight(
        **{part.name: getattr(known, part.name) for part in fields(known)},
        products_again=learn_replenishment(then, baskets, horizon_days=most),
        categories_again=learn_replenishment(known.in_categories(then), categories, horizon_days=most),
        affinities=learn_affinities(categories),
    )


def read_known(lake: Lake, cutoff: datetime) -> tuple[KnownShop, Baskets]:
    """Read what was known at a cutoff, and the baskets that it is made of."""
    products = read_products(lake, cutoff)
    baskets = read_baskets(lake, cutoff, product_ids=products["product_id"].tolist())
    groups = {name: products[name] for name in GROUPINGS if products[name].notna().any()}
    shelf, alike = build_shelf(baskets, category_numbers(products))
    popularity = trait(shelf.traits, "product_recent_basket_count")
    catalog = Catalog(
        product_ids=Texts.of(products["product_id"].tolist()),
        names=Texts.of(products["name"].fillna("").tolist()),
        is_offered=products["is_offered"].to_numpy(dtype=bool),
        groupings={name: Grouping.of(names, popularity) for name, names in groups.items()},
    )
    known = KnownShop(cutoff=cutoff, shelf=shelf, catalog=catalog, histories=Histories.of(baskets, alike))
    return known, baskets


def read_products(lake: Lake, cutoff: datetime) -> pd.DataFrame:
    """Read the products that were known at a cutoff, told or only bought, in the order of their ids.

    `is_offered` says whether the shop had told of the product; a shop that tells of none offers all.
    """
    with lake.connect() as connection:
        told = latest_products(lake.table(connection, "products"), known_before=cutoff)
        told = told.mutate(is_offered=True)
        known = lake.table(connection, "orders").filter(_.received_at < ibis.literal(cutoff, INSTANT))
        lines = lake.table(connection, "order_lines").filter(_.product_id.notnull())
        bought = lines.semi_join(known, ["order_id", "version"]).select("product_id").distinct()
        bought = bought.anti_join(told, "product_id")
        frame: pd.DataFrame = pd.concat([told.execute(), bought.execute()], ignore_index=True)
    is_told = frame["is_offered"].eq(True)  # noqa: FBT003 - a column of booleans and nothing
    frame["is_offered"] = is_told if is_told.any() else True
    return frame.sort_values("product_id", ignore_index=True)


def category_numbers(products: pd.DataFrame) -> NDArray[np.int32]:
    """Return (products,) the numbers of their categories, in the order of the names; `NOBODY` where none is known."""
    return pd.factorize(products["category"], sort=True)[0].astype(np.int32)


def write_night(home: Home, night: ShopNight) -> None:
    """Put a night in the place of the one before; who reads that one goes on reading it."""
    arrays, groupings = _arrays_of(night)
    told = {"format": FORMAT, "cutoff": night.cutoff.isoformat(), "groupings": groupings}
    told["horizon_days"] = night.products_again.horizon_days
    told["sizes"] = {name: [str(array.dtype), list(array.shape)] for name, array in arrays.items()}
    home.shelf.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(dir=home.shelf, prefix=f"{night.cutoff:%Y%m%dT%H%M%S}-"))
    place.chmod(0o755)
    for file, array in arrays.items():
        np.save(place / f"{file}.npy", array, allow_pickle=False)
    before = _folder_in_use(home)
    replace_file(home.shelf / _POINTER, json.dumps({**told, "folder": place.name}))
    for other in home.shelf.iterdir():  # the one before may be opened at this moment
        if other.is_dir() and other.name not in {place.name, before}:
            shutil.rmtree(other, ignore_errors=True)


def read_night(home: Home) -> ShopNight:
    """Open the last night that was written.

    Raises
    ------
    NotYet
        There is none.
    DamagedFile
        A file is missing, cut, or of another format.
    """
    pointer = home.shelf / _POINTER
    if not pointer.is_file():
        raise NotYet(f"night of recommendations at {home.shelf}", advice=ADVICE)
    try:
        told = json.loads(pointer.read_text(encoding="utf-8"))
        if told["format"] != FORMAT:
            raise DamagedFile(pointer, "it is of a format that this version does not read", advice=ADVICE)
        arrays = {name: _open(home.shelf / told["folder"] / f"{name}.npy", *of) for name, of in told["sizes"].items()}
        return _night_of(told, arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFile(pointer, str(error), advice=ADVICE) from error


def as_the_feed_has_it(home: Home, night: ShopNight) -> ShopNight:
    """Return a night whose products are offered as the shop's feed says; where there is none, as it stands.

    Raises
    ------
    DamagedFile
        The feed is not as it was written.
    """
    offered = offered_ids(home)
    if offered is None:
        return night
    ids = night.catalog.product_ids
    is_offered = np.fromiter((code in offered for code in ids), dtype=bool, count=len(ids))
    return replace(night, catalog=replace(night.catalog, is_offered=is_offered))


def _folder_in_use(home: Home) -> str | None:
    try:
        return str(json.loads((home.shelf / _POINTER).read_text(encoding="utf-8"))["folder"])
    except (OSError, ValueError, KeyError):
        return None


def drop_night(home: Home) -> None:
    """Remove what was written, where there is anything."""
    (home.shelf / _POINTER).unlink(missing_ok=True)
    shutil.rmtree(home.shelf, ignore_errors=True)


def night_stamp(home: Home) -> object:
    """Return something that is another one as soon as another night was written; None where there is none."""
    try:
        told = (home.shelf / _POINTER).stat()
    except FileNotFoundError:
        return None
    return told.st_mtime_ns, told.st_ino


def _open(path: Path, dtype: str, shape: list[int]) -> NDArray[Any]:
    try:
        found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DamagedFile(path, str(error), advice=ADVICE) from error
    if [str(found.dtype), list(found.shape)] != [dtype, shape]:
        raise DamagedFile(path, f"it holds {found.dtype} {found.shape}, not {dtype} {shape}", advice=ADVICE)
    return found.view(np.ndarray)  # of a memory map numpy keeps a slow account


def _arrays_of(night: ShopNight) -> tuple[Arrays, list[str]]:
    arrays: Arrays = {}

    def put(prefix: str, part: object) -> None:
        for field in fields(part):  # type: ignore[arg-type]
            value = getattr(part, field.name)
            if isinstance(value, np.ndarray):
                arrays[f"{prefix}.{field.name}"] = np.ascontiguousarray(value)
            elif not isinstance(value, Mapping | datetime | float):
                put(f"{prefix}.{field.name}", value)

    put("night", night)
    for name, grouping in night.catalog.groupings.items():
        put(f"groupings.{name}", grouping)
    return arrays, list(night.catalog.groupings)


def _night_of(told: Mapping[str, Any], arrays: Arrays) -> ShopNight:
    def part(kind: Callable[..., Part], prefix: str, **parts: object) -> Part:
        held = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        own = {name: array for name, array in held.items() if "." not in name}
        return kind(**own, **parts)

    def texts(prefix: str) -> Texts:
        return Texts(arrays[f"{prefix}.letters"], arrays[f"{prefix}.ends"])

    shelf = part(
        Shelf,
        "night.shelf.",
        together=part(Nearest, "night.shelf.together."),
        same_customers=part(Nearest, "night.shelf.same_customers."),
        references=part(Likes, "night.shelf.references."),
    )
    groupings = {
        name: part(Grouping, f"groupings.{name}.", names=texts(f"groupings.{name}.names")) for name in told["groupings"]
    }
    catalog = part(
        Catalog,
        "night.catalog.",
        product_ids=texts("night.catalog.product_ids"),
        names=texts("night.catalog.names"),
        groupings=groupings,
    )
    histories = part(
        Histories,
        "night.histories.",
        customer_ids=texts("night.histories.customer_ids"),
        alike=part(Nearest, "night.histories.alike."),
    )

    def again(prefix: str) -> Replenishment:
        rhythms = part(Rhythms, f"{prefix}rhythms.")
        return part(Replenishment, prefix, rhythms=rhythms, horizon_days=told["horizon_days"])

    return ShopNight(
        cutoff=datetime.fromisoformat(told["cutoff"]),
        shelf=shelf,
        catalog=catalog,
        histories=histories,
        products_again=again("night.products_again."),
        categories_again=again("night.categories_again."),
        affinities=part(Affinities, "night.affinities.", together=part(Nearest, "night.affinities.together.")),
    )
