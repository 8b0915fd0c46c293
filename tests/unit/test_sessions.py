"""Sessions of browsers: a word is known until it runs out, or until there is a new key; nobody else makes one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestor.security.access import ANONYMOUS, Principal
from ingestor.security.keys import Keyring, key_file
from ingestor.security.sessions import Sessions

SOMEBODY = Principal("key", "installation")


def test_a_word_is_known_until_it_runs_out(tmp_path: Path) -> None:
    now_s = 1000.0
    sessions = Sessions(Keyring(key_file(tmp_path)), 60, lambda: now_s)
    session = sessions.begin(SOMEBODY)

    assert sessions.principal(session.word) == Principal("session", "installation")
    assert sessions.begin(SOMEBODY).word != session.word
    now_s = 1059.9
    assert sessions.principal(session.word).kind == "session"
    now_s = 1060.0
    assert sessions.principal(session.word) == ANONYMOUS


def test_every_process_knows_it_and_a_new_key_ends_it(tmp_path: Path) -> None:
    keys = Keyring(key_file(tmp_path))
    word = Sessions(keys, 60).begin(SOMEBODY).word
    assert Sessions(Keyring(key_file(tmp_path)), 60).principal(word).kind == "session"

    keys.renew()

    assert Sessions(Keyring(key_file(tmp_path)), 60).principal(word) == ANONYMOUS
    assert Sessions(keys, 60).principal(word) == ANONYMOUS


def test_a_word_that_was_changed_anywhere_is_nobodys(tmp_path: Path) -> None:
    sessions = Sessions(Keyring(key_file(tmp_path)), 60)
    word = sessions.begin(SOMEBODY).word

    for place, sign in enumerate(word[:-1]):  # of the last sign some bits mean nothing
        other = "A" if sign != "A" else "B"
        assert sessions.principal(word[:place] + other + word[place + 1 :]) == ANONYMOUS, place


@pytest.mark.parametrize("word", ["", ".", "a.b", "é.é", "W10.W10", "x" * 5000, "\x00"])
def test_rubbish_is_nobodys_word(tmp_path: Path, word: str) -> None:
    assert Sessions(Keyring(key_file(tmp_path)), 60).principal(word) == ANONYMOUS
