"""Where webhooks are registered, changed, tested and replayed: the same for the API and the command line."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from ingestor import errors
from ingestor.security.access import ANONYMOUS, Action, Principal, authorize
from ingestor.security.audit import Audit
from ingestor.settings_webhooks import WebhooksSettings
from ingestor.webhooks.addresses import Reach
from ingestor.webhooks.book import WebhookBook
from ingestor.webhooks.messages import ping_parcel
from ingestor.webhooks.model import LONGEST_WAIT_S, MOST_IN_BATCH, Counted, Delivery, DeliveryState, Hook, Wanted
from ingestor.webhooks.schedule import now_us
from ingestor.webhooks.secrets import SecretShelf

LONGEST_URL: Final = 2000
_SCHEMES: Final = ("http", "https")


class WebhookDesk:
    """What people do with webhooks. Every call may raise StoreUnavailable, and NotFound for one that is not there.

    Changes are made in the name of `by`: allowed, noted in the audit, then done; they may raise Unauthenticated.
    """

    def __init__(
        self,
        book: WebhookBook,
        shelf: SecretShelf,
        limits: WebhooksSettings,
        audit: Audit,
        *,
        by: Principal = ANONYMOUS,
        request_id: str = "",
    ) -> None:
        self.book = book
        self._shelf = shelf
        self._limits = limits
        self._audit = audit
        self._by = by
        self._about = {"request_id": request_id} if request_id else {}

    def summaries(self) -> list[tuple[Hook, Counted]]:
        """Return all webhooks with what lies there for them."""
        return [(hook, self.book.counted(hook.hook_id)) for hook in self.book.hooks()]

    def create(self, url: str, wanted: Wanted, description: str = "", cursor: str = "") -> tuple[Hook, str]:
        """Register a webhook; return it and its secret, which is told this once. Raises Unanswerable, Conflict."""
        self._check(wanted, url)
        hook_id = f"wh_{uuid.uuid4().hex[:20]}"
        hook = Hook(hook_id, url, wanted, description, made_us=now_us(), cursor=cursor)
        self._allow("create", hook_id)
        secret = self._shelf.make(hook_id)
        try:
            self.book.create(hook, self._limits.max_hooks)
        except errors.IngestorError:
            self._shelf.remove(hook_id)
            raise
        self._shelf.note_change()
        return hook, secret

    def change(
        self,
        hook_id: str,
        *,
        url: str | None = None,
        wanted: Callable[[Wanted], Wanted] | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Hook:
        """Change what is given, and nothing else, whoever changes that meanwhile. Raises Rejected, Unanswerable.

        `wanted` makes of what it was told so far what it is to be told. An address that is no longer allowed hinders
        nobody from disabling it; it is looked at where it is to be used.
        """
        given: dict[str, Any] = {"url": url, "description": description, "enabled": enabled}
        given = {name: value for name, value in given.items() if value is not None}
        if enabled is not None:
            given["why"] = ""

        def decide(hook: Hook) -> Hook:
            changed = replace(hook, **given, wanted=wanted(hook.wanted) if wanted is not None else hook.wanted)
            self._check(changed.wanted, changed.url if url is not None or enabled else None)
            return changed

        decide(self.book.find(hook_id))
        self._allow("change", hook_id)
        found = self.book.change(hook_id, decide)
        self._shelf.note_change()
        return found

    def remove(self, hook_id: str) -> None:
        """Forget a webhook, its deliveries and its secret."""
        self.book.find(hook_id)
        self._allow("remove", hook_id)
        self.book.remove(hook_id)
        self._shelf.remove(hook_id)
        self._shelf.note_change()

    def rotate(self, hook_id: str) -> tuple[Hook, str]:
        """Make a new secret and return it with the webhook; each old one is signed with for a day. Raises Conflict."""
        hook = self.book.find(hook_id)
        self._allow("rotate the secret", hook_id)
        secret = self._shelf.rotate(hook_id, now_us())
        self._shelf.note_change()
        return hook, secret

    def secret_fault(self, hook_id: str) -> str:
        """Say what is wrong with the secrets of a webhook, for which nothing is sent to it; "" where nothing is."""
        try:
            self._shelf.find(hook_id)
        except errors.Fatal as error:
            return str(error)
        return ""

    def ping(self, hook_id: str) -> Delivery:
        """Have a test delivery made. Raises Conflict for a webhook that is disabled."""
        hook = self.book.find(hook_id)
        if not hook.enabled:
            raise errors.Conflict(f"the webhook {hook_id} is disabled")
        self._allow("ping", hook_id)
        at_us = now_us()
        parcel = ping_parcel(hook, at_us)
        self.book.add(hook_id, [parcel], "", at_us)
        self._shelf.note_change()
        return self.book.delivery(hook_id, parcel.delivery_id)

    def replay(self, hook_id: str, delivery_id: str | None = None) -> int:
        """Let what was given up be tried anew, one or all; return how many. Raises Conflict where one was not."""
        hook = self.book.find(hook_id)
        if delivery_id is not None and self.book.delivery(hook_id, delivery_id).state is not DeliveryState.DEAD:
            raise errors.Conflict(f"the delivery {delivery_id} was not given up")
        self._allow("replay", hook_id)
        count = self.book.replay(hook.hook_id, now_us(), delivery_id)
        self._shelf.note_change()
        return count

    def _allow(self, what: str, hook_id: str) -> None:
        authorize(self._by, Action.CHANGE_WEBHOOKS)
        self._audit.note(self._by, Action.CHANGE_WEBHOOKS, {"webhook": hook_id, "what": what, **self._about})

    def _check(self, wanted: Wanted, url: str | None) -> None:
        wanted.messages.check()
        if not 1 <= wanted.batch <= MOST_IN_BATCH or not 0 <= wanted.batch_wait_s <= LONGEST_WAIT_S:
            raise errors.Unanswerable(f"a batch has 1 to {MOST_IN_BATCH} messages and waits up to {LONGEST_WAIT_S:g} s")
        if url is not None:
            self._check_url(url)

    def _check_url(self, url: str) -> None:
        """Refuse what can never be reached. Raises Unanswerable. A name is looked at when it is connected to."""
        if len(url) > LONGEST_URL or not url.isascii() or any(sign.isspace() or not sign.isprintable() for sign in url):
            raise _bad_url(f"has up to {LONGEST_URL} ASCII signs, none of them white space")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise _bad_url("cannot be read") from None
        if parts.scheme not in _SCHEMES or not host or port == 0:
            raise _bad_url("is an address such as https://example.org/hook")
        if parts.username or parts.password or parts.fragment:
            raise _bad_url("has no user, password or fragment: it is shown in lists")
        reach = Reach(private=self._limits.allow_private, networks=self._limits.allow_networks)
        addresses = _addresses_of(host)
        if addresses and not any(reach.allows(one) for one in addresses):
            raise _bad_url("is a private address (webhooks.allow_private, webhooks.allow_networks)")


def _bad_url(text: str) -> errors.Unanswerable:
    return errors.Unanswerable(f"the url {text}")


def _addresses_of(host: str) -> tuple[str, ...]:
    """Return which addresses a host may be, as text; none where it is a name that has to be looked up.

    Resolvers take an IPv4 address also as a number, as fewer parts, in base 8 or 16; `localhost` is nobody else's.
    """
    host = host.removesuffix(".")
    if host == "localhost" or host.endswith(".localhost"):
        return "127.0.0.1", "::1"
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host.partition("%")[0])
        return (host,)
    with contextlib.suppress(OSError):
        return (socket.inet_ntoa(socket.inet_aton(host)),)
    return ()
