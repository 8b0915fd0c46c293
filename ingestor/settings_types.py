"""What the settings tree is made of: a level, and types of values that check themselves; knows no setting by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from ingestor import redis_sentinel

#: A Redis behind sentinels, that has more than one host; without TLS, and with it.
SENTINELS = (redis_sentinel.SCHEME, redis_sentinel.TLS_SCHEME)
#: What the store may be addressed by (`ingestor.storage.open` knows what each means).
STORE_SCHEMES = ("influxdb2", "influxdb1", "influxdb3", "sqlite")


class Group(BaseModel):
    """A level of the settings tree; a key that is not known is an error."""

    # A number without end, or none (NaN), is no limit that anything could be held to.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any, info: ValidationInfo) -> Any:
        # An empty text switches off what may be absent: TOML has no null, and neither has an environment.
        return None if value == "" and may_be_absent(cls.model_fields[info.field_name or ""].annotation) else value


def may_be_absent(annotation: Any) -> bool:
    """Tell whether a type allows None."""
    return type(None) in get_args(annotation)


@dataclass(frozen=True, slots=True)
class Expects:
    """What a value should look like, in words, for messages and the reference."""

    text: str


def address_check(*schemes: str, bare: tuple[str, ...] = (), local: tuple[str, ...] = ()) -> Callable[[str], str]:
    """Return a check that a value is a URL of one of the schemes; `bare` words pass, `local` schemes need no host."""

    def check(value: str) -> str:
        if value in bare:
            return value
        if set(SENTINELS) <= set(schemes) and redis_sentinel.parse(value) is not None:
            return value
        scheme, marker, rest = value.partition("://")
        if not marker or scheme not in schemes:
            raise ValueError(f"starts with none of {', '.join(f'{name}://' for name in schemes)}")
        if scheme not in local and not _has_host(value):
            raise ValueError("names no host, or its port is not a number from 1 to 65535")
        if any(letter.isspace() or not letter.isprintable() for letter in rest):
            raise ValueError("has white space or a control character in it")
        return value

    return check


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def check_token(value: SecretStr | None) -> SecretStr | None:
    """Return a token as it is sent in a header. Raises ValueError, which does not tell it."""
    if value is None:
        return None
    text = value.get_secret_value().strip()  # the end of a line comes along where it was copied
    if not text or not all("!" <= sign <= "~" for sign in text):
        raise ValueError("has white space in it, or a sign that no token has")
    return SecretStr(text)


def _folder(path: Path) -> Path:
    """Return the path. Raises ValueError for a name that cannot stand in an address, a log or a settings file."""
    text = str(path)
    if any(ord(sign) < ord(" ") or "\ud800" <= sign <= "\udfff" or sign == "\x7f" for sign in text):
        raise ValueError(f"{text!r} has a line break, another control sign or bytes that are no UTF-8 in its name")
    return path


Folder = Annotated[Path, AfterValidator(_folder), Expects("a path")]
Name = Annotated[
    str,
    Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$"),
    Expects("up to 40 of a-z, 0-9, _ and -, starting with a letter or digit"),
]
HostName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,62})$"),
    Expects("up to 63 of letters, digits, `.`, `_` and `-`, starting with a letter or digit"),
]
#: The steps of enrichment, in the order that they run in by default (`ingestor/enrichment/opening.py`; a test holds
#: the two against each other).
StepName = Literal[
    "place",
    "cause",
    "time",
    "weather",
    "presence",
    "room",
    "zone",
    "since",
    "integration",
    "neighbours",
    "usual",
    "errors",
    "observed",
    "counter",
]
#: A secret that somebody else has made, sent to them in a header or an address.
Token = Annotated[
    SecretStr | None,
    AfterValidator(check_token),
    Expects("a text of letters, digits and signs of ASCII without white space, or empty"),
]
Port = Annotated[int, Field(ge=1, le=65535)]
Glob = Annotated[str, Field(min_length=1, max_length=255)]
HomeAssistantUrl = Annotated[
    str,
    AfterValidator(address_check("http", "https", "ws", "wss")),
    Expects("an address such as http://homeassistant.local:8123"),
]
HttpUrl = Annotated[
    str,
    AfterValidator(address_check("http", "https")),
    Expects("an address such as http://host:8080"),
]
MqttUrl = Annotated[
    str,
    AfterValidator(address_check("mqtt", "mqtts", "ws", "wss")),
    Expects("an address such as mqtt://user:password@host:1883 or mqtts://host:8883"),
]
StoreUrl = Annotated[
    str,
    AfterValidator(address_check(*STORE_SCHEMES, local=("sqlite",))),
    Expects("an address such as influxdb2://host:8086/bucket?org=name, influxdb1://host:8086/database or sqlite://"),
]
BrokerUrl = Annotated[
    str,
    AfterValidator(
        address_check(
            "redis",
            "rediss",
            "redis+socket",
            *SENTINELS,
            "amqp",
            "amqps",
            bare=("embedded",),
            local=("redis+socket", "amqp"),
        )
    ),
    Expects(
        "`embedded`, or an address such as redis://host:6379/0, redis+sentinel://host:26379,host:26379/mymaster/0 or amqp://user:password@host:5672//"
    ),
]
StateUrl = Annotated[
    str,
    AfterValidator(address_check("redis", "rediss", *SENTINELS, "unix", local=("unix",))),
    Expects("an address such as redis://host:6379/1 or unix:///path/to/socket?db=1"),
]
DatabaseUrl = Annotated[
    str,
    AfterValidator(
        address_check(
            "sqlite", "postgresql", "postgresql+psycopg", local=("sqlite", "postgresql", "postgresql+psycopg")
        )
    ),
    Expects("an address such as sqlite:////path/metadata.sqlite or postgresql://user@host/name"),
]
