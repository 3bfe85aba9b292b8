"""THE ORDER in which the rules are asked, top to bottom. Nothing else decides it.

Three groups: `open` stages see every request; `keyed` stages are left out for an ignored path; `late` stages see everything that goes
to the upstream. A refusal or a reply ends the way. A stage that a definition does not use is not in its chain.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

from services.gateway.middleware.access_rights import AccessRights
from services.gateway.middleware.auth_key import AuthKey
from services.gateway.middleware.hard_timeouts import HardTimeouts
from services.gateway.middleware.ip_filter import IpFilter
from services.gateway.middleware.key_state import KeyState
from services.gateway.middleware.path_lists import PathLists
from services.gateway.middleware.quota import Quota
from services.gateway.middleware.rate_limit import RateLimit
from services.gateway.middleware.rate_limit_status import RateLimitStatus
from services.gateway.middleware.size_limit import SizeLimits
from services.gateway.middleware.version import VersionCheck

Group = Literal["open", "keyed", "late"]


class Step(NamedTuple):
    """A middleware's place.

    middleware: its class, with `from_definition(definition, ports)`. envelope: whether it is asked of a batch's envelope, too.
    """

    group: Group
    middleware: Any
    envelope: bool = False


ORDER: Final = (
    # Who may talk to the API at all; nothing below, no canned reply and no ignored path, escapes it.
    Step("open", IpFilter, envelope=True),
    # Which version: path lists, sizes and rights depend on it, and a bad one is told before a key is looked at.
    Step("open", VersionCheck),
    # Closed and open paths; ignored ones leave out the keyed stages, replies answer here.
    Step("open", PathLists),
    # Before any work is done for a body that is too large.
    Step("open", SizeLimits),
    # Whose request it is; the only stage that may look into the key store.
    Step("keyed", AuthKey, envelope=True),
    # A key that is switched off or has ended has no rights.
    Step("keyed", KeyState, envelope=True),
    # Rights before limits: what is not allowed is not charged.
    Step("keyed", AccessRights),
    # Answers before anything is charged.
    Step("keyed", RateLimitStatus),
    # The rate before the quota: a request refused for its rate costs no quota.
    Step("keyed", RateLimit, envelope=True),
    # The last word: what passes is charged and goes to the upstream.
    Step("keyed", Quota, envelope=True),
    # How long the upstream may take for this endpoint.
    Step("late", HardTimeouts),
)
