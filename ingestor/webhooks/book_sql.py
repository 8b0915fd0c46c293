"""Webhooks and their deliveries in the metadata database: SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ingestor import errors
from ingestor.storage.database import database_errors, reading
from ingestor.webhooks.model import PING, Counted, Delivery, DeliveryState, Hook, Parcel
from ingestor.webhooks.schedule import OF_THE_MESSAGE
from ingestor.webhooks.tables import DECIDED, DELIVERIES, HEAD, HOOKS, delivery_of, hook_of, hook_row

_Hooks = list[Hook]  # within the class `list` is a method
_Deliveries = list[Delivery]
_TRIED: Final = ("state", "next_us", "ended_us", "tries", "status", "error", "body")


class SqlWebhookBook:
    """The book in SQLite or PostgreSQL."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._insert: Any = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    def hooks(self) -> _Hooks:
        """Return all webhooks, the oldest first. Raises StoreUnavailable."""
        with reading(self._engine) as connection:
            found = connection.execute(sa.select(HOOKS).order_by(HOOKS.c.made_us, HOOKS.c.hook_id))
            return [hook_of(dict(row)) for row in found.mappings()]

    def find(self, hook_id: str) -> Hook:
        """Return a webhook. Raises NotFound, StoreUnavailable."""
        with reading(self._engine) as connection:
            return _hook(connection, hook_id)

    def counted(self, hook_id: str) -> Counted:
        """Return what lies there for a webhook. Raises StoreUnavailable."""
        with reading(self._engine) as connection:
            return _counted(connection, hook_id)

    def create(self, hook: Hook, most: int) -> None:
        """Keep a new webhook. Raises Conflict, StoreUnavailable."""
        with database_errors(), self._engine.begin() as connection:
            if int(connection.execute(sa.select(sa.func.count()).select_from(HOOKS)).scalar_one()) >= most:
                raise errors.Conflict(f"there are {most} webhooks already (webhooks.max_hooks)")
            connection.execute(sa.insert(HOOKS).values(hook_row(hook)))

    def change(self, hook_id: str, decide: Callable[[Hook], Hook]) -> Hook:
        """Keep what somebody decides of a webhook, as its next version. Raises NotFound, StoreUnavailable."""
        with database_errors(), self._engine.begin() as connection:
            now = _hook(connection, hook_id, locked=True)
            hook = replace(decide(now), version=now.version + 1)
            row = hook_row(hook)
            values = {name: row[name] for name in DECIDED}
            if hook.enabled:
                values |= {"failures": 0, "paused_until_us": 0}
            connection.execute(sa.update(HOOKS).where(HOOKS.c.hook_id == hook_id).values(values))
            if hook.enabled:
                connection.execute(sa.update(DELIVERIES).where(_waiting(hook_id)).values(next_us=0))
            return _hook(connection, hook_id)

    def remove(self, hook_id: str) -> None:
        """Forget a webhook. Raises NotFound, StoreUnavailable."""
        with database_errors(), self._engine.begin() as connection:
            if not connection.execute(sa.delete(HOOKS).where(HOOKS.c.hook_id == hook_id)).rowcount:
                raise _no_hook(hook_id)
            connection.execute(sa.delete(DELIVERIES).where(DELIVERIES.c.hook_id == hook_id))

    def add(self, hook_id: str, parcels: Sequence[Parcel], cursor: str, now_us: int, gaps: int = 0) -> Counted:
        """Keep deliveries and the cursor behind them in one transaction. Raises NotFound, StoreUnavailable."""
        rows = [_new_row(hook_id, parcel, now_us) for parcel in parcels]
        changes: dict[str, Any] = {"gaps": HOOKS.c.gaps + gaps}
        if cursor:
            changes["cursor"] = cursor
        with database_errors(), self._engine.begin() as connection:
            if not connection.execute(sa.update(HOOKS).where(HOOKS.c.hook_id == hook_id).values(changes)).rowcount:
                raise _no_hook(hook_id)
            if rows:
                connection.execute(self._insert(DELIVERIES).on_conflict_do_nothing(), rows)
            return _counted(connection, hook_id)

    def begin(self, hook_id: str, cursor: str) -> bool:
        """Note where a webhook begins, once. Raises StoreUnavailable."""
        new = (HOOKS.c.hook_id == hook_id) & (HOOKS.c.cursor == "")
        with database_errors(), self._engine.begin() as connection:
            return bool(connection.execute(sa.update(HOOKS).where(new).values(cursor=cursor)).rowcount)

    def due(self, hook_id: str, now_us: int, limit: int, *, pings_only: bool = False) -> _Deliveries:
        """Return what may be tried now. Raises StoreUnavailable."""
        wanted = _waiting(hook_id) & (DELIVERIES.c.next_us <= now_us)
        if pings_only:
            wanted &= DELIVERIES.c.kind == PING
        return self._select(sa.select(DELIVERIES).where(wanted).order_by(DELIVERIES.c.seq).limit(limit))

    def ready(self, now_us: int) -> set[str]:
        """Return the webhooks that something waits for now. Raises StoreUnavailable."""
        mine = (DELIVERIES.c.hook_id == HOOKS.c.hook_id) & (DELIVERIES.c.state == DeliveryState.WAITING.value)
        query = sa.select(HOOKS.c.hook_id).where(sa.exists().where(mine & (DELIVERIES.c.next_us <= now_us)))
        with reading(self._engine) as connection:
            return {str(one) for one in connection.execute(query).scalars()}

    def next_us(self, hook_id: str) -> int | None:
        """Return when the next one may be tried. Raises StoreUnavailable."""
        query = sa.select(sa.func.min(DELIVERIES.c.next_us)).where(_waiting(hook_id))
        with reading(self._engine) as connection:
            found = connection.execute(query).scalar()
        return None if found is None else int(found)

    def settle(self, hook: Hook, tried: Sequence[Delivery], *, back: bool) -> None:
        """Keep what came of tries. Raises StoreUnavailable."""
        delivered = sum(one.state is DeliveryState.DELIVERED for one in tried)
        told = {name: getattr(hook, name) for name in ("failures", "paused_until_us", "last_error", "last_taken_us")}
        told["delivered"] = HOOKS.c.delivered + delivered
        if not hook.enabled:
            told |= {"enabled": False, "why": hook.why, "version": HOOKS.c.version + 1}
        with database_errors(), self._engine.begin() as connection:
            # Not where somebody has changed it meanwhile: what they decided holds.
            same = (HOOKS.c.hook_id == hook.hook_id) & (HOOKS.c.version == hook.version)
            connection.execute(sa.update(HOOKS).where(same).values(told))
            for one in tried:
                row = asdict(one)
                connection.execute(
                    sa.update(DELIVERIES)
                    .where(DELIVERIES.c.seq == one.seq)
                    .values({name: row[name] for name in _TRIED})
                )
            if back:
                put_off = DELIVERIES.c.status.not_in(OF_THE_MESSAGE)
                connection.execute(sa.update(DELIVERIES).where(_waiting(hook.hook_id) & put_off).values(next_us=0))

    def tidy(self, hook_id: str, now_us: int, *, give_up_after_us: int, keep_dead: int, keep_delivered: int) -> None:
        """Give up what is too old, forget what is too much; what is forgotten of the dead is counted."""
        old = _waiting(hook_id) & (DELIVERIES.c.made_us < now_us - give_up_after_us)
        with database_errors(), self._engine.begin() as connection:
            dead = {"state": DeliveryState.DEAD.value, "ended_us": now_us}
            connection.execute(sa.update(DELIVERIES).where(old).values(dead))
            _forget(connection, hook_id, DeliveryState.DELIVERED, keep_delivered)
            gone = _forget(connection, hook_id, DeliveryState.DEAD, keep_dead)
            if gone:
                mine = sa.update(HOOKS).where(HOOKS.c.hook_id == hook_id)
                connection.execute(mine.values(forgotten=HOOKS.c.forgotten + gone))

    def list(
        self, hook_id: str, *, state: DeliveryState | None = None, before: int | None = None, limit: int = 100
    ) -> _Deliveries:
        """Return deliveries without bodies, the newest first. Raises StoreUnavailable."""
        wanted = DELIVERIES.c.hook_id == hook_id
        if state is not None:
            wanted &= DELIVERIES.c.state == state.value
        if before is not None:
            wanted &= DELIVERIES.c.seq < before
        return self._select(sa.select(*HEAD).where(wanted).order_by(DELIVERIES.c.seq.desc()).limit(limit))

    def delivery(self, hook_id: str, delivery_id: str) -> Delivery:
        """Return a delivery with its body. Raises NotFound, StoreUnavailable."""
        own = (DELIVERIES.c.hook_id == hook_id) & (DELIVERIES.c.delivery_id == delivery_id)
        found = self._select(sa.select(DELIVERIES).where(own))
        if not found:
            raise errors.NotFound(f"there is no delivery {delivery_id!r:.80} of that webhook, or it is forgotten")
        return found[0]

    def replay(self, hook_id: str, now_us: int, delivery_id: str | None = None) -> int:
        """Let dead deliveries be tried anew: they are as old as this moment. Raises StoreUnavailable."""
        dead = (DELIVERIES.c.hook_id == hook_id) & (DELIVERIES.c.state == DeliveryState.DEAD.value)
        if delivery_id is not None:
            dead &= DELIVERIES.c.delivery_id == delivery_id
        anew = {"state": DeliveryState.WAITING.value, "made_us": now_us, "next_us": now_us, "tries": 0, "ended_us": 0}
        with database_errors(), self._engine.begin() as connection:
            found = int(connection.execute(sa.update(DELIVERIES).where(dead).values(anew)).rowcount)
            if found:
                mine = sa.update(HOOKS).where(HOOKS.c.hook_id == hook_id)
                connection.execute(mine.values(failures=0, paused_until_us=0))
        return found

    def _select(self, query: Any) -> _Deliveries:
        with reading(self._engine) as connection:
            return [delivery_of(dict(row)) for row in connection.execute(query).mappings()]


def _hook(connection: sa.Connection, hook_id: str, *, locked: bool = False) -> Hook:
    query = sa.select(HOOKS).where(HOOKS.c.hook_id == hook_id)
    if locked:  # PostgreSQL; in SQLite who may write is alone already
        query = query.with_for_update()
    row = connection.execute(query).mappings().first()
    if row is None:
        raise _no_hook(hook_id)
    return hook_of(dict(row))


def _no_hook(hook_id: str) -> errors.NotFound:
    return errors.NotFound(f"there is no webhook {hook_id!r:.80}; `ha-ingestor webhooks list` names them")


def _waiting(hook_id: str) -> Any:
    return (DELIVERIES.c.hook_id == hook_id) & (DELIVERIES.c.state == DeliveryState.WAITING.value)


def _counted(connection: sa.Connection, hook_id: str) -> Counted:
    query = (
        sa.select(DELIVERIES.c.state, sa.func.count(), sa.func.sum(DELIVERIES.c.size))
        .where(DELIVERIES.c.hook_id == hook_id)
        .group_by(DELIVERIES.c.state)
    )
    found = {str(state): (int(count), int(size)) for state, count, size in connection.execute(query)}
    waiting, size = found.get(DeliveryState.WAITING, (0, 0))
    return Counted(waiting, size, found.get(DeliveryState.DEAD, (0, 0))[0])


def _forget(connection: sa.Connection, hook_id: str, state: DeliveryState, keep: int) -> int:
    own = (DELIVERIES.c.hook_id == hook_id) & (DELIVERIES.c.state == state.value)
    newest = sa.select(DELIVERIES.c.seq).where(own).order_by(DELIVERIES.c.seq.desc())
    first_gone = connection.execute(newest.offset(keep).limit(1)).scalar()
    if first_gone is None:
        return 0
    return int(connection.execute(sa.delete(DELIVERIES).where(own & (DELIVERIES.c.seq <= first_gone))).rowcount)


def _new_row(hook_id: str, parcel: Parcel, now_us: int) -> dict[str, Any]:
    row = Delivery(
        hook_id,
        parcel.delivery_id,
        0,
        parcel.kind,
        parcel.messages,
        DeliveryState.WAITING,
        now_us,
        now_us,
        size=len(parcel.body),
        body=parcel.body,
    )
    return {name: value for name, value in asdict(row).items() if name != "seq"}
