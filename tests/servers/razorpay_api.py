"""A real HTTP server that speaks Razorpay's REST API, signs as it documents, and misbehaves.

In a test::

    with RazorpayServer() as server:
        ...  # calls go to server.url, with server.key_id and server.key_secret
        paid = server.pay(order_id)
        headers, body = server.event("payment.captured", paid.payment_id)

What it refuses, how it repeats and what its entities look like is from
https://razorpay.com/docs/api/ and https://razorpay.com/docs/webhooks/.
"""

import base64
import hashlib
import hmac
import itertools
import json
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Paid:
    """What a browser is handed after a payment."""

    order_id: str
    payment_id: str
    signature: str


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Json


@dataclass(frozen=True, kw_only=True)
class Fault:
    """How the next call, to a path with ``on`` in it, goes wrong.

    ``status`` 0 drops the connection; ``after`` lets it have its effect first.
    """

    status: int = 0
    after: bool = False
    on: str = ""


class Refused(Exception):
    """A request that the API answers with an error."""

    def __init__(self, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.status = status
        self.description = description


@dataclass(kw_only=True)
class _State:
    orders: dict[str, Json] = field(default_factory=dict)
    receipts: dict[str, str] = field(default_factory=dict)
    payments: dict[str, Json] = field(default_factory=dict)
    refunds: dict[str, Json] = field(default_factory=dict)
    refund_keys: dict[str, tuple[Json, str]] = field(default_factory=dict)
    customers: dict[str, Json] = field(default_factory=dict)
    bad_tokens: set[str] = field(default_factory=set)


class RazorpayServer:
    """Serves on a free port of 127.0.0.1, in a thread, while it is entered."""

    key_id = "rzp_test_key"
    key_secret = "rzp_test_secret"
    webhook_secret = "rzp_webhook_secret"

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._state = _State()
        self._faults: list[Fault] = []
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        assert self._server is not None, "the server is not open"
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    # What a test makes happen

    def fail_next(self, *faults: Fault) -> None:
        """Let the next calls go wrong, one each."""
        self._faults.extend(faults)

    def pay(self, order_id: str, status: str = "captured", **changes: Any) -> Paid:
        """An attempt to pay an order in the checkout; ``changes`` override the entity."""
        with self._lock:
            order = self._state.orders[order_id]
            payment = self._attempt(order, status, **changes)
            return Paid(
                order_id=order_id,
                payment_id=payment["id"],
                signature=self.sign_reply(order_id, payment["id"]),
            )

    def set_status(self, payment_id: str, status: str) -> None:
        """Have the gateway move a payment on by itself."""
        with self._lock:
            payment = self._state.payments[payment_id]
            payment["status"] = status
            payment["captured"] = status in ("captured", "refunded")

    def refuse_mandate(self, token_id: str) -> None:
        """Have charges to a mandate fail."""
        self._state.bad_tokens.add(token_id)

    def refund_here(self, payment_id: str, amount: int) -> str:
        """A refund made by hand on the gateway's own dashboard."""
        with self._lock:
            return str(self._refund(payment_id, {"amount": amount}, "")["id"])

    def set_refund_status(self, refund_id: str, status: str) -> None:
        with self._lock:
            self._state.refunds[refund_id]["status"] = status

    def sign_reply(self, order_id: str, payment_id: str) -> str:
        return _hmac(self.key_secret, f"{order_id}|{payment_id}".encode())

    def event(
        self,
        type_: str,
        payment_id: str,
        *,
        refund_id: str = "",
        dispute: Json | None = None,
        event_id: str = "",
    ) -> tuple[dict[str, str], bytes]:
        """A signed event, a snapshot of now: its headers and its raw body."""
        with self._lock:
            payment = dict(self._state.payments[payment_id])
            payload: Json = {"payment": {"entity": payment}}
            if type_ == "order.paid":
                payload["order"] = {"entity": dict(self._state.orders[payment["order_id"]])}
            if refund_id:
                payload["refund"] = {"entity": dict(self._state.refunds[refund_id])}
        if dispute is not None:
            payload["dispute"] = {
                "entity": {"payment_id": payment_id, "currency": "INR", **dispute}
            }
        return self.signed(
            {
                "entity": "event",
                "account_id": "acc_test",
                "event": type_,
                "contains": sorted(payload),
                "payload": payload,
                "created_at": 1_700_000_000,
            },
            event_id,
        )

    def signed(self, body: Json, event_id: str = "") -> tuple[dict[str, str], bytes]:
        raw = json.dumps(body).encode()
        return {
            "content-type": "application/json",
            "x-razorpay-signature": _hmac(self.webhook_secret, raw),
            "x-razorpay-event-id": event_id or f"evt_{secrets.token_hex(7)}",
        }, raw

    def payments(self, order_id: str) -> list[Json]:
        with self._lock:
            return [p for p in self._state.payments.values() if p["order_id"] == order_id]

    def refunds(self, payment_id: str) -> list[Json]:
        with self._lock:
            return [r for r in self._state.refunds.values() if r["payment_id"] == payment_id]

    # The API

    def answer(self, call: Call) -> tuple[int, Json]:
        with self._lock:
            self.calls.append(call)
            fault = next((fault for fault in self._faults if fault.on in call.path), None)
            if fault is not None:
                self._faults.remove(fault)
            if fault is not None and not fault.after:
                return fault.status, _error("The server encountered an error.")
            status, body = self._answer(call)
            if fault is not None:
                return fault.status, _error("The server encountered an error.")
            return status, body

    def _answer(self, call: Call) -> tuple[int, Json]:
        expected = base64.b64encode(f"{self.key_id}:{self.key_secret}".encode()).decode()
        if call.headers.get("authorization") != f"Basic {expected}":
            return 401, _error("Authentication failed")
        path = call.path.partition("?")[0]
        for method, pattern, action in self._routes():
            match = re.fullmatch(pattern, path)
            if match and method == call.method:
                try:
                    return 200, action(call, *match.groups())
                except Refused as refusal:
                    return refusal.status, _error(refusal.description)
        return 404, _error("The requested URL was not found on the server.")

    def _routes(self) -> list[tuple[str, str, Callable[..., Json]]]:
        return [
            ("POST", "/v1/orders", self._create_order),
            ("GET", "/v1/orders/([^/]+)/payments", self._order_payments),
            ("POST", "/v1/customers", self._create_customer),
            ("GET", "/v1/customers/([^/]+)", lambda call, id_: _found(self._state.customers, id_)),
            ("POST", "/v1/payments/create/recurring", self._recurring),
            ("GET", "/v1/payments/([^/]+)", lambda call, id_: _found(self._state.payments, id_)),
            ("POST", "/v1/payments/([^/]+)/capture", self._capture),
            ("POST", "/v1/payments/([^/]+)/refund", self._create_refund),
            ("GET", "/v1/payments/([^/]+)/refunds", self._payment_refunds),
        ]

    def _create_order(self, call: Call) -> Json:
        body = call.body
        if not isinstance(body.get("amount"), int) or body["amount"] < 100:
            raise Refused("The amount must be at least INR 1.00")
        if body.get("currency") != "INR":
            raise Refused("The currency is not supported.")
        receipt = body.get("receipt", "")
        if len(receipt) > 40:
            raise Refused("The receipt may not be greater than 40 characters.")
        if body.get("unique_receipt") and receipt in self._state.receipts:
            return dict(self._state.orders[self._state.receipts[receipt]])
        order = {
            "id": self._id("order"),
            "entity": "order",
            "amount": body["amount"],
            "amount_paid": 0,
            "amount_due": body["amount"],
            "currency": "INR",
            "receipt": receipt,
            "status": "created",
            "attempts": 0,
            "notes": body.get("notes", []),
            "customer_id": body.get("customer_id"),
            "token": body.get("token"),
        }
        self._state.orders[order["id"]] = order
        self._state.receipts[receipt] = order["id"]
        return dict(order)

    def _order_payments(self, call: Call, order_id: str) -> Json:
        _found(self._state.orders, order_id)
        return _collection(self.payments(order_id))

    def _create_customer(self, call: Call) -> Json:
        for known in self._state.customers.values():
            if known["email"] == call.body.get("email"):
                if call.body.get("fail_existing") == "0":
                    return known
                raise Refused("Customer already exists for the merchant")
        customer = {
            "id": self._id("cust"),
            "entity": "customer",
            "name": call.body.get("name"),
            "email": call.body.get("email"),
            "contact": "9000090000",
        }
        self._state.customers[customer["id"]] = customer
        return customer

    def _capture(self, call: Call, payment_id: str) -> Json:
        payment = _found(self._state.payments, payment_id)
        if payment["status"] == "captured":
            raise Refused("This payment has already been captured")
        if payment["status"] != "authorized":
            raise Refused("Only payments which have been authorized can be captured")
        if call.body.get("amount") != payment["amount"]:
            raise Refused("Capture amount must be equal to the amount authorized")
        self._captured(payment)
        return dict(payment)

    def _create_refund(self, call: Call, payment_id: str) -> Json:
        key = call.headers.get("x-refund-idempotency", "")
        if key and key in self._state.refund_keys:
            body, refund_id = self._state.refund_keys[key]
            if body != call.body:
                raise Refused("Different request body sent for the same Idempotency Header")
            return dict(self._state.refunds[refund_id])
        if key and (len(key) < 10 or not re.fullmatch(r"[A-Za-z0-9_-]+", key)):
            raise Refused("The idempotency key does not fit.")
        return self._refund(payment_id, call.body, key)

    def _refund(self, payment_id: str, body: Json, key: str) -> Json:
        payment = _found(self._state.payments, payment_id)
        if payment["status"] not in ("captured", "refunded"):
            raise Refused("The payment status should be captured for action to be taken")
        amount = body.get("amount", payment["amount"])
        if payment["amount_refunded"] + amount > payment["amount"]:
            raise Refused("The total refund amount is greater than the refund payment amount")
        refund = {
            "id": self._id("rfnd"),
            "entity": "refund",
            "amount": amount,
            "currency": "INR",
            "payment_id": payment_id,
            "notes": body.get("notes", []),
            "status": "processed",
        }
        payment["amount_refunded"] += amount
        if payment["amount_refunded"] == payment["amount"]:
            payment["status"] = "refunded"
        self._state.refunds[refund["id"]] = refund
        if key:
            self._state.refund_keys[key] = (body, refund["id"])
        return dict(refund)

    def _payment_refunds(self, call: Call, payment_id: str) -> Json:
        _found(self._state.payments, payment_id)
        return _collection(self.refunds(payment_id))

    def _recurring(self, call: Call) -> Json:
        body = call.body
        missing = [
            name
            for name in ("email", "contact", "amount", "order_id", "customer_id", "token")
            if not body.get(name)
        ]
        if missing:
            raise Refused(f"The {missing[0]} field is required.")
        order = _found(self._state.orders, body["order_id"])
        if order["status"] == "paid":
            raise Refused("Order already paid")
        if body["amount"] != order["amount"]:
            raise Refused("Your payment amount is different from your order amount.")
        bad = body["token"] in self._state.bad_tokens
        payment = self._attempt(
            order,
            "failed" if bad else "captured",
            customer_id=body["customer_id"],
            token_id=body["token"],
        )
        return {
            "razorpay_payment_id": payment["id"],
            "razorpay_order_id": order["id"],
            "razorpay_signature": self.sign_reply(order["id"], payment["id"]),
        }

    def _attempt(self, order: Json, status: str, **changes: Any) -> Json:
        recurring = order.get("token") is not None and status != "failed"
        payment: Json = {
            "id": self._id("pay"),
            "entity": "payment",
            "amount": order["amount"],
            "currency": "INR",
            "status": "authorized" if status == "captured" else status,
            "order_id": order["id"],
            "method": "upi",
            "amount_refunded": 0,
            "captured": False,
            "email": "a@example.com",
            "notes": [],
            "customer_id": order.get("customer_id") if recurring else None,
            "token_id": self._id("token") if recurring else None,
            "error_code": "BAD_REQUEST_ERROR" if status == "failed" else None,
            "error_description": "Payment failed" if status == "failed" else None,
        }
        self._state.payments[payment["id"]] = payment
        order["attempts"] += 1
        if status == "captured":
            self._captured(payment)
        payment.update(changes)
        return payment

    def _captured(self, payment: Json) -> None:
        payment.update(status="captured", captured=True)
        self._state.orders[payment["order_id"]].update(status="paid", amount_due=0)

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._numbers):06d}{secrets.token_hex(4)}"


def _handler(server: RazorpayServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            call = Call(
                method=self.command,
                path=self.path,
                headers={name.lower(): value for name, value in self.headers.items()},
                body=json.loads(raw) if raw else {},
            )
            status, body = server.answer(call)
            if status == 0:
                self.close_connection = True
                return
            answer = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Silent: a test prints what it wants to."""

    return Handler


def _found(entities: Mapping[str, Json], id_: str) -> Json:
    if id_ not in entities:
        raise Refused("The id provided does not exist")
    return entities[id_]


def _collection(items: list[Json]) -> Json:
    return {"entity": "collection", "count": len(items), "items": items}


def _error(description: str) -> Json:
    return {"error": {"code": "BAD_REQUEST_ERROR", "description": description}}


def _hmac(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
