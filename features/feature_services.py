"""What each model is given: one feature service per model, with the model's name."""

from collections.abc import Sequence

from feast import FeatureService, FeatureView

from features import feature_views as views

ONLINE = "regulars-online"
MODELS = {
    "repurchase": "Features of the model that predicts at least one order",
    "churn": "Features of the model that predicts no order",
    "clv": "Features of the model that predicts net spend",
    "next_order": "Features of the model that predicts when the next order comes",
}


def model_service(task: str, named: Sequence[FeatureView | None]) -> FeatureService:
    """Return the service of one model: every theme that the shop has."""
    return FeatureService(
        name=f"regulars-{task}",
        features=[view for view in named if view is not None],
        description=MODELS[task],
        tags={"task": task},
        owner="retention",
    )


def online_service(vector: FeatureView) -> FeatureService:
    """Return the service that the endpoint reads."""
    return FeatureService(
        name=ONLINE,
        features=[vector],
        description="What the endpoint reads: every feature of a customer as one vector",
        tags={"task": "serving"},
        owner="retention",
    )


_named = [
    views.customer_rhythm,
    views.customer_orders,
    views.customer_spend,
    views.customer_discounts,
    views.customer_basket,
    views.customer_breadth,
    views.customer_returns,
    views.customer_calendar,
    views.customer_contact,
    views.customer_lifetime,
]
regulars_repurchase = model_service("repurchase", _named)
regulars_churn = model_service("churn", _named)
regulars_clv = model_service("clv", _named)
regulars_next_order = model_service("next_order", _named)
regulars_online = online_service(views.customer_vector)
