"""What a worker process holds open: made at its first use, once a process (a prefork child is one).

Imports stand inside the functions on purpose: a node loads what its own tasks use. While batches wait it is started for
them, and what it loads they wait for.
"""
# ruff: noqa: PLC0415 -- see above

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from celery import current_app

from ingestor import bootstrap
from ingestor.settings_following import follower

#: What depends on settings that may change while a process runs (`settings_following.LIVE`).
_MADE_OF_SETTINGS = ("gate", "carries")

if TYPE_CHECKING:
    import redis
    import sqlalchemy as sa

    from ingestor.enrichment.steps import Plan
    from ingestor.home.facts import FactsSource
    from ingestor.home.merge import Diff
    from ingestor.home.port import HomeMap
    from ingestor.live.feed import LiveFeed
    from ingestor.pipeline.late_causes import LateCauses
    from ingestor.pipeline.write_alone import SuspectingWriter
    from ingestor.quality.arrivals import Arrivals
    from ingestor.quality.attributes_store import SharedAttributes
    from ingestor.quality.clocks import HomeClocks
    from ingestor.quality.gate import Gate
    from ingestor.queue.done import DoneMarks
    from ingestor.queue.late_post import LatePost
    from ingestor.queue.ledger_post import LedgerPost
    from ingestor.queue.observed_post import ObservedPost
    from ingestor.queue.pauses import HeededPauses
    from ingestor.queue.producer import TaskSender
    from ingestor.queue.tracing import SpanMaker
    from ingestor.settings import HomeSettings, Settings
    from ingestor.storage.breaker import StoreBreaker
    from ingestor.storage.ledger import Ledger
    from ingestor.storage.observed import Observed
    from ingestor.storage.port import Store
    from ingestor.storage.quarantine import Quarantine
    from tasks.poison import Trials


@dataclass(frozen=True)
class Resources:
    """Open connections and caches of this process; each is opened when it is first asked for."""

    settings: Settings

    @functools.cached_property
    def state(self) -> redis.Redis[bytes]:
        """The state server."""
        return bootstrap.open_state(self.settings)

    @functools.cached_property
    def pauses(self) -> HeededPauses:
        """Which task types are paused."""
        from ingestor.queue.pauses import HeededPauses, Pauses

        return HeededPauses(Pauses(bootstrap.open_state(self.settings, hurried=True)))

    @functools.cached_property
    def producer(self) -> TaskSender:
        """What sends a batch to its next step."""
        from ingestor.queue.producer import Producer

        return Producer(current_app)

    @functools.cached_property
    def spans(self) -> SpanMaker | None:
        """What makes spans of the steps; none unless a collector is set."""
        from ingestor.queue.tracing import open_spans

        return open_spans(self.settings.tracing)

    @functools.cached_property
    def done(self) -> DoneMarks:
        """The mailboxes of the journals."""
        return bootstrap.open_done_marks(self.state)

    @functools.cached_property
    def ledger_post(self) -> LedgerPost:
        """Where listeners leave their counts."""
        return bootstrap.open_ledger_post(self.settings, self.state)

    @functools.cached_property
    def ledger(self) -> Ledger:
        """Where the counts of all are added up."""
        return bootstrap.open_ledger(self.settings, self.database)

    @functools.cached_property
    def observed_post(self) -> ObservedPost:
        """Where workers leave what they observed."""
        return bootstrap.open_observed_post(self.state)

    @functools.cached_property
    def late_post(self) -> LatePost:
        """Where points wait whose cause is not known yet."""
        return bootstrap.open_late_post(self.state)

    @functools.cached_property
    def live_feed(self) -> LiveFeed | None:
        """What tells those who listen now; none where the live channel is switched off."""
        return bootstrap.open_live_feed(self.settings)

    @functools.cached_property
    def late_causes(self) -> LateCauses:
        """What looks their causes up again."""
        return bootstrap.open_late_causes(self.settings, self.late_post, self.state, self.store, self.breaker)

    @functools.cached_property
    def observed(self) -> Observed:
        """What was observed of the homes."""
        return bootstrap.open_observed(self.settings, self.database)

    @functools.cached_property
    def trials(self) -> Trials:
        """Where batches that never came back are tried out."""
        from tasks.poison import Trials

        return Trials()

    @functools.cached_property
    def home_map(self) -> HomeMap:
        """The map of the homes."""
        return bootstrap.open_home_map(self.state)

    @functools.cached_property
    def facts(self) -> FactsSource:
        """The facts of the homes."""
        return bootstrap.open_facts(self.settings, self.state)

    @functools.cached_property
    def gate(self) -> Gate:
        """What asks the rules of quality about each event."""
        from ingestor.quality.gate import Gate

        return Gate(self.settings.quality)

    @functools.cached_property
    def attributes(self) -> SharedAttributes:
        """Which attributes of a home's events say nothing."""
        from ingestor.quality.attributes_store import SharedAttributes

        return SharedAttributes(self.state)

    @functools.cached_property
    def clocks(self) -> HomeClocks:
        """What watches how far the homes' clocks are ahead."""
        from ingestor.quality.clocks import HomeClocks

        return HomeClocks(self.state)

    @functools.cached_property
    def arrivals(self) -> Arrivals:
        """What counts how late events were heard, and which came twice."""
        from ingestor.quality.arrivals import Arrivals

        return Arrivals(self.state)

    def gate_of(self, home: str) -> Gate:
        """Return the gate, with what was learned of that home."""
        if self.settings.quality.leave_out_learned:
            self.gate.learn(self.attributes.names(home))
        return self.gate

    @functools.cached_property
    def steps(self) -> Plan:
        """The steps of enrichment, in their order."""
        from ingestor.enrichment.opening import Means, enrichment_steps
        from ingestor.enrichment.steps import Plan

        return Plan.of(enrichment_steps(self.settings.enrichment.steps, Means(self.settings, self.state)))

    @functools.cached_property
    def quarantine(self) -> Quarantine:
        """Where rejected pieces rest."""
        return bootstrap.open_quarantine(self.settings, self.database)

    @functools.cached_property
    def store(self) -> Store:
        """The event store."""
        return bootstrap.open_store(self.settings)

    @functools.cached_property
    def breaker(self) -> StoreBreaker:
        """What says whether writing is worth a try."""
        return bootstrap.open_breaker(self.state)

    @functools.cached_property
    def writer(self) -> SuspectingWriter:
        """The writer to that store, behind the breaker."""
        return bootstrap.open_writer(self.settings, self.store, self.breaker, self.state)

    def sync_home(self, home: HomeSettings) -> Diff:
        """Read the registries of a home and publish its map; one at a time for a home."""
        from ingestor.home.sync import run_sync

        return run_sync(home, self.settings.registry, self.state, self.database)

    @functools.cached_property
    def database(self) -> sa.Engine:
        """The metadata database."""
        return bootstrap.open_metadata(self.settings)

    @functools.cached_property
    def carries(self) -> frozenset[str]:
        """What must travel with an event besides the lean fields."""
        return self.settings.carries()


@functools.cache
def resources() -> Resources:
    """Return this process's resources."""
    return Resources(follower().apply(bootstrap.settings()))


def adopt(settings: Settings) -> None:
    """Go on with other settings; what was made of them is made anew when it is asked for."""
    held = vars(resources())
    held["settings"] = settings
    for name in _MADE_OF_SETTINGS:
        held.pop(name, None)


def forget() -> None:
    """Forget inherited resources: a forked child must not share its parent's connections."""
    resources.cache_clear()
