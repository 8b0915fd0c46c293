"""The roads by which a message goes: a webhook, an MQTT topic, mail. Each tries once and says what went wrong."""

from __future__ import annotations

import hashlib
import hmac
import queue
import smtplib
import ssl
import time
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec
import requests
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from ingestor import errors
from ingestor.reports.message import Message
from ingestor.reports.render import MEDIA_TYPES
from ingestor.settings_reports import MailSettings, ReportsSettings, ReportTopicSettings, WebhookSettings

_MQTT_PORTS: Final = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
_MQTT_TIMEOUT_S: Final = 8.0
_KEEPALIVE_S: Final = 30
_TAKEN: Final = range(200, 300)
#: A road: takes a message, or raises NotDelivered.
Road = Callable[[Message], None]


class NotDelivered(errors.Transient):
    """Nobody took a message; the words say why, and no secret."""


def open_roads(settings: ReportsSettings) -> dict[str, Road]:
    """Return the roads that are set, by name."""
    known: dict[str, Road] = {
        "webhook": lambda message: by_webhook(settings.webhook, message),
        "mqtt": lambda message: by_mqtt(settings.mqtt, message),
        "mail": lambda message: by_mail(settings.mail, message),
    }
    return {name: known[name] for name in settings.roads()}


def by_webhook(settings: WebhookSettings, message: Message) -> None:
    """Post a message as JSON, signed where a secret is set. Raises NotDelivered."""
    body = message.body()
    headers = {"Content-Type": "application/json", "X-HA-Ingestor-Id": message.parcel}
    if settings.secret is not None:
        now = str(int(time.time()))
        headers["X-HA-Ingestor-Timestamp"] = now
        headers["X-HA-Ingestor-Signature"] = signature(settings.secret.get_secret_value(), now, body)
    try:
        # A redirected POST becomes a GET, and its 200 would pass for a yes. Of the answer only the status counts.
        with requests.post(
            str(settings.url),
            data=body,
            headers=headers,
            timeout=settings.timeout_s,
            allow_redirects=False,
            stream=True,
        ) as answer:
            status = answer.status_code
    except (requests.RequestException, OSError) as error:
        # Not its words: they have the address, and that may hold a key.
        raise NotDelivered(f"the webhook does not answer ({type(error).__name__})") from error
    if status not in _TAKEN:
        raise NotDelivered(f"the webhook answers {status}")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return what the signature's header says: who knows the secret can make sure of time and body."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"


def by_mqtt(settings: ReportTopicSettings, message: Message) -> None:
    """Publish a message's summary, and wait until the broker has it. Raises NotDelivered."""
    parts = urlsplit(str(settings.url))
    over_web = parts.scheme in ("ws", "wss")
    client = mqtt.Client(CallbackAPIVersion.VERSION2, transport="websockets" if over_web else "tcp")
    if parts.username:
        client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
    if parts.scheme in ("mqtts", "wss"):
        client.tls_set()
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    client.on_connect = lambda _client, _data, _flags, code, _properties: answers.put(code)
    topic = settings.topic.replace("{home}", message.home) + ("/alert" if message.kind == "alert" else "")
    try:
        client.connect(parts.hostname or "", parts.port or _MQTT_PORTS[parts.scheme], _KEEPALIVE_S)
        client.loop_start()
        _let_in(answers)
        sent = client.publish(topic, msgspec.json.encode(message.summary), qos=1, retain=settings.retain)
        _wait(sent)
    except (OSError, ValueError, RuntimeError) as error:
        raise NotDelivered(f"the MQTT broker did not take it ({type(error).__name__}: {error})") from error
    finally:
        client.disconnect()
        client.loop_stop()


def _let_in(answers: queue.SimpleQueue[Any]) -> None:
    """Wait for the broker's answer to our greeting: what is published before it comes may end in either error."""
    try:
        code = answers.get(timeout=_MQTT_TIMEOUT_S)
    except queue.Empty:
        raise NotDelivered(f"the MQTT broker has not answered within {_MQTT_TIMEOUT_S:g} s") from None
    if code.is_failure:
        raise NotDelivered(f"the MQTT broker refuses us: {code}")


def _wait(sent: mqtt.MQTTMessageInfo) -> None:
    sent.wait_for_publish(_MQTT_TIMEOUT_S)
    if not sent.is_published():
        raise NotDelivered(f"the MQTT broker has not confirmed it within {_MQTT_TIMEOUT_S:g} s")


def by_mail(settings: MailSettings, message: Message) -> None:
    """Send a message by mail, a report with its page and what is to be attached. Raises NotDelivered."""
    letter = letter_of(settings, message)
    try:
        with _line(settings) as line:
            if settings.user:
                secret = settings.password.get_secret_value() if settings.password else ""
                line.login(settings.user, secret)
            line.send_message(letter)
    except smtplib.SMTPResponseException as error:
        told = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        raise NotDelivered(f"the mail server answers {error.smtp_code}: {told:.200}") from error
    except (smtplib.SMTPException, OSError) as error:
        raise NotDelivered(f"the mail server did not take it ({type(error).__name__}: {error})") from error


def _line(settings: MailSettings) -> smtplib.SMTP:
    host, port = settings.host or "", settings.port
    if settings.security == "none":
        return smtplib.SMTP(host, port, timeout=settings.timeout_s)
    safe = ssl.create_default_context(cafile=None if settings.ca_file is None else str(settings.ca_file))
    if settings.security == "tls":
        return smtplib.SMTP_SSL(host, port, timeout=settings.timeout_s, context=safe)
    line = smtplib.SMTP(host, port, timeout=settings.timeout_s)
    try:
        line.starttls(context=safe)
    except BaseException:
        line.close()
        raise
    return line


def letter_of(settings: MailSettings, message: Message) -> EmailMessage:
    """Return a message as a letter: text, the page, and the attachments."""
    letter = EmailMessage()
    letter["Subject"] = message.subject
    letter["From"] = settings.sender
    letter["To"] = ", ".join(settings.to)
    letter["Date"] = formatdate()
    # The same at every try: a mailbox may keep one of two.
    letter["Message-ID"] = f"<{message.parcel}@ha-ingestor.invalid>"
    letter.set_content(message.text)
    page = message.form("html")
    if page is not None:
        letter.add_alternative(page.decode(), subtype="html")
    for form in settings.attach:
        if (held := message.form(form)) is not None:
            main, _, sub = MEDIA_TYPES[form].partition(";")[0].partition("/")
            letter.add_attachment(held, maintype=main, subtype=sub, filename=f"{message.parcel}.{form}")
    return letter
