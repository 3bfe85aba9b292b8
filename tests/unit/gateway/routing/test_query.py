"""Single parameters of a query string."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.routing.query import parameter, without_parameter


@pytest.mark.parametrize(
    ("query", "name", "value"),
    [
        ("a=1&b=2", "b", "2"),
        ("a=1&a=2", "a", "1"),
        ("a=&a=2", "a", ""),
        ("a", "a", ""),
        ("a=b=c", "a", "b=c"),
        ("a=x+y%20z%2B", "a", "x y z+"),
        ("%61=1", "a", "1"),
        ("a+b=1", "a b", "1"),
        ("a=gr%C3%BCn", "a", "grün"),
        ("a=%FF", "a", "�"),
        ("a=%4", "a", "%4"),
        ("ab=1", "a", None),
        ("A=1", "a", None),
        ("", "a", None),
        ("&&a=1&", "a", "1"),
        ("b=&amp;a=1", "a", None),
    ],
)
def test_the_first_value(query: str, name: str, value: str | None) -> None:
    assert parameter(query, name) == value


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("k=1", ""),
        ("a=%20&k=1&b", "a=%20&b"),
        ("k&K=1&%6b=2&kk=3", "K=1&kk=3"),
        ("a=k", "a=k"),
        ("", ""),
        ("a=%FF&k=%FF", "a=%FF"),
        ("gr%C3%BCn=1&k=%zz", "gr%C3%BCn=1"),
    ],
)
def test_the_rest_stays_as_it_was_sent(query: str, left: str) -> None:
    assert without_parameter(query, "k") == left


@given(st.lists(st.tuples(st.text(min_size=1, max_size=4), st.text(max_size=4)), max_size=6), st.text(min_size=1, max_size=4))
def test_agrees_with_the_standard_library(pairs: list[tuple[str, str]], name: str) -> None:
    query = urlencode(pairs)
    expected = dict(reversed(pairs))
    assert parameter(query, name) == expected.get(name)
    for key in expected:
        assert parameter(query, key) == expected[key]
        assert parse_qsl(without_parameter(query, key), keep_blank_values=True) == [pair for pair in pairs if pair[0] != key]
