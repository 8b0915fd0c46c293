"""Who may do what: the decision below all transports, and the key that says who asks."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from ingestor import errors
from ingestor.security.access import ANONYMOUS, Action, Principal, Scope, authorize
from ingestor.security.keys import SHORTEST, Keyring, kept_secret, key_file

SOMEBODY = Principal("key", "installation")


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("scope", [Scope(), Scope("cabin")])
def test_a_key_may_do_everything_everywhere(action: Action, scope: Scope) -> None:
    authorize(SOMEBODY, action, scope)


def test_nobody_may_do_anything_but_ask_how_we_are() -> None:
    authorize(ANONYMOUS, Action.READ_HEALTH)
    for action in set(Action) - {Action.READ_HEALTH}:
        with pytest.raises(errors.Unauthenticated):
            authorize(ANONYMOUS, action)


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = key_file(tmp_path / "not there yet")

    made = Keyring(path).key()

    assert Keyring(path).key() == made
    assert len(made) >= 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["api-key"]


def test_of_many_who_start_at_once_all_have_the_same_key(tmp_path: Path) -> None:
    path, found = key_file(tmp_path), list[str]()
    ready = threading.Barrier(8)

    def start() -> None:
        ready.wait()
        found.append(kept_secret(path))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(found)) == 1
    assert found[0]


def test_a_file_system_without_links_has_a_key_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)

    assert kept_secret(key_file(tmp_path)) == kept_secret(key_file(tmp_path))


def test_who_presents_the_key_is_known_and_nobody_else(tmp_path: Path) -> None:
    keyring = Keyring(key_file(tmp_path))
    key = keyring.key()

    assert keyring.principal(key).kind == "key"
    for wrong in (None, "", key[:-1], key + "x", key.upper(), "ü" * 40):
        assert keyring.principal(wrong) == ANONYMOUS


def test_a_new_key_holds_at_once_and_the_old_one_no_more(tmp_path: Path) -> None:
    keyring = Keyring(key_file(tmp_path))
    old = keyring.key()
    assert keyring.principal(old) != ANONYMOUS

    new = Keyring(key_file(tmp_path)).renew()

    assert new != old
    assert keyring.principal(new) != ANONYMOUS
    assert keyring.principal(old) == ANONYMOUS


def test_a_key_that_is_set_is_the_one_and_is_not_renewed_here(tmp_path: Path) -> None:
    keyring = Keyring(key_file(tmp_path), "a key from the settings")

    assert keyring.principal("a key from the settings") != ANONYMOUS
    assert not key_file(tmp_path).exists()
    with pytest.raises(errors.InvalidSettings):
        keyring.renew()


@pytest.mark.parametrize("text", ["", "\n", "x" * (SHORTEST - 1)])
def test_a_file_that_was_cut_opens_nothing(tmp_path: Path, text: str) -> None:
    key_file(tmp_path).write_text(text)

    with pytest.raises(errors.InvalidSettings, match="remove the file"):
        Keyring(key_file(tmp_path)).key()
