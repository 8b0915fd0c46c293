"""Looks, before a process starts, whether it can have its place: the data folder, a port; says in words why not."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from ingestor import errors


class PortTaken(errors.Transient):
    """Another program listens on the port: it may end, so trying again may help."""


def require_data_dir(folder: Path) -> None:
    """Make the data folder. Raises InvalidSettings where that cannot be, or where we may not write in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".ha-ingestor").touch()
    except OSError as error:
        raise errors.InvalidSettings(
            f"data_dir = {folder}: cannot be written ({error.strerror}); "
            "let this user write there, or set HA_INGESTOR_DATA_DIR to another folder"
        ) from error


def require_port(host: str, port: int, variable: str) -> None:
    """Try to listen, for a moment. Raises PortTaken, or InvalidSettings where the address is none of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what closed just now does not count
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                advice = f"end the program that has it, or set {variable} to another port"
                raise PortTaken(f"port {port} of {host} is taken: {advice}") from error
            group = variable.rpartition("__")[0]
            raise errors.InvalidSettings(
                f"cannot listen on port {port} of {host} ({error.strerror}): see {variable} and {group}__HOST"
            ) from error
