"""Who the client is: what proxies that we trust say, and nobody else."""

from __future__ import annotations

import random
from ipaddress import ip_address

import pytest

from services.common.addresses import parse_network
from services.gateway.routing.client_address import client_address, forwarded_for

TRUSTED = ["10.0.0.0/8", "192.0.2.7", "2001:db8:1::/48", "::1"]


def find(peer: str, *forwarded: str, trusted: list[str] | None = None) -> str:
    """forwarded: lines of X-Forwarded-For, top to bottom."""
    networks = [parse_network(text) for text in (TRUSTED if trusted is None else trusted)]
    headers = [(b"Host", b"x"), *((b"x-Forwarded-FOR", line.encode("latin-1")) for line in forwarded), (b"X-Real-IP", b"198.51.100.99")]
    return client_address(networks)(peer, headers)


def test_without_trusted_proxies_no_header_counts() -> None:
    assert find("10.0.0.1", "198.51.100.1", trusted=[]) == "10.0.0.1"


def test_a_stranger_cannot_say_who_it_is() -> None:
    assert find("203.0.113.5", "198.51.100.1") == "203.0.113.5"


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ((), "10.0.0.1"),
        (("198.51.100.1",), "198.51.100.1"),
        (("1.1.1.1, 198.51.100.1",), "198.51.100.1"),
        (("1.1.1.1, 198.51.100.1, 10.9.9.9, 192.0.2.7",), "198.51.100.1"),
        (("1.1.1.1", "198.51.100.1", "10.9.9.9"), "198.51.100.1"),
        (("10.9.9.9, 10.8.8.8",), "10.9.9.9"),
        (("198.51.100.1:4711",), "198.51.100.1"),
        (("[2001:db8::5]:443, 10.0.0.2",), "2001:db8::5"),
        (("[2001:db8::5]",), "2001:db8::5"),
        (("2001:DB8:0::5",), "2001:db8::5"),
        (("198.51.100.1, 2001:db8:1::9",), "198.51.100.1"),
        (("::ffff:198.51.100.1",), "198.51.100.1"),
        (("198.51.100.1, ::ffff:10.3.3.3",), "198.51.100.1"),
        (("fe80::1%eth0",), "fe80::1"),
    ],
)
def test_right_to_left_up_to_the_first_stranger(forwarded: tuple[str, ...], client: str) -> None:
    assert find("10.0.0.1", *forwarded) == client
    assert find("::ffff:10.0.0.1", *forwarded) == client


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("1.1.1.1, unknown", "10.0.0.1"),
        ("1.1.1.1, , 10.0.0.2", "10.0.0.2"),
        ("1.1.1.1, _hidden, 10.0.0.2", "10.0.0.2"),
        ("1.1.1.1, 300.1.1.1", "10.0.0.1"),
        ("1.1.1.1, 010.0.0.2", "10.0.0.1"),
        ("", "10.0.0.1"),
        ("1.1.1.1, \xfc", "10.0.0.1"),
        ("1.1.1.1 2.2.2.2", "10.0.0.1"),
    ],
)
def test_what_is_no_address_ends_the_walk(forwarded: str, client: str) -> None:
    """Nothing to the left of it can be believed."""
    assert find("10.0.0.1", forwarded) == client


@pytest.mark.parametrize(
    ("peer", "client"), [("::ffff:203.0.113.5", "203.0.113.5"), ("2001:DB8::0001", "2001:db8::1"), ("fe80::1%eth0", "fe80::1")]
)
def test_peers_have_one_form(peer: str, client: str) -> None:
    assert find(peer) == client
    assert find(peer, trusted=[]) == client


def test_a_peer_without_an_address_is_nobody_we_trust() -> None:
    assert find("local", "198.51.100.1") == "local"


def test_entries_of_all_lines() -> None:
    assert forwarded_for([(b"X-Forwarded-For", b"a,b"), (b"Other", b"x"), (b"x-forwarded-for", b" c ,")]) == ["a", "b", "c", ""]


def test_memory_is_bounded() -> None:
    find_client = client_address([parse_network("10.0.0.0/8")])
    numbers = random.Random(1)
    for _ in range(9000):
        text = str(ip_address(numbers.getrandbits(32)))
        assert find_client(text, []) == text
