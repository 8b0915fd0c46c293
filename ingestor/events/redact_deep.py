"""Takes secrets out of JSON whose keys are written in an unusual way, or stand several texts deep: decodes it, slowly.

Almost no payload needs it. What it changes is written anew, so spaces and the form of numbers may differ; what holds
no secret stays byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ingestor import errors
from ingestor.events import decoding

#: Texts within texts within texts: each level doubles the backslashes, so no more fit into a message.
_MAX_TEXTS: Final = 16


def redact_deep(payload: bytes, is_secret: Callable[[bytes], bool], mark: str) -> bytes | None:
    """Return the payload with every secret replaced; the very same object if there is none.

    None where it is no JSON, or nested too deep to be gone through.
    """
    try:
        found = _Walk(is_secret, mark)
        clean = found.clean(decoding.loads(payload), 0)
        return decoding.dumps(clean) if found.changed else payload
    except (errors.UndecodableFrame, RecursionError):
        return None


class _Walk:
    def __init__(self, is_secret: Callable[[bytes], bool], mark: str) -> None:
        self._is_secret = is_secret
        self._mark = mark
        self.changed = False

    def clean(self, value: Any, texts: int) -> Any:
        """Return the value without secrets; `texts` is in how many texts it stands."""
        if isinstance(value, dict):
            return {key: self._value(key, one, texts) for key, one in value.items()}
        if isinstance(value, list):
            return [self.clean(one, texts) for one in value]
        if isinstance(value, str) and value[:1] in {"{", "["} and texts < _MAX_TEXTS:
            return self._text(value, texts)
        return value

    def _value(self, key: str, value: Any, texts: int) -> Any:
        # `true` and objects say nothing secret by themselves.
        if isinstance(value, str | int | float) and not isinstance(value, bool) and self._is_secret(key.encode()):
            self.changed = True
            return self._mark
        return self.clean(value, texts)

    def _text(self, text: str, texts: int) -> str:
        before, self.changed = self.changed, False
        try:
            clean = self.clean(decoding.loads(text.encode()), texts + 1)
            return decoding.dumps(clean).decode() if self.changed else text
        except errors.UndecodableFrame:
            return text
        finally:
            self.changed = self.changed or before
