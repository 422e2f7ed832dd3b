"""The catalog as Feast feature views: one per theme for training and for people, one vector for serving."""

from feast import FeatureView, Field
from feast.types import Array, Float32, String

from features import catalog
from features.data_sources import customer_snapshots, customer_vectors
from features.entities import customer
from features.store import TTL


def _view(theme: str) -> FeatureView:
    return FeatureView(
        name=f"customer_{theme}",
        entities=[customer],
        ttl=TTL,
        schema=[
            Field(
                name=feature.name,
                dtype=Float32,
                description=feature.description,
                tags={"unit": feature.unit, "window_days": str(feature.window_days or ""), "owner": feature.owner},
            )
            for feature in catalog.of_theme(theme)
        ],
        source=customer_snapshots,
        online=True,
        description=catalog.THEMES[theme],
        tags={"theme": theme},
        owner=catalog.OWNER,
    )


# Feast registers objects that it finds at module level, and skips those inside a list or a dict.
customer_rhythm = _view("rhythm")
customer_orders = _view("orders")
customer_spend = _view("spend")
customer_discounts = _view("discounts")
customer_basket = _view("basket")
customer_breadth = _view("breadth")
customer_calendar = _view("calendar")
customer_contact = _view("contact")

customer_vector = FeatureView(
    name="customer_vector",
    entities=[customer],
    ttl=TTL,
    schema=[
        Field(name="features", dtype=Array(Float32), description="All features of the catalog, in its order"),
        Field(name="feature_hash", dtype=String, description="Hash of the feature names in the order of the vector"),
    ],
    source=customer_vectors,
    online=True,
    description="The whole snapshot of a customer as one value, for one small read per request",
    tags={"theme": "serving", "feature_hash": catalog.feature_hash()},
    owner=catalog.OWNER,
)
