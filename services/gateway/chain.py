"""THE ORDER in which middlewares read their fields and are asked, top to bottom. Nothing else decides it.

There are three groups: `open` stages see every request; `keyed` stages are left out for an ignored path; `late` stages see everything that
goes to the upstream. A refusal or a reply ends the chain. A middleware that a definition does not use is not in its chain.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple, Protocol

from services.gateway.definitions.schema import DefinitionReader
from services.gateway.middleware import (
    access_rights,
    answer_urls,
    auth_key,
    basic_auth,
    body_transform,
    cache,
    certificate_key,
    circuit_breaker,
    client_certificate,
    cors,
    custom_auth,
    custom_post,
    custom_post_key,
    custom_pre,
    custom_response,
    error_overrides,
    hard_timeouts,
    hmac_signature,
    internal_paths,
    ip_filter,
    jwt,
    key_state,
    looping,
    method_transform,
    mock_response,
    oauth,
    oauth_endpoints,
    openid,
    organisation,
    path_lists,
    quota,
    rate_limit,
    rate_limit_status,
    request_headers,
    response_body_transform,
    response_headers,
    size_limit,
    tracking,
    upstream_target,
    url_rewrite,
    validate_json,
    version,
    virtual_endpoint,
)
from services.gateway.ports import Ports

Group = Literal["open", "keyed", "late"]


class Middleware(Protocol):
    """A file of `middleware/`. It may also have `warnings(reader)`, which gives what is probably not meant in its fields."""

    __name__: str

    def fields(self, reader: DefinitionReader) -> Any:
        """Read and check its own fields into a frozen spec; None when the definition does not use it."""

    def build(self, spec: Any, ports: Ports) -> Any:
        """Build the ready object, with `on_request(exchange)` and perhaps `on_response(exchange, head)`; None = nothing to do.

        `steady` on it, when true, says that what `on_response` does follows from the head, and from the method, the path and the version
        of the request, and that it does nothing else.
        """


class Step(NamedTuple):
    """A middleware's place. envelope: whether it is asked of a batch's envelope, too."""

    group: Group
    middleware: Middleware
    envelope: bool = False


ORDER: Final[tuple[Step, ...]] = (
    # Who may talk to the API at all. Nothing below escapes it, neither a reply nor an ignored path.
    Step("open", ip_filter, envelope=True),
    # Who has the private key of which certificate: the connection says so, and no later stage opens what this one closes.
    Step("open", client_certificate, envelope=True),
    # The operator's own scripts, before anything is read of the request: what they set is what is checked.
    Step("open", custom_pre),
    # Whose API it is. An organisation that is switched off serves nothing, not even a reply.
    Step("open", organisation),
    # A browser's preflight has no key and no version; refusals from here on can be read by the pages that are allowed.
    Step("open", cors, envelope=True),
    # Path lists, sizes and rights depend on the version; a wrong one is refused before a key is looked at.
    Step("open", version),
    # Where clients get the tokens that the API asks for: path lists do not count there, and no token is asked for.
    Step("open", oauth_endpoints),
    # Neither a reply nor an ignored path opens what is closed to clients.
    Step("open", internal_paths),
    # As Tyk: a mock is a reply, whatever the path lists say, and needs no key.
    Step("open", mock_response),
    # An ignored path leaves out the keyed stages; a reply ends here.
    Step("open", path_lists),
    # Before any work for a body that is too large.
    Step("open", size_limit),
    # Whose request it is: all the ways that the definition asks for. No other stage may look into the key store.
    Step("keyed", oauth, envelope=True),
    Step("keyed", basic_auth, envelope=True),
    Step("keyed", hmac_signature, envelope=True),
    Step("keyed", jwt, envelope=True),
    Step("keyed", openid, envelope=True),
    Step("keyed", custom_auth, envelope=True),
    Step("keyed", certificate_key, envelope=True),
    Step("keyed", auth_key, envelope=True),
    # A key that is switched off or has ended has no rights to look at.
    Step("keyed", key_state, envelope=True),
    # Rights before limits: a request that is not allowed is not charged.
    Step("keyed", access_rights),
    # Answers before a limit is charged.
    Step("keyed", rate_limit_status),
    # The rate before the quota: a request that is refused for its rate costs no quota.
    Step("keyed", rate_limit, envelope=True),
    # The last limit: what passes is charged, even if a later stage refuses its body. Nothing comes between the two: counters of another
    # process are asked for both at once, here.
    Step("keyed", quota, envelope=True),
    # Scripts that know whose request it is; what a limit refuses never reaches them.
    Step("keyed", custom_post_key),
    # What the client sent, before anything is changed. Of a request that is charged already, as in Tyk.
    Step("late", validate_json),
    # What was valid is changed: the body for the upstream, and that of its answer.
    Step("late", body_transform),
    Step("late", response_body_transform),
    # Scripts see what a template has made of an answer.
    Step("late", custom_response),
    # An error of the upstream has the last word of the definition, whatever its path makes of bodies.
    Step("late", error_overrides),
    # How long the upstream may take for this endpoint.
    Step("late", hard_timeouts),
    # What is recorded does not depend on what is sent on.
    Step("late", tracking),
    # Header fields before the method and the path: their rules are found by what the client asked for.
    Step("late", request_headers),
    # The method before the path, as in Tyk; both are found by those of the client.
    Step("late", method_transform),
    # A URL that names a host outranks the target of the version below.
    Step("late", url_rewrite),
    Step("late", upstream_target),
    # These change answers only; addresses before the fields that a definition sets itself.
    Step("late", response_headers),
    Step("late", answer_urls),
    # When it is known what the upstream would be asked. What answers in its place is not kept; what is kept asks no script, as in Tyk.
    Step("late", cache),
    # Answers in place of the upstream.
    Step("late", virtual_endpoint),
    # The last ones that see the request, and may answer it.
    Step("late", custom_post),
    # What a breaker lets through is sent to the upstream.
    Step("late", circuit_breaker),
    # Where the request is to go is known: another API of the gateway is asked in place of an upstream.
    Step("late", looping),
)
