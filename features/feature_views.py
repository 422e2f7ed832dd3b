"""The catalog as Feast feature views: one per theme for training and for people, one vector for serving.

A shop has the features that its facts allow. A theme of which it has none has no view.
"""

from collections.abc import Sequence

from feast import FeatureView, Field, FileSource
from feast.types import Bytes, Float32

from features import catalog
from features.data_sources import customer_snapshots, customer_vectors, home_lake
from features.entities import customer
from features.snapshots import VECTOR
from features.store import TTL


def theme_view(theme: str, features: Sequence[catalog.Feature], source: FileSource) -> FeatureView | None:
    """Return the view of a theme's features, None where there are none."""
    fields = [
        Field(
            name=feature.name,
            dtype=Float32,
            description=feature.description,
            tags={"unit": feature.unit, "window_days": str(feature.window_days or ""), "owner": feature.owner},
        )
        for feature in catalog.of_theme(theme, features)
    ]
    if not fields:
        return None
    return FeatureView(
        name=f"customer_{theme}",
        entities=[customer],
        ttl=TTL,
        schema=fields,
        source=source,
        online=True,
        description=catalog.THEMES[theme],
        tags={"theme": theme},
        owner=catalog.OWNER,
    )


def vector_view(features: Sequence[catalog.Feature], source: FileSource) -> FeatureView:
    """Return the view of the whole snapshot as one value."""
    return FeatureView(
        name="customer_vector",
        entities=[customer],
        ttl=TTL,
        schema=[
            Field(
                name=VECTOR,
                dtype=Bytes,
                description="The hash of the feature list, then all features in its order (features/vectors.py)",
            ),
        ],
        source=source,
        online=True,
        description="The whole snapshot of a customer as one value, for one small read per request",
        tags={"theme": "serving", "feature_hash": catalog.feature_hash(catalog.names_of(features))},
        owner=catalog.OWNER,
    )


# Feast registers objects that it finds at module level, and skips those inside a list or a dict.
home_features = catalog.FEATURES if home_lake.is_empty else catalog.of_shop(home_lake.shop().has)
customer_rhythm = theme_view("rhythm", home_features, customer_snapshots)
customer_orders = theme_view("orders", home_features, customer_snapshots)
customer_spend = theme_view("spend", home_features, customer_snapshots)
customer_discounts = theme_view("discounts", home_features, customer_snapshots)
customer_basket = theme_view("basket", home_features, customer_snapshots)
customer_breadth = theme_view("breadth", home_features, customer_snapshots)
customer_returns = theme_view("returns", home_features, customer_snapshots)
customer_calendar = theme_view("calendar", home_features, customer_snapshots)
customer_contact = theme_view("contact", home_features, customer_snapshots)
customer_lifetime = theme_view("lifetime", home_features, customer_snapshots)
customer_vector = vector_view(home_features, customer_vectors)
