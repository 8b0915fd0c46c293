"""Settings of the context that events are given, and of the map of the home that most of it comes from."""

from __future__ import annotations

from typing import get_args

from pydantic import Field

from ingestor import settings_types as types
from ingestor.settings_types import Group


class EnrichmentSettings(Group):
    """The context that events are given."""

    steps: tuple[types.StepName, ...] = Field(
        get_args(types.StepName),
        description="Which steps, in this order; `place` is always done, named or not.",
    )
    holidays_country: str = Field(
        "",
        pattern=r"^([A-Z]{2})?$",
        description="Whose holidays (ISO 3166); default: the country set in Home Assistant.",
    )
    geo_cell_length: int = Field(
        6, ge=1, le=9, description="Signs of the geohash of trackers: 6 is a cell of about 1.2 by 0.6 km, 9 one of 5 m."
    )
    holidays_subdivision: str = Field(
        "", max_length=20, description="State or province with holidays of its own, such as `BY` of DE."
    )
    cause_wait_s: float = Field(
        2.0,
        ge=0,
        le=30,
        description="How long an event whose cause is not heard of yet waits for it; then its cause is `unknown`.",
    )


class RegistrySettings(Group):
    """The sync of areas, devices and entities."""

    sync_every_s: float = Field(900.0, ge=10, description="Seconds between two syncs by schedule.")
    debounce_s: float = Field(1.0, ge=0, le=60, description="Quiet time after a *_registry_updated event until a sync.")
    effective_after_s: float = Field(
        5.0,
        ge=0,
        le=60,
        description="A new version of the map holds for events this long after it was published: by then every worker"
        " has it, so that none gives an event the place that another would not.",
    )
    objects_keep_days: float = Field(
        1825, ge=1, description="Days that an area, device or automation is kept as it was before it changed."
    )
    objects_max_past_rows: int = Field(
        500_000, ge=1000, description="Most such past states of one home; beyond it the oldest are forgotten."
    )
    render_templates: int = Field(
        100,
        ge=0,
        le=1000,
        description="Most templates that a sync has Home Assistant render, to learn what they depend on; 0: none.",
    )
    traces_keep_runs: int = Field(
        50, ge=0, le=10_000, description="Runs that are kept of each automation and script; 0: none are fetched."
    )
    traces_keep_days: float = Field(90, ge=1, description="Days that a run of an automation or script is kept.")
    traces_at_once: int = Field(
        100, ge=1, le=1000, description="Most runs that are fetched from Home Assistant in one go, one after another."
    )
