"""Commands and webhooks around an image that is promoted."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import requests

from squashproxy import __version__
from squashproxy.config.hooks import CommandHook, WebHook
from squashproxy.errors import SquashproxyError, reason_of

_MOST_SHOWN = 200


class HookFailed(SquashproxyError):
    """A hook did not say that it is fine to go on."""


def run_hook(hook: CommandHook | WebHook, event: dict[str, Any]) -> None:
    """Tell a hook of an event. Raises HookFailed where it fails, or does not end in time."""
    if isinstance(hook, CommandHook):
        _run_command(hook, json.dumps(event))
    else:
        _post(hook, event)


def _run_command(hook: CommandHook, text: str) -> None:
    name = hook.command[0]
    try:
        done = subprocess.run(  # noqa: S603 - what the operator's own file says
            hook.command,
            input=text + "\n",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=hook.timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise HookFailed(f"the hook {name} did not end within {hook.timeout:g} s") from error
    except OSError as error:
        raise HookFailed(f"the hook {name} cannot be run: {reason_of(error)}") from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[-_MOST_SHOWN:]
        end = f"ended with {done.returncode}"
        raise HookFailed(f"the hook {name} {end}: {said}" if said else f"the hook {name} {end}")


def _post(hook: WebHook, event: dict[str, Any]) -> None:
    """The address is not told: it may hold a token."""
    headers = {"User-Agent": f"squashproxy/{__version__}"}
    if hook.token is not None:
        headers["Authorization"] = f"Bearer {hook.token}"
    try:
        answer = requests.post(
            hook.webhook,
            json=event,
            headers=headers,
            timeout=hook.timeout,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        raise HookFailed(f"the webhook could not be reached: {type(error).__name__}") from error
    if answer.status_code >= 300:
        raise HookFailed(f"the webhook answered {answer.status_code}")
