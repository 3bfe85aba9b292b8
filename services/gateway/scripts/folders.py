"""Finds scripts by their folders: `API_ID/pre/*.js` and the like below the folder of the scripts, as Tyk does.

The name of a file up to its first dot is the name of the global in it; one that ends in `_with_session` gets the session of the key. They
run in the order of their names: those of `pre` and `post` behind the scripts that the definition lists, those of `post_auth` before them.
Files whose names begin with a dot do not count.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from services.gateway.definitions.model import Script, ScriptKind, ScriptSet
from services.gateway.definitions.reader import Mistake, Mistakes
from services.gateway.definitions.script_names import is_name
from services.gateway.definitions.script_schema import NOT_ASKED
from services.gateway.scripts.files import ReadFile

_FOLDERS: Final[tuple[tuple[str, ScriptKind], ...]] = (
    ("pre", "pre"), ("auth", "auth_check"), ("post_auth", "post_key_auth"), ("post", "post"),
)  # fmt: skip
_WITH_SESSION: Final = "_with_session"


def find(folder: Path, api_id: str) -> tuple[list[Script], list[ReadFile]]:
    """Return the scripts that lie in the folders of an API, and the folders as they are now, by which a change is seen.

    Raises Mistakes for a folder that is there and cannot be read.
    """
    own = os.path.join(folder, api_id)
    seen = [ReadFile.of(own)]
    scripts: list[Script] = []
    if seen[0].stamp is None:
        _files(own)
        return scripts, seen
    for name, kind in _FOLDERS:
        inner = os.path.join(own, name)
        seen.append(ReadFile.of(inner))
        for file in sorted(_files(inner)):
            global_name = file.partition(".")[0]
            scripts.append(
                Script(
                    kind, "javascript", global_name, f"{api_id}/{name}/{file}",
                    with_session=global_name.endswith(_WITH_SESSION), pointer=f"/custom_middleware/{kind}", is_found=True,
                )
            )  # fmt: skip
    return scripts, seen


def _files(folder: str) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if name.endswith(".js") and not name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:  # a script that lies there might refuse requests: none may pass without it
        raise Mistakes([Mistake("", f"the folder of its scripts cannot be read: {(error.strerror or '').lower()}")]) from None


def complete(scripts: ScriptSet, found: Sequence[Script]) -> tuple[Script, ...]:
    """Return all scripts of an API, those of a kind in the order in which they run. Raises Mistakes."""
    _check(scripts, found)
    first = [script for script in found if script.kind == "post_key_auth"]
    return (*first, *scripts.scripts, *(script for script in found if script.kind != "post_key_auth"))


def _check(scripts: ScriptSet, found: Sequence[Script]) -> None:
    mistakes = []
    if found and scripts.language != "javascript":
        mistakes.append(Mistake("/custom_middleware/driver", f"`{found[0].path}` is in JavaScript, and files of this driver are not"))
    mistakes += [
        Mistake(one.pointer, f"the name of `{one.path}` up to its first dot is not that of a global")
        for one in found
        if not is_name(one.name)
    ]
    checks = [script for script in (*scripts.scripts, *found) if script.kind == "auth_check"]
    if len(checks) > 1:
        paths = " and ".join(f"`{one.path}`" for one in checks)
        mistakes.append(Mistake(checks[-1].pointer, f"only one script may say who calls, and there are {paths}"))
    elif checks and not scripts.asks:
        mistakes.append(Mistake(checks[0].pointer, f"`{checks[0].path}`: {NOT_ASKED}"))
    if mistakes:
        raise Mistakes(mistakes)
