"""A rule by its name, or by its text as a table of the settings; asks no store."""

from __future__ import annotations

import tomllib

from pydantic import ValidationError

from ingestor import errors
from ingestor.quality.gate import with_severities
from ingestor.quality.rules import BY_NAME
from ingestor.quality.user_rules import UserRule, compiled
from ingestor.settings_quality import QualityRule, QualitySettings

#: What a rule is called that is tried before it has a name.
_UNNAMED = "tried"
_FOR_ALL = QualityRule(name="ours", kind="bounds", min=0)


def rule_named(text: str, settings: QualitySettings) -> UserRule:
    """Return a rule of ours or of the settings by its name; or one written out, such as `kind = "bounds", max = 50`.

    Raises NotFound, and InvalidSettings for a text that is no rule.
    """
    if "=" in text:
        return compiled(_written(text))
    if own := next((rule for rule in settings.rules if rule.name == text), None):
        return compiled(own)
    if text in BY_NAME:
        rules = {rule.name: rule for rule in with_severities(settings)}
        return UserRule(rules.get(text, BY_NAME[text]), _FOR_ALL)
    known = ", ".join([*(rule.name for rule in settings.rules), *BY_NAME])
    raise errors.NotFound(f'there is no rule {text!r}; there are {known}; or write one: kind = "bounds", max = 50')


def _written(text: str) -> QualityRule:
    inner = text.strip().removeprefix("{").removesuffix("}")
    try:
        table = tomllib.loads(f"rule = {{{inner}}}")["rule"]
        return QualityRule.model_validate({"name": _UNNAMED, **table})
    except tomllib.TOMLDecodeError as error:
        raise errors.InvalidSettings(f"the rule is no TOML table: {error}") from error
    except ValidationError as error:
        faults = [f"{'.'.join(str(step) for step in one['loc']) or 'rule'}: {one['msg']}" for one in error.errors()]
        raise errors.InvalidSettings("the rule is wrong: " + "; ".join(faults).replace("Value error, ", "")) from error
