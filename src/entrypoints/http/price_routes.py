"""What operators see of prices and exchange rates, and add to them."""

from typing import Annotated

from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from application.billing.list_prices import ListExchangeRates, ListModelPrices
from application.billing.set_prices import (
    AddExchangeRate,
    AddModelPrice,
    NewExchangeRate,
    NewModelPrice,
)
from application.ports.security import Principal
from domain.audit.origin import Origin
from domain.identity.user import Permission
from entrypoints.http.access import requires
from entrypoints.http.cursors import DEFAULT_LIMIT, Cursor, Limit, cursor_after, page_from
from entrypoints.http.idempotency import OncePerKey
from entrypoints.http.price_schemas import (
    AddExchangeRateRequest,
    AddModelPriceRequest,
    ExchangeRatePageView,
    ExchangeRateView,
    ModelPriceListView,
    ModelPricePageView,
    ModelPriceView,
)
from entrypoints.http.routing import get, post


class AdminModelPriceController(Controller):
    """What models cost. Rows are added and never changed."""

    path = "/admin/model-prices"
    tags = ("Operation",)

    @get("", guards=[requires(Permission.PRICES_SET)], summary="List model prices")
    async def prices(
        self,
        list_model_prices: NamedDependency[ListModelPrices],
        model: Annotated[str, QueryParameter(description="Of this model only.")] = "",
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> ModelPricePageView:
        """Rows of the past and of the time to come, last added first."""
        rows = await list_model_prices(page_from(cursor, limit), model=model.strip())
        return ModelPricePageView(
            items=[ModelPriceView.of(row) for row in rows[:limit]],
            next_cursor=cursor_after([row.id for row in rows], limit),
        )

    @post("", guards=[requires(Permission.PRICES_SET)], summary="Add a model's price")
    async def add_price(
        self,
        data: JSONBody[AddModelPriceRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        add_model_price: NamedDependency[AddModelPrice],
        once: NamedDependency[OncePerKey],
    ) -> Response[ModelPriceListView]:
        """Price a model from a day (UTC) on. What was called before keeps its price."""
        return await once(
            lambda completion: add_model_price(
                NewModelPrice(
                    user_id=principal.user_id,
                    origin=origin,
                    bands=data.rows(),
                    once=completion,
                )
            ),
            ModelPriceListView.of,
        )


class AdminExchangeRateController(Controller):
    """What a US dollar is worth. Rates are added and never changed."""

    path = "/admin/exchange-rates"
    tags = ("Operation",)

    @get("", guards=[requires(Permission.PRICES_SET)], summary="List exchange rates")
    async def rates(
        self,
        list_exchange_rates: NamedDependency[ListExchangeRates],
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> ExchangeRatePageView:
        """Rates of the past and of the time to come, last added first."""
        rows = await list_exchange_rates(page_from(cursor, limit))
        return ExchangeRatePageView(
            items=[ExchangeRateView.of(row) for row in rows[:limit]],
            next_cursor=cursor_after([row.id for row in rows], limit),
        )

    @post("", guards=[requires(Permission.PRICES_SET)], summary="Add an exchange rate")
    async def add_rate(
        self,
        data: JSONBody[AddExchangeRateRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        add_exchange_rate: NamedDependency[AddExchangeRate],
        once: NamedDependency[OncePerKey],
    ) -> Response[ExchangeRateView]:
        """Set the rate from a moment on. Runs accepted before it keep theirs."""
        return await once(
            lambda completion: add_exchange_rate(
                NewExchangeRate(
                    user_id=principal.user_id,
                    origin=origin,
                    paise_per_usd=data.paise_per_usd,
                    source=data.source,
                    valid_from=data.valid_from,
                    once=completion,
                )
            ),
            ExchangeRateView.of,
        )
