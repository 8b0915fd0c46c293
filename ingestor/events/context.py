"""The fields that enrichment may add to a point: name, type, unit and meaning, declared once; does nothing."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal["float", "integer", "boolean", "string"]


class ContextField(NamedTuple):
    """One field. `step` is what adds it (`enrichment.steps`); `unit` is "" where there is none."""

    name: str
    step: str
    kind: Kind
    unit: str
    meaning: str


_TIME: Final = (
    ContextField("time_zone", "time", "string", "", "the home's time zone, an IANA name"),
    ContextField("local_hour", "time", "integer", "h", "hour of the day in that zone, 0 to 23"),
    ContextField("weekday", "time", "integer", "", "day of the week there (ISO 8601): 1 is Monday, 7 is Sunday"),
    ContextField("weekend", "time", "boolean", "", "whether that day is in the country's weekend"),
    ContextField("holiday", "time", "boolean", "", "whether it is a public holiday of the country"),
    ContextField("holiday_name", "time", "string", "", "that holiday's name in the country's own language"),
    ContextField(
        "season",
        "time",
        "string",
        "",
        "meteorological season of the hemisphere: winter is December to February in the north",
    ),
    ContextField(
        "sun_phase",
        "time",
        "string",
        "",
        "`night`, `dawn`, `day` or `dusk`; twilight is the civil one (the sun 6° to 0.833° below the horizon)",
    ),
    ContextField(
        "sun_elevation", "time", "float", "°", "height of the sun over the horizon, at the begin of the minute"
    ),
)

_CAUSE: Final = (
    ContextField("cause_kind", "cause", "string", "", "`user`, `automation`, `script`, `device`, `time` or `unknown`"),
    ContextField(
        "cause_id",
        "cause",
        "string",
        "",
        "who it was: the entity of an automation, script or device, a user's id, or what an automation says of its"
        " trigger; absent for a device's own change",
    ),
    ContextField("root_cause_kind", "cause", "string", "", "the same of the chain's beginning"),
    ContextField("root_cause_id", "cause", "string", "", "the same of the chain's beginning"),
    ContextField(
        "cause_depth", "cause", "integer", "", "links from the root cause to this event; 1: caused by it directly"
    ),
    ContextField(
        "cause_loop", "cause", "boolean", "", "true where an automation stands twice in its own chain, else absent"
    ),
)
_WEATHER: Final = (
    ContextField("outdoor_temperature", "weather", "float", "°C", "temperature outside, as known at the event's time"),
    ContextField("outdoor_humidity", "weather", "float", "%", "relative humidity outside"),
    ContextField(
        "outdoor_pressure", "weather", "float", "hPa", "air pressure, at sea level where the provider says so"
    ),
    ContextField("outdoor_wind_speed", "weather", "float", "m/s", "wind speed"),
    ContextField("outdoor_cloud_cover", "weather", "float", "%", "share of the sky under clouds"),
    ContextField(
        "outdoor_condition", "weather", "string", "", "the weather in Home Assistant's words: `sunny`, `rainy`, …"
    ),
    ContextField("weather_observed_at", "weather", "string", "", "when it was observed: ISO 8601, UTC"),
    ContextField("weather_age", "weather", "float", "s", "how old that is, at the begin of the event's minute"),
    ContextField(
        "weather_provider",
        "weather",
        "string",
        "",
        "who says so: `homeassistant`, `open-meteo`, `open-meteo-archive`, `openweathermap`",
    ),
)
_PRESENCE: Final = (
    ContextField(
        "persons_home", "presence", "integer", "", "how many persons are home, of those whose whereabouts are known"
    ),
    ContextField(
        "persons_home_names", "presence", "string", "", "their names, with commas; empty where nobody is home"
    ),
)
_ROOM: Final = (
    ContextField(
        "room_temperature",
        "room",
        "float",
        "°C",
        "what the temperature sensor of the event's area said last at its time",
    ),
    ContextField("room_humidity", "room", "float", "%", "the same of the humidity sensor"),
)
_ZONE: Final = (
    ContextField(
        "geo_cell",
        "zone",
        "string",
        "",
        "geohash of the coordinates of a tracker or person (`enrichment.geo_cell_length`)",
    ),
    ContextField(
        "nearest_zone",
        "zone",
        "string",
        "",
        "name of the zone whose edge is nearest; of several that it is in, the smallest",
    ),
    ContextField("nearest_zone_distance", "zone", "float", "m", "how far that edge is; 0 is inside"),
)
_SINCE: Final = (
    ContextField(
        "seconds_since_change", "since", "float", "s", "time since the entity's state changed last before this event"
    ),
    ContextField(
        "sequence", "since", "integer", "", "number of the event among those of its series, ascending with time"
    ),
)

_INTEGRATION: Final = (
    ContextField(
        "integration_version",
        "integration",
        "string",
        "",
        "version of the integration; of a built-in one Home Assistant's",
    ),
    ContextField("integration_quality", "integration", "string", "", "its quality scale, as its manifest says"),
    ContextField(
        "device_link_quality",
        "integration",
        "float",
        "",
        "what the device's own sensor last said of its link (Zigbee: LQI)",
    ),
    ContextField(
        "device_signal", "integration", "float", "dBm", "the same of its signal's strength, as the sensor has it"
    ),
    ContextField("device_battery", "integration", "float", "%", "the same of its battery"),
)
_ERRORS: Final = (
    ContextField("log_level", "errors", "string", "", "of a `system_log_event`: `WARNING`, `ERROR` or `CRITICAL`"),
    ContextField("logger", "errors", "string", "", "the logger's name"),
    ContextField("log_message", "errors", "string", "", "the message; several of one fault stand on a line each"),
    ContextField("log_source", "errors", "string", "", "file and line that logged it"),
    ContextField("log_count", "errors", "integer", "", "how often Home Assistant has seen it since it started"),
    ContextField("log_first_occurred", "errors", "string", "", "when it was seen first (ISO 8601, UTC)"),
    *(
        ContextField(f"exception{number}", "errors", "string", "", meaning)
        for number, meaning in (
            ("", "the stack trace"),
            *((f"_{number}", "how it goes on, where it is longer than a field") for number in range(2, 9)),
        )
    ),
    ContextField("log_integration", "errors", "string", "", "the integration that it comes from, or is about"),
    ContextField("log_automation", "errors", "string", "", "the automation or script that it names"),
    ContextField("log_entity_id", "errors", "string", "", "the first entity of the home that it names"),
    ContextField("log_device", "errors", "string", "", "that entity's device, or the one that it names"),
)

_NEIGHBOURS: Final = (
    ContextField(
        "floor_rooms", "neighbours", "string", "", "names of the other rooms on the event's floor, with commas"
    ),
)
_USUAL: Final = (
    ContextField(
        "usual_per_hour", "usual", "float", "1/h", "how many events the entity usually has in an hour, lately"
    ),
    ContextField("is_peak_hour", "usual", "boolean", "", "whether the hour is one of the three in which it has most"),
    ContextField(
        "usual_hour_share",
        "usual",
        "float",
        "",
        "which share of all its events falls into this hour of the day, 0 to 1",
    ),
    ContextField("usual_weekday_share", "usual", "float", "", "the same of this day of the week"),
    ContextField("usual_month_share", "usual", "float", "", "the same of this month"),
)

_COUNTER: Final = (
    ContextField(
        "counter_event",
        "counter",
        "string",
        "",
        "what the number of a meter (state class `total`, `total_increasing`) means: `reset`, `zero`, `dip` or `spike`",
    ),
    ContextField(
        "value_clean",
        "counter",
        "float",
        "",
        "the meter's last good value, while `value` is at fault; absent where it equals `value`",
    ),
)

CONTEXT_FIELDS: Final[tuple[ContextField, ...]] = (
    *_CAUSE,
    *_TIME,
    *_WEATHER,
    *_PRESENCE,
    *_ROOM,
    *_ZONE,
    *_SINCE,
    *_INTEGRATION,
    *_ERRORS,
    *_NEIGHBOURS,
    *_USUAL,
    *_COUNTER,
)
CONTEXT_NAMES: Final = frozenset(field.name for field in CONTEXT_FIELDS)
TYPES: Final[dict[Kind, type]] = {"float": float, "integer": int, "boolean": bool, "string": str}
