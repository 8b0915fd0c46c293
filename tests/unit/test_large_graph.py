"""The graph of 20,000 entities and 1,000 automations answers each question; how fast, the bench measures."""

from __future__ import annotations

import pytest

from ingestor.cli.home_told import print_tree
from ingestor.cli.output import print_table
from ingestor.home.graph.model import Node
from ingestor.home.graph.questions import Branch
from ingestor.home.graph.ready import ready_graph
from tests.bench.large_graph import asked, large_objects, large_observed


def test_a_large_graph_answers_each_question(capsys: pytest.CaptureFixture[str]) -> None:
    objects = large_objects()
    graph = ready_graph("large", objects, large_observed(objects))

    answers = {name: (question(), capsys.readouterr().out) for name, question in asked(graph).items()}

    silent = [name for name, (answer, printed) in answers.items() if not answer and not printed]
    assert silent == ["a thing that is not there"]


def test_a_tree_shows_each_thing_in_what_it_stands_in(capsys: pytest.CaptureFixture[str]) -> None:
    lamp = Branch(Node("device:d", "device", "Lamp\x1b[31m"), [Branch(Node("light.l", "entity"))])
    hall = Branch(Node("area:hall", "area", "Hall"), [lamp, Branch(Node("sensor.t", "entity", "T [°C]"))])

    print_tree([hall, Branch(Node("nowhere:devices", "nowhere", "Devices without an area"))])

    assert capsys.readouterr().out.splitlines() == [
        "Hall  area:hall",
        "├── Lamp [31m  device:d",
        "│   └── light.l",
        "└── T [°C]  sensor.t",
        "Devices without an area",
    ]


def test_a_long_table_is_printed_with_all_its_text_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [[f"sensor.{number}", "x" * (200 if number == 7 else 3), "end"] for number in range(300)]

    print_table(("entity", "value", "last"), rows, "Long")

    title, head, rule, *lines = capsys.readouterr().out.splitlines()
    assert (title, head.split(), set(rule)) == ("Long", ["entity", "value", "last"], {"─"})
    assert [line.split() for line in lines] == rows
    assert lines[0].index("xxx") == lines[299].index("xxx") == head.index("value")
