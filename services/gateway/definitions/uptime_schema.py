"""The JSON of a definition's uptime tests: what the gateway asks upstreams from time to time, to know whether they are well.

Fields:
* `uptime_tests.disabled` (unknown): Leaves all tests out.
* `uptime_tests.check_list` (1.9): The tests, at most 100. A text is the URL of a test. An answer of 200 is a success, anything else is a
  failure: after `GATEWAY_UPTIME_FAILURES` of them in a row the host is down (`HostDown`), after as many successes it is up (`HostUp`).
  What that means for requests says `proxy.check_host_against_uptime_tests`. Differs: Every worker tests, not one of all. `HostDown` is
  told once, not with every failure; redirects are not followed.
* `uptime_tests.check_list[].url` (1.9, required): The URL to ask, http or https.
* `uptime_tests.check_list[].method` (1.9): The method, GET if it is empty.
* `uptime_tests.check_list[].headers` (1.9): Header fields of the test.
* `uptime_tests.check_list[].body` (1.9): The body of the test, in Base64.
* `uptime_tests.check_list[].timeout` (unknown): How long the answer may take: seconds up to 3600, above that nanoseconds, as Tyk has it; 0
  is 5 seconds. Differs: In Tyk all numbers are nanoseconds, and 0 is half a second.
* `uptime_tests.check_list[].protocol` (unknown): Empty, `http` or `https`. Differs: Tests of TCP services are a mistake.
* `uptime_tests.check_list[].enable_proxy_protocol` (unknown): Must be false. Differs: The PROXY protocol is a mistake.
* `uptime_tests.check_list[].commands` (unknown): Must be empty. Differs: Those of TCP services are a mistake.
* `uptime_tests.config.expire_utime_after` (1.9): Has no effect: the gateway keeps no analytics.
* `uptime_tests.config.recheck_wait` (1.9): Has no effect; it belongs to the discovery of hosts.
* `uptime_tests.config.service_discovery.use_discovery_service` (1.9): Must be false. Differs: Tests from a discovery service are a
  mistake.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from services.gateway.definitions import field_names, values
from services.gateway.definitions.checking import checked, read_headers
from services.gateway.definitions.model import TargetUrl, UptimeTest
from services.gateway.definitions.reader import Reader

_MOST: Final = 100
_USUAL_TIMEOUT: Final = 5.0
# Above this many a timeout is one of Go's, in nanoseconds.
_MOST_SECONDS: Final = 3600
_NANOSECONDS: Final = 1e9
_PROTOCOLS: Final = ("", "http", "https")


def read_uptime_tests(reader: Reader) -> tuple[UptimeTest, ...]:
    """Read the tests; none when they are switched off. reader: of `uptime_tests`."""
    if reader.flag("disabled"):
        reader.disregard()
        return ()
    config = reader.object("config", field_names.UPTIME_CONFIG)
    config.integer("expire_utime_after")
    config.integer("recheck_wait")
    discovery = config.opaque("service_discovery")
    if discovery.flag("use_discovery_service"):
        discovery.mistake("use_discovery_service", "not available yet: uptime tests from service discovery; list them in check_list")
    entries = reader.items("check_list")
    if len(entries) > _MOST:
        reader.mistake("check_list", f"check_list holds {len(entries)} tests; at most {_MOST} are allowed")
        return ()
    found = [_test(reader, entry, pointer) for entry, pointer in entries]
    return tuple(dict.fromkeys(test for test in found if test is not None))


def _test(reader: Reader, entry: Any, pointer: str) -> UptimeTest | None:
    if isinstance(entry, str):
        try:
            return UptimeTest(_url(entry))
        except ValueError as error:
            reader.report.add(pointer, str(error))
            return None
    test = reader.member(entry, pointer, field_names.UPTIME_TEST)
    protocol = test.text("protocol").lower()
    if protocol not in _PROTOCOLS:
        test.mistake("protocol", "not available yet: uptime tests of TCP services; http and https are served")
    if test.flag("enable_proxy_protocol"):
        test.mistake("enable_proxy_protocol", "not available yet: the PROXY protocol")
    if test.items("commands"):
        test.mistake("commands", "not available yet: commands of TCP services; an http or https URL is asked for status 200")
    method = test.text("method") or "GET"
    if not values.is_method(method):
        test.mistake("method", values.NO_METHOD)
    url = checked(test, "url", test.text("url"), _url_or_none, None)
    headers = read_headers(test, "headers", values.reply_header)
    body = checked(test, "body", test.text("body"), _decoded, b"")
    timeout = test.number("timeout", 0, 0, 86_400 * _NANOSECONDS)
    seconds = timeout if timeout <= _MOST_SECONDS else timeout / _NANOSECONDS
    return None if url is None else UptimeTest(url, method, headers, body, seconds or _USUAL_TIMEOUT)


def _url(text: str) -> TargetUrl:
    """Parse the URL of a test, whose slash at the end stays: nothing is put behind it."""
    try:
        url = values.target_url(text)
    except ValueError as error:
        raise ValueError(str(error).replace("target_url", "url")) from None
    return replace(url, path=f"{url.path}/") if urlsplit(text).path.endswith("/") else url


def _url_or_none(text: str) -> TargetUrl | None:
    return _url(text)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("body must be written in Base64") from None
