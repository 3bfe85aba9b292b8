"""Runs the scripts of `custom_middleware.pre` before anything but the addresses of a client is looked at.

They see the request as it came and may change all of it: what they set, such as an `Authorization`, is what later stages check.
docs/custom-middleware.md says what a script gets and may do.

A fault or a time-out of a script ends the request. The whole body is read, up to `GATEWAY_BODY_READ_LIMIT`.

Fields:
* `custom_middleware.driver` (2.3): `otto`, `goja`, `javascript` or empty: the files are in JavaScript; `python`: in Python. Differs: Files
  in Python hold functions, and no bundle is needed; other drivers are mistakes.
* `custom_middleware.pre` (1.3): Scripts that run before authentication, in their order, and behind them those that are found by their
  folder (docs/custom-middleware.md). Differs: They also run for keyless APIs; a fault or a time-out of a script is answered 500. 1.4
  lets the request pass.
* `custom_middleware.pre[].name` (1.3, required): The global in the file: an object of `TykJS.TykMiddleware.NewMiddleware`, or a function in
  Python.
* `custom_middleware.pre[].path` (1.3): The file, below `GATEWAY_MIDDLEWARE_PATH`. Differs: A file that is not there, or does not compile,
  is a mistake. In Python it may be left out: `name` is then the one that an installed package registers a function by.
* `custom_middleware.pre[].code` (2.7): The source as base64, in place of a file.
* `custom_middleware.pre[].require_session` (1.3): Has no effect: there is no key yet.
* `custom_middleware.pre[].raw_body_only` (2.9): Has no effect: it belongs to plug-ins by gRPC.
* `custom_middleware.pre[].disabled` (5.3): Leaves the script out.
* `config_data` (2.3): What scripts get as `config.config_data`.
* `config_data_disabled` (5.3): Scripts get none of `config_data`.
Refusals: script-failed, script-timeout, script-refused, scripts-busy.
"""

from __future__ import annotations

from services.gateway.definitions.model import ScriptSet
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.ports import Ports
from services.gateway.scripts.hooks import Hooks


def fields(reader: DefinitionReader) -> ScriptSet:
    """Return all scripts of the API; whether there are any here, its folders may tell only when it is built."""
    return reader.definition.scripts


def build(spec: ScriptSet, ports: Ports) -> Hooks | None:
    """Load the files; None when there are no scripts here. Raises Mistakes."""
    return Hooks.of("pre", spec, ports.scripts)
