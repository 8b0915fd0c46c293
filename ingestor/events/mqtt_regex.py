"""Regular expressions of value templates, as far as they cannot run for ever; Python's have no time limit."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from ingestor.events.mqtt_limits import require_short, require_time

_LONGEST: Final = 200
#: Ways in which a text may be divided among the parts of an expression; each takes some 30 ns.
_MAX_WAYS: Final = 20_000_000
#: A group or a repetition that is repeated: how often it fails can double with each character.
_NESTED: Final = re.compile(r"\)[*+{]|[*+}]\)*[*+{]")
#: What can match in more than one way.
_CHOICE: Final = re.compile(r"[*+?}]\??|\|")


def replace(value: Any, find: str = "", replace: str = "", ignorecase: bool = False) -> str:
    """Return the text with what matches replaced."""
    text = str(value)
    require_short((len(text) + 1) * (1 + len(replace)))
    return _compiled(find, text, ignorecase=ignorecase).sub(replace, text)


def match(value: Any, find: str = "", ignorecase: bool = False) -> bool:
    """Tell whether the text begins so."""
    return _compiled(find, str(value), ignorecase=ignorecase).match(str(value)) is not None


def search(value: Any, find: str = "", ignorecase: bool = False) -> bool:
    """Tell whether the text holds it."""
    return _compiled(find, str(value), ignorecase=ignorecase).search(str(value)) is not None


def findall(value: Any, find: str = "", ignorecase: bool = False) -> list[Any]:
    """Return all that matches."""
    return _compiled(find, str(value), ignorecase=ignorecase).findall(str(value))


def findall_index(value: Any, find: str = "", index: int = 0, ignorecase: bool = False) -> Any:
    """Return one of all that match."""
    return findall(value, find, ignorecase)[index]


def _compiled(find: str, text: str, *, ignorecase: bool) -> re.Pattern[str]:
    """Return the expression. Raises ValueError where it could take too long on that text."""
    require_time()
    if len(find) > _LONGEST or _NESTED.search(find):
        raise ValueError("the regular expression is not simple")
    choices = len(_CHOICE.findall(find))
    if (len(text) + 1) * math.comb(len(text) + choices, choices) > _MAX_WAYS and choices:
        raise ValueError("the regular expression is not simple enough for so long a text")
    return re.compile(find, re.IGNORECASE if ignorecase else 0)
