"""The roads of reports to real servers: a web server, Mosquitto, and mail servers with and without TLS."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from paho.mqtt.enums import CallbackAPIVersion

from ingestor import bootstrap, bootstrap_quality
from ingestor.reports.message import of_alert, of_report
from ingestor.reports.roads import NotDelivered, by_mail, by_mqtt, by_webhook, signature
from ingestor.reports.shelf import Alert, DeliveryState
from ingestor.settings import Settings
from ingestor.settings_reports import MailSettings, ReportTopicSettings, WebhookSettings
from tests.fakes.report_home import example_report
from tests.servers import HOST, free_port, wait_until
from tests.servers_brokers import Mosquitto

REPORT = example_report()
ALERT = Alert("home", "poor-data", 1000, None, "score", 71.0, "The home's score is 71, below 80.")
ANNA = "anna@example.org"


@dataclass
class Web:
    """A web server that notes what is posted and answers as told."""

    answers: list[int]
    port: int = 0
    seen: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/hook?key=topsecret"


@contextmanager
def web_server(*answers: int) -> Iterator[Web]:
    web = Web(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            web.seen.append((dict(self.headers), body))
            self.send_response(web.answers.pop(0) if len(web.answers) > 1 else web.answers[0])
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    web.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def test_a_webhook_gets_the_report_as_json_that_its_secret_proves() -> None:
    with web_server(204) as web:
        by_webhook(WebhookSettings.model_validate({"url": web.url, "secret": "s3cret"}), of_report(REPORT))

    ((headers, body),) = web.seen
    assert headers["X-HA-Ingestor-Id"] == REPORT.id
    assert headers["X-HA-Ingestor-Signature"] == signature("s3cret", headers["X-HA-Ingestor-Timestamp"], body)
    assert headers["X-HA-Ingestor-Signature"] != signature("other", headers["X-HA-Ingestor-Timestamp"], body)
    found = json.loads(body)
    assert (found["type"], found["figures"]["score"]) == ("quality_report", REPORT.score)
    assert found["report"]["balance"]["total"]["received"] == 372_962


@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_a_webhook_does_not_take_is_not_delivered(status: int) -> None:
    with web_server(status) as web, pytest.raises(NotDelivered, match=str(status)):
        by_webhook(WebhookSettings(url=web.url), of_alert(ALERT))

    assert len(web.seen) == 1


def test_a_webhook_that_is_away_is_told_without_its_address() -> None:
    with pytest.raises(NotDelivered) as told:
        by_webhook(WebhookSettings(url=f"http://{HOST}:{free_port()}/?key=topsecret"), of_alert(ALERT))

    assert "topsecret" not in str(told.value)


def test_mqtt_keeps_the_newest_report_and_the_newest_alert_beside_each_other(mosquitto: Mosquitto) -> None:
    base = f"t{uuid.uuid4().hex[:8]}"
    settings = ReportTopicSettings(url=mosquitto.url, topic=f"{base}/{{home}}/quality")

    by_mqtt(settings, of_report(REPORT))
    by_mqtt(settings, of_alert(ALERT))

    found: dict[str, dict[str, Any]] = {}
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: found.update({message.topic: json.loads(message.payload)})
    client.connect(HOST, mosquitto.port)
    client.subscribe(f"{base}/#")
    client.loop_start()
    wait_until(lambda: len(found) == 2, timeout_s=60, what="both are retained")
    client.disconnect()
    client.loop_stop()
    assert found[f"{base}/home/quality"]["figures"]["problems"] == 5
    assert found[f"{base}/home/quality/alert"]["sentence"] == ALERT.sentence


def test_a_broker_that_is_away_or_refuses_us_is_told(start_server: Any, tmp_path: Path) -> None:
    (tmp_path / "passwords").write_text("")
    shut = start_server(Mosquitto, anonymous=False)

    with pytest.raises(NotDelivered, match="refuses us"):
        by_mqtt(ReportTopicSettings(url=shut.url), of_alert(ALERT))
    with pytest.raises(NotDelivered, match="did not take it"):
        by_mqtt(ReportTopicSettings(url=f"mqtt://{HOST}:{free_port()}"), of_alert(ALERT))


@dataclass
class Mailbox:
    """What a mail server was given; `refuses`: it takes nothing for a while."""

    letters: list[EmailMessage] = field(default_factory=list)
    refuses: int = 0

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 -- the library's name
        if self.refuses:
            self.refuses -= 1
            return "451 come back later"
        letter = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(letter, EmailMessage)
        self.letters.append(letter)
        return "250 taken"


def _certificate(folder: Path) -> Path:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", f"subjectAltName=IP:{HOST}", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem"


@contextmanager
def mail_server(box: Mailbox, folder: Path, security: str) -> Iterator[MailSettings]:
    options: dict[str, Any] = {"hostname": HOST, "port": free_port()}
    told: dict[str, Any] = {"host": HOST, "security": security, "sender": "ha@example.org", "to": [ANNA]}
    if security != "none":
        safe = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        told |= {"ca_file": _certificate(folder), "user": "ha", "password": "s3cret"}
        safe.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        options |= {"ssl_context": safe} if security == "tls" else {"tls_context": safe, "require_starttls": True}

        def knows(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
            return AuthResult(success=(data.login, data.password) == (b"ha", b"s3cret"), handled=False)

        options |= {"authenticator": knows, "auth_required": True, "auth_require_tls": security == "starttls"}
    server = Controller(box, ready_timeout=60, **options)
    server.start()
    try:
        yield MailSettings.model_validate({**told, "port": options["port"]})
    finally:
        server.stop()


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
def test_mail_brings_text_page_and_attachments(security: str, tmp_path: Path) -> None:
    box = Mailbox()

    with mail_server(box, tmp_path, security) as settings:
        by_mail(settings.model_copy(update={"attach": ("pdf", "json")}), of_report(REPORT))
        by_mail(settings, of_alert(ALERT))

    report, alert = box.letters
    assert report["Subject"] == f"Weekly report on the data quality of home: {REPORT.score} of 100"
    assert (report["To"], report["Message-ID"]) == (ANNA, f"<{REPORT.id}@ha-ingestor.invalid>")
    text, page = (report.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert page is not None
    assert "To do: " in text.get_content()
    assert "<h1>Weekly report" in page.get_content()
    files = {part.get_filename(): part.get_content() for part in report.iter_attachments()}
    assert set(files) == {f"{REPORT.id}.pdf", f"{REPORT.id}.json"}
    assert files[f"{REPORT.id}.pdf"].startswith(b"%PDF-")
    assert alert["Subject"] == "Alert: poor-data (home)"
    assert list(alert.iter_attachments()) == []


def test_a_mail_server_that_nobody_vouches_for_gets_nothing(tmp_path: Path) -> None:
    box = Mailbox()

    with mail_server(box, tmp_path, "starttls") as settings:
        with pytest.raises(NotDelivered, match="CERTIFICATE_VERIFY_FAILED"):
            by_mail(settings.model_copy(update={"ca_file": None}), of_alert(ALERT))
        wrong = MailSettings.model_validate({**settings.model_dump(), "password": "wrong"})
        with pytest.raises(NotDelivered, match="535"):
            by_mail(wrong, of_alert(ALERT))

    assert box.letters == []


def test_a_kept_report_goes_by_every_road_once_and_what_failed_is_tried_again(tmp_path: Path) -> None:
    box = Mailbox(refuses=1)
    with web_server(500, 204) as web, mail_server(box, tmp_path, "none") as mail:
        reports = {"webhook": {"url": web.url}, "mail": mail.model_dump()}
        settings = Settings.model_validate({"data_dir": tmp_path, "reports": reports})
        database = bootstrap.open_metadata(settings)
        bootstrap_quality.open_report_shelf(settings, database).save(REPORT, settings.reports.roads())
        office = bootstrap_quality.open_post_office(settings, database)
        now_us = time.time_ns() // 1000
        for moment_us in (now_us, now_us + 1, now_us + 3_600_000_000):
            for delivery in office.outbox.due(moment_us):
                office.deliver(delivery, moment_us)
        ended = office.outbox.of(REPORT.id)
        database.dispose()

    assert [(one.road, one.state, one.tries) for one in ended] == [
        ("mail", DeliveryState.DELIVERED, 2),
        ("webhook", DeliveryState.DELIVERED, 2),
    ]
    assert (len(box.letters), len(web.seen)) == (1, 2)
