"""A server on the loopback interface that fails exactly when it is told to."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from squashproxy.testing.connection import Act, Server
from squashproxy.testing.faults import ArmedFault, Fault, Faults
from squashproxy.testing.journal import Exchange, Journal
from squashproxy.testing.options import Tls


class FaultyServer:
    """The common part of a FakeRegistry and a FaultProxy: faults, and a journal of requests.

    It listens from its construction until `close()`, or until the end of a `with` block; a port of
    0 is any free one.
    """

    def __init__(self, port: int, tls: Tls | None) -> None:
        self._tls = tls
        self._journal = Journal()
        self._faults = Faults()
        self._server = Server(("127.0.0.1", port), tls, self._journal, self._faults)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and close every connection; a request that hangs gets no answer."""
        self._server.stop()

    @property
    def host(self) -> str:
        """`127.0.0.1:PORT`, the host to use in references."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        """`SCHEME://HOST`, without a slash at the end."""
        return f"{'https' if self._tls else 'http'}://{self.host}"

    @property
    def requests(self) -> tuple[Exchange, ...]:
        """Every request so far, in the order of their answers."""
        return self._journal.read()

    def forget_requests(self) -> None:
        """Empty `requests`."""
        self._journal.clear()

    def arm(self, fault: Fault) -> ArmedFault:
        """Arm a fault; it waits for its requests."""
        return self._faults.arm(fault)

    def disarm(self) -> None:
        """Forget all faults, and let the requests that hang go on."""
        self._faults.clear()

    def before_each(self, act: Act) -> None:
        """Call `act` with the method and the path of every request, before it is answered.

        Use it to push, move tags or delete while a client is at work: what `act` does takes effect
        before the answer. It runs in the thread of the request. If it sends requests to this
        server, it is called for them, too.
        """
        self._server.acts = (*self._server.acts, act)
