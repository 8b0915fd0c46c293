"""Debian's Prometheus, as the tests start it: on a free port, with a configuration of theirs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers import HOST, Server, find_program
from tests.servers_stores import get

if TYPE_CHECKING:
    from collections.abc import Sequence


class Prometheus(Server):
    """A Prometheus whose folder gets `files` (a path each) before it starts; the first one is its configuration."""

    name = "prometheus"

    def __init__(self, folder: Path | None = None, *, files: Sequence[tuple[str, str]] = ()) -> None:
        self._program = find_program("prometheus", "prometheus")
        super().__init__(folder)
        self._files = files

    @property
    def url(self) -> str:
        """The address of its HTTP interface."""
        return f"http://{HOST}:{self.port}"

    def prepare(self) -> None:
        """Write its configuration."""
        for name, text in self._files:
            (self.folder / name).write_text(text.replace("localhost:9090", f"{HOST}:{self.port}"))

    def command(self) -> Sequence[str | Path]:
        """Run in the foreground."""
        return [
            self._program,
            f"--config.file={self._files[0][0]}",
            "--storage.tsdb.path=data",
            f"--web.listen-address={HOST}:{self.port}",
        ]

    def is_ready(self) -> bool:
        """Answer that it is."""
        return get(f"{self.url}/-/ready") == 200
