"""Proposals as text to be used as it is: YAML for Home Assistant's recorder, TOML for our settings; writes no file."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Final

from ingestor.quality.noise_proposals import Proposal, Proposed

#: So many entities of one pattern are named by it.
_FEWEST_OF_A_PATTERN: Final = 3
_NOTHING: Final = "# There is nothing that could be left out.\n"


def recorder_yaml(proposed: Proposed, everyone: Collection[str]) -> str:
    """Return `recorder:` with what to exclude, for configuration.yaml. `everyone`: all entities that were seen."""
    proposals = proposed.of("exclude")
    domains, globs, entities = _grouped([one.noise.entity_id for one in proposals], everyone)
    if not proposals:
        return _NOTHING + "".join(_kept(proposed, "# "))
    parts = ["recorder:\n  exclude:\n"]
    for name, found in (("domains", domains), ("entity_globs", globs), ("entities", entities)):
        if found:
            parts.append(f"    {name}:\n" + "".join(f"      - {json.dumps(one)}\n" for one in found))
    return "".join([*parts, *_kept(proposed, "      # ")])


def _kept(proposed: Proposed, indent: str) -> Iterable[str]:
    for one in proposed.used:
        yield f"{indent}- {json.dumps(one.noise.entity_id)}  is used by {', '.join(one.used_by)}\n"


def settings_toml(proposed: Proposed, everyone: Collection[str]) -> str:
    """Return the rules for `ha-ingestor.toml`."""
    rules = [*_deny(proposed.of("exclude"), everyone), *_bands(proposed.of("dead-band"), everyone)]
    return "\n".join(rules or [_NOTHING]) + "".join(_kept(proposed, "# "))


def _deny(proposals: Sequence[Proposal], everyone: Collection[str]) -> Iterable[str]:
    if not proposals:
        return
    domains, globs, entities = _grouped([one.noise.entity_id for one in proposals], everyone)
    patterns = [*(f"{domain}.*" for domain in domains), *globs, *entities]
    yield _table("noise-deny", "deny", patterns, "says too little for what it stores")


def _bands(proposals: Sequence[Proposal], everyone: Collection[str]) -> Iterable[str]:
    by_change: dict[float, list[str]] = defaultdict(list)
    for one in proposals:
        by_change[one.change or 0.0].append(one.noise.entity_id)
    for number, (change, entities) in enumerate(sorted(by_change.items()), 1):
        _, globs, rest = _grouped(entities, everyone)
        reason = "changes below this are the sensors' own noise"
        yield _table(f"noise-band-{number}", "dead-band", [*globs, *rest], reason) + f"change = {change!r}\n"


def _table(name: str, kind: str, entities: Sequence[str], reason: str) -> str:
    listed = "".join(f"    {json.dumps(one, ensure_ascii=False)},\n" for one in entities)
    head = f"[[quality.rules]]\nname = {json.dumps(name)}\nkind = {json.dumps(kind)}\n"
    return f"{head}entities = [\n{listed}]\nreason = {json.dumps(reason)}\n"


def _grouped(entities: Sequence[str], everyone: Collection[str]) -> tuple[list[str], list[str], list[str]]:
    """Return domains, globs and entities that name these and, of all that were seen, no other one."""
    left = set(entities)
    domains: list[str] = []
    globs: list[str] = []
    for pattern in _patterns(entities):
        of_it = {one for one in everyone if fnmatchcase(one, pattern)}
        if len(of_it & left) >= _FEWEST_OF_A_PATTERN and of_it <= set(entities):
            left -= of_it
            domain, _, rest = pattern.partition(".")
            (domains.append(domain) if rest == "*" else globs.append(pattern))
    return sorted(domains), sorted(globs), sorted(left)


def _patterns(entities: Iterable[str]) -> list[str]:
    """Return the patterns that could name them, the widest first."""
    found: set[str] = set()
    for entity_id in entities:
        domain, _, name = entity_id.partition(".")
        found |= {f"{domain}.*", f"{domain}.*_{name.rpartition('_')[2]}"}
    return sorted(found, key=lambda one: (len(one), one))
