"""Who may talk to an API: addresses, networks, both families, and lists that are empty."""

from __future__ import annotations

from typing import Any

import pytest

from services.common.addresses import parse_network
from services.gateway.middleware import ip_filter
from services.gateway.refusals import IP_REFUSED
from tests.unit.gateway.exchanges import ask, built, exchange, mistakes, ports, refusal, spec


def lists(allowed: list[str] | None = None, blocked: list[str] | None = None) -> Any:
    fields: dict[str, Any] = {}
    if allowed is not None:
        fields |= {"enable_ip_whitelisting": True, "allowed_ips": allowed}
    if blocked is not None:
        fields |= {"enable_ip_blacklisting": True, "blacklisted_ips": blocked}
    return built(ip_filter, ports(), **fields)


def test_lists_that_are_switched_off_are_not_in_the_chain() -> None:
    assert built(ip_filter, ports(), allowed_ips=["10.0.0.1"], blacklisted_ips=["10.0.0.2"]) is None
    assert lists(blocked=[]) is None


@pytest.mark.parametrize(
    ("listed", "client"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.0/8", "10.255.255.255"),
        ("10.1.2.3/8", "10.0.0.1"),
        ("0.0.0.0/0", "203.0.113.9"),
        ("2001:db8::/32", "2001:db8:ffff::1"),
        ("2001:DB8:0::0001", "2001:db8::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.0/104", "10.9.9.9"),
    ],
)
def test_who_is_listed(listed: str, client: str) -> None:
    assert ask(lists(allowed=[listed]), exchange(client=client)) is None
    told = refusal(lists(blocked=[listed]), exchange(client=client), IP_REFUSED)
    assert client in (told.detail or "")


@pytest.mark.parametrize(
    ("listed", "client"),
    [
        ("10.0.0.1", "10.0.0.2"),
        ("10.0.0.0/8", "11.0.0.0"),
        ("0.0.0.0/0", "2001:db8::1"),
        ("::/0", "10.0.0.1"),
        ("2001:db8::/32", "2001:db9::1"),
        ("10.0.0.0/8", "local"),
    ],
)
def test_who_is_not_listed(listed: str, client: str) -> None:
    assert ask(lists(blocked=[listed]), exchange(client=client)) is None
    refusal(lists(allowed=[listed]), exchange(client=client), IP_REFUSED)


def test_a_list_that_is_on_and_empty_lets_nobody_in() -> None:
    for client in ("127.0.0.1", "::1", "local"):
        refusal(lists(allowed=[]), exchange(client=client), IP_REFUSED)


def test_a_block_is_stronger_than_a_permission() -> None:
    both = lists(allowed=["10.0.0.0/8"], blocked=["10.0.0.13"])
    assert ask(both, exchange(client="10.0.0.12")) is None
    refusal(both, exchange(client="10.0.0.13"), IP_REFUSED)


def test_headers_of_the_request_do_not_count() -> None:
    headers = [("X-Forwarded-For", "10.0.0.1"), ("X-Real-IP", "10.0.0.1"), ("Forwarded", "for=10.0.0.1")]
    refusal(lists(allowed=["10.0.0.1"]), exchange(client="203.0.113.9", headers=headers), IP_REFUSED)


def test_more_addresses_than_are_remembered() -> None:
    allowed = lists(allowed=["10.0.0.0/16"])
    for _ in range(2):
        for third in range(20):
            for fourth in range(256):
                assert ask(allowed, exchange(client=f"10.0.{third}.{fourth}")) is None
        refusal(allowed, exchange(client="10.1.0.0"), IP_REFUSED)


def test_address_lists() -> None:
    both_lists = {"allowed_ips": ["10.0.0.1", "2001:db8::/32"], "blacklisted_ips": ["10.0.0.2"]}
    assert spec(ip_filter, **both_lists) is None
    on = spec(ip_filter, **both_lists, enable_ip_whitelisting=True, enable_ip_blacklisting=True)
    assert on.allowed == (parse_network("10.0.0.1"), parse_network("2001:db8::/32"))
    assert on.blocked == (parse_network("10.0.0.2"),)
    assert spec(ip_filter, enable_ip_whitelisting=True).allowed == ()
    both: dict[str, Any] = {"enable_ip_whitelisting": True, "enable_ip_blacklisting": True, "ip_access_control_disabled": True}
    assert spec(ip_filter, **both_lists, **both) is None
    assert mistakes(ip_filter, allowed_ips=["x"]) == ["/allowed_ips/0"], "also when it is switched off"
