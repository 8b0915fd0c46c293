"""Commands about webhooks: addresses that messages of the live channel are posted to, and what became of them."""
# ruff: noqa: PLC0415 -- the database is loaded when it is asked

from __future__ import annotations

import time
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ingestor import errors
from ingestor.cli.options import JsonFlag, settings_of
from ingestor.cli.output import print_json, print_table, say
from ingestor.live.filter import LiveFilter
from ingestor.reading.homes import home_name
from ingestor.reading.webhooks import delivery_object, hook_object
from ingestor.webhooks.model import Delivery, DeliveryState, Hook, Wanted
from ingestor.wording import number_of

if TYPE_CHECKING:
    from ingestor.webhooks.desk import WebhookDesk

_COLUMNS: Final = ("id", "url", "wants", "state", "waiting", "dead", "delivered", "last error")
_DELIVERY_COLUMNS: Final = ("id", "kind", "messages", "state", "tries", "status", "error", "next try")
_PING_S: Final = 30.0
_LOOK_S: Final = 0.5
HookId = Annotated[str, typer.Argument(metavar="ID", help="The webhook's id, as `ha-ingestor webhooks` prints it.")]
Many = list[str] | None


class FormName(StrEnum):
    """The form of messages."""

    NATIVE = "native"
    CLOUDEVENTS = "cloudevents"


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(
        invoke_without_command=True,
        help="Addresses that events are posted to as they are written, and what became of each delivery.",
        epilog="Examples: `ha-ingestor webhooks add https://example.org/hook --type 'event.*' --domain light` · "
        "`ha-ingestor webhooks ping ID` · `ha-ingestor webhooks replay ID`",
    )
    group.callback(invoke_without_command=True)(list_webhooks)
    for name, command in (
        ("list", list_webhooks),
        ("add", add),
        ("show", show),
        ("remove", remove),
        ("enable", enable),
        ("disable", disable),
        ("rotate", rotate),
        ("ping", ping),
        ("deliveries", deliveries),
        ("replay", replay),
    ):
        group.command(name)(command)
    app.add_typer(group, name="webhooks", rich_help_panel="Reading")


def list_webhooks(context: typer.Context, *, as_json: JsonFlag = False) -> None:
    """Print all webhooks, and how they do."""
    if context.invoked_subcommand is not None:
        return
    desk = _desk(context)
    found = [hook_object(hook, desk.book.counted(hook.hook_id)) for hook in desk.book.hooks()]
    if as_json:
        print_json(found)
        return
    if found:
        print_table(_COLUMNS, [_row(one) for one in found])
    say(number_of(len(found), "webhook"))


def add(
    context: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="Where deliveries are posted to.")],
    *,
    types: Annotated[
        Many, typer.Option("--type", metavar="GLOB", help="Type of message: event.new, automation.*.")
    ] = None,
    entities: Annotated[Many, typer.Option("--entity", metavar="GLOB", help="Entities, such as light.*.")] = None,
    domains: Annotated[Many, typer.Option("--domain", metavar="NAME", help="Domains, such as sensor.")] = None,
    areas: Annotated[Many, typer.Option("--area", metavar="NAME", help="Names of areas.")] = None,
    devices: Annotated[Many, typer.Option("--device", metavar="NAME", help="Names of devices.")] = None,
    homes: Annotated[Many, typer.Option("--home", metavar="NAME", help="Names of homes.")] = None,
    form: Annotated[FormName, typer.Option(help="Form of the messages.")] = FormName.NATIVE,
    batch: Annotated[int, typer.Option(help="Most messages in one delivery.")] = 1,
    batch_wait: Annotated[float, typer.Option(metavar="S", help="Seconds that a message waits for others.")] = 1.0,
    late: Annotated[bool, typer.Option(help="Also what happened more than a minute before.")] = False,
    description: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Register a webhook; prints its secret, which is not shown again. An option may be given several times."""
    chosen = (entities, domains, areas, devices, types, homes)
    for home in homes or ():
        home_name(settings_of(context), home)
    messages = LiveFilter(*(tuple(one or ()) for one in chosen))
    wanted = Wanted(messages, form.value, batch, batch_wait, late)
    desk = _desk(context)
    hook, secret = desk.create(url, wanted, description)
    if as_json:
        print_json({**_told(desk, hook), "secret": secret})
        return
    print_table(["", ""], [["id", hook.hook_id], ["secret", secret]])
    say("keep the secret: it is not shown again. It is told of what is written from some seconds from now on")


def show(context: typer.Context, hook_id: HookId, *, as_json: JsonFlag = False) -> None:
    """Print everything about one webhook."""
    desk = _desk(context)
    told = _told(desk, desk.book.find(hook_id))
    if as_json:
        print_json(told)
        return
    print_table(["", ""], [[key, _text(value)] for key, value in told.items()])


def remove(context: typer.Context, hook_id: HookId) -> None:
    """Forget a webhook with all that waits for it."""
    _desk(context).remove(hook_id)
    say("removed")


def enable(context: typer.Context, hook_id: HookId) -> None:
    """Enable a webhook; what waits for it is tried at once."""
    _desk(context).change(hook_id, enabled=True)
    say("enabled")


def disable(context: typer.Context, hook_id: HookId) -> None:
    """Disable a webhook: nothing more is sent, nor taken for it; what is kept stays."""
    _desk(context).change(hook_id, enabled=False)
    say("disabled")


def rotate(context: typer.Context, hook_id: HookId) -> None:
    """Make a new secret and print it; deliveries are signed with each old one too, for a day after it was replaced."""
    _, secret = _desk(context).rotate(hook_id)
    typer.echo(secret)
    say("keep it: it is not shown again")


def ping(context: typer.Context, hook_id: HookId, *, as_json: JsonFlag = False) -> None:
    """Send a test delivery, and tell what came of it; ends with 1 where it was not taken."""
    desk = _desk(context)
    sent = desk.ping(hook_id)
    until_s = time.monotonic() + _PING_S
    found = sent
    while not found.tries and time.monotonic() < until_s:
        time.sleep(_LOOK_S)
        found = desk.book.delivery(hook_id, sent.delivery_id)
    if as_json:
        print_json(delivery_object(found))
    else:
        print_table(_DELIVERY_COLUMNS, [_delivery_row(found)])
    if found.state is not DeliveryState.DELIVERED:
        why = found.error or "nobody has sent it yet: does the API run on the host where the webhook was made?"
        raise errors.IngestorError(f"not taken: {why}")


def deliveries(
    context: typer.Context,
    hook_id: HookId,
    *,
    state: Annotated[DeliveryState | None, typer.Option(help="dead: those that were given up.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most deliveries to print.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """Print deliveries, newest first: all that wait or were given up, and the newest of those that were taken."""
    desk = _desk(context)
    desk.book.find(hook_id)
    found = desk.book.list(hook_id, state=state, limit=limit)
    if as_json:
        print_json([delivery_object(one) for one in found])
        return
    if found:
        print_table(_DELIVERY_COLUMNS, [_delivery_row(one) for one in found])
    say(number_of(len(found), "delivery"))


def replay(
    context: typer.Context,
    hook_id: HookId,
    delivery_id: Annotated[str | None, typer.Argument(metavar="DELIVERY", help="Only this one; default: all.")] = None,
) -> None:
    """Try anew what was given up."""
    found = _desk(context).replay(hook_id, delivery_id)
    say(f"{number_of(found, 'delivery')} will be tried anew")


def _desk(context: typer.Context) -> WebhookDesk:
    from ingestor import bootstrap
    from ingestor.managing.workers import whoever_runs_this

    return bootstrap.open_webhook_desk(settings_of(context), by=whoever_runs_this())


def _told(desk: WebhookDesk, hook: Hook) -> dict[str, Any]:
    return hook_object(hook, desk.book.counted(hook.hook_id))


def _row(told: dict[str, Any]) -> list[str]:
    wants = " ".join(f"{kind}={','.join(values)}" for kind, values in told["filter"].items() if values) or "everything"
    state = ("paused" if told["failures"] else "enabled") if told["enabled"] else "disabled"
    error = told["why_disabled"] or told["last_error"]
    figures = [f"{told[name]:,}" for name in ("waiting", "dead", "delivered")]
    return [told["id"], told["url"], wants, state, *figures, error]


def _delivery_row(delivery: Delivery) -> list[str]:
    told = delivery_object(replace(delivery, body=b""))
    names = ("id", "kind", "messages", "state", "tries", "status", "error", "next_try")
    return [_text(told[name]) for name in names]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}={','.join(values)}" for key, values in value.items() if values)
    return "" if value is None else str(value)
