"""Reads the queries of Grafana dashboards; `$variables` of Grafana become what it would put there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: What Grafana puts in the place of its own variables, and ours ask for all.
_PUT_IN = {"$__rate_interval": "1m", "$__interval": "1m", "$__range": "1h", "$timeFilter": "time > now() - 1h"}
_OURS = {"$home": ".*", "$entity": ".*"}


def all_panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the panels, also those in rows."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", ())


def panels(folder: Path, kind: str) -> list[str]:
    """Return the queries of every dashboard to data sources of a kind (prometheus or influxdb)."""
    found = []
    for path in sorted(folder.glob("*.json")):
        dashboard = json.loads(path.read_text("utf-8"))
        targets = [target for panel in all_panels(dashboard) for target in panel.get("targets", ())]
        found += [target for target in targets if target["datasource"]["type"] == kind]
    return [filled_in(str(target.get("expr") or target["query"])) for target in found]


def filled_in(query: str) -> str:
    """Return a query as Grafana sends it."""
    for name, value in {**_PUT_IN, **_OURS}.items():
        query = query.replace(name, value)
    return query
