"""What each model is given: one feature service per model, with the model's name."""

from feast import FeatureService

from features import feature_views as views

_named = [
    views.customer_rhythm,
    views.customer_orders,
    views.customer_spend,
    views.customer_discounts,
    views.customer_basket,
    views.customer_breadth,
    views.customer_calendar,
    views.customer_contact,
]


def _service(task: str, description: str) -> FeatureService:
    return FeatureService(
        name=f"regulars-{task}", features=_named, description=description, tags={"task": task}, owner="retention"
    )


regulars_repurchase = _service("repurchase", "Features of the model that predicts at least one order")
regulars_churn = _service("churn", "Features of the model that predicts no order")
regulars_clv = _service("clv", "Features of the model that predicts net spend")

regulars_online = FeatureService(
    name="regulars-online",
    features=[views.customer_vector],
    description="What the endpoint reads: every feature of a customer as one vector",
    tags={"task": "serving"},
    owner="retention",
)
