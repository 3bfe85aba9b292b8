"""What each address has of what all share."""

from __future__ import annotations

import pytest

from services.common.addresses import AddressSet, parse_network
from services.gateway.routing.shares import Shares, group_of

NOBODY = AddressSet(())


def test_one_address_has_so_many_and_others_as_many() -> None:
    shares = Shares(2, NOBODY)
    assert [shares.enter("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert shares.enter("192.0.2.2")
    shares.leave("192.0.2.1")
    assert [shares.enter("192.0.2.1") for _ in range(2)] == [True, False]


def test_who_left_is_forgotten() -> None:
    shares = Shares(1, NOBODY)
    for number in range(5):
        assert shares.enter(f"192.0.2.{number}")
        shares.leave(f"192.0.2.{number}")
    assert shares.greediest() is None


def test_a_trusted_proxy_is_not_counted() -> None:
    shares = Shares(1, AddressSet([parse_network("10.0.0.0/8")]))
    assert all(shares.enter("10.1.2.3") for _ in range(9))
    for _ in range(9):
        shares.leave("10.1.2.3")
    assert shares.greediest() is None


def test_the_greediest() -> None:
    shares = Shares(9, NOBODY)
    for address in ("192.0.2.1", "2001:db8::1", "2001:db8::2", "2001:db8::3"):
        shares.enter(address)
    assert shares.greediest() == "2001:db8::/64"


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("local", "local"),
    ],
)
def test_who_counts_as_one(address: str, group: str) -> None:
    assert group_of(address) == group
