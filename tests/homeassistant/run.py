"""A real Home Assistant as a server of the tests: boots without a browser, with a token, people, areas and a broker.

Its broker is its own: what other tests publish must not look like discovery to it. Knows nothing of the product.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.homeassistant import configuration
from tests.homeassistant.install import HA_2024, Release, find_python, is_installed
from tests.homeassistant.talk import Conversation, request
from tests.servers import HOST, MissingServerError, Server, wait_until
from tests.servers_brokers import Mosquitto

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

START = Path(__file__).resolve().parent / "start.py"
TOKEN_NAME = "ha-ingestor tests"


class HomeAssistant(Server):
    """A real Home Assistant with demo devices, an automation chain, statestream, eventstream, recorder and history."""

    name = "homeassistant"
    ready_timeout_s = 120.0
    poll_every_s = 0.2
    stop_timeout_s = 90.0

    def __init__(
        self,
        folder: Path | None = None,
        *,
        release: Release = HA_2024,
        influx: configuration.InfluxTarget | None = None,
    ) -> None:
        if not is_installed(release):
            find_python(release.python)
            raise MissingServerError(f"Home Assistant {release.version} is not installed (make test installs it)")
        self.broker = Mosquitto()
        super().__init__(folder)
        self.release = release
        self.influx = influx
        #: A long-lived token of an admin, and one of a user who is none.
        self.token = ""
        self.user_token = ""

    @property
    def url(self) -> str:
        """Where Home Assistant listens."""
        return f"http://{HOST}:{self.port}"

    @property
    def version(self) -> str:
        """The version that runs."""
        return self.release.version

    @property
    def mqtt_port(self) -> int:
        """The port of the broker that statestream and eventstream publish to."""
        return self.broker.port

    @property
    def mqtt_url(self) -> str:
        """The address of the broker that statestream and eventstream publish to."""
        return self.broker.url

    @property
    def influxdb_url(self) -> str:
        """The address of the InfluxDB that Home Assistant's own integration writes to."""
        if self.influx is None:
            raise LookupError("this Home Assistant was given no InfluxDB")
        return f"http://{HOST}:{self.influx.port}"

    @property
    def influxdb_database(self) -> str:
        """The database that Home Assistant's own integration writes to."""
        if self.influx is None:
            raise LookupError("this Home Assistant was given no InfluxDB")
        return self.influx.database

    def prepare(self) -> None:
        """Start the broker and write the configuration of a first start."""
        self.broker.start()
        configuration.write(self.folder / "config", port=self.port, mqtt_port=self.mqtt_port, influx=self.influx)

    def environment(self) -> Mapping[str, str]:
        """Keep what Home Assistant writes beside its configuration in our folder too."""
        return {"HOME": str(self.folder), "PYTHONUNBUFFERED": "1", "VIRTUAL_ENV": str(self.release.environment)}

    def command(self) -> Sequence[str | Path]:
        """Run in the foreground; `--skip-pip`, since all it needs is installed."""
        return [self.release.interpreter, START, "--skip-pip", "--config", self.folder / "config"]

    def is_ready(self) -> bool:
        """Be RUNNING; before there is a token: take the first user."""
        try:
            if not self.token:
                return bool(request(f"{self.url}/api/onboarding"))
            return bool(request(f"{self.url}/api/config", token=self.token)["state"] == "RUNNING")
        except OSError:  # also an HTTP error: a part of it is not loaded yet
            return False

    def start(self) -> Self:
        """Start it; at the first time make its people, areas and tokens too."""
        super().start()
        if not self.token:
            self._settle()
        return self

    def close(self) -> None:
        """Stop Home Assistant, then its broker."""
        super().close()
        self.broker.close()

    def connect(self, token: str | None = None) -> Conversation:
        """Return a WebSocket connection, of the admin where no token is given."""
        return Conversation(self.url, token or self.token)

    def command_result(self, kind: str, **fields: object) -> Any:
        """Return the result of one WebSocket command."""
        with self.connect() as conversation:
            return conversation.command(kind, **fields)

    def call_service(self, service: str, /, **data: object) -> None:
        """Call a service such as `light.turn_on`."""
        self._post(f"services/{service.replace('.', '/')}", data)

    def set_state(self, entity_id: str, state: object, /, **attributes: object) -> None:
        """Set a state without a device behind it."""
        self._post(f"states/{entity_id}", {"state": state, "attributes": attributes})

    def remove_state(self, entity_id: str) -> None:
        """Remove a state."""
        request(f"{self.url}/api/states/{entity_id}", token=self.token, method="DELETE")

    def fire_event(self, event_type: str, **data: object) -> None:
        """Fire an event; its origin is REMOTE, which eventstream does not publish."""
        self._post(f"events/{event_type}", data)

    def states(self) -> dict[str, dict[str, Any]]:
        """Return every state by its entity id."""
        return {state["entity_id"]: state for state in request(f"{self.url}/api/states", token=self.token)}

    def _post(self, path: str, body: object) -> Any:
        return request(f"{self.url}/api/{path}", token=self.token, body=body)

    def _settle(self) -> None:
        """Make the admin, the other user and the areas; wait until all of it would survive a kill."""
        first = self._first_user()
        with self.connect(first) as admin:
            token = _long_lived(admin)
            self._second_user(admin)
            wait_until(
                lambda: admin.command("get_config")["state"] == "RUNNING",
                timeout_s=60,
                what="RUNNING",
                poll_every_s=0.2,
            )
            _assign_areas(admin, with_floors=self.release is not HA_2024)
        self.token = token
        self.user_token = self._log_in("user")
        kept = self.folder / "config" / ".storage" / "auth"
        # Home Assistant saves them some time later; until then there may be no file at all.
        wait_until(
            lambda: kept.exists() and kept.read_text().count(TOKEN_NAME) == 2,
            timeout_s=60,
            what="the tokens are saved",
        )

    def _first_user(self) -> str:
        account = {"name": "Admin", "username": "admin", "password": "password of admin", "language": "en"}
        answer = request(f"{self.url}/api/onboarding/users", body={"client_id": f"{self.url}/", **account})
        return self._exchange(answer["auth_code"])

    def _second_user(self, admin: Conversation) -> None:
        made = admin.command("config/auth/create", name="User", group_ids=["system-users"], local_only=False)
        account = {"user_id": made["user"]["id"], "username": "user", "password": "password of user"}
        admin.command("config/auth_provider/homeassistant/create", **account)

    def _log_in(self, username: str) -> str:
        flow = f"{self.url}/auth/login_flow"
        client = {"client_id": f"{self.url}/"}
        asked = {**client, "handler": ["homeassistant", None], "redirect_uri": f"{self.url}/"}
        begun = request(flow, body=asked)
        answer = {**client, "username": username, "password": f"password of {username}"}
        done = request(f"{flow}/{begun['flow_id']}", body=answer)
        with self.connect(self._exchange(done["result"])) as conversation:
            return _long_lived(conversation)

    def _exchange(self, code: str) -> str:
        form = {"grant_type": "authorization_code", "code": code, "client_id": f"{self.url}/"}
        return str(request(f"{self.url}/auth/token", form=form)["access_token"])


def _long_lived(conversation: Conversation) -> str:
    return str(conversation.command("auth/long_lived_access_token", client_name=TOKEN_NAME, lifespan=365))


def _assign_areas(admin: Conversation, *, with_floors: bool) -> None:
    """Put entities and devices into areas; onboarding has made some of them already."""
    wanted = {*configuration.AREA_OF_ENTITY.values(), *configuration.AREA_OF_DEVICE_OF.values()}
    areas = {area["name"]: area["area_id"] for area in admin.command("config/area_registry/list")}
    for name in sorted(wanted - set(areas)):
        areas[name] = admin.command("config/area_registry/create", name=name)["area_id"]
    for entity_id, name in configuration.AREA_OF_ENTITY.items():
        admin.command("config/entity_registry/update", entity_id=entity_id, area_id=areas[name])
    for entity_id, name in configuration.AREA_OF_DEVICE_OF.items():
        entity = admin.command("config/entity_registry/get", entity_id=entity_id)
        admin.command("config/device_registry/update", device_id=entity["device_id"], area_id=areas[name])
    if with_floors:
        _assign_floors(admin, areas)


def _assign_floors(admin: Conversation, areas: Mapping[str, str]) -> None:
    names = sorted(set(configuration.FLOOR_OF_AREA.values()))
    floors = {name: admin.command("config/floor_registry/create", name=name)["floor_id"] for name in names}
    for area, floor in configuration.FLOOR_OF_AREA.items():
        admin.command("config/area_registry/update", area_id=areas[area], floor_id=floors[floor])
