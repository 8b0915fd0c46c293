"""Addresses of a Redis behind sentinels."""

from __future__ import annotations

import pydantic
import pytest

from ingestor.redis_sentinel import parse
from ingestor.settings import BrokerSettings, StateSettings
from ingestor.settings_faults import hide_in_url


def test_sentinels_master_database_and_password_are_read() -> None:
    found = parse("redis+sentinel://user:p%40ss@one:26380,two/house/3")

    assert found is not None
    assert found.sentinels == (("one", 26380), ("two", 26379))
    assert (found.master, found.db, found.user, found.password) == ("house", 3, "user", "p@ss")
    assert found.for_kombu() == "sentinel://user:p%40ss@one:26380/3;sentinel://user:p%40ss@two:26379/3"


def test_with_tls_certificates_are_checked_unless_it_is_said_otherwise() -> None:
    plain = parse("redis+sentinel://one/house/3")
    checked = parse("rediss+sentinel://user:pass@one:26380,two/house/3?ssl_ca_certs=/etc/ca.crt&ssl_certfile=/me.crt")
    trusting = parse("rediss+sentinel://one/house?ssl_cert_reqs=none")

    assert plain is not None
    assert checked is not None
    assert trusting is not None
    assert plain.encryption() == {}
    files = {"ssl_ca_certs": "/etc/ca.crt", "ssl_certfile": "/me.crt"}
    assert checked.encryption() == {"ssl": True, "ssl_cert_reqs": "required", **files}
    assert (checked.sentinels, checked.master, checked.db) == ((("one", 26380), ("two", 26379)), "house", 3)
    assert checked.for_kombu() == "sentinel://user:pass@one:26380/3;sentinel://user:pass@two:26379/3"
    assert trusting.encryption() == {"ssl": True, "ssl_cert_reqs": "none"}


def test_other_addresses_are_none_of_sentinels() -> None:
    assert parse("redis://one:6379/0") is None


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis+sentinel://one:26379", "names no master"),
        ("redis+sentinel://one:26379/", "names no master"),
        ("redis+sentinel://one:26379,/house", "is not host:port"),
        ("redis+sentinel://one:99999/house", "is not host:port"),
        ("redis+sentinel://one/house/x", "not the number of a database"),
        ("rediss+sentinel://one/", "names no master"),
        ("redis+sentinel://one/house?ssl_ca_certs=/ca.crt", "and no TLS"),
        ("rediss+sentinel://one/house/0?ca=/ca.crt", "says ca, which is none of"),
        ("rediss+sentinel://one/house/0?ssl_cert_reqs=never", "is one of required"),
    ],
)
def test_a_wrong_address_says_what_is_wrong(url: str, says: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=says):
        BrokerSettings(url=url)
    with pytest.raises(pydantic.ValidationError, match=says):
        StateSettings(url=url)


def test_the_password_is_hidden_where_the_address_is_shown() -> None:
    assert "secret" not in hide_in_url("redis+sentinel://:secret@one:26379,two:26379/house/0")
