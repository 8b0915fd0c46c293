"""Settings that take effect while a process runs: heard of from the file, and no others with them."""

from __future__ import annotations

import fnmatch
import os
from pathlib import Path

import pytest

from ingestor.settings import Settings
from ingestor.settings_following import LIVE, SettingsFollower, differing, is_live, live_keys
from ingestor.settings_keys import all_keys
from ingestor.settings_sources import load_settings


class File:
    """A settings file, and who follows it; each look is a second later than the one before."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ha-ingestor.toml"
        self._now_s = 0.0
        self._stamps = 0
        self.environ = {"HA_INGESTOR_DATA_DIR": str(folder)}
        self.write("")
        self.started = self.load()
        self.follower = SettingsFollower(self.load, lambda: self.path, lambda: self._now_s)

    def load(self) -> Settings:
        return load_settings(environ=self.environ, cwd=self.path.parent).settings

    def write(self, text: str) -> None:
        self.path.write_text(text)
        self._stamps += 1
        os.utime(self.path, ns=(self._stamps, self._stamps))

    def look(self) -> set[str]:
        self._now_s += 1.0
        return set(self.follower.look())


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path)


def test_what_is_live_follows_and_what_is_not_stays_as_it_was(file: File) -> None:
    assert file.look() == set()
    file.write(
        '[weather]\ncache_minutes = 60\nprovider = "none"\n[workers.pools.validate]\nnodes = 3\n[api]\nport = 9\n'
    )

    assert file.look() == {"weather.cache_minutes", "workers.pools.validate.nodes"}
    now = file.follower.apply(file.started)
    assert (now.weather.cache_minutes, now.workers.pools.named("validate").nodes) == (60, 3)
    assert (now.weather.provider, now.api.port) == ("homeassistant", 8080)
    assert differing(file.started, now) == ["workers.pools.validate.nodes", "weather.cache_minutes"]
    assert file.look() == set()


def test_what_is_taken_back_is_as_before_and_what_was_said_elsewhere_stays(file: File) -> None:
    said = file.started.model_copy(update={"log": file.started.log.model_copy(update={"level": "debug"})})
    file.write("retention.days = 30\n")
    assert file.look() == {"retention.days"}
    assert (file.follower.apply(said).retention.days, file.follower.apply(said).log.level) == (30, "debug")

    file.write("")

    assert file.look() == {"retention.days"}
    assert file.follower.apply(said).retention.days is None


def test_a_stronger_source_and_a_file_that_is_not_in_order_change_nothing(file: File) -> None:
    file.environ["HA_INGESTOR_WEATHER__CACHE_MINUTES"] = "20"
    file.write("[retention]\ndays = 0\n")
    assert file.look() == set()
    file.write("[weather]\ncache_minutes = 60\n")
    assert file.look() == {"weather.cache_minutes"}  # the variable is new to the one that follows
    assert file.follower.apply(file.started).weather.cache_minutes == 20

    file.path.unlink()
    assert file.look() == set()


def test_the_file_is_looked_at_once_a_second(file: File) -> None:
    file.write("retention.days = 30\n")

    assert file.follower.look() == frozenset()
    assert file.look() == {"retention.days"}


def test_every_live_setting_is_a_setting() -> None:
    keys = [key.name for key in all_keys()]

    assert [pattern for pattern in LIVE if not fnmatch.filter(keys, pattern)] == []
    assert set(live_keys()) < set(keys)
    assert not is_live("storage.url")
