"""Who may pull what (`serve.auth`)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import bcrypt
import pytest
import requests

from squashproxy.errors import UsageError
from squashproxy.server.auth.htpasswd import UserFile
from squashproxy.testing import Basic, Bearer, FakeRegistry, RegistryOptions
from tests.server.serving import UP, Served, app, run_serve, settings

ALICE = ("alice", "a made-up word")
BOB = ("bob", "another one")


@pytest.fixture
def upstream() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        app().push(registry, "app", "1")
        app("secret").push(registry, "private/app", "1")
        yield registry


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users.htpasswd"
    lines = [
        f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}"
        for user, password in (ALICE, BOB)
    ]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def guarded(upstream: FakeRegistry, users: Path, tmp_path: Path) -> Iterator[Served]:
    auth = {
        "htpasswd": str(users),
        "read": {"alice": ["*"], "bob": [f"{UP}/app"]},
    }
    with run_serve(settings(upstream, tmp_path, auth=auth)) as served:
        yield served


def test_without_a_password_everything_but_health_is_closed(guarded: Served) -> None:
    for path in ("/v2/", f"/v2/{UP}/app/manifests/1", "/", "/api/v1/status"):
        answer = guarded.get(path)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith('Basic realm="')
        assert answer.json()["errors"][0]["code"] == "UNAUTHORIZED"
    for path in ("/healthz", "/readyz", "/metrics"):
        assert guarded.get(path).status_code == 200


def test_users_read_what_their_rules_say(guarded: Served) -> None:
    assert guarded.get("/v2/", auth=BOB).status_code == 200
    assert guarded.manifest("app", "1", auth=BOB).status_code == 200
    assert guarded.manifest("private/app", "1", auth=ALICE).status_code == 200
    answer = guarded.manifest("private/app", "1", auth=BOB)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, "DENIED")
    answer = guarded.post("/api/v1/warm", auth=BOB, json={"image": f"{UP}/private/app:1"})
    assert answer.status_code == 403


def test_users_see_their_own_images_alone(guarded: Served) -> None:
    guarded.manifest("app", "1", auth=ALICE)
    guarded.manifest("private/app", "1", auth=ALICE)
    for login, names in ((ALICE, {f"{UP}/app:1", f"{UP}/private/app:1"}), (BOB, {f"{UP}/app:1"})):
        images = guarded.get("/api/v1/status", auth=login).json()["images"]
        assert {image["image"] for image in images} == names


def test_the_page_of_a_guarded_server_is_for_its_users(guarded: Served) -> None:
    assert guarded.get("/", auth=BOB).status_code == 200


BAD_HEADERS = {
    "another scheme": "Bearer token",
    "no base64": "Basic !!!",
    "no text": "Basic /////w==",
    "nothing in it": "Basic ",
    "no colon": "Basic YWxpY2U=",
    "not even ASCII": "Basic \xe9",
    "a NUL in the password": "Basic YWxpY2U6AGE=",
}


@pytest.mark.parametrize("header", BAD_HEADERS.values(), ids=BAD_HEADERS)
def test_headers_that_are_no_login(guarded: Served, header: str) -> None:
    answer = guarded.get("/v2/", headers={"Authorization": header})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, "UNAUTHORIZED")


def test_wrong_passwords_in_a_row_are_slowed_down(guarded: Served) -> None:
    """For that user and that client alone; who was let in before is not asked again."""
    assert guarded.get("/v2/", auth=BOB).status_code == 200
    codes = [guarded.get("/v2/", auth=("bob", f"x{n}")).status_code for n in range(12)]
    assert codes == [401] * 10 + [429] * 2
    slowed = guarded.get("/v2/", auth=("bob", "x"))
    assert slowed.json()["errors"][0]["code"] == "TOOMANYREQUESTS"
    assert int(slowed.headers["Retry-After"]) > 0
    assert guarded.get("/v2/", auth=BOB).status_code == 200
    assert guarded.get("/v2/", auth=ALICE).status_code == 200


def test_a_user_that_is_added_is_known_at_once(guarded: Served, users: Path) -> None:
    carol = bcrypt.hashpw(b"new", bcrypt.gensalt(4)).decode()
    assert guarded.get("/v2/", auth=("carol", "new")).status_code == 401
    users.write_text(f"{users.read_text()}\ncarol:{carol}\n")
    assert guarded.get("/v2/", auth=("carol", "new")).status_code == 200


def test_a_file_without_bcrypt_is_refused(upstream: FakeRegistry, tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("# comment\n\nalice:$apr1$abc\n")
    with (
        pytest.raises(UsageError, match=r"users:3: .*htpasswd -B"),
        run_serve(settings(upstream, tmp_path, auth={"htpasswd": str(users)})),
    ):
        pass


def test_no_password_is_written_to_the_log(guarded: Served) -> None:
    guarded.get("/v2/", auth=ALICE)
    guarded.log_lines(1)
    log = guarded.log.getvalue()
    assert '"user": "alice"' in log
    assert ALICE[1] not in log
    assert "Basic" not in log


@pytest.fixture(params=["basic", "bearer"])
def private(request: pytest.FixtureRequest) -> Iterator[FakeRegistry]:
    kind = Basic if request.param == "basic" else Bearer
    with FakeRegistry(RegistryOptions(auth=kind(*ALICE))) as registry:
        app().push(registry, "app", "1")
        yield registry


@pytest.fixture
def passing(private: FakeRegistry, tmp_path: Path) -> Iterator[Served]:
    """A server that lets upstream decide."""
    with run_serve(settings(private, tmp_path, auth="upstream")) as served:
        yield served


def test_upstream_decides_who_may_pull(passing: Served) -> None:
    assert passing.get("/v2/").status_code == 401
    assert passing.get("/v2/", auth=ALICE).status_code == 200
    assert passing.manifest("app", "1").status_code == 401
    assert passing.manifest("app", "1", auth=BOB).status_code == 401
    squashed = passing.manifest("app", "1", auth=ALICE)
    assert squashed.status_code == 200
    assert squashed.headers["X-Squashproxy-Source"] == "squashed"


def test_a_cached_private_image_reaches_nobody_else(passing: Served) -> None:
    squashed = passing.manifest("app", "1", auth=ALICE)
    digest = squashed.headers["Docker-Content-Digest"]
    source = squashed.headers["X-Squashproxy-Source-Digest"]
    layer = squashed.json()["layers"][0]["digest"]
    for login in (None, BOB):
        for selector in ("1", digest, source):
            assert passing.manifest("app", selector, auth=login).status_code == 401
        assert passing.blob("app", layer, auth=login).status_code == 401
        assert passing.get(f"/v2/{UP}/app/tags/list", auth=login).status_code == 401
        assert passing.get(f"/v2/{UP}/app/referrers/{source}", auth=login).status_code == 401
        warm = passing.post("/api/v1/warm", json={"image": f"{UP}/app:1"}, auth=login)
        assert warm.status_code == 401
    assert passing.manifest("app", digest, auth=ALICE).status_code == 200
    assert passing.blob("app", layer, auth=ALICE).status_code == 200


def test_a_right_is_remembered_for_a_short_time(passing: Served, private: FakeRegistry) -> None:
    digest = passing.manifest("app", "1", auth=ALICE).headers["Docker-Content-Digest"]
    private.forget_requests()
    passing.manifest("app", "1", auth=ALICE)
    passing.manifest("app", digest, auth=ALICE)
    assert private.requests == ()


def test_after_a_restart_upstream_is_asked_before_the_cache_answers(
    private: FakeRegistry, tmp_path: Path
) -> None:
    section = settings(private, tmp_path, auth="upstream")
    with run_serve(section) as served:
        squashed = served.manifest("app", "1", auth=ALICE)
    digest = squashed.headers["Docker-Content-Digest"]
    layer = squashed.json()["layers"][1]["digest"]
    with run_serve(section) as served:
        assert served.manifest("app", digest, auth=BOB).status_code == 401
        assert served.blob("app", layer, auth=BOB).status_code == 401
        assert served.blob("app", layer, auth=ALICE).status_code == 200
        assert served.manifest("app", digest, auth=ALICE).status_code == 200


def test_while_upstream_is_down_nobody_new_is_let_in(tmp_path: Path) -> None:
    with FakeRegistry(RegistryOptions(auth=Basic(*ALICE))) as private:
        app().push(private, "app", "1")
        section = settings(private, tmp_path, auth="upstream")
        with run_serve(section) as served:
            served.manifest("app", "1", auth=ALICE)
    with run_serve(section) as served:
        assert served.manifest("app", "1", auth=ALICE).status_code == 503


def test_a_public_image_needs_no_login(upstream: FakeRegistry, tmp_path: Path) -> None:
    with run_serve(settings(upstream, tmp_path, auth="upstream")) as served:
        assert served.manifest("app", "1").status_code == 200


def test_a_public_image_of_a_registry_with_tokens(tmp_path: Path) -> None:
    """A token for nobody is asked for without credentials, not with empty ones."""
    auth = Bearer(*ALICE, anonymous_pull=True)
    with FakeRegistry(RegistryOptions(auth=auth)) as registry:
        app().push(registry, "app", "1")
        with run_serve(settings(registry, tmp_path, auth="upstream")) as served:
            assert served.manifest("app", "1").status_code == 200
        asked = [exchange for exchange in registry.requests if "/token" in exchange.path]
        assert asked
        assert all("authorization" not in exchange.headers for exchange in asked)


def test_a_login_with_a_host_in_its_name_is_for_that_host_alone(
    private: FakeRegistry, tmp_path: Path
) -> None:
    with run_serve(settings(private, tmp_path, auth="upstream")) as served:
        here, elsewhere = (f"{UP}/alice", ALICE[1]), ("ghcr.io/alice", ALICE[1])
        assert served.manifest("app", "1", auth=here).status_code == 200
        assert served.manifest("app", "1", auth=elsewhere).status_code == 401


def test_the_server_s_own_credentials_are_not_lent(private: FakeRegistry, tmp_path: Path) -> None:
    section = settings(private, tmp_path, auth="upstream")
    section["serve"]["upstreams"][UP] |= {"username": ALICE[0], "password": ALICE[1]}
    with run_serve(section, {"SQUASHPROXY_AUTH_UP_EXAMPLE": ":".join(ALICE)}) as served:
        assert served.manifest("app", "1").status_code == 401


def test_the_server_s_own_credentials_open_upstream(private: FakeRegistry, tmp_path: Path) -> None:
    with run_serve(
        settings(private, tmp_path), {"SQUASHPROXY_AUTH_UP_EXAMPLE": ":".join(ALICE)}
    ) as served:
        assert served.manifest("app", "1").status_code == 200
    with run_serve(settings(private, tmp_path)) as served:
        answer = served.manifest("other", "1")
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, "DENIED")


def test_a_user_who_is_deleted_is_out_within_seconds(
    guarded: Served, users: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert guarded.get("/v2/", auth=BOB).status_code == 200
    users.write_text(users.read_text().splitlines()[0])
    monkeypatch.setattr("squashproxy.server.auth.gate._LOOK_SECONDS", 0.0)
    assert guarded.get("/v2/", auth=BOB).status_code == 401
    assert guarded.get("/v2/", auth=ALICE).status_code == 200


def test_behind_a_trusted_proxy_wrong_passwords_lock_out_their_sender_alone(
    upstream: FakeRegistry, users: Path, tmp_path: Path
) -> None:
    section = settings(
        upstream, tmp_path, auth={"htpasswd": str(users)}, trusted_proxies=["127.0.0.0/8"]
    )
    bad, good = {"X-Forwarded-For": "203.0.113.1"}, {"X-Forwarded-For": "203.0.113.2"}
    forged = {"X-Forwarded-For": "203.0.113.2, 203.0.113.1"}
    with run_serve(section) as served:
        for _ in range(10):
            served.get("/v2/", auth=("bob", "x"), headers=bad)
        assert served.get("/v2/", auth=BOB, headers=bad).status_code == 429
        assert served.get("/v2/", auth=BOB, headers=forged).status_code == 429
        assert served.get("/v2/", auth=BOB, headers=good).status_code == 200


def test_an_untrusted_client_cannot_choose_its_address(guarded: Served) -> None:
    for number in range(10):
        headers = {"X-Forwarded-For": f"203.0.113.{number}"}
        guarded.get("/v2/", auth=("bob", "x"), headers=headers)
    headers = {"X-Forwarded-For": "203.0.113.99"}
    assert guarded.get("/v2/", auth=("bob", "x"), headers=headers).status_code == 429


def test_of_one_address_few_passwords_are_checked_at_a_time(
    upstream: FakeRegistry, users: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred at once take no more of the machine, and others are let in meanwhile."""
    go, checking = threading.Event(), threading.Semaphore(0)
    honest = UserFile.verify

    def slow(self: UserFile, user: str, password: str) -> bool:
        if password == "wait":
            checking.release()
            assert go.wait(20)
        return honest(self, user, password)

    monkeypatch.setattr(UserFile, "verify", slow)
    section = settings(
        upstream, tmp_path, auth={"htpasswd": str(users)}, trusted_proxies=["127.0.0.0/8"]
    )
    with run_serve(section) as served, ThreadPoolExecutor(30) as pool:

        def ask(number: int) -> int:
            headers = {"X-Forwarded-For": "203.0.113.1"}
            url = f"{served.url}/v2/"
            auth = (f"u{number}", "wait")
            return requests.get(url, auth=auth, headers=headers, timeout=30).status_code

        asked = [pool.submit(ask, number) for number in range(30)]
        assert checking.acquire(timeout=20)
        refused = [each for each in asked if _status_soon(each) == 429]
        go.set()
        statuses = Counter(each.result() for each in asked)
        assert len(refused) >= 26
        assert statuses == {401: 4, 429: 26}


def _status_soon(asked: Future[int]) -> int:
    """The status of an answer; 0 for those that have to wait."""
    try:
        return asked.result(timeout=2)
    except TimeoutError:
        return 0


def test_metrics_may_be_for_users_alone(
    upstream: FakeRegistry, users: Path, tmp_path: Path
) -> None:
    section = settings(upstream, tmp_path, auth={"htpasswd": str(users)}, metrics="users")
    with run_serve(section) as served:
        assert served.get("/metrics").status_code == 401
        assert served.get("/metrics", auth=BOB).status_code == 200
