"""Running the hooks of a rule around an image's promotion."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Any

from squashproxy import __version__
from squashproxy.config.hooks import CommandHook, WebHook
from squashproxy.errors import SquashproxyError, reason_of
from squashproxy.promotion.hooks.commands import Ended, OutOfTime, run_command

_MOST_SHOWN = 200


class HookFailed(SquashproxyError):
    """A hook failed, so the promotion does not go on."""


def run_hook(
    hook: CommandHook | WebHook, event: dict[str, Any], tick: Callable[[], None] = lambda: None
) -> None:
    """Run a hook with the data of an event.

    `tick` is called a few times a second and may raise to give the hook up. Raises HookFailed where
    the hook fails or does not end in time.
    """
    if isinstance(hook, CommandHook):
        _run(hook, json.dumps(event), tick)
    else:
        _post(hook, event, tick)


def _run(hook: CommandHook, text: str, tick: Callable[[], None]) -> None:
    name = hook.command[0]
    try:
        ended = run_command(hook.command, f"{text}\n".encode(), hook.timeout, tick)
    except OutOfTime as error:
        raise HookFailed(
            f"the hook {name} did not end within {hook.timeout:g} s, or left something running "
            "that holds its output open"
        ) from error
    except OSError as error:
        raise HookFailed(f"the hook {name} cannot be run: {reason_of(error)}") from error
    if ended.code:
        said = (ended.errors or ended.output)[-_MOST_SHOWN:]
        raise HookFailed(f"the hook {name} {_end(ended)}{f': {said}' if said else ''}")


def _end(ended: Ended) -> str:
    if ended.code > 0:
        return f"ended with {ended.code}"
    try:
        return f"was ended by {signal.Signals(-ended.code).name}"
    except ValueError:
        return f"was ended by signal {-ended.code}"


def _post(hook: WebHook, event: dict[str, Any], tick: Callable[[], None]) -> None:
    """Post the event. The address is not part of any message: it may hold a token."""
    from squashproxy.promotion.hooks.webhooks import NotPosted, post  # noqa: PLC0415 - loads requests

    headers = {"User-Agent": f"squashproxy/{__version__}"}
    if hook.token is not None:
        headers["Authorization"] = f"Bearer {hook.token}"
    try:
        status = post(hook.webhook, event, headers, hook.timeout, tick)
    except NotPosted as error:
        raise HookFailed(str(error)) from error
    if 300 <= status < 400:
        raise HookFailed(
            f"the webhook answered {status}, a redirect, which is not followed; write the address "
            "that it leads to"
        )
    if status >= 300:
        raise HookFailed(f"the webhook answered {status}")
