"""Hooks that are webhooks: what is sent, and that no server can hold an image up."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import pytest

from squashproxy.config.hooks import WebHook
from squashproxy.promotion.hooks.hooks import HookFailed, run_hook
from tests.promotion.hooks.raw_server import answering

EVENT: dict[str, Any] = {"event": "before", "target": "registry.example.com/app:1"}
SOON = 0.5
LATE = 60.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def hook(host: str, timeout: float = LATE) -> WebHook:
    return WebHook(f"http://{host}/hook?key=hunter2", "a-word", timeout)


def no_thread_is_left() -> None:
    for thread in threading.enumerate():
        if thread.name == "squashproxy-webhook":
            thread.join(30)
            assert not thread.is_alive()


def test_a_webhook_gets_the_event_and_its_token() -> None:
    with answering(OK) as server:
        run_hook(hook(server.host), EVENT)
    [request] = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hook?key=hunter2 HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer a-word" in head
    assert json.loads(body) == EVENT


ANSWERS = {
    "no": (b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", "the webhook answered 403"),
    "elsewhere": (
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        "the webhook answered 302, a redirect, which is not followed; write the address that",
    ),
    "nothing": (b"", "the webhook could not be reached: "),
    "no HTTP": (b"SSH-2.0-x\r\n", "the webhook could not be reached: "),
    "too many headers": (
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000,
        "the webhook could not be reached: ",
    ),
}


@pytest.mark.parametrize(("answer", "words"), ANSWERS.values(), ids=ANSWERS)
def test_a_webhook_that_does_not_say_yes_is_a_sentence(answer: bytes, words: str) -> None:
    with answering(answer) as server, pytest.raises(HookFailed) as caught:
        run_hook(hook(server.host), EVENT)
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "a-word" not in str(caught.value)
    assert len(server.requests) == 1


def test_a_webhook_that_is_not_there_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = f"127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(HookFailed, match="the webhook could not be reached: ConnectionError"):
        run_hook(hook(host), EVENT)


SLOW = {
    "no answer": (b"", b""),
    "a status line without end": (b"", b"H"),
    "a header without end": (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    "headers that come slowly": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "interim answers without end": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize(("head", "dripped"), SLOW.values(), ids=SLOW)
def test_a_webhook_that_drips_is_given_up_in_time_and_its_connection_shut(
    head: bytes, dripped: bytes
) -> None:
    with answering(head, dripped) as server:
        with pytest.raises(HookFailed, match=f"the webhook did not answer within {SOON} s"):
            run_hook(hook(server.host, SOON), EVENT)
        assert server.left.wait(30)
        no_thread_is_left()


@pytest.mark.parametrize("dripped", [b"y", b"y" * 65536, b""], ids=["slowly", "fast", "never"])
def test_of_an_answer_only_the_status_counts_and_its_body_is_not_read(dripped: bytes) -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", dripped) as server:
        run_hook(hook(server.host), EVENT)
        assert server.left.wait(30)
        no_thread_is_left()


def test_a_server_that_never_speaks_tls_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(HookFailed, match=r"did not answer within|could not be reached"):
            run_hook(WebHook(address, timeout=SOON), EVENT)
        no_thread_is_left()


class GivenUp(Exception):
    """What a tick raises."""


def give_up() -> None:
    raise GivenUp


def test_a_webhook_is_given_up_when_the_process_ends() -> None:
    with answering(b"", b"H") as server:
        with pytest.raises(GivenUp):
            run_hook(hook(server.host), EVENT, give_up)
        assert server.left.wait(30)
        no_thread_is_left()


@pytest.mark.parametrize(
    ("scheme", "begin"),
    [("http", b"POST http://hooks.example.com/x"), ("https", b"CONNECT hooks.example.com:443")],
)
def test_the_proxy_of_the_environment_is_used_and_held_to_the_same_time(
    scheme: str, begin: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(b"", b"H") as server:
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://{server.host}")
        monkeypatch.setenv("NO_PROXY", "")
        with pytest.raises(HookFailed, match="did not answer within"):
            run_hook(WebHook(f"{scheme}://hooks.example.com/x", timeout=SOON), EVENT)
        assert server.left.wait(30)
        no_thread_is_left()
    assert server.requests[0].startswith(begin)
