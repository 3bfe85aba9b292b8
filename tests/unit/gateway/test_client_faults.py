"""What wire/ finds wrong with a request has a refusal, whatever it is."""

from __future__ import annotations

import pytest

from services.gateway import client_faults
from services.gateway.refusals import BODY_TOO_LARGE, MALFORMED_REQUEST
from services.gateway.wire.bodies import BadBody, BodyTooLarge
from services.gateway.wire.heads.faults import BadRequest, Fault


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_of_a_head_has_a_refusal_that_closes(fault: Fault) -> None:
    said = client_faults.of_head(BadRequest(fault))
    assert said.detail == said.kind.detail
    assert said.kind.closes
    assert client_faults.of_head(BadRequest(fault, "more")).detail == "more"


def test_every_fault_of_a_head_has_a_refusal_of_its_own() -> None:
    assert len({client_faults.of_head(BadRequest(fault)).kind.code for fault in Fault}) == len(Fault)


def test_what_is_wrong_with_a_body_is_told() -> None:
    bad = client_faults.of_body(BadBody("a chunk has no valid size"))
    assert (bad.kind, bad.detail) == (MALFORMED_REQUEST, "The body of the request is malformed: a chunk has no valid size.")
    large = client_faults.of_body(BodyTooLarge(), 10)
    assert (large.kind, large.detail) == (BODY_TOO_LARGE, "At most 10 bytes are allowed here.")
