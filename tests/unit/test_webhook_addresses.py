"""Where webhooks may lead, how messages are signed, and when a delivery is tried again."""

import socket
from datetime import UTC, datetime
from typing import Any

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.core.errors import InvalidRequest
from quorum.events import sending
from quorum.events.addresses import is_public, require_url
from quorum.events.pauses import PAUSES, TRIES, pause_after
from quorum.events.sending import DeliveryFailure, Sender
from quorum.events.signature import headers, new_secret
from quorum.gateway.model_hosts import ModelHosts
from standardwebhooks import Webhook, WebhookVerificationError

NOWHERE = ModelHosts("")

PUBLIC = ["93.184.216.34", "8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.32.0.1"]
PUBLIC += ["2606:2800:220:1:248:1893:25c8:1946", "2a00:1450:4001:82a::200e"]
INSIDE = {
    "loopback": ["127.0.0.1", "127.9.9.9", "::1"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fd00::1", "fc00::1"],
    "metadata": ["169.254.169.254", "169.254.170.2", "fd00:ec2::254", "fe80::a9fe:a9fe"],
    "link-local": ["169.254.0.1", "fe80::1", "fe80::1%eth0", "fec0::1"],
    "carriers": ["100.64.0.1", "100.127.255.254"],
    "this network": ["0.0.0.0", "0.1.2.3", "::"],
    "IPv4 in IPv6": [
        *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1"),
        *("2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
    ],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "multicast, reserved and broadcast": ["224.0.0.1", "240.0.0.1", "255.255.255.255", "ff02::1"],
    "benchmarks": ["198.18.0.1", "198.19.255.255"],
    "no address": ["", "example.com", "0177.0.0.1", "2130706433", "127.1", "1.2.3.4.5"],
}


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_one(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", [one for each in INSIDE.values() for one in each])
def test_an_address_that_is_not_public_is_none(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_nothing_that_python_calls_private_or_special_counts_as_public(address: Any) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert not is_public(str(address))


@pytest.mark.parametrize(
    "url",
    [
        *("https://example.com", "https://hooks.example.com:8443/a/b?c=d%20e", "https://a.b./x"),
    ],
)
def test_a_url_of_a_public_host_is_taken(url: str) -> None:
    require_url(url, NOWHERE)


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com/", "ftp://example.com/", "https:example.com", "//example.com"),
        *(
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://8.8.8.8/",
        ),
        *("https://2130706433/", "https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://127.1/"),
        *("https://a.0x7f000001/", "https://localhost/", "https://router/", "https://a..b/"),
        *("https://user@example.com/", "https://example.com@127.0.0.1/", "https://a.b\\@c.d/"),
        *("https://example.com/#x", "https://example.com/ x", "https://exämple.com/"),
        *(
            f"https://{64 * 'a'}.example.com/",
            "https://example.com../",
            f"https://{127 * 'a.'}com/",
        ),
        *("https://example.com:0/", "https://example.com:99999/", "https://%31%32.example.com/"),
        *("https://127.0.0.1\t.example.com/", "https://example.com/\r\nHost: x", "https://"),
    ],
)
def test_any_other_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        require_url(url, NOWHERE)
    assert refused.value.field == "url"


def test_a_host_that_the_deployment_lists_may_be_any_but_only_at_its_port() -> None:
    allowed = ModelHosts("http://127.0.0.1:8099,hooks.internal")
    require_url("http://127.0.0.1:8099/hook?x=1", allowed)
    require_url("https://hooks.internal/hook", allowed)
    for url in ("http://127.0.0.1:8098/", "https://127.0.0.1:8099/", "http://hooks.internal/"):
        with pytest.raises(InvalidRequest):
            require_url(url, allowed)


# ---- the connection ----


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that connections were made to; none of them answers."""
    found: list[str] = []

    def connect(_network: Any, host: str, *_given: Any, **_named: Any) -> Any:
        found.append(host)
        raise httpcore.ConnectError

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    return found


def sent(addresses: list[str], allowed: ModelHosts = NOWHERE) -> Any:
    sender = Sender(allowed, resolve=lambda _host, _port: addresses)
    return sender.send("https://hooks.example.com/x", b"{}", {}).failure


def test_a_name_with_any_address_inside_is_not_connected_to(connected: list[str]) -> None:
    for inside in ("127.0.0.1", "::ffff:10.0.0.1", "169.254.169.254"):
        assert sent([inside]) is DeliveryFailure.NOT_PUBLIC
        assert sent(["93.184.216.34", inside]) is DeliveryFailure.NOT_PUBLIC
    assert sent([]) is DeliveryFailure.UNRESOLVED
    assert connected == []
    assert sent(["10.0.0.7"], ModelHosts("hooks.example.com")) is DeliveryFailure.UNREACHABLE
    assert connected == ["10.0.0.7"]


def test_a_name_that_no_resolver_takes_is_a_failed_delivery_and_no_error() -> None:
    told = Sender(NOWHERE, resolve=sending.resolved).send(f"https://{64 * 'a'}.example/", b"", {})
    assert told.failure is DeliveryFailure.UNRESOLVED


def test_a_name_that_resolves_elsewhere_a_moment_later_gains_nothing(connected: list[str]) -> None:
    answers = [["93.184.216.34"], ["127.0.0.1"]]
    sender = Sender(NOWHERE, resolve=lambda _host, _port: answers.pop(0))
    sender.send("https://hooks.example.com/", b"{}", {})
    assert connected == ["93.184.216.34"]  # the address that was checked, not the name
    assert sender.send("https://hooks.example.com/", b"{}", {}).failure is (
        DeliveryFailure.NOT_PUBLIC
    )
    assert connected == ["93.184.216.34"]


def test_of_several_addresses_the_first_that_takes_a_connection_is_sent_to(
    connected: list[str],
) -> None:
    addresses = ["2606:2800:220:1::1", "93.184.216.34"]
    assert sent(addresses) is DeliveryFailure.UNREACHABLE
    assert connected == addresses


def test_a_name_that_nobody_knows_is_a_failure_of_that_name(monkeypatch: Any) -> None:
    def unknown(*_given: Any, **_named: Any) -> Any:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    told = Sender(NOWHERE, resolve=sending.resolved).send("https://nobody.example.com/", b"", {})
    assert told.failure is DeliveryFailure.UNRESOLVED


# ---- signatures ----


def test_a_receiver_with_the_reference_library_takes_a_message_signed_by_any_valid_secret() -> None:
    old, new, another = new_secret(), new_secret(), new_secret()
    body = '{"type":"verdict.decided","data":{"language":"한국어"}}'
    now = int(datetime.now(UTC).timestamp())
    signed = headers([new, old], "evt_1", now, body.encode())
    for secret in (old, new):
        assert Webhook(secret).verify(body, signed)["type"] == "verdict.decided"
    for changed in ({"webhook-id": "evt_2"}, {"webhook-timestamp": str(now - 1)}):
        with pytest.raises(WebhookVerificationError):
            Webhook(new).verify(body, signed | changed)
    with pytest.raises(WebhookVerificationError):
        Webhook(another).verify(body, signed)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(body + " ", signed)


def test_a_signature_is_that_of_the_reference_library() -> None:
    secret, when = new_secret(), datetime(2026, 11, 27, tzinfo=UTC)
    ours = headers([secret], "evt_1", int(when.timestamp()), b"{}")["webhook-signature"]
    assert ours == Webhook(secret).sign(msg_id="evt_1", timestamp=when, data="{}")


# ---- pauses ----


def test_pauses_grow_over_a_day_and_then_there_is_no_other_try() -> None:
    pauses = [pause_after(tries) for tries in range(1, TRIES)]
    for pause, planned in zip(pauses, PAUSES, strict=True):
        assert pause is not None
        assert 0.89 * planned <= pause <= 1.11 * planned
    assert pause_after(TRIES) is None
    assert list(PAUSES) == sorted(PAUSES)
