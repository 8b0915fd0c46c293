"""Asks Home Assistant's REST API for what its WebSocket API does not tell; keeps nothing."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import requests

from ingestor.homeassistant.address import rest_url
from ingestor.settings import HomeAssistantSettings

_ANSWER_WITHIN_S: Final = 10.0


class HomeAssistantRest:
    """A connection that is kept between questions. A context manager.

    Only for the token of an admin: Home Assistant counts a refusal as a failed login and may ban the address.
    """

    def __init__(self, settings: HomeAssistantSettings, *, answer_within_s: float = _ANSWER_WITHIN_S) -> None:
        self._url = rest_url(str(settings.url or ""))
        self._answer_within_s = answer_within_s
        self._is_away = False
        self._session = requests.Session()
        # An address of the home network goes through no proxy, and no .netrc may replace the token.
        self._session.trust_env = False
        self._session.verify = settings.verify_tls
        if settings.token is not None:
            self._session.headers["Authorization"] = f"Bearer {settings.token.get_secret_value()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def scene_config(self, scene_id: str) -> dict[str, Any] | None:
        """Return what a scene made in the user interface sets; None where it is none, or cannot be asked.

        Once there was no answer, it is not asked again.
        """
        if self._is_away:
            return None
        address = f"{self._url}/config/scene/config/{quote(scene_id, safe='')}"
        try:
            answer = self._session.get(address, timeout=self._answer_within_s, allow_redirects=False)
            found = answer.json() if answer.status_code == requests.codes.ok else None
        except requests.RequestException:
            self._is_away = True
            return None
        return found if isinstance(found, dict) else None
