"""What a configuration may say, and what is told of one that says something else."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from traceback import format_exception

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squashproxy.config.cleanup import Action
from squashproxy.config.configuration import Configuration, RegistrySettings
from squashproxy.config.read import parse_configuration, read_configuration
from squashproxy.config.serve import (
    DirectoryStoreSettings,
    Fallback,
    FirstPull,
    HookSettings,
    HtpasswdAuth,
    Listener,
    NoAuth,
    RegistryStoreSettings,
    Rule,
    ServeLimits,
    ServeSettings,
    TlsSettings,
    UpstreamAuth,
    UpstreamSettings,
    WarmSettings,
)
from squashproxy.errors import BadConfiguration, UsageError
from squashproxy.oci.platform import Platform
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import BaseChoice, BaseKind
from squashproxy.reference import Repository, parse_reference
from squashproxy.registry.options import UploadMode
from squashproxy.server.jobs.rules import Rules

FOLDER = Path("/etc/squashproxy")
LEAST = """
serve:
  upstreams: {docker.io: {}}
  store: {directory: cache}
"""
WHOLE = """
registries:
  registry.example.com: {plain_http: false, ca: ca.pem, rate: 50/s, upload: stream}
engine: {kind: local, jobs: 4}
promote:
  - name: apps
    from: registry.dev.example.com/apps/*
    to: registry.example.com/prod/{repo}
    tags: {include: ["v*"], exclude: ["*-rc*"], semver: ">=1.2", newest: 10, younger_than: 90d}
    platforms: [linux/amd64, linux/arm64]
    base: auto
    base_repos: [prod/base]
    schedule: "*/15 * * * *"
    on_existing: replace
cleanup:
  - name: old-builds
    repositories: ["registry.example.com/prod/*"]
    keep: {tags: ["latest", "v*"], newest: 20, younger_than: 30d, in_use: [pods.json]}
    action: squash
    untagged: {older_than: 7d}
    schedule: "0 3 * * *"
    max_deletions: 200
serve:
  listen: 127.0.0.1:5000
  upstreams: {docker.io: {url: "https://registry-1.docker.io"}, ghcr.io: {}}
  store: {directory: ./cache, max_size: 50GiB}
  rules: [{match: "docker.io/library/*", base: 1}, {match: "*", squash: true}]
  first_pull: {wait: 25s, then: original}
  tag_ttl: 10m
  auth: {htpasswd: users.htpasswd}
"""


def parse(text: str, environ: dict[str, str] | None = None) -> Configuration:
    return parse_configuration(text, "sp.yml", FOLDER, environ or {})


def serve(text: str) -> ServeSettings:
    """The section, with more keys than the least."""
    found = parse(f"{LEAST}  {text}\n").serve
    assert found is not None
    return found


def test_the_whole_of_the_contract() -> None:
    found = parse(WHOLE)
    assert found.registries["registry.example.com"] == RegistrySettings(
        ca=FOLDER / "ca.pem", rate=50.0, upload=UploadMode.STREAM
    )
    [promoted], [cleaned] = found.promote, found.cleanup
    assert (promoted.source, promoted.target) == (
        "registry.dev.example.com/apps/*",
        "registry.example.com/prod/{repo}",
    )
    assert promoted.tags.younger_than == 90 * 86400.0
    assert promoted.schedule == "*/15 * * * *"
    assert cleaned.keep.in_use == (FOLDER / "pods.json",)
    assert (cleaned.action, cleaned.max_deletions) == (Action.SQUASH, 200)
    assert found.engine.jobs == 4
    assert found.serve is not None
    assert found.serve.listen == (Listener("127.0.0.1", 5000),)
    assert found.serve.upstreams == {
        "docker.io": UpstreamSettings("https://registry-1.docker.io"),
        "ghcr.io": UpstreamSettings(),
    }
    assert found.serve.store == DirectoryStoreSettings(FOLDER / "cache", 50 << 30)
    assert [rule.base for rule in found.serve.rules] == [
        BaseChoice(BaseKind.COUNT, 1),
        BaseChoice(),
    ]
    assert found.serve.first_pull == FirstPull(25.0, Fallback.ORIGINAL)
    assert found.serve.tag_ttl == 600.0
    assert found.serve.auth == HtpasswdAuth(FOLDER / "users.htpasswd")


def test_what_is_not_said() -> None:
    found = parse(LEAST).serve
    assert found is not None
    assert found.listen == (Listener("127.0.0.1", 5000),)
    assert found.first_pull == FirstPull(25.0, Fallback.ORIGINAL)
    assert found.auth == NoAuth()
    assert [rule.match for rule in found.rules] == ["*"]
    assert parse("engine: {jobs: 1}").serve is None


BRIEF = """
registries:
  registry.example.com: {plain_http: false, insecure: false, ca: ca.pem, upload: auto}
engine: {kind: local, jobs: 2}
serve:
  listen: ["127.0.0.1:5000", {address: "127.0.0.1:5001", upstream: docker.io}]
  tls: {certificate: cert.pem, key: key.pem}
  upstreams: {docker.io: {url: "https://registry-1.docker.io"}, ghcr.io: {}}
  store: {registry: registry.example.com/cache}
  rules: [{match: "docker.io/library/*", base: 1}, {match: "*", squash: false}]
  first_pull: {wait: 0s, then: error}
  negative_ttl: 30s
  auth: {htpasswd: users.htpasswd, read: {alice: ["docker.io/*"], bob: ["*"]}}
  warm: {images: [docker.io/library/debian:12], every: 1h}
  hook: {token: "${HOOK_TOKEN}"}
  limits: {connections: 9, jobs_waiting: 8, max_unpacked: 20GiB, max_entries: 7, max_ratio: 1000}
  drain: 5s
"""


def test_the_keys_of_serve_that_the_whole_leaves_out() -> None:
    found = parse(BRIEF, {"HOOK_TOKEN": "word"}).serve
    assert found is not None
    assert found.tls == TlsSettings(FOLDER / "cert.pem", FOLDER / "key.pem")
    assert found.warm == WarmSettings((parse_reference("docker.io/library/debian:12"),), 3600.0)
    assert found.hook == HookSettings("word")
    assert found.limits == ServeLimits(9, 8, 20 << 30, 7, 1000.0)
    assert found.drain == 5.0


VALUES = {
    "a list of addresses": (
        'listen: ["127.0.0.1:1", {address: ":2", upstream: docker.io}]',
        "listen",
        (Listener("127.0.0.1", 1), Listener("0.0.0.0", 2, "docker.io")),
    ),
    "an address of IPv6": ('listen: "[::1]:5000"', "listen", (Listener("[::1]", 5000),)),
    "auth by upstream": ("auth: upstream", "auth", UpstreamAuth()),
    "auth of none": ("auth: none", "auth", NoAuth()),
    "users with their repositories": (
        'auth: {htpasswd: /u, read: {alice: ["docker.io/*"]}}',
        "auth",
        HtpasswdAuth(Path("/u"), {"alice": ("docker.io/*",)}),
    ),
    "an error instead of the original": (
        "first_pull: {wait: 500ms, then: error}",
        "first_pull",
        FirstPull(0.5, Fallback.ERROR),
    ),
    "days": ("tag_ttl: 7d", "tag_ttl", 7 * 86400.0),
    "the size of a squashed layer": (
        'rules: [{match: "*", max_layer_size: 500M}]',
        "rules",
        (Rule("*", max_layer_size=500_000_000),),
    ),
}


@pytest.mark.parametrize(("text", "key", "value"), VALUES.values(), ids=VALUES)
def test_values(text: str, key: str, value: object) -> None:
    assert getattr(serve(text), key) == value


def test_a_registry_as_the_store() -> None:
    text = LEAST.replace("directory: cache", "registry: registry.example.com/cache")
    found = parse(text).serve
    assert found is not None
    assert found.store == RegistryStoreSettings(Repository("registry.example.com", "cache"))


def test_names_of_docker_hub_are_one() -> None:
    found = parse(LEAST.replace("docker.io", "index.docker.io")).serve
    assert found is not None
    assert list(found.upstreams) == ["docker.io"]


def test_platforms_and_compression_of_a_rule() -> None:
    [rule] = serve('rules: [{match: "*", platforms: [linux/arm64], compression: "zstd:9"}]').rules
    assert rule.platforms == (Platform("linux", "arm64"),)
    assert str(rule.compression) == "zstd:9"


HOSTS = ["ghcr.io", "localhost", "[::1]:5000", "registry:5000", "a.example.com:443"]


@pytest.mark.parametrize("host", HOSTS)
def test_hosts(host: str) -> None:
    found = parse(LEAST.replace("docker.io", f"'{host}'")).serve
    assert found is not None
    assert list(found.upstreams) == [host]


NO_HOSTS = ["foo", "library", "5", "''", "ghcr.io/foo", "docker://ghcr.io", "ghcr.io:99999", "a b"]


@pytest.mark.parametrize("host", NO_HOSTS)
def test_no_other_host_is_allowed_than_the_one_that_is_written(host: str) -> None:
    """`foo/x` is an image of Docker Hub, but `foo` does not allow Docker Hub."""
    with pytest.raises(UsageError, match=r"sp\.yml:3: .*(no host|no port)"):
        parse(LEAST.replace("docker.io", f'"{host}"' if host != "''" else host))


def test_variables_come_from_the_environment() -> None:
    text = LEAST.replace("{}", '{username: me, password: "${SECRET}$${x}"}')
    found = parse(text, {"SECRET": "word"}).serve
    assert found is not None
    assert found.upstreams["docker.io"].password == "word${x}"
    assert "word" not in repr(found)


PROBLEMS = {
    "an unknown key": (
        LEAST.replace("upstreams", "upstrems"),
        "sp.yml:3: unknown key 'upstrems' in serve; did you mean 'upstreams'?",
    ),
    "a layer without a size": (
        f'{LEAST}  rules: [{{match: "*", max_layer_size: 0}}]',
        "serve.rules[1].max_layer_size: '0' is not a usable size; it must be at least one byte",
    ),
    "another name without a key": (
        f'{LEAST}  rules: [{{match: "*", signed_as: [a.example/b]}}]',
        "sp.yml:5: the rule for * has signed_as without require_signature, so no signature is",
    ),
    "a key itself": (
        f'{LEAST}  sign: {{key: "-----BEGIN PRIVATE KEY-----"}}',
        "this is a key itself; write a file, env:NAME or exec:PROGRAM",
    ),
    "a form of signatures that is none": (
        f"{LEAST}  sign: {{key: a.key, format: pgp}}",
        "'pgp' is no form of signatures; write bundle, tag or both",
    ),
    "a threshold of pruning for what is squashed": (
        f'{LEAST}  rules: [{{match: "*", prune_over: 5%}}]',
        "sp.yml:5: * has prune_over, which only shapes pruned layers; leave it out, or write",
    ),
    "a rule with a threshold of pruning that squashes": (
        "promote: [{name: a, from: a.example/b, to: b.example/b, prune_over: 5%}]",
        "sp.yml:1: a has prune_over, which only shapes pruned layers; leave it out, or write mode",
    ),
    "a threshold that makes no sense": (
        "promote: [{name: a, from: a.example/b, to: b.example/b, mode: prune, prune_over: much}]",
        "'much' is neither a share of a layer nor a size; write 0% to 100%, or a size",
    ),
    "a pruned layer that is cut": (
        f'{LEAST}  rules: [{{match: "*", mode: prune, max_layer_size: 1G}}]',
        "sp.yml:5: * has max_layer_size, which only cuts a squashed layer; leave it out",
    ),
    "a rule that cuts pruned layers": (
        "promote: [{name: a, from: a.example/b, to: b.example/b, mode: prune, max_layer_size: 1G}]",
        "sp.yml:1: a has max_layer_size, which only cuts a squashed layer; leave it out",
    ),
    "a cleanup that cuts pruned layers": (
        (
            "cleanup: [{name: a, repositories: [a.io/b], mode: prune, max_layer_size: 1G, "
            "action: delete}]"
        ),
        "sp.yml:1: a has max_layer_size, which only cuts a squashed layer; leave it out",
    ),
    "an unknown section": ("sreve: {}", "sp.yml:1: unknown key 'sreve'; did you mean 'serve'?"),
    "a key like no other": (
        "xyz: 1",
        "sp.yml:1: unknown key 'xyz'; there is cleanup, engine, layer_memory, limits, promote",
    ),
    "a key below a host": (
        LEAST.replace("{}", "{ulr: x}"),
        "unknown key 'ulr' in serve.upstreams.docker.io; did you mean 'url'?",
    ),
    "a key of a rule": (
        f"{LEAST}  rules: [{{mach: x}}]",
        "in serve.rules[1]; did you mean 'match'?",
    ),
    "a key of a store": (
        LEAST.replace("cache}", "cache, max_sise: 1}"),
        "unknown key 'max_sise' in serve.store; did you mean 'max_size'?",
    ),
    "a key of auth": (
        f"{LEAST}  auth: {{htpasswd: x, reed: 1}}",
        "unknown key 'reed' in serve.auth; did you mean 'read'?",
    ),
    "no upstreams": ("serve: {store: {directory: x}}", "serve needs 'upstreams'; write it"),
    "an empty allow-list": (LEAST.replace("{docker.io: {}}", "{}"), "serve.upstreams"),
    "a number for a duration": (
        f"{LEAST}  tag_ttl: 10",
        "sp.yml:5: serve.tag_ttl: '10' is no duration; write a number",
    ),
    "no size": (LEAST.replace("cache}", "cache, max_size: much}"), "'much' is not a size"),
    "a word for true": (
        f"{LEAST}  rules: [{{match: x, squash: 'no'}}]",
        "serve.rules[1].squash is 'no'; write true or false",
    ),
    "a wrong word": (
        f"{LEAST}  first_pull: {{then: orignal}}",
        "serve.first_pull.then is 'orignal'; write 'original' or 'error'",
    ),
    "a list for a mapping": (LEAST.replace("{docker.io: {}}", "[docker.io]"), "is a list; write a"),
    "two stores": (
        LEAST.replace("cache}", "cache, registry: a.example.com/b}"),
        "serve.store: there is more than one of 'directory' and 'registry'; write one",
    ),
    "no store": (LEAST.replace("{directory: cache}", "{}"), "none of 'directory' and 'registry'"),
    "no auth": (f"{LEAST}  auth: password", "neither none nor upstream nor {htpasswd: ...}"),
    "no address": (f"{LEAST}  listen: here", "'here' is no address; write HOST:PORT"),
    "a port too large": (f"{LEAST}  listen: 127.0.0.1:99999", "is no address"),
    "a listener for no upstream": (
        f"{LEAST}  listen: {{address: ':1', upstream: ghcr.io}}",
        "ghcr.io is not among the upstreams; write docker.io",
    ),
    "a host that is none": (LEAST.replace("docker.io", "bad_host/x y"), "is no host"),
    "a URL with a path": (
        LEAST.replace("{}", "{url: 'https://a.example.com/v2'}"),
        "holds more than scheme, host and port",
    ),
    "a URL with a password": (
        LEAST.replace("{}", "{url: 'https://me:it@a.example.com'}"),
        "holds more than scheme, host and port",
    ),
    "a user without a password": (
        LEAST.replace("{}", "{username: me}"),
        "docker.io has one of username and password; write both, or none",
    ),
    "an image of no upstream": (
        f"{LEAST}  warm: {{images: [ghcr.io/a/b:1]}}",
        "ghcr.io/a/b:1 is of ghcr.io, which is not among the upstreams; write docker.io",
    ),
    "a base in a file": (
        f"{LEAST}  rules: [{{match: '*', base: 'oci:x'}}]",
        "a base is an image in a registry here",
    ),
    "a limit of nothing": (f"{LEAST}  limits: {{connections: 0}}", "serve.limits.connections is 0"),
    "another engine": ("engine: {kind: swarm}", "engine.kind is 'swarm'; write 'local' or"),
    "celery without a broker": ("engine: {kind: celery}", "which needs 'broker'; write it"),
    "workers and a store on this machine": (
        f"{LEAST}engine: {{kind: celery, broker: 'redis://127.0.0.1'}}",
        "workers cannot write to the folder of serve.store; write {registry: HOST/REPO}",
    ),
    "a key of a promotion": (
        "promote: [{name: a, form: b, to: c}]",
        "unknown key 'form' in promote[1]; did you mean 'from'?",
    ),
    "a promotion from nowhere": ("promote: [{name: a, to: c}]", "a needs one of 'from' and 'pins'"),
    "a cleanup without an action": (
        "cleanup: [{name: a, repositories: [b]}]",
        "cleanup[1] needs 'action'; write it",
    ),
    "no schedule": (
        "promote: [{name: a, from: b, to: c, schedule: daily}]",
        "'daily' is no schedule; write five fields",
    ),
    "two schedules": (
        "promote: [{name: a, from: b, to: c, schedule: '0 3 * * *', every: 1h}]",
        "a has both schedule and every; write one of them",
    ),
    "no rate": ("registries: {a.example.com: {rate: fast}}", "'fast' is no rate"),
    "a host by two names": (
        LEAST.replace("{docker.io: {}}", "{docker.io: {}, index.docker.io: {stale: false}}"),
        "sp.yml:3: index.docker.io is docker.io again; leave one of them out",
    ),
    "a key of a listener": (
        f"{LEAST}  listen:\n    - ':1'\n    - {{address: ':2', upstraem: docker.io}}",
        "sp.yml:7: unknown key 'upstraem' in serve.listen[2]; did you mean 'upstream'?",
    ),
    "the second address": (f"{LEAST}  listen:\n    - ':1'\n    - x", "sp.yml:7: serve.listen[2]:"),
    "a listener that is a number": (f"{LEAST}  listen: 5000", "this is no address; write"),
    "a store's only key": (
        LEAST.replace("directory", "direktory"),
        "unknown key 'direktory' in serve.store; did you mean 'directory'?",
    ),
    "auth's only key": (
        f"{LEAST}  auth: {{htpaswd: x}}",
        "unknown key 'htpaswd' in serve.auth; did you mean 'htpasswd'?",
    ),
    "a size for a registry": (
        LEAST.replace("directory: cache", "registry: a.example.com/b, max_size: 1G"),
        "serve.store.max_size does not go with what stands beside it; leave it out",
    ),
    "a wait that no client has": (f"{LEAST}  first_pull: {{wait: 11m}}", "write 10m or less"),
    "a warm-up without rest": (f"{LEAST}  warm: {{every: 0s}}", "this would never rest"),
    "a duration without end": (f"{LEAST}  tag_ttl: {'9' * 400}s", "more than a hundred years"),
    "a size without end": (
        LEAST.replace("cache}", f"cache, max_size: '{'9' * 400}'}}"),
        "is not a usable size",
    ),
    "a base of many digits": (
        f"{LEAST}  rules: [{{match: x, base: '{'9' * 6000}'}}]",
        "serve.rules[1].base: this has 6000 characters; write what is meant",
    ),
    "a base of two signs": (
        f"{LEAST}  rules: [{{match: x, base: --1}}]",
        "'--1' is not a reference",
    ),
    "a base below nothing": (
        f"{LEAST}  rules: [{{match: x, base: -1}}]",
        "serve.rules[1].base: -1: a number of layers is 0 or more",
    ),
    "a repository to clean up in capitals": (
        "cleanup: [{name: a, action: squash, repositories: [h.io/ok, h.io/Bad]}]",
        "sp.yml:1: cleanup[1].repositories[2]: 'h.io/Bad' is not a reference: 'Bad' is not a",
    ),
    "a glob to clean up without a host": (
        "cleanup: [{name: a, action: squash, repositories: [apps/*]}]",
        "'apps/*' is not a repository name; a glob needs a host before it, as in HOST/apps/*",
    ),
    "an expression to clean up that is none": (
        "cleanup: [{name: a, action: squash, repositories: ['h.io//(/']}]",
        "cleanup[1].repositories[1]: '/(/' is no regular expression that can be used here",
    ),
    "too many jobs": ("engine: {jobs: 99}", "engine.jobs is 99; write 64 or less"),
    "a number of many digits": (f"engine: {{jobs: {'9' * 6000}}}", "sp.yml:1: this value cannot"),
    "a bool that is none": ("engine: !!bool x", "this value cannot be read; write it in quotes"),
    "a number that is empty": ("engine: !!int ''", "this value cannot be read"),
    "an escape past Unicode": ('a: "\\UFFFFFFFF"', "this is no YAML"),
    "half a character": (f'{LEAST}  tag_ttl: "\\ud800"', "sp.yml:5: this is no text in UTF-8"),
    "a path with a NUL": (LEAST.replace("cache", '"a\\0b"'), "this is no path"),
    "a port of a URL": (LEAST.replace("{}", "{url: 'http://a:99999'}"), "99999 is no port"),
    "a URL of several words": (LEAST.replace("{}", "{url: 'http://a b'}"), "holds more than"),
    "a variable without its end": (f"{LEAST}  hook: {{token: '${{A'}}", "write $${ for a plain ${"),
    "a variable of no name": (f"{LEAST}  hook: {{token: '${{A-B}}'}}", "write $${ for a plain ${"),
    "an alias of nothing": ("a: *x", "aliases (*NAME) are not read here"),
    "a line break in a key": (f'{LEAST}  "a\\nb": 1', "unknown key 'a\\nb' in serve"),
    "a line break in a host": (LEAST.replace("docker.io", '"a\\nb"'), "'a\\nb' is no host"),
    "the place of a mistake": ("a: b: c", "sp.yml:1: this is no YAML at column 5: "),
    "the place of a character": ("a: 1\nb: \x01", "sp.yml:2: this is no YAML: U+0001"),
    "depth without end": (f"a: {'[' * 5000}", "nested too deeply"),
    "a variable that is not set": (f"{LEAST}  hook: {{token: '${{NOPE}}'}}", "${NOPE} is not set"),
    **{
        f"mode: copy with {key}": (
            f"promote: [{{name: a, from: b, to: c, mode: copy, {key}: {value}}}]",
            f"sp.yml:1: a has mode: copy, which changes no byte, so {key} means nothing; leave",
        )
        for key, value in {
            "base": "1",
            "base_repos": "[x]",
            "compression": "zstd",
            "strict": "true",
            "provenance": "false",
            "signed": "warn",
            "originals": "x",
            "prune_over": "1%",
        }.items()
    },
    "mode: copy with two of them": (
        "promote: [{name: a, from: b, to: c, mode: copy, base: 1, signed: copy}]",
        "so base and signed mean nothing; leave them out",
    ),
    "mode: copy of several platforms": (
        "promote: [{name: a, from: b, to: c, mode: copy, platforms: [linux/a, linux/b]}]",
        "has mode: copy and several platforms, but an index with only some of its images is",
    ),
    "referrers of squashed images": (
        "promote: [{name: a, from: b, to: c, referrers: true}]",
        "a has referrers, which belong to the digest that only mode: copy keeps; write that, or",
    ),
    "a cleanup that changes nothing": (
        "cleanup: [{name: a, repositories: [b], action: squash, mode: copy}]",
        "a has mode: copy, which changes nothing; write squash or prune",
    ),
    "a mode that there is not": (
        "promote: [{name: a, from: b, to: c, mode: move}]",
        "'move' is no mode; choose squash or prune or copy",
    ),
    "a rule to hand out images, with a base": (
        f"{LEAST}  rules: [{{match: x, mode: copy, base: 1, platforms: [linux/amd64]}}]",
        "the rule for x has mode: copy, which changes no byte, so base and platforms mean nothing",
    ),
    "a rule to squash and to hand out": (
        f"{LEAST}  rules: [{{match: x, mode: copy, squash: true}}]",
        "the rule for x has mode: copy and squash: true; leave one of them out",
    ),
    "no YAML": ("serve: [", "this is no YAML"),
    "a tab": ("serve:\n\tlisten: x", "sp.yml:2: this is no YAML"),
    "nothing": ("", "the file is empty"),
    "a list": ("- a", "this is no mapping"),
    "a word": ("serve", "this is no mapping"),
    "two documents": ("a: 1\n---\nb: 2", "another document begins here"),
    "a key twice": ("engine: {}\nengine: {}", "sp.yml:2: 'engine' stands here twice"),
    "an alias": ("a: &x 1\nb: *x", "aliases (*NAME) are not read here"),
    "a tag of Python's": ("a: !!python/object:os.system x", "is not read here"),
    "a key that is a list": ("? [a]\n: 1", "a key is a word here"),
    "a character of control": ("a: \x01", "this is no YAML"),
    "depth": (f"a: {'[' * 50}{']' * 50}", "nested too deeply"),
}


@pytest.mark.parametrize(("text", "sentence"), PROBLEMS.values(), ids=PROBLEMS)
def test_problems(text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(text)
    assert sentence in str(raised.value)
    assert all(line.startswith("sp.yml:") for line in str(raised.value).splitlines())


def test_every_problem_has_its_sentence_in_the_order_of_the_file() -> None:
    text = LEAST.replace("{}", "{stale: 1}") + "  tag_ttl: soon\n  listen: x\nxyz: 1\n"
    with pytest.raises(BadConfiguration) as raised:
        parse(text)
    lines = [int(sentence.split(":")[1]) for sentence in raised.value.sentences()]
    assert lines == [3, 5, 6, 7]


SECRETS = {
    "a password": LEAST.replace("{}", "{password: [hunter2]}"),
    "a password that is a number": LEAST.replace("{}", "{password: !!int hunter2}"),
    "a token": f"{LEAST}  hook: {{token: [hunter2]}}",
    "a token in the place of its section": f"{LEAST}  hook: hunter2",
    "a password in a URL": LEAST.replace("{}", "{url: 'https://me:hunter2@a.example.com'}"),
    "a password in no URL": LEAST.replace("{}", "{url: 'me:hunter2@a.example.com'}"),
    "a token in a URL": LEAST.replace("{}", "{url: 'https://a.example.com?token=hunter2'}"),
    "a password in what is no YAML": f"{LEAST}  hook: {{token: @hunter2}}",
    "a password beside what is wrong": LEAST.replace("{}", "{password: hunter2, xyz: 1}"),
}


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS)
def test_secrets_are_not_shown(text: str) -> None:
    """Neither in the sentence nor in the traceback of -vv."""
    with pytest.raises(UsageError) as raised:
        parse(text)
    assert "hunter2" not in "".join(format_exception(raised.value))


def test_a_file_of_unknown_keys_is_refused_at_once() -> None:
    text = "serve:\n" + "".join(f"  key{number}: 1\n" for number in range(1000))
    begun = monotonic()
    with pytest.raises(BadConfiguration) as raised:
        parse(text)
    assert len(raised.value.sentences()) == 1002
    assert monotonic() - begun < 10


@settings(deadline=None)  # the first example builds what reads them all
@given(st.text())
def test_no_text_is_more_than_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        parse(text)


KEYS = {
    "size": LEAST.replace("cache}", "cache, max_size: {value}}"),
    "duration": f"{LEAST}  tag_ttl: {{value}}",
    "base": f"{LEAST}  rules: [{{match: x, base: {{value}}}}]",
    "url": LEAST.replace("{}", "{url: {value}}"),
    "address": f"{LEAST}  listen: {{value}}",
    "path": f"{LEAST}  tls: {{certificate: {{value}}, key: k}}",
    "image": f"{LEAST}  warm: {{images: [{{value}}]}}",
    "host": LEAST.replace("docker.io", "{value}"),
    "number": f"{LEAST}  limits: {{max_ratio: {{value}}}}",
    "jobs": "engine: {jobs: {value}}",
}
WRITTEN = st.one_of(
    st.text().map(json.dumps),
    st.from_regex(r"-*[0-9]{1,40}(\.[0-9]+)?(ms|s|d|G|TiB)?", fullmatch=True),
    st.from_regex(r"!!(int|float|bool|null|timestamp) [a-z0-9.:]{1,9}", fullmatch=True),
    st.from_regex(r"[0-9]{1,3}(:[0-5]?[0-9]){1,300}\.[0-9]", fullmatch=True),
)


@settings(deadline=None)  # the first example builds what reads them all
@given(st.sampled_from(sorted(KEYS)), WRITTEN)
def test_no_value_is_more_than_a_usage_error(key: str, value: str) -> None:
    with suppress(UsageError):
        parse(KEYS[key].replace("{value}", value))


PIECES = st.sampled_from(
    [
        *WHOLE.splitlines(),
        "serve:",
        "  upstreams: {a: 1}",
        "  rules: [1]",
        "  store: x",
        "engine: 3",
    ]
)


@settings(deadline=None)  # the first example builds what reads them all
@given(st.lists(PIECES, max_size=12))
def test_no_shuffled_file_is_more_than_a_usage_error(lines: list[str]) -> None:
    with suppress(UsageError):
        parse("\n".join(lines))


BAD_FILES = {
    "not there": (None, "cannot be read: no such file"),
    "not UTF-8": (b"a: \xff", "is not written in UTF-8"),
    "two megabytes": (b"#" * (2 << 20), "that is no configuration"),
}


@pytest.mark.parametrize(("data", "sentence"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files(tmp_path: Path, data: bytes | None, sentence: str) -> None:
    path = tmp_path / "sp.yml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError, match=sentence):
        read_configuration(path, {})


def test_a_folder_is_all_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "1.yml").write_text(f"{LEAST}promote: [{{name: a, from: h.example/a, to: b}}]")
    (tmp_path / "2.yaml").write_text("promote: [{name: b, from: h.example/b, to: c}]")
    (tmp_path / "notes.txt").write_text("no YAML: [")
    found = read_configuration(tmp_path, {})
    assert [rule.name for rule in found.promote] == ["a", "b"]
    assert found.serve is not None


@pytest.mark.parametrize(
    ("second", "sentence"),
    {
        "a problem of the second file": (
            "promote: [{name: b, form: x, to: y}]",
            "2.yml:1: un",
        ),
        "a value that stands twice": ("state: other", "2.yml:1: state stands in "),
        "a list in place of a mapping": ("- a", "2.yml:1: this is no mapping"),
    }.values(),
)
def test_files_of_a_folder_that_do_not_go_together(
    tmp_path: Path, second: str, sentence: str
) -> None:
    (tmp_path / "1.yml").write_text("state: here\npromote: [{name: a, from: h.example/a, to: b}]")
    (tmp_path / "2.yml").write_text(second)
    with pytest.raises(UsageError) as raised:
        read_configuration(tmp_path, {})
    assert sentence in str(raised.value)


def test_a_folder_without_a_file_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a folder without any"):
        read_configuration(tmp_path, {})


def test_a_secret_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a secret\n")
    path = tmp_path / "sp.yml"
    path.write_text(f"{LEAST}  hook: {{token: '${{file:token}}'}}")
    found = read_configuration(path, {}).serve
    assert found is not None
    assert found.hook is not None
    assert found.hook.token == "a secret"
    path.write_text(f"{LEAST}  hook: {{token: '${{file:nowhere}}'}}")
    with pytest.raises(UsageError, match="nowhere cannot be read: no such file"):
        read_configuration(path, {})


NO_VALUES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a pipe": ("x", os.mkfifo, "it is no regular file; name one"),
    "a folder": ("x", Path.mkdir, "is a directory"),
    "a device": ("/dev/null", lambda _: None, "it is no regular file; name one"),
    "a device without end": ("/dev/zero", lambda _: None, "it is no regular file; name one"),
    "a socket": ("x", lambda path: bound(path).close(), "no such device or address"),
    "a link to a pipe": ("x", lambda path: linked(path, os.mkfifo), "it is no regular file"),
    "a link to itself": ("x", lambda path: path.symlink_to(path), "too many levels"),
    "nothing": ("x", lambda _: None, "no such file"),
    "a file below a file": ("x/y", lambda path: path.parent.write_text(""), "not a directory"),
    "NUL in its name": (r"a\0b", lambda _: None, "no file can be called that"),
    "half a surrogate pair": (r"a\ud800b", lambda _: None, "no file can be called that"),
    "a long name": ("x" * 300, lambda _: None, "file name too long"),
    "too much": ("x", lambda path: path.write_bytes(bytes(65537)), "more than 65536 bytes"),
    "no text": ("x", lambda path: path.write_bytes(b"\xff"), "it is no text in UTF-8"),
}


def bound(path: Path) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    return server


def linked(path: Path, make: Callable[[Path], object]) -> None:
    make(path.with_name("target"))
    path.symlink_to("target")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("name", "make", "sentence"), NO_VALUES.values(), ids=NO_VALUES)
def test_a_secret_is_read_from_a_regular_file_alone(
    tmp_path: Path, name: str, make: Callable[[Path], object], sentence: str
) -> None:
    """A pipe that nobody writes to would hold the start up for ever (issue 23)."""
    if len(name) < 300 and "\\" not in name:
        make(tmp_path / name)
    path = tmp_path / "sp.yml"
    path.write_text(f'{LEAST}  hook: {{token: "${{file:{name}}}"}}')
    with pytest.raises(UsageError, match=f"cannot be read: .*{sentence}") as raised:
        read_configuration(path, {})
    assert str(raised.value).startswith(f"{path}:5: ")


def test_a_secret_may_be_a_link_to_a_file(tmp_path: Path) -> None:
    """Kubernetes mounts secrets so."""
    linked(tmp_path / "token", lambda path: path.write_text("a secret"))
    path = tmp_path / "sp.yml"
    path.write_text(f"{LEAST}  hook: {{token: '${{file:token}}'}}")
    found = read_configuration(path, {}).serve
    assert found is not None
    assert found.hook is not None
    assert found.hook.token == "a secret"


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "sp.yml"
    path.write_text(LEAST)
    found = read_configuration(path, {}).serve
    assert found is not None
    assert found.store == DirectoryStoreSettings(tmp_path / "cache")


def test_a_rule_of_the_server_may_hand_images_out_as_they_are() -> None:
    found = serve("rules: [{match: a, mode: copy}, {match: b, mode: copy, squash: false}]")
    rules = Rules(found.rules, found.limits)
    assert rules.find(Repository("a", "x")) is None
    assert [rule.mode for rule in found.rules] == [Mode.COPY, Mode.COPY]


def test_a_rule_that_copies_may_have_everything_else() -> None:
    [rule] = parse(
        "promote: [{name: a, from: b, to: c, mode: copy, verify: true, on_existing: backup, "
        "platforms: [linux/amd64], backup: x, referrers: false, every: 1h}]"
    ).promote
    assert (rule.mode, rule.referrers, rule.verify) == (Mode.COPY, False, True)
