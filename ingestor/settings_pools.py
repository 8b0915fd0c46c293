"""Settings of the workers: how many nodes of each type, how large each is, and when more are started by themselves."""

from __future__ import annotations

from pydantic import ConfigDict, Field, model_validator

from ingestor.settings_types import Group, HostName

#: Nodes of one type on one host: more is a slip of the finger.
MOST_NODES = 64


class PoolSettings(Group):
    """The worker nodes of one type on each host that runs `up`."""

    nodes: int = Field(1, ge=1, le=MOST_NODES, description="Worker nodes; `ha-ingestor scale` changes it at run time.")
    nodes_max: int | None = Field(
        None,
        ge=1,
        le=MOST_NODES,
        description="Most worker nodes, where batches wait too long; default: as many as `nodes`, so none are added.",
    )
    prefetch: int = Field(
        2, ge=1, le=64, description="Batches that a node takes ahead, for each of its processes; they go down with it."
    )
    grow_at_s: float = Field(
        2.0, ge=0.5, le=60, description="Age of the oldest waiting batch at which nodes are added, up to `nodes_max`."
    )

    @model_validator(mode="after")
    def _check_order(self) -> PoolSettings:
        if self.nodes_max is not None and self.nodes_max < self.nodes:
            raise ValueError(f"nodes_max ({self.nodes_max}) is less than nodes ({self.nodes})")
        return self


class PoolsSettings(Group):
    """The pools: one for each step of the way, and one for all rare types."""

    validate_: PoolSettings = Field(PoolSettings(), alias="validate")
    enrich: PoolSettings = PoolSettings()
    write: PoolSettings = PoolSettings()
    rare: PoolSettings = PoolSettings()

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    def named(self, pool: str) -> PoolSettings:
        """Return the settings of a pool."""
        found: PoolSettings = getattr(self, "validate_" if pool == "validate" else pool)
        return found


class WorkerSettings(Group):
    """Worker nodes and their processes. A node takes some 1,000 tasks a second: for more, more nodes help."""

    host: HostName | None = Field(
        None, description="Name of this host in `ha-ingestor workers` and `scale --host`; default: the machine's."
    )
    validate_: int = Field(1, alias="validate", ge=1, le=64, description="Processes of a node that validates.")
    enrich: int = Field(1, ge=1, le=64, description="Processes of a node that enriches.")
    write: int = Field(2, ge=1, le=64, description="Processes of a node that writes (SQLite: always one).")
    rare: int = Field(
        2,
        ge=1,
        le=8,
        description="Processes for rare task types together: with two, a registry sync does not wait for history.",
    )
    pools: PoolsSettings = PoolsSettings()
    together: int = Field(
        0,
        ge=0,
        le=8,
        description="0: worker nodes for each task type. Else one node with so many processes works on all of them,"
        " takes a batch through its steps in one process, and runs beat; it is not scaled (2 in the profiles `small`"
        " and `low-latency`).",
    )
    unknown_wait_s: float = Field(
        5.0,
        ge=0,
        le=60,
        description="How long an event of an entity that the map does not know waits for a sync, since the"
        " notice that it was renamed comes last; twelve times as long while none has answered.",
    )

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    def processes_of(self, pool: str) -> int:
        """Return the processes of a node of that pool."""
        return int(getattr(self, "validate_" if pool == "validate" else pool))
