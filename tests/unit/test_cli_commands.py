"""The command line's shape, and the small decisions of its commands."""

from __future__ import annotations

import contextlib
import re
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main
from hypothesis import given
from hypothesis import strategies as st

from ingestor import errors
from ingestor.cli.demo_home import demo_arguments
from ingestor.cli.event_options import parse_time
from ingestor.cli.events import as_object
from ingestor.cli.exit_codes import MEANINGS, ExitCode
from ingestor.cli.failing import exit_code_of
from ingestor.cli.flower import flower_environment, flower_password
from ingestor.cli.main import build_app, run
from ingestor.cli.processes import WorkerType, worker_arguments
from ingestor.demo.__main__ import parser
from ingestor.events.point import StoredEvent
from ingestor.queue.names import RARE, TaskType
from ingestor.settings import Settings

pytestmark = pytest.mark.usefixtures("logging_stays_as_it_was")

ROOT = Path(__file__).resolve().parents[2]


def settings(tmp_path: Path, **groups: Any) -> Settings:
    return Settings.model_validate({"data_dir": tmp_path, **groups})


def commands() -> dict[str, Any]:
    app: Any = typer.main.get_command(build_app())
    found: dict[str, Any] = {}
    for name, command in app.commands.items():
        found |= {f"{name} {below}": it for below, it in getattr(command, "commands", {}).items()} or {name: command}
    return found


def test_the_command_line_has_the_commands_that_others_rely_on() -> None:
    assert set(commands()) >= {
        *("up", "listen", "worker", "beat", "api", "flower", "demo", "doctor", "events", "status"),
        *("restart-workers", "config init", "config show", "config check", "quarantine list"),
        *("gaps list", "gaps show", "gaps retry", "gaps add", "reconcile"),
    }


def test_every_command_and_option_has_a_sentence_of_help() -> None:
    for name, command in commands().items():
        assert command.help, name
        for param in command.params:
            assert param.name == "help" or param.help, f"{name} {param.name}"


def test_every_command_that_prints_a_table_takes_json() -> None:
    for name in (
        "doctor",
        "events",
        "status",
        "config show",
        "config check",
        "quarantine list",
        "gaps list",
        "reconcile",
    ):
        assert any("--json" in param.opts for param in commands()[name].params), name


def test_variables_that_help_names_are_settings(capsys: pytest.CaptureFixture[str]) -> None:
    from ingestor.settings_keys import all_keys  # noqa: PLC0415 -- only here

    known = {key.variable for key in all_keys()} | {"HA_INGESTOR_CONFIG"}
    texts = [param.help or "" for command in commands().values() for param in command.params]

    named = {name for text in texts for name in re.findall(r"HA_INGESTOR_[A-Z_]*[A-Z]\b(?!__<)", text)}

    assert named
    assert named <= known


def test_each_kind_of_error_has_its_exit_code() -> None:
    assert int(exit_code_of(errors.InvalidSettings())) == 2
    assert int(exit_code_of(errors.Unanswerable())) == 2
    assert int(exit_code_of(errors.AuthenticationRefused())) == 4
    assert exit_code_of(errors.StoreRefused()) == ExitCode.REFUSED
    assert int(exit_code_of(errors.StoreUnavailable())) == 3
    assert int(exit_code_of(errors.Rejected("x"))) == 1
    assert set(MEANINGS) == set(ExitCode)


@pytest.mark.parametrize("command", [["events"], ["export", "csv"], ["quality", "try", "x"], ["quality", "noise"]])
def test_a_span_that_ends_before_it_begins_is_refused(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ha-ingestor.toml").write_text('[[quality.rules]]\nname = "x"\nkind = "bounds"\nmax = 60\n')

    assert run([*command, "--since", "1m", "--until", "1h"]) == ExitCode.BAD_SETTINGS
    assert "--since 1m is not before --until 1h" in re.sub(r"[│\s]+", " ", capsys.readouterr().err)


def test_the_version_is_data_and_help_names_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert re.fullmatch(r"ha-ingestor \d+\.\d+\.\d+\n", capsys.readouterr().out)
    assert run(["--help"]) == 0
    assert "Exit codes" in capsys.readouterr().out


def test_a_worker_node_is_a_celery_worker_of_one_queue(tmp_path: Path) -> None:
    arguments = worker_arguments(settings(tmp_path, workers={"write": 3, "host": "pi"}), WorkerType.WRITE, None)

    assert arguments[:2] == ["-m", "workers.worker"]
    assert arguments[arguments.index("-Q") + 1] == "write"
    assert arguments[arguments.index("-n") + 1] == "write@pi"
    assert arguments[arguments.index("-c") + 1] == "3"


def test_concurrency_may_be_given_and_rare_types_share_a_node(tmp_path: Path) -> None:
    arguments = worker_arguments(settings(tmp_path), WorkerType.RARE, 5)

    assert arguments[arguments.index("-Q") + 1] == ",".join(kind.value for kind in RARE)
    assert arguments[arguments.index("-c") + 1] == "5"
    assert {kind.value for kind in TaskType} < {kind.value for kind in WorkerType}


def test_a_worker_for_all_types_takes_every_queue(tmp_path: Path) -> None:
    arguments = worker_arguments(settings(tmp_path, workers={"together": 2}), WorkerType.ALL, None)

    assert set(arguments[arguments.index("-Q") + 1].split(",")) == {kind.value for kind in TaskType}
    assert arguments[arguments.index("-c") + 1] == "2"


def test_the_demo_home_is_as_set_and_takes_its_own_options_too(tmp_path: Path) -> None:
    arguments = demo_arguments(settings(tmp_path, demo={"entities": 20}).demo, ["--load", "--count", "9"])

    options = vars(parser().parse_args(arguments))

    assert (options["entities"], options["rate"], options["seed"], options["port"]) == (20, 5.0, 1, 0)
    assert (options["load"], options["count"]) == (True, 9)


def test_flowers_password_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    first = flower_password(settings(tmp_path))

    assert flower_password(settings(tmp_path)) == first
    assert len(first) >= 20
    assert stat.S_IMODE((tmp_path / "flower-password").stat().st_mode) == 0o600


def test_flower_is_told_its_password_by_environment_and_keeps_its_state(tmp_path: Path) -> None:
    environment = flower_environment(settings(tmp_path, flower={"user": "me", "password": "mine", "port": 5556}))

    assert environment["FLOWER_BASIC_AUTH"] == "me:mine"
    assert environment["FLOWER_PORT"] == "5556"
    assert environment["FLOWER_PERSISTENT"] == "true"
    assert Path(environment["FLOWER_DB"]).parent == tmp_path / "flower"
    assert not (tmp_path / "flower-password").exists()


@pytest.mark.parametrize(
    ("text", "age_s"), [("30s", 30), ("10m", 600), ("1h", 3600), ("2d", 172_800), ("1.5h", 5400), ("1w", 604_800)]
)
def test_an_age_counts_back_from_now(text: str, age_s: int) -> None:
    now_ns = 1_700_000_000_000_000_000

    assert parse_time(text, now_ns) == now_ns - age_s * 1_000_000_000


def test_an_iso_time_is_taken_with_its_zone_to_the_microsecond() -> None:
    assert parse_time("2024-03-01T12:00:00.000001+01:00", 0) == 1_709_290_800_000_001_000


@pytest.mark.parametrize(
    "text",
    [
        *("0001-01-01", "0001-01-01T00:00:00+05:00", "1960-01-01", "99999999999d", "9" * 400 + "w"),
        *("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-05:00", "9999-12-31", "2263-01-01"),
    ],
)
def test_a_time_that_no_store_holds_is_refused_where_it_is_read(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="before 1970 or after 2262"):
        parse_time(text, 1_700_000_000_000_000_000)


def test_a_time_that_the_clock_leaves_out_is_behind_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    try:
        found = [
            parse_time(f"2026-{text}", 0) // 10**6 for text in ("03-29T01:59:59.999", "03-29T02:15", "10-25T02:15")
        ]
    finally:
        monkeypatch.undo()
        time.tzset()

    hour_ms = 3_600_000
    begins_ms = 1_774_746_000_000  # 01:00 UTC
    assert found == [begins_ms - 1, begins_ms + hour_ms // 4, 1_792_887_300_000]


@pytest.mark.parametrize("text", ["1970-01-01T00:00+14:00", "1970-01-01T00:00Z"])
def test_the_first_day_is_taken_in_any_zone(text: str) -> None:
    assert parse_time(text, 1_700_000_000_000_000_000) == 0


@given(text=st.text(max_size=12))
def test_any_other_text_is_refused_and_nothing_else_happens(text: str) -> None:
    found: int | None = None

    with contextlib.suppress(typer.BadParameter):
        found = parse_time(text, 0)

    assert found is None or isinstance(found, int)


@pytest.mark.parametrize("words", [("show", "9" * 20), ("replay", "9" * 20), ("drop", "0", "--yes")])
def test_a_number_that_no_piece_can_have_is_a_wrong_argument(words: tuple[str, ...]) -> None:
    assert run(["quarantine", *words]) == ExitCode.BAD_SETTINGS


def test_an_event_is_printed_with_all_nine_digits() -> None:
    event = StoredEvent(1_700_000_000_000_000_007, "state", "home", "sensor.a", "sensor", {"area": "-"}, {"value": 1.5})

    shown = as_object(event)

    assert shown["time"] == "2023-11-14T22:13:20.000000007Z"
    assert shown["time_ns"] == 1_700_000_000_000_000_007
    assert shown["fields"] == {"value": 1.5}


def test_a_listener_loads_neither_the_api_nor_a_database_nor_a_store() -> None:
    program = (
        "import sys, ingestor.cli.main, ingestor.cli.listening, ingestor.intake.websocket\n"
        "heavy = ('fastapi', 'sqlalchemy', 'influxdb_client', 'uvicorn', 'paho', 'flower', 'rich', 'pygments')\n"
        "print([name for name in heavy if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_the_reference_tells_what_an_option_takes() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text("utf-8")

    for words in ("--yaml` `recorder\\|ingestor`", "--compress` `zstd\\|gzip`", "--format` `html\\|json\\|md\\|pdf`"):
        assert f"| `{words} |" in page
    assert "| `--scope` `entity\\|device\\|" in page
    assert "| `--data-dir` `PATH` |" in page
    assert "| `--json` |" in page


def test_the_reference_is_current() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/generate_docs.py", "--check"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
