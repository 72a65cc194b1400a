"""Asking a broker that may be away."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from squashproxy.fleet.errors import BrokerAway
from squashproxy.fleet.patience import Patience

_Answer = TypeVar("_Answer")


def patiently(patience: Patience, call: Callable[[], _Answer]) -> _Answer:
    """The answer to a call, which is made again while the broker is away.

    Raises BrokerAway after that lasted too long, and everything else that the call raises.
    """
    while True:
        try:
            answer = call()
        except BrokerAway as error:
            patience.wait(error)
        else:
            patience.over()
            return answer
