"""What is true of the simulated shop: every parameter, by its name and unit. Written with the truth."""

from __future__ import annotations

from dataclasses import dataclass

from facts.errors import RegularsError

CHUNK_CUSTOMERS = 1000  # always drawn together, so that a customer does not depend on how many follow
CURRENCY = "EUR"
TIMEZONE = "Europe/Berlin"
MIN_DAYS = 7


class CannotSimulate(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """A shop that cannot be made as asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """One way to deal with the shop.

    Parameters
    ----------
    share
        Of the customers.
    sessions_per_week
        Mean number of visits of their own accord that end without an order.
    views_mean
        Mean number of products viewed beyond the first, in any session.
    search_probability, abandon_probability
        That a session has a search; that one without an order fills a cart.
    open_probability
        That a campaign leads to a visit, and that an order in a campaign's fortnight comes through its link.
    coupon_probability, sale_probability
        That an order in a campaign's fortnight uses its coupon; that a line is bought at a reduced price.
    log_effect_mean, log_effect_sd
        Of the logarithm of the factor by which a campaign changes the purchase rate; below 0 it deters.
    order_intent_probability, visit_intent_probability
        That a session with an order, and one without, shows the intent pattern.
    """

    name: str
    share: float
    sessions_per_week: float
    views_mean: float
    search_probability: float
    abandon_probability: float
    open_probability: float
    coupon_probability: float
    sale_probability: float
    log_effect_mean: float
    log_effect_sd: float
    order_intent_probability: float
    visit_intent_probability: float


STYLES = (
    Style(
        name="explorer", share=0.30, sessions_per_week=0.30, views_mean=2.5, search_probability=0.35,
        abandon_probability=0.20, open_probability=0.15, coupon_probability=0.30, sale_probability=0.10,
        log_effect_mean=0.10, log_effect_sd=0.25, order_intent_probability=0.30, visit_intent_probability=0.05,
    ),
    Style(
        name="responder", share=0.25, sessions_per_week=0.12, views_mean=1.0, search_probability=0.15,
        abandon_probability=0.10, open_probability=0.50, coupon_probability=0.60, sale_probability=0.15,
        log_effect_mean=0.50, log_effect_sd=0.25, order_intent_probability=0.20, visit_intent_probability=0.03,
    ),
    Style(
        name="deal_seeker", share=0.20, sessions_per_week=0.20, views_mean=2.0, search_probability=0.25,
        abandon_probability=0.30, open_probability=0.40, coupon_probability=0.85, sale_probability=0.45,
        log_effect_mean=0.30, log_effect_sd=0.25, order_intent_probability=0.15, visit_intent_probability=0.03,
    ),
    Style(
        name="quiet", share=0.25, sessions_per_week=0.05, views_mean=0.3, search_probability=0.10,
        abandon_probability=0.05, open_probability=0.05, coupon_probability=0.10, sale_probability=0.05,
        log_effect_mean=-0.30, log_effect_sd=0.25, order_intent_probability=0.10, visit_intent_probability=0.02,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every other parameter of the shop; the laws they stand in are those of the modules that read them.

    Parameters
    ----------
    rate_shape, rate_weeks
        Gamma distribution of the purchase rate: its shape, and its rate in weeks (mean shape / weeks orders a week).
    dropout_a, dropout_b
        Beta distribution of the probability that a repeat order is the last.
    joining_a, joining_b
        Beta distribution of the time of the first order within the record.
    campaign_first_day, campaign_every_days, campaign_days
        When campaigns go out, and how long one acts; they never overlap.
    campaign_propensities, coupon_rates
        That an eligible customer gets the campaign, by turns; what its coupon takes off, by turns.
    effect_scale
        Multiplies the logarithm of every customer's campaign effect; 0 makes campaigns do nothing.
    lapsed_visit_factor
        What is left of the visits of a customer who has dropped out.
    late_hours_rate, late_days_rate, duplicate_rate
        Shares of messages that arrive hours late, days late, and twice.
    future_days
        How far the truth looks past the end of the record.
    """

    styles: tuple[Style, ...] = STYLES
    timezones: tuple[tuple[str, float], ...] = (
        ("Europe/Berlin", 0.45), ("Europe/London", 0.20), ("America/New_York", 0.15),
        ("America/Los_Angeles", 0.08), ("Asia/Tokyo", 0.07), ("Australia/Sydney", 0.05),
    )  # fmt: skip
    rate_shape: float = 1.2
    rate_weeks: float = 6.0
    dropout_a: float = 0.8
    dropout_b: float = 7.0
    joining_a: float = 1.0
    joining_b: float = 1.6
    basket_median_amount: float = 42.0
    basket_between_sd: float = 0.5
    basket_within_sd: float = 0.4
    favourite_count: int = 3
    cycle_sd: float = 0.3
    other_lines_mean: float = 0.8
    habit_probability: float = 0.7
    sale_rate_low: float = 0.10
    sale_rate_high: float = 0.30
    return_a: float = 1.0
    return_b: float = 14.0
    cancel_rate: float = 0.02
    support_probability: float = 0.04
    support_return_probability: float = 0.30
    lapsed_visit_factor: float = 0.1
    campaign_first_day: int = 21
    campaign_every_days: int = 28
    campaign_days: int = 14
    campaign_propensities: tuple[float, ...] = (0.5, 0.3, 0.7)
    coupon_rates: tuple[float, ...] = (0.10, 0.15, 0.20)
    effect_scale: float = 1.0
    late_hours_rate: float = 0.02
    late_days_rate: float = 0.005
    duplicate_rate: float = 0.005
    future_days: int = 365

    def __post_init__(self) -> None:
        """Refuse campaigns that overlap: their effects would not be those that the truth states."""
        if self.campaign_every_days <= self.campaign_days:
            every, acting = self.campaign_every_days, self.campaign_days
            raise CannotSimulate(f"campaigns every {every} days that act for {acting} overlap; send them less often")


SETTINGS = Settings()
