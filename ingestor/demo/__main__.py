"""`python -m ingestor.demo`: the demo home with options; what it does is in `main`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog

from ingestor.demo import main
from ingestor.demo.home import NEWEST
from ingestor.demo.misbehaviour import Misbehaviour
from ingestor.demo.server import DEMO_TOKEN


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    found = argparse.ArgumentParser(prog="python -m ingestor.demo", description="A simulated Home Assistant.")
    add = found.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add("--port", type=int, default=0, help="port to listen on; 0: a free one")
    add("--entities", type=int, default=300, help="how many entities the home has (%(default)s)")
    add("--rate", type=float, default=5.0, help="events a second, up to 100000; 0: as fast as it goes (%(default)s)")
    add("--seed", type=int, default=1, help="the same seed gives the same home")
    add("--token", default=DEMO_TOKEN, help="the access token (%(default)s)")
    add("--ha-version", default=NEWEST, help="version whose messages to speak, such as 2024.3.3 (%(default)s)")
    add("--load", action="store_true", default=None, help="send numbered events from prebuilt frames")
    add("--count", type=int, default=0, help="end the load after so many events")
    add("--seconds", type=float, default=0.0, help="end the load after so many seconds")
    add("--wait-for-readers", action="store_true", help="load waits for a slow reader instead of cutting it off")
    add("--mqtt-url", help="publish to this broker: mqtt://host:port")
    add("--mqtt-form", choices=("statestream", "eventstream"), default="statestream", help="form of load by MQTT")
    add("--mqtt-qos", type=int, choices=(0, 1), default=1, help="quality of service of load by MQTT")
    add("--event-topic", help="publish all events to this topic too, as mqtt_eventstream does")
    add("--cut-every", type=float, default=0.0, metavar="S", help="break all connections every so many seconds")
    add("--stall-every", type=float, default=0.0, metavar="S", help="fall silent every so many seconds")
    add("--stall-for", type=float, default=10.0, metavar="S", help="for so long (%(default)s)")
    add("--rubbish-every", type=float, default=0.0, metavar="S", help="send a broken frame every so many seconds")
    add("--refuse-token", action="store_true", help="refuse every token")
    add("--faults", choices=("none", "few", "all"), default="none", help="known faults to plant (%(default)s)")
    add("--truth", type=Path, metavar="FILE", help="write there, as JSON, what is wrong with whom and from when on")
    return found


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the demo home with these arguments."""
    if not structlog.is_configured():  # standard output is for programs: a line of JSON where it is, one for its load
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    options = vars(parser().parse_args(arguments))
    wrong = Misbehaviour(
        refuse_token=options.pop("refuse_token"),
        cut_every_s=options.pop("cut_every"),
        stall_every_s=options.pop("stall_every"),
        stall_for_s=options.pop("stall_for"),
        rubbish_every_s=options.pop("rubbish_every"),
    )
    return main.run(misbehaviour=wrong, **options)


if __name__ == "__main__":
    sys.exit(run())
