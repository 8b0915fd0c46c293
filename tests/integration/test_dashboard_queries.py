"""The dashboards' questions to InfluxDB are answered by a real one, over points as our store writes them."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from pathlib import Path

from tests.dashboards import panels
from tests.servers_stores import InfluxDB, get

FOLDER = Path(__file__).resolve().parents[2] / "compose" / "grafana" / "dashboards"
_CLASSES = ("temperature", "humidity", "power", "motion")


def test_every_question_to_influxdb_finds_series(influxdb: InfluxDB) -> None:
    database = influxdb.create_database("dashboards")
    tags = "home=home,series={0}.x,domain={0},area=Kitchen,device=Lamp,device_class={1}"
    fields = 'value=1,state="on",available={0},event_id="home~x~1",entity_id="x"'
    lines = [
        f"home_assistant_events,{tags.format(domain, kind)} {fields.format('false' if kind == 'motion' else 'true')}"
        for domain, kind in [("binary_sensor", kind) for kind in _CLASSES] + [("light", "-"), ("switch", "-")]
    ]
    lines.append(f'home_assistant_other_events,{tags.format("automation", "-")} event_type="automation_triggered"')
    assert get(f"{influxdb.url}/write?db={database}", data="\n".join(lines).encode()) == 204

    for question in panels(FOLDER, "influxdb"):
        query = urllib.parse.urlencode({"db": database, "q": question})
        with urllib.request.urlopen(f"{influxdb.url}/query?{query}", timeout=10) as answer:
            (result,) = json.load(answer)["results"]
        assert "error" not in result, f"{question}: {result}"
        assert result.get("series"), question
