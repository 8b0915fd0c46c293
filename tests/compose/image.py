"""Builds our image without an engine: each step of the Dockerfile in a clean Debian; needs root and debootstrap."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

#: How this machine reaches its mirrors; no part of the image.
_OF_THIS_MACHINE = ("/etc/resolv.conf", "/etc/pip.conf", "/etc/apt/apt.conf.d", "/etc/hosts")
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


class CannotBuildError(Exception):
    """This machine or this user cannot build it; carries what was said."""


@dataclass(slots=True)
class Stage:
    """What a stage has come to."""

    root: Path
    folder: str = "/"
    env: dict[str, str] = field(default_factory=dict)
    user: str = "0:0"
    entrypoint: list[str] = field(default_factory=list)


def build(dockerfile: Path, context: Path, work: Path) -> Stage:
    """Do every step; return the last stage. Raises CannotBuildError, CalledProcessError where a step fails."""
    base = _debian(work)
    stages: dict[str, Stage] = {}
    stage = Stage(base)
    for words in _steps(dockerfile.read_text()):
        print(f"{time.strftime('%H:%M:%S')}  {words[:100]}", flush=True)
        instruction, _, rest = words.partition(" ")
        if instruction == "FROM":
            name = rest.partition(" AS ")[2] or "last"
            stage = stages[name] = Stage(_copy(base, work / name))
        else:
            _do(instruction, rest, stage, stages, context)
    return stage


def _steps(text: str) -> list[str]:
    joined = re.sub(r"\\\n\s*", "", text)
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def _do(instruction: str, rest: str, stage: Stage, stages: dict[str, Stage], context: Path) -> None:
    if instruction == "RUN":
        _run(stage, rest)
    elif instruction == "COPY":
        _copy_in(rest, stage, stages, context)
    elif instruction == "ENV":
        stage.env |= dict(word.split("=", 1) for word in shlex.split(rest))
    elif instruction == "WORKDIR":
        stage.folder = rest
        (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
    elif instruction == "USER":
        stage.user = rest
    elif instruction == "ENTRYPOINT":
        stage.entrypoint = json.loads(rest)
    elif instruction not in {"VOLUME", "CMD"}:
        raise CannotBuildError(f"no step of ours: {instruction}")


def _run(stage: Stage, command: str) -> None:
    trusted = {"PIP_CERT": f"/{_AUTHORITIES.name}"} if _AUTHORITIES.exists() else {}
    environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", **trusted, **stage.env}
    script = f"cd {stage.folder} && {command}"
    subprocess.run(["chroot", stage.root, "/bin/sh", "-c", script], env=environ, check=True, capture_output=True)


def _copy_in(rest: str, stage: Stage, stages: dict[str, Stage], context: Path) -> None:
    words = rest.split()
    start = context
    if words[0].startswith("--from="):
        start = stages[words.pop(0).removeprefix("--from=")].root
    *sources, target = words
    inside = stage.root / (Path(stage.folder) / target).as_posix().lstrip("/")
    for name in sources:
        found = start / name.lstrip("/")
        if found.is_dir():
            shutil.copytree(found, inside, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy(found, inside / found.name if inside.is_dir() else inside)


def _debian(work: Path) -> Path:
    root = work / "debian"
    if (root / "ready").exists():
        return root
    if shutil.which("debootstrap") is None:
        raise CannotBuildError("debootstrap is not installed: apt-get install debootstrap")
    print(f"{time.strftime('%H:%M:%S')}  debootstrap bookworm", flush=True)
    words = ["debootstrap", "--variant=minbase", "bookworm", str(root)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotBuildError(f"debootstrap: {done.stdout[-500:]}{done.stderr[-500:]}")
    for name in _OF_THIS_MACHINE:
        source, target = Path(name), root / name.lstrip("/")
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("docker*"))
        elif source.exists():
            shutil.copy(source, target)
    if _AUTHORITIES.exists():
        shutil.copy(_AUTHORITIES, root / _AUTHORITIES.name)
    (root / "ready").touch()
    return root


def _copy(base: Path, target: Path) -> Path:
    subprocess.run(["rm", "-rf", target], check=True)
    subprocess.run(["cp", "-a", base, target], check=True)
    return target
