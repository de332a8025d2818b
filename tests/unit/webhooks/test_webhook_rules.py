"""Where webhooks may go, how they are signed, and when they are tried again."""

import base64
import ipaddress
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from domain.shared.errors import InvalidValue
from domain.shared.ids import WebhookEventId
from domain.webhooks.destination import DestinationRules, is_address, is_public
from domain.webhooks.event import EVENT_TYPES, WebhookEvent, check_filters
from domain.webhooks.schedule import (
    GIVE_UP_AFTER,
    GIVE_UP_EVENTS,
    JITTER,
    LONGEST_RETRY_AFTER,
    MAX_ATTEMPTS,
    RETRY_SECONDS,
    gives_up,
    wait_seconds,
)
from domain.webhooks.signature import secret_text, signed_headers

INSIDE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2606:4700::1%eth0",
    "localhost",
    "8.8.8",
    "0x7f.0.0.1",
    "",
]
OUTSIDE = [
    "1.1.1.1",
    "8.8.8.8",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700:4700::1111",
    "2a00:1450::1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_what_is_outside_is_public(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_nothing_is_public_that_pythons_registry_holds_back(
    address: ipaddress.IPv4Address,
) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert not is_public(str(address))


@given(st.ip_addresses(v=6))
def test_nor_in_the_newer_protocol(address: ipaddress.IPv6Address) -> None:
    if not address.is_global or address.is_multicast or address.is_site_local:
        assert not is_public(str(address))


@given(st.ip_addresses(v=4))
def test_no_older_address_gets_through_in_a_newer_ones_clothes(
    address: ipaddress.IPv4Address,
) -> None:
    number = int(address)
    for prefix, shift in (
        ("::ffff:0:0", 0),
        ("::", 0),
        ("64:ff9b::", 0),
        ("64:ff9b:1::", 0),
        ("2002::", 80),
        ("2001::", 0),
    ):
        dressed = ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | number << shift)
        assert not is_public(str(dressed))
        assert not is_public(dressed.exploded)


PUBLIC_RULES = DestinationRules()
GOOD_URLS = [
    "https://example.com/hooks",
    "https://example.com",
    "https://sub.example.co.in:8443/a?b=c",
    "https://example.com:443/",
    "https://8.8.8.8/in",
    "https://[2606:4700:4700::1111]/in",
    "https://xn--bcher-kva.example/",
]
BAD_URLS = [
    "http://example.com/",
    "ftp://example.com/",
    "https://",
    "https:///path",
    "example.com/hooks",
    "https://user:secret@example.com/",
    "https://user@example.com/",
    "https://example.com/#part",
    "https://example.com:22/",
    "https://example.com:80/",
    "https://example.com:0/",
    "https://example.com:99999/",
    "https://localhost/",
    "https://printer.local/",
    "https://metadata.google.internal/",
    "https://db/",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://169.254.169.254/latest/meta-data/",
    "https://exa mple.com/",
    "https://example.com\\@evil.com/",
    "https://bücher.example/",
    "https://example.com/\r\nx-header: y",
    "https://example.com/" + "a" * 2048,
    "https://[not-an-address]/",
]


@pytest.mark.parametrize("url", GOOD_URLS)
def test_a_public_url_is_taken_as_it_is(url: str) -> None:
    assert PUBLIC_RULES.check(url) == url


@pytest.mark.parametrize("url", BAD_URLS)
def test_another_is_refused_by_its_field(url: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        PUBLIC_RULES.check(url)
    assert refusal.value.field == "url"
    assert refusal.value.message.endswith(".")


def test_a_laptop_may_call_itself_when_it_says_so() -> None:
    DestinationRules(plain=True, permits=is_address).check("http://localhost:3000/in")
    DestinationRules(plain=True, permits=is_address).check("http://127.0.0.1:3000/in")
    DestinationRules(plain=True).check("http://example.com/in")
    with pytest.raises(InvalidValue):
        DestinationRules(plain=True).check("http://127.0.0.1:3000/in")


EVENT_ID = WebhookEventId(UUID("019a5a3e-0000-7000-8000-000000000001"))
OLD, NEW = b"o" * 32, b"n" * 32


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_an_independent_library_verifies_what_is_signed(data: dict[str, object]) -> None:
    now = datetime.now(UTC)
    try:
        event = WebhookEvent.of(EVENT_ID, "run.succeeded", data, now)
    except UnicodeEncodeError:
        return  # a lone surrogate is no text
    headers = signed_headers([NEW, OLD], event.id, now, event.body)
    for secret in (NEW, OLD):
        said = Webhook(secret_text(secret)).verify(event.body, headers)
        assert said["data"] == data
        assert said["id"] == headers["webhook-id"]
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_text(b"x" * 32)).verify(event.body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_text(NEW)).verify(event.body + b" ", headers)


def test_a_secret_is_written_as_the_specification_says() -> None:
    text = secret_text(NEW)
    assert text.startswith("whsec_")
    assert base64.b64decode(text.removeprefix("whsec_")) == NEW


def test_an_event_is_one_line_of_json_in_a_fixed_order() -> None:
    at = datetime(2026, 11, 2, 14, 30, tzinfo=UTC)
    event = WebhookEvent.of(EVENT_ID, "run.failed", {"b": "₹", "a": 1}, at)
    assert event.body.decode() == (
        f'{{"id":"{EVENT_ID}","type":"run.failed","timestamp":"2026-11-02T14:30:00.000Z",'
        '"data":{"b":"₹","a":1}}'
    )
    assert list(json.loads(event.body)) == ["id", "type", "timestamp", "data"]


def test_filters_name_types_or_groups() -> None:
    assert check_filters(["run.*", "run.*", "payment.captured"]) == ("run.*", "payment.captured")
    assert check_filters([]) == ()
    assert check_filters(list(EVENT_TYPES)) == tuple(EVENT_TYPES)
    for wrong in ("run.exploded", "*", "run", "runs.*", "", "x" * 10_000):
        with pytest.raises(InvalidValue, match="run\\.succeeded"):
            check_filters([wrong])


def test_the_schedule_lasts_three_days() -> None:
    assert 72 * 3600 <= sum(RETRY_SECONDS) <= 76 * 3600
    assert list(RETRY_SECONDS) == sorted(RETRY_SECONDS)
    assert MAX_ATTEMPTS == 10


@given(
    st.integers(-1, MAX_ATTEMPTS + 3),
    st.floats(0, 1),
    st.none() | st.floats(0, 1e9, allow_nan=False),
)
def test_a_wait_is_the_planned_one_or_what_was_asked_for_within_its_bound(
    attempt: int, chance: float, retry_after: float | None
) -> None:
    wait = wait_seconds(attempt, chance, retry_after)
    if not 1 <= attempt < MAX_ATTEMPTS:
        assert wait is None
        return
    assert wait is not None
    planned = RETRY_SECONDS[attempt - 1]
    assert wait >= planned * (1 - JITTER) - 1e-9
    assert wait <= max(planned * (1 + JITTER) + 1e-9, LONGEST_RETRY_AFTER)
    if retry_after is not None:
        assert wait >= min(retry_after, LONGEST_RETRY_AFTER)


def test_an_endpoint_is_given_up_after_days_or_events() -> None:
    now = datetime(2026, 11, 2, tzinfo=UTC)
    assert not gives_up(None, 0, now)
    assert not gives_up(now - GIVE_UP_AFTER + timedelta(seconds=1), GIVE_UP_EVENTS - 1, now)
    assert gives_up(now - GIVE_UP_AFTER, 0, now)
    assert gives_up(now, GIVE_UP_EVENTS, now)
