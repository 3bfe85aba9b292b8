"""What a worker knows of certificates."""

from __future__ import annotations

import pytest

from services.gateway.keys.certificates import Certificates
from services.gateway.refusals import CERTIFICATES_UNAVAILABLE, Refusal
from tests.support import client_certificates


class Stored:
    """What a store says. asked: how often it was read whole."""

    def __init__(self) -> None:
        self.number = 0
        self.pems: dict[str, str] = {}
        self.asked = 0

    def generation(self) -> int:
        return self.number

    def all(self) -> tuple[int, dict[str, str]]:
        self.asked += 1
        return self.number, self.pems


class Tls:
    """trusted: what clients are asked for, at each change. looked: how often it was asked whether it needs another context."""

    def __init__(self) -> None:
        self.trusted: list[list[bytes]] = []
        self.looked = 0

    def trust(self, trusted: object) -> None:
        assert isinstance(trusted, list)
        self.trusted.append(trusted)

    def refresh(self) -> None:
        self.looked += 1


def test_what_is_known_and_asked_for() -> None:
    store, tls, one = Stored(), Tls(), client_certificates.make("one")
    known = Certificates(store, tls)
    assert not known.holds("a")
    with pytest.raises(Refusal) as refused:
        known.check_loaded()
    assert refused.value.kind is CERTIFICATES_UNAVAILABLE
    known.look()
    known.check_loaded()
    store.pems, store.number = {"a": one.pem.decode()}, 1
    for _ in range(3):
        known.look()
    assert known.holds("a")
    assert (tls.trusted, store.asked, tls.looked) == ([[], [one.der]], 2, 4)
    store.pems, store.number = {}, 2
    known.look()
    assert not known.holds("a")
    assert tls.trusted[-1] == []


def test_a_public_port_without_tls() -> None:
    store = Stored()
    store.pems = {"a": client_certificates.make("one").pem.decode()}
    known = Certificates(store, None)
    known.look()
    assert known.holds("a")
