"""Credentials: which place wins, how entries are read, and what broken ones say."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from textwrap import wrap
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squashproxy.errors import UsageError
from squashproxy.reference import Repository
from squashproxy.registry.auth.authfile import parse_authfile
from squashproxy.registry.auth.credentials import CredentialStore, variable_for
from squashproxy.registry.auth.login import Credentials
from squashproxy.registry.auth.schemes import basic_header

HOST = "registry.example.com:5000"
APP = Repository(HOST, "team/app")
HUB = Repository("docker.io", "library/debian")


def entry(user: str, password: str = "pw") -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def write(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def find(
    environ: dict[str, str], repository: Repository = APP, authfile: Path | None = None
) -> Credentials | None:
    return CredentialStore(authfile, environ).find(repository)


def user_of(found: Credentials | None) -> str | None:
    return None if found is None else found.username


def install_helper(directory: Path, name: str, script: str) -> None:
    program = directory / f"docker-credential-{name}"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_places_are_asked_in_order(environ: dict[str, str], tmp_path: Path) -> None:
    home = Path(environ["HOME"])
    places = [
        (".docker/config.json", home / ".docker" / "config.json"),
        ("~/.config", home / ".config" / "containers" / "auth.json"),
        ("$XDG_RUNTIME_DIR", tmp_path / "run" / "containers" / "auth.json"),
    ]
    environ["XDG_RUNTIME_DIR"] = str(tmp_path / "run")
    assert find(environ) is None
    for user, path in places:
        write(path, {"auths": {HOST: entry(user)}})
        assert user_of(find(environ)) == user
    environ["DOCKER_AUTH_CONFIG"] = json.dumps({"auths": {HOST: entry("inline")}})
    assert user_of(find(environ)) == "inline"
    environ["REGISTRY_AUTH_FILE"] = str(write(tmp_path / "r", {"auths": {HOST: entry("named")}}))
    assert user_of(find(environ)) == "named"
    authfile = write(tmp_path / "a", {"auths": {HOST: entry("option")}})
    assert user_of(find(environ, authfile=authfile)) == "option"
    environ[variable_for(HOST)] = "variable:with:colons"
    found = find(environ, authfile=authfile)
    assert found is not None
    assert (found.username, found.password) == ("variable", "with:colons")


@pytest.mark.parametrize("variable", ["DOCKER_CONFIG", "XDG_CONFIG_HOME"])
def test_variables_move_the_directories(
    environ: dict[str, str], tmp_path: Path, variable: str
) -> None:
    for folder, user in ((Path(environ["HOME"]), "home"), (tmp_path / "moved", "moved")):
        write(folder / ".docker" / "config.json", {"auths": {HOST: entry(user)}})
        write(folder / "config.json", {"auths": {HOST: entry(user)}})
        write(folder / "containers" / "auth.json", {"auths": {HOST: entry(user)}})
    environ[variable] = str(tmp_path / "moved")
    assert user_of(find(environ)) == "moved"


@pytest.mark.parametrize(
    ("auths", "user"),
    [
        pytest.param({HOST: entry("host")}, "host", id="the host"),
        pytest.param({HOST: entry("h"), f"{HOST}/team": entry("team")}, "team", id="a namespace"),
        pytest.param(
            {f"{HOST}/team": entry("team"), f"{HOST}/team/app": entry("app")}, "app", id="longest"
        ),
        pytest.param({f"{HOST}/team/ap": entry("other")}, None, id="not half a name"),
        pytest.param({f"https://{HOST}": entry("url")}, "url", id="with a scheme"),
        pytest.param({f"https://{HOST}/v2/": entry("url")}, "url", id="with a version"),
        pytest.param({"registry.example.com": entry("other")}, None, id="another port"),
        pytest.param({HOST: {}}, None, id="an empty entry, as beside credsStore"),
        pytest.param({HOST: {"username": "u", "password": "p"}}, "u", id="in plain words"),
    ],
)
def test_entries_cover_repositories(
    environ: dict[str, str], auths: dict[str, Any], user: str | None
) -> None:
    environ["DOCKER_AUTH_CONFIG"] = json.dumps({"auths": auths})
    assert user_of(find(environ)) == user


@pytest.mark.parametrize(
    "key", ["https://index.docker.io/v1/", "docker.io", "index.docker.io", "docker.io/library"]
)
def test_the_names_of_docker_hub(environ: dict[str, str], key: str) -> None:
    environ["DOCKER_AUTH_CONFIG"] = json.dumps({"auths": {key: entry("hub")}})
    assert user_of(find(environ, HUB)) == "hub"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(
            {**entry("u", ""), "identitytoken": "i"},
            Credentials("f", "u", identity_token="i"),
            id="identity token",
        ),
        pytest.param(
            {"registrytoken": "r"}, Credentials("f", registry_token="r"), id="registry token"
        ),
        pytest.param(
            entry("<token>", "i"), Credentials("f", identity_token="i"), id="the user <token>"
        ),
        pytest.param(entry("u", "p\0\0"), Credentials("f", "u", "p"), id="padding of old dockers"),
    ],
)
def test_kinds_of_secrets(
    environ: dict[str, str], tmp_path: Path, fields: dict[str, str], expected: Credentials
) -> None:
    file = write(tmp_path / "f", {"auths": {HOST: fields}})
    found = find(environ, authfile=file)
    assert found is not None
    assert (found.username, found.password, found.identity_token, found.registry_token) == (
        expected.username,
        expected.password,
        expected.identity_token,
        expected.registry_token,
    )


def test_secrets_do_not_show_in_representations() -> None:
    shown = repr(Credentials("f", "ann", "s3cret", "s3cret", "s3cret"))
    assert "ann" in shown
    assert "s3cret" not in shown


def test_a_helper_of_the_host_comes_before_entries_and_the_store_after(
    environ: dict[str, str], tmp_path: Path
) -> None:
    tools = tmp_path / "bin"
    environ["PATH"] = f"{tools}:{environ['PATH']}"
    for name in ("own", "store"):
        install_helper(
            tools,
            name,
            f'read server; echo "{{\\"Username\\":\\"{name}\\",\\"Secret\\":\\"$server\\"}}"',
        )
    document: dict[str, Any] = {"credsStore": "store", "auths": {HOST: {}}}
    environ["DOCKER_AUTH_CONFIG"] = json.dumps(document)
    found = find(environ)
    assert found is not None
    assert (found.username, found.password) == ("store", HOST)
    document["auths"] = {HOST: entry("entry")}
    environ["DOCKER_AUTH_CONFIG"] = json.dumps(document)
    assert user_of(find(environ)) == "entry"
    document["credHelpers"] = {HOST: "own"}
    environ["DOCKER_AUTH_CONFIG"] = json.dumps(document)
    assert user_of(find(environ)) == "own"


def test_a_helper_may_know_nothing_or_hold_an_identity_token(
    environ: dict[str, str], tmp_path: Path
) -> None:
    environ["PATH"] = f"{tmp_path / 'bin'}:{environ['PATH']}"
    environ["DOCKER_AUTH_CONFIG"] = json.dumps({"credsStore": "h"})
    install_helper(tmp_path / "bin", "h", "echo credentials not found in native keychain; exit 1")
    assert find(environ) is None
    install_helper(tmp_path / "bin", "h", """echo '{"Username":"<token>","Secret":"i"}'""")
    found = find(environ)
    assert found is not None
    assert found.identity_token == "i"


SILENT_HELPERS: dict[str, tuple[str | None, str]] = {
    "missing": (None, r"docker-credential-h, named by .*, is not installed"),
    "fails": ("echo locked >&2; exit 1", r"failed for .* \(exit code 1\)"),
    "nonsense": ("echo hello", "gave no user name and secret"),
    "a list of numbers": ("echo '[1, 2]'", "gave no user name and secret"),
    "half a user": (
        """echo '{"Username":"\\ud800","Secret":"s"}'""",
        "gave credentials that are not valid text",
    ),
}


@pytest.mark.parametrize("named_by", [{"credHelpers": {HOST: "h"}}, {"credsStore": "h"}])
@pytest.mark.parametrize(("script", "sentence"), SILENT_HELPERS.values(), ids=SILENT_HELPERS)
def test_a_helper_that_tells_nothing_is_a_warning(
    environ: dict[str, str],
    tmp_path: Path,
    named_by: dict[str, Any],
    script: str | None,
    sentence: str,
) -> None:
    """The image may be public (issue 26)."""
    environ["PATH"] = f"{tmp_path / 'bin'}:{environ['PATH']}"
    environ["DOCKER_AUTH_CONFIG"] = json.dumps(named_by)
    if script is not None:
        install_helper(tmp_path / "bin", "h", script)
    warnings: list[str] = []
    store = CredentialStore(None, environ, warn=warnings.append)
    for _ in range(2):
        assert store.find(APP) is None
    (warning,) = warnings
    assert re.search(f"{sentence}, so {HOST} is asked without credentials", warning)
    failure = store.helper_failure(HOST)
    assert failure is not None
    assert re.search(sentence, failure.fact)


PRINTED: dict[str, str] = {
    "on standard output": "echo hunter2; exit 1",
    "on standard error": "echo the password hunter2 is wrong >&2; exit 3",
    "in an answer": """echo '{"Secret": "hunter2"}'""",
}


@pytest.mark.parametrize("script", PRINTED.values(), ids=PRINTED)
def test_what_a_failing_helper_prints_is_not_repeated(
    environ: dict[str, str], tmp_path: Path, script: str
) -> None:
    environ["PATH"] = f"{tmp_path / 'bin'}:{environ['PATH']}"
    environ["DOCKER_AUTH_CONFIG"] = json.dumps({"credsStore": "h"})
    install_helper(tmp_path / "bin", "h", script)
    warnings: list[str] = []
    store = CredentialStore(None, environ, warn=warnings.append)
    assert store.find(APP) is None
    (warning,) = warnings
    assert "hunter2" not in f"{warning} {store.helper_failure(HOST)}"
    assert "docker-credential-h" in warning


def test_after_a_helper_that_tells_nothing_other_places_are_asked(
    environ: dict[str, str],
) -> None:
    environ["DOCKER_AUTH_CONFIG"] = json.dumps({"credHelpers": {HOST: "absent"}})
    write(Path(environ["HOME"], ".docker", "config.json"), {"auths": {HOST: entry("ann")}})
    warnings: list[str] = []
    assert user_of(CredentialStore(None, environ, warn=warnings.append).find(APP)) == "ann"
    assert warnings == []


OTHERS: dict[str, dict[str, Any]] = {
    "an entry without base64": {"auths": {"other.example.com": {"auth": "%"}}},
    "an entry without a colon": {"auths": {"other.example.com": {"auth": "dXNlcg=="}}},
    "an entry that is a text": {"auths": {"https://other.example.com/v1/": "x"}},
    "an entry that is null": {"auths": {"other.example.com": None}},
    "an entry with half a user": {"auths": {"other.example.com": {"username": "\ud800"}}},
    "an entry with a token of lines": {"auths": {"other.example.com": {"registrytoken": "a\nb"}}},
    "a namespace beside the image's": {"auths": {f"{HOST}/team/other": {"auth": "%"}}},
    "a helper that is not installed": {"credHelpers": {"other.example.com": "absent"}},
    "a helper with an impossible name": {"credHelpers": {"other.example.com": "../a"}},
    "a helper that is a list": {"credHelpers": {"other.example.com": ["a"]}},
    "a store that is not needed": {"credsStore": "a/b"},
}


@pytest.mark.parametrize("broken", OTHERS.values(), ids=OTHERS)
def test_what_is_broken_for_another_host_is_no_error(
    environ: dict[str, str], broken: dict[str, Any]
) -> None:
    document = {**broken, "auths": {**broken.get("auths", {}), HOST: entry("ann")}}
    environ["DOCKER_AUTH_CONFIG"] = json.dumps(document)
    warnings: list[str] = []
    assert user_of(CredentialStore(None, environ, warn=warnings.append).find(APP)) == "ann"
    assert warnings == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param("{", "is not valid JSON", id="cut short"),
        pytest.param("[]", "is not a JSON object", id="a list"),
        pytest.param({"auths": [1]}, "'auths' in the credential file", id="auths is a list"),
        pytest.param({"auths": {HOST: "x"}}, "is not a JSON object", id="an entry is a text"),
        pytest.param({"auths": {HOST: {"auth": "%"}}}, "no valid base64", id="no base64"),
        pytest.param({"auths": {HOST: {"auth": "dXNlcg=="}}}, "no user:password", id="no :"),
        pytest.param({"auths": {HOST: {"auth": "dXNlcjpwd"}}}, "no valid base64", id="no padding"),
        pytest.param({"auths": {HOST: {"auth": "dXNl cjpw"}}}, "no valid base64", id="a blank"),
        pytest.param({"auths": {HOST: {"auth": "/////w=="}}}, "no valid base64", id="no UTF-8"),
        pytest.param({"auths": {HOST: {"auth": "pässword"}}}, "no valid base64", id="non-ASCII"),
        pytest.param({"auths": {HOST: {"auth": "٣٣٣٣"}}}, "no valid base64", id="other digits"),
        pytest.param(
            {"auths": {HOST: {"auth": ["x"]}}},
            "'auth' that is not valid",
            id="auth is a list",
        ),
        pytest.param(
            {"auths": {HOST: {"auth": {}}}},
            "'auth' that is not valid",
            id="auth is an object",
        ),
        pytest.param(
            {"auths": {HOST: {"username": "\ud800"}}},
            "'username' that is not valid",
            id="a half user",
        ),
        pytest.param({"auths": {HOST: {"identitytoken": [1]}}}, "a 'identityto", id="a token list"),
        pytest.param(
            {"auths": {HOST: {"registrytoken": "a\nb"}}}, "cannot be sent", id="a token of lines"
        ),
        pytest.param(
            {"auths": {HOST: {"registrytoken": "é"}}}, "cannot be sent", id="a token, non-ASCII"
        ),
        pytest.param({"credsStore": "a\0b"}, "no valid program name", id="NUL in a helper"),
        pytest.param({"credHelpers": {HOST: "a/b"}}, "no valid program", id="a helper elsewhere"),
        pytest.param({"credHelpers": {HOST: ["a"]}}, "no valid program", id="a list of helpers"),
        pytest.param("[" * 100_000, "is not valid JSON", id="nested deeply"),
        pytest.param(" " * (17 << 20), "has more than 16777216 bytes", id="too long"),
    ],
)
def test_a_broken_file_is_named(
    environ: dict[str, str], tmp_path: Path, content: Any, sentence: str
) -> None:
    file = write(tmp_path / "broken.json", content)
    with pytest.raises(UsageError, match=sentence) as raised:
        find(environ, authfile=file)
    assert str(file) in str(raised.value)


def test_a_file_that_was_named_must_exist(environ: dict[str, str], tmp_path: Path) -> None:
    missing = tmp_path / "missing.json"
    with pytest.raises(
        UsageError, match=r"missing\.json, named by the option for credentials, does not exist"
    ):
        find(environ, authfile=missing)
    environ["REGISTRY_AUTH_FILE"] = str(missing)
    with pytest.raises(UsageError, match=r"named by \$REGISTRY_AUTH_FILE, does not exist"):
        find(environ)


def test_a_variable_without_colon_is_an_error(environ: dict[str, str]) -> None:
    environ["SQUASHPROXY_AUTH_REGISTRY_EXAMPLE_COM_5000"] = "secret"
    with pytest.raises(UsageError, match="holds no user:password") as raised:
        find(environ)
    assert "secret" not in str(raised.value)


WRAPPED: dict[str, Callable[[str], str]] = {
    "wrapped at 64 columns": lambda text: "\n".join(wrap(text, 64)),
    "wrapped as on Windows": lambda text: "\r\n".join(wrap(text, 9)),
    "with a line feed behind": lambda text: text + "\n",
    "with line feeds in the padding": lambda text: text.replace("=", "\n=\n"),
}


@pytest.mark.parametrize("wrapped", WRAPPED.values(), ids=WRAPPED)
def test_line_feeds_in_base64_count_for_nothing(
    environ: dict[str, str], tmp_path: Path, wrapped: Callable[[str], str]
) -> None:
    """As in Go's decoder, which docker and podman use (issue 26)."""
    fields = entry("ann", "a password that is longer than one line of an encoded file is")
    file = write(tmp_path / "auth.json", {"auths": {HOST: {"auth": wrapped(fields["auth"])}}})
    found = find(environ, authfile=file)
    assert found is not None
    assert found.username == "ann"
    assert found.password.endswith("encoded file is")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from(["auth", "username", "password", "identitytoken", "registrytoken", "x"])
ENTRIES = st.dictionaries(FIELDS, JSON, max_size=4) | JSON
FILES = st.fixed_dictionaries(
    {},
    optional={
        "auths": st.dictionaries(st.sampled_from([HOST, "https://h/v1/", "é"]), ENTRIES) | JSON,
        "credHelpers": st.dictionaries(st.sampled_from([HOST, "h"]), JSON) | JSON,
        "credsStore": JSON,
    },
)


@given(FILES.map(lambda document: json.dumps(document).encode()) | st.binary(max_size=60))
def test_every_file_is_read_or_is_told(data: bytes) -> None:
    with suppress(UsageError):
        file = parse_authfile(data, "auth.json")
        found = file.find(APP)
        if found is not None and not found.registry_token:
            assert basic_header(found).isascii()
