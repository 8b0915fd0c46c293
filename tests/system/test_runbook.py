"""The runbook as it is written: each command that a page quotes is run against a running stack, with what it names."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
import requests
from celery import Celery

from tests.system.stack import ROOT, Stack, wait_until

PAGES = sorted(page for page in (ROOT / "docs" / "runbook").glob("*.md") if page.name != "README.md")
_QUOTED = re.compile(r"`([^`]+)`")
#: They start what runs on: their help is asked.
_RUN_ON = ("ha-ingestor up", "ha-ingestor worker ", "ha-ingestor listen ")
#: What a page says that is seen there.
SEEN = {
    "ha-ingestor status": ("store", "journal", "queue", "worker nodes", "processes"),
    "ha-ingestor doctor": ("nothing failed",),
    "ha-ingestor quarantine list": ("unknown_message", "30"),
    "ha-ingestor quarantine show <id>": ("unknown_message", "rubbish"),
    "ha-ingestor workers": ("enrich", "write"),
}


def quoted(page: str) -> list[str]:
    """Return what a page quotes, each on one line."""
    return [" ".join(text.split()) for text in _QUOTED.findall((ROOT / "docs" / "runbook" / page).read_text())]


def commands() -> list[str]:
    """Return every command of the product that a page quotes, once each."""
    found = {text: None for page in PAGES for text in quoted(page.name) if text.startswith("ha-ingestor ")}
    # What takes away comes last: the others have something to show then.
    return sorted(found, key=lambda text: ("drop" in text, "replay" in text, text))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all tests here, with thirty messages of rubbish in its quarantine."""
    stack = Stack(tmp_path_factory.mktemp("runbook") / "data", HA_INGESTOR_FLOWER__ENABLED="false")
    try:
        stack.start()
        wait_until(lambda: stack.events("--limit", "1"), 90, "a first event")
        with Celery(broker=f"redis+socket://{stack.folder / 'broker' / 'valkey.sock'}?virtual_host=0") as stranger:
            for number in range(30):
                words = (f"rubbish {number}".encode(),)
                name = "tasks.validate.validate_batch"
                stranger.send_task(name, words, queue="validate", serializer="msgpack", ignore_result=True)
        wait_until(lambda: len(pieces(stack)) == 30, 60, "thirty pieces")
        yield stack
    finally:
        if not stack.ended():
            stack.stop()


def pieces(stack: Stack) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stack.run("quarantine", "list", "--pieces", "--json").splitlines()]


def filled_in(stack: Stack, command: str) -> list[str]:
    """Return a command's words, with this stack's in place of a page's."""
    words = shlex.split(command)[1:]
    if "<id>" in words or "<cause>" in words:
        piece = (pieces(stack) or [{"id": "0", "cause": "none"}])[0]
        words = [{"<id>": str(piece["id"]), "<cause>": str(piece["cause"])}.get(word, word) for word in words]
    return words


def outcome(stack: Stack, words: list[str]) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "ingestor", *words],
        cwd=stack.folder.parent,
        env={**stack.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_every_page_has_a_command_to_begin_with() -> None:
    assert len(PAGES) >= 10
    assert not [
        page.name for page in PAGES if not any(text.startswith(("ha-ingestor ", "df ")) for text in quoted(page.name))
    ]


@pytest.mark.parametrize("command", commands())
def test_each_command_does_what_its_page_says(stack: Stack, command: str) -> None:
    if command.startswith(_RUN_ON) or command in _RUN_ON:
        assert outcome(stack, [shlex.split(command)[1], "--help"])[0] == 0
        return

    def said() -> bool:
        code, words = outcome(stack, filled_in(stack, command))
        sys.stdout.write(words)  # pytest shows it where this fails
        return code == 0 and all(word in words for word in SEEN.get(command, ()))

    wait_until(said, 60, f"`{command}` does it")


def test_the_pages_name_settings_metrics_and_logs_that_are_there(stack: Stack) -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    settings = (ROOT / "docs" / "reference" / "settings.md").read_text()
    metrics = requests.get(f"{stack.api}/metrics", timeout=10).text

    assert not {name for name in re.findall(r"HA_INGESTOR_[A-Z0-9_]+", text) if f"`{name}`" not in settings}
    assert not {name for name in re.findall(r"\bingestor_[a-z_]+", text) if name not in metrics}
    logs = set(re.findall(r"`logs/([a-z-]+\.log)`", text))
    assert {"api.log", "broker.log"} <= logs
    assert not {name for name in logs if not (stack.folder / "logs" / name).exists()}


def test_the_shell_commands_show_what_the_pages_say(stack: Stack) -> None:
    live = subprocess.run(
        shlex.split("curl http://127.0.0.1:8080/livez".replace("http://127.0.0.1:8080", stack.api)),
        capture_output=True,
        text=True,
        check=True,
    )
    listed = subprocess.run(["ps", "-efww"], capture_output=True, text=True, check=True).stdout.splitlines()
    fills = subprocess.run(f"df -h; du -sh {stack.folder}/*", shell=True, capture_output=True, text=True, check=True)

    quoted_here = {text for page in PAGES for text in quoted(page.name)}
    assert {"curl http://127.0.0.1:8080/livez", "ps -efww", "df -h", "du -sh <data folder>/*"} <= quoted_here
    assert "ok" in live.stdout
    socket = str(stack.folder / "broker" / "valkey.sock")
    assert [line for line in listed if "valkey-server" in line and socket in line]
    assert str(stack.folder / "journal") in fills.stdout


def test_nothing_answers_the_api_comes_back_without_a_step_by_hand(stack: Stack) -> None:
    (api,) = stack.pids("ingestor api")

    os.kill(api, signal.SIGKILL)

    wait_until(lambda: stack.pids("ingestor api") not in ([], [api]) and stack.health(), 60, "it answers again")


def test_a_refused_token_ends_a_listener_with_code_4_and_the_status_keeps_why(stack: Stack) -> None:
    demo = json.loads(stack.run("status", "--json"))["listeners"][0]
    assert demo["connected"]
    (home,) = stack.pids("ingestor demo")
    port = re.search(r"--port (\d+)", " ".join(psutil.Process(home).cmdline()))
    assert port is not None
    wrong = {
        **stack.environ,
        "PYTHONPATH": str(ROOT),
        "HA_INGESTOR_HOMEASSISTANT__URL": f"http://127.0.0.1:{port[1]}",
        "HA_INGESTOR_HOMEASSISTANT__TOKEN": "wrong",
    }

    words = [sys.executable, "-m", "ingestor", "listen", "websocket", "--name", "second"]
    done = subprocess.run(
        words, cwd=stack.folder.parent, env=wrong, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 4
    assert "HA_INGESTOR_HOMEASSISTANT__TOKEN" in done.stderr
    told = {one["name"]: one for one in json.loads(stack.run("status", "--json"))["listeners"]}
    assert "token" in told["home:second"]["last_error"]
