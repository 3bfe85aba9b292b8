"""The heads that upstreams get: what is remembered of one request is never sent for another."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from services.common.addresses import AddressSet
from services.gateway.compiler import compile_api
from services.gateway.exchange import CompiledApi, Exchange
from services.gateway.forwarding.request_heads import RequestHeads
from services.gateway.header_changes import HeaderChanges, HeaderTexts
from services.gateway.wire.heads.requests import HeaderSection
from tests.unit.gateway.exchanges import definition, exchange, ports

FIELDS = [("host", "api.example"), ("accept", "*/*"), ("x-gone", "1")]
CHANGES = HeaderChanges([HeaderTexts(("x-gone",), (("X-Set", "1"), ("X-Query", "$tyk_context.request_data")))], frozenset())
OTHER = HeaderChanges([HeaderTexts(("accept",), (("X-Set", "2"),))], frozenset())
HOST_TOO = HeaderChanges([HeaderTexts((), (("Host", "other.example"),))], frozenset())


@pytest.fixture(scope="module")
def api() -> CompiledApi:
    return compile_api(definition(), ports(), 1)


def repeating() -> HeaderSection:
    """The fields of a connection that has sent the same head several times."""
    section = exchange(headers=FIELDS).section
    section.request = (b"GET /api/a?b=1 HTTP/1.1" + section.raw + b"\r\n", "GET", b"/api/a?b=1", 1)
    section.again = True
    return section


def asked(section: HeaderSection, *changes: HeaderChanges, **further: Any) -> Exchange:
    """That head once more. further: what other stages make of it."""
    one = exchange(target="/api/a?b=1", headers=FIELDS)
    one.section = section
    for each in changes:
        each.apply_to_request(one)
    for name, value in further.items():
        setattr(one, name, value)
    return one


def sent(heads: RequestHeads, api: CompiledApi, one: Exchange, target: Any = None) -> bytes:
    client: Any = SimpleNamespace(memo=None)
    return heads.write(client, one, api, target or api.targets[0])


@pytest.mark.parametrize("changes", [(), (CHANGES,)], ids=["as it came", "changed"])
@pytest.mark.parametrize(
    "further",
    [
        {"path": "/api/c"}, {"query": "d=1"}, {"upstream_path": "/c"}, {"upstream_query": "d=1"}, {"upstream_method": "HEAD"},
        {"upstream_host": b"c.example"}, {"body": b"c"}, {"request_id": "request-2"},
        {"varying_headers": [(b"X-Query", b"c")], "drop_headers": CHANGES.dropped, "set_headers": CHANGES.fixed, "fixed_headers": CHANGES},
    ],
    ids=lambda further: next(iter(further)),
)  # fmt: skip
def test_a_head_that_differs_is_written_for_itself(api: CompiledApi, changes: tuple[HeaderChanges, ...], further: dict[str, Any]) -> None:
    heads, section = RequestHeads(AddressSet(())), repeating()
    first = [sent(heads, api, asked(section, *changes)) for _ in range(3)]
    assert len(set(first)) == 1
    differing = sent(heads, api, asked(section, *changes, **further))
    assert differing == sent(RequestHeads(AddressSet(())), api, asked(repeating(), *changes, **further))
    assert differing != first[0]
    assert sent(heads, api, asked(section, *changes)) == first[0]


def test_what_a_definition_changes_otherwise_is_written_for_itself(api: CompiledApi) -> None:
    heads, section = RequestHeads(AddressSet(())), repeating()
    ways: list[tuple[HeaderChanges, ...]] = [(), (CHANGES,), (OTHER,), (HOST_TOO,), (CHANGES, OTHER), (CHANGES, HOST_TOO)]
    for _ in range(3):
        for way in ways:
            expected = sent(RequestHeads(AddressSet(())), api, asked(repeating(), *way))
            assert [sent(heads, api, asked(section, *way)) for _ in range(2)] == [expected] * 2


def test_a_field_that_one_request_alone_has_goes_no_further(api: CompiledApi) -> None:
    """As a script or a key sets it, after the definition has."""
    heads, section = RequestHeads(AddressSet(())), repeating()
    for number in (1, 2, 3):
        one = asked(section, CHANGES)
        one.set_header(b"X-Once", b"%d" % number)
        assert b"X-Once: %d\r\n" % number in sent(heads, api, one)
        assert b"X-Once" not in sent(heads, api, asked(section, CHANGES))


def test_each_upstream_has_its_own_head(api: CompiledApi) -> None:
    heads, section = RequestHeads(AddressSet(())), repeating()
    another = api.targets[0]._replace(host_header=b"another.example")
    for target in (api.targets[0], another) * 2:
        assert b"Host: %b\r\n" % target.host_header in sent(heads, api, asked(section, CHANGES), target)
