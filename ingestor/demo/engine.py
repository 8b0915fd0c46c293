"""Runs the demo home's automations, scripts and scenes with Home Assistant's contexts; knows no clients."""

# ruff: noqa: ARG002 - a table calls all of them alike, not each needs all it is given

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from ingestor.demo.bus import Bus
from ingestor.demo.registry import RefusedError
from ingestor.demo.routines import Automation, Routines, Script, Step
from ingestor.demo.services import Services
from ingestor.demo.traces import Run, Traces
from ingestor.demo.wire import Context, Event, iso

#: So many automations may set each other off in one go; a loop ends here.
_LONGEST_CHAIN: Final = 100


class Engine:
    """Listens for what sets automations off. They run in `settle`, after all have heard of the cause."""

    def __init__(self, bus: Bus, services: Services, routines: Routines) -> None:
        self._bus = bus
        self._services = services
        self._routines = routines
        self.traces = Traces()
        #: The runs that are under way: each was called by the one before it.
        self._running: list[Run] = []
        self._watching: dict[str, list[Automation]] = {}
        for automation in routines.automations:
            self._watching.setdefault(automation.watched, []).append(automation)
        self._due: deque[tuple[Automation, Context, str | None]] = deque()
        bus.listen(self._note)
        services.run_by("scene.turn_on", self._turn_on_scene)
        services.run_by("script.*", self._run_script)
        services.run_by("automation.trigger", self._trigger)

    def _note(self, event: Event) -> None:
        if event.event_type != "state_changed" or event.new is None or event.old is None:
            return
        for automation in self._watching.get(event.entity_id, ()):
            if self._is_met(automation, event):
                self._due.append((automation, event.context, f"state of {event.entity_id}"))

    def _is_met(self, automation: Automation, event: Event) -> bool:
        if event.new is None or event.old is None or event.new.state == event.old.state:
            return False
        if "unavailable" in (event.new.state, event.old.state):
            return False
        return automation.to is None or event.new.state == automation.to

    def settle(self) -> None:
        """Run what is due, and what that sets off."""
        for _ in range(_LONGEST_CHAIN):
            if not self._due:
                return
            self._run(*self._due.popleft())
        self._due.clear()

    def _run(self, automation: Automation, cause: Context, source: str | None) -> None:
        state = self._bus.states.get(automation.entity_id)
        if state is None or state.state != "on":
            return
        context = self._bus.context(cause)
        run = self._begin_automation(automation, context, source)
        if not self._may_run(automation, run):
            run.finish("failed_conditions", self._bus.last_us)
            return
        data = {"name": automation.alias, "entity_id": automation.entity_id}
        self._bus.fire("automation_triggered", data | ({"source": source} if source else {}), context)
        self._show(automation.entity_id, "on", context, current=1, triggered=True)
        self._trace(automation.steps, context, run, "action")
        self._show(automation.entity_id, "on", context, current=0)

    def _begin_automation(self, automation: Automation, context: Context, source: str | None) -> Run:
        config, now_us = automation.as_config(self._bus.modern), self._bus.last_us
        run = self.traces.begin(("automation", automation.item_id), config, context, now_us)
        run.trigger = source
        run.add("trigger/0" if source else "trigger", now_us, trigger={"platform": "state", "description": source})
        return run

    def _may_run(self, automation: Automation, run: Run) -> bool:
        if automation.condition is None:
            return True
        entity_id, wanted = automation.condition
        state = self._bus.states.get(entity_id)
        holds = state is not None and state.state == wanted
        run.add("condition/0", self._bus.last_us).result = {"result": holds}
        return holds

    def _trace(self, steps: Iterable[Step], context: Context, run: Run, key: str) -> None:
        """Do the steps of an automation or a script, and note each; one that fails is the last."""
        self._running.append(run)
        execution, error = "finished", ""
        for number, step in enumerate(steps):
            noted = run.add(f"{key}/{number}", self._bus.last_us)
            domain, _, service = step.service.partition(".")
            target = {"entity_id": [step.entity_id]} if step.entity_id else {}
            params = {"domain": domain, "service": service, "service_data": dict(step.data), "target": target}
            noted.result = {"params": params, "running_script": domain == "script"}
            try:
                self._services.call(step.service, dict(step.data), context, target)
            except RefusedError as refusal:
                execution, error = "error", str(refusal)
                noted.error = error
                break
        run.finish(execution, self._bus.last_us, error)
        self._running.pop()

    def _do(self, steps: Iterable[Step], context: Context) -> None:
        for step in steps:
            target = {"entity_id": [step.entity_id]} if step.entity_id else {}
            self._services.call(step.service, dict(step.data), context, target)

    def _show(self, entity_id: str, state: str, context: Context, *, current: int, triggered: bool = False) -> None:
        attributes = {**self._bus.states[entity_id].attributes, "current": current}
        if triggered:
            attributes["last_triggered"] = iso(self._bus.now_us())
        self._bus.set_state(entity_id, state, attributes, context)

    def _trigger(self, name: str, data: dict[str, Any], context: Context) -> None:
        """Run at once, whatever the conditions; there is no source then."""
        for automation in self._routines.automations:
            if automation.entity_id in data.get("entity_id", ()):
                self._run(automation, context, None)

    def _run_script(self, name: str, data: dict[str, Any], context: Context) -> None:
        called = data.get("entity_id", ()) if name == "turn_on" else (f"script.{name}",)
        for script in self._routines.scripts:
            if script.entity_id in called and script.entity_id in self._bus.states:
                data = {"name": script.alias, "entity_id": script.entity_id}
                self._bus.fire("script_started", data, context)
                self._show(script.entity_id, "on", context, current=1, triggered=True)
                self._trace(script.steps, context, self._begin_script(script, context), "sequence")
                self._show(script.entity_id, "off", context, current=0)

    def _begin_script(self, script: Script, context: Context) -> Run:
        config = script.as_config(self._bus.modern)
        run = self.traces.begin(("script", script.object_id), config, context, self._bus.last_us)
        if self._running:
            self._running[-1].steps[-1].child = run
        return run

    def _turn_on_scene(self, name: str, data: dict[str, Any], context: Context) -> None:
        for scene in self._routines.scenes:
            if scene.entity_id in data.get("entity_id", ()) and scene.entity_id in self._bus.states:
                self._bus.set_state(scene.entity_id, iso(self._bus.now_us()), None, context)
                self._do(scene.steps, context)
