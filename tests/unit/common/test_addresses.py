"""Addresses and networks in one form, sets of them, who counts as one client."""

from __future__ import annotations

import random
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.addresses import AddressSet, bracketed, group_of, host_name, host_port, parse_address, parse_network, parse_networks


@pytest.mark.parametrize("text", ["", "10.0.0", "10.0.0.0.0", "example.org", "10.0.0.1/8", "1", " "])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError):
        parse_address(text)


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "::/129", "example.org", "10.0.0.0/-1", "10.0.0.0/a"])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError):
        parse_network(text)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.1.2.3/8", "10.0.0.0/8"),
        (" 10.0.0.1 ", "10.0.0.1/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::/0", "::/0"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
    ],
)
def test_networks_have_one_form(text: str, network: str) -> None:
    assert parse_network(text) == ip_network(network)


@given(
    st.lists(st.ip_addresses().flatmap(lambda a: st.integers(0, a.max_prefixlen).map(lambda n: f"{a}/{n}")), max_size=8),
    st.lists(st.ip_addresses()),
)
def test_sets_agree_with_the_standard_library(networks: list[str], addresses: list[object]) -> None:
    parsed = [parse_network(text) for text in networks]
    found = AddressSet(parsed)
    assert bool(found) is bool(parsed)
    for text in (*map(str, addresses), *(str(network.network_address) for network in parsed)):
        address = parse_address(text)
        assert (text in found) is any(address in network for network in parsed if network.version == address.version)


def test_memory_is_bounded() -> None:
    found = AddressSet([parse_network("10.0.0.0/8")])
    numbers = random.Random(1)
    for _ in range(9000):
        text = str(ip_address(numbers.getrandbits(32)))
        assert (text in found) is text.startswith("10.")
    assert len(found._answers) <= 4096


def test_lists_take_host_bits_as_single_networks_do() -> None:
    assert parse_networks("10.1.2.3/8, ::1 192.0.2.1") == (ip_network("10.0.0.0/8"), ip_network("::1"), ip_network("192.0.2.1"))


def test_a_list_names_every_bad_entry() -> None:
    with pytest.raises(ValueError, match=r"wrong: 'x' .*, '10.0.0.0/33'"):
        parse_networks("x 10.0.0.1 10.0.0.0/33")


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("local", "local"),
    ],
)
def test_who_counts_as_one(address: str, group: str) -> None:
    assert group_of(address) == group


def test_hosts_in_urls() -> None:
    assert [bracketed(host) for host in ("example.org", "192.0.2.1", "::1")] == ["example.org", "192.0.2.1", "[::1]"]
    assert [host_port(host, 80) for host in ("example.org", "::1")] == ["example.org:80", "[::1]:80"]


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("a", "a"),
        ("API.Example", "api.example"),
        ("a.b.", "a.b"),
        ("grün.example", "xn--grn-ioa.example"),
        ("10.0.0.1", "10.0.0.1"),
        ("_x.a-b", "_x.a-b"),
    ],
)
def test_host_names(text: str, host: str) -> None:
    assert host_name(text) == host


@pytest.mark.parametrize(
    "text", ["", ".", "a..b", "-a", "a:80", "a/b", "http://a", "*.a", "[::1]", "a b", "a\n", "a" * 64, ".a", "\ud800", "a." * 127 + "a"]
)
def test_what_is_no_host_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a host name"):
        host_name(text)


@pytest.mark.timeout(60)
def test_a_host_that_is_too_long_is_not_even_encoded() -> None:
    """IDNA takes the square of the length: this one would take minutes."""
    with pytest.raises(ValueError, match="is not a host name"):
        host_name("\u0327\u0301" * 500_000)
