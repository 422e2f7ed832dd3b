"""What the recommender is asked and what it answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from scoring.recommend import Kind
from serving.schema import LONGEST_ID, CustomerId

RECOMMEND_ROUTE = "/v1/recommend"
MOST_RECOMMENDED = 200
MOST_CONTEXT = 1_000
MOST_EXCLUDED = 10_000
MOST_FILTERED = 1_000

ProductId = Annotated[str, Field(min_length=1, max_length=LONGEST_ID, pattern=r"^[^\x00]*$")]
RecommendStatus = Literal["ok", "unknown_customer"]


class RecommendRequest(BaseModel):
    """For whom, how many products, of which kind, and within which limits."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        json_schema_extra={
            "example": {"customer_id": "1", "count": 5, "kind": "next_basket", "filters": {"department": ["PRODUCE"]}}
        },
    )

    customer_id: CustomerId = Field(description="The shop's own customer id, an opaque string", examples=["1"])
    count: int = Field(default=10, ge=1, le=MOST_RECOMMENDED, description="How many products at most", examples=[10])
    kind: Kind = Field(
        default="next_basket",
        description="What is most likely bought next; only what the customer never bought (`discover`); or only what "
        "is due again (`replenish`)",
    )
    context_product_ids: list[ProductId] = Field(
        default_factory=list,
        max_length=MOST_CONTEXT,
        description="Products that lie in the cart, or are looked at, beside what events told: what goes with them "
        "counts for more, and they are not offered themselves",
    )
    exclude_product_ids: list[ProductId] = Field(
        default_factory=list, max_length=MOST_EXCLUDED, description="Products that are not to be offered"
    )
    filters: dict[str, Annotated[list[str], Field(min_length=1, max_length=MOST_FILTERED)]] = Field(
        default_factory=dict,
        description="By department, category or brand: only products of one of the values named, in each that is named",
        examples=[{"department": ["PRODUCE"]}],
    )
    diversity: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        strict=False,
        description="How much a product of a category that the list has already loses; 0 leaves the ranking as it is",
    )
    repeat_share: float = Field(
        default=1.0,
        ge=0.0,
        le=1.0,
        strict=False,
        description="How much of the count may be products that the customer bought before, at most",
    )


class DueGiven(BaseModel):
    """When what was bought before is expected again."""

    due_at: datetime = Field(description="When the usual gap is over, or was: the customer's own, drawn to everyone's")
    horizon_days: float = Field(description="How far it looks ahead, in days", examples=[60])
    probability: float | None = Field(
        default=None,
        description="That it is bought again within the horizon, from now; missing, as what follows, where the shop's "
        "record is too short to have measured it",
        examples=[0.41],
    )
    earliest_at: datetime | None = Field(
        default=None, description="Of what is bought within the horizon a tenth is bought before it"
    )
    expected_at: datetime | None = Field(default=None, description="Half of it is bought before it")
    latest_at: datetime | None = Field(default=None, description="Nine tenths of it are bought before it")


class ProductGiven(BaseModel):
    """One product, and why."""

    product_id: str = Field(description="The shop's own product id", examples=["995242"])
    name: str | None = Field(default=None, description="What it is called, where the shop told", examples=["BANANAS"])
    score: float = Field(
        description="By which the list is ordered; scores of two answers cannot be compared", examples=[1.7]
    )
    reason: str = Field(description="Why it is there", examples=["bought every 14 days, last 16 days ago"])
    due: DueGiven | None = Field(default=None, description="Where what is due was asked for")
    source: str = Field(
        description="own, together (with what is in the cart), viewed, similar_customers, similar_products, popular "
        "or rising",
        examples=["own"],
    )


class RecommendResponse(BaseModel):
    """Products, best first."""

    customer_id: str = Field(description="As it was asked", examples=["1"])
    status: RecommendStatus = Field(
        description="`unknown_customer`: no basket is known, so what goes with the cart and what is popular is told"
    )
    detail: str | None = Field(default=None, description="Why it is not ok, or why there are fewer than asked for")
    products: list[ProductGiven] = Field(description="At most `count`, best first, none twice")
    unknown_product_ids: list[str] = Field(
        description="Of the cart's products those that the shop is not known to have; they count for nothing"
    )
    products_as_of: datetime = Field(description="Up to when products and what was bought with them are known")
    model: str = Field(description="Registered model and version", examples=["regulars-recommender/1"])
    recommended_at: datetime = Field(description="The instant that was answered for")
    request_id: str = Field(description="As in the X-Request-ID header")


class NearProduct(BaseModel):
    """A product that lies near another."""

    product_id: str = Field(description="The shop's own product id")
    name: str | None = Field(default=None, description="What it is called, where the shop told")
    likeness: float = Field(description="Cosine of the customers, or baskets, that have both, in [0, 1]")


class NearProductsResponse(BaseModel):
    """What lies near a product, nearest first."""

    product_id: str
    products: list[NearProduct]
    products_as_of: datetime
    request_id: str


class CategoryLeaning(BaseModel):
    """A category, and how a customer leans to it."""

    category: str = Field(description="As the shop's products have it", examples=["FLUID MILK PRODUCTS"])
    probability: float = Field(description="That the customer's next basket holds it", examples=[0.62])
    affinity: float | None = Field(
        default=None,
        description="That over how likely a stranger's does; missing of what nobody bought in the last 30 days",
        examples=[1.8],
    )
    basket_count: int = Field(description="Baskets of the customer that held it")
    last_bought_at: datetime | None = Field(default=None, description="When the last one was; missing where none did")
    due: DueGiven | None = Field(default=None, description="Of a category that was bought at least twice")
    bought_together: list[str] = Field(description="Categories of the same baskets, nearest first")


class CategoriesResponse(BaseModel):
    """The categories that a customer leans to, the most probable of the next basket first."""

    customer_id: str
    status: RecommendStatus = Field(description="`unknown_customer`: no basket is known, so everyone's shares are told")
    categories: list[CategoryLeaning]
    products_as_of: datetime = Field(description="Up to when products and what was bought with them are known")
    answered_at: datetime = Field(description="The instant that was answered for")
    request_id: str
