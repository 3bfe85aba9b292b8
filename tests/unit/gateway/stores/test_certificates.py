"""Certificates in both databases."""

from __future__ import annotations

from services.common.core_database import CoreDatabase
from services.gateway.stores.certificates import CertificateStore, StoredCertificate


def stored(org_id: str, letter: str) -> StoredCertificate:
    return StoredCertificate(org_id + letter * 64, org_id, f"PEM {letter}")


def test_they_are_added_once_listed_and_deleted(database: CoreDatabase) -> None:
    store = CertificateStore(database)
    assert store.all() == (0, {})
    ones = [stored("o", "a"), stored("o", "b"), stored("p", "a"), stored("", "a"), stored("o" * 128, "a")]
    assert [store.add(one) for one in ones] == [True] * 5
    assert (store.add(ones[0]), store.generation()) == (False, 5)
    assert store.all() == (5, {one.id: one.pem for one in ones})
    assert store.page() == (ones, 5)
    assert store.page("o") == (ones[:2], 2)
    assert store.page("") == (ones[3:4], 1)
    assert store.page(number=1, size=2) == (ones[2:4], 5)
    assert store.of([ones[1].id, "x", ones[3].id]) == {ones[1].id: ones[1], ones[3].id: ones[3]}
    assert store.owners([ones[1].id, ones[3].id, "x"]) == {ones[1].id: "o", ones[3].id: ""}
    assert [store.delete(ones[0].id) for _ in range(2)] == [True, False]
    assert store.generation() == 6
    assert store.page("o") == (ones[1:2], 1)
