"""What `doctor` finds: a verdict on one thing, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome. "unknown" is what cannot be tried from here; `advice` is "" where nothing is to do."""

    verdict: Literal["ok", "warning", "failed", "unknown"]
    subject: str
    says: str
    advice: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return plain JSON types."""
        return asdict(self)
