"""The parsers of what comes from outside, with seeds that each of them takes.

A parser gets bytes. It returns whatever it likes, or raises one of the errors that it documents.
"""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from squashproxy.archive.scanner import TarScanner
from squashproxy.catalog.dates import parse_date
from squashproxy.cleanup import plan_file
from squashproxy.cleanup.apply.audit_log import AuditLog, Entry, read_log
from squashproxy.cleanup.graph import node_of
from squashproxy.cleanup.in_use import InUseLists
from squashproxy.cleanup.plan import CleanupPlan, KeptTag, Removal, RepositoryPlan, RulePlan
from squashproxy.codec.compression import iter_decompressed
from squashproxy.codec.library import find_library
from squashproxy.config.read import parse_configuration
from squashproxy.digest import digest_of
from squashproxy.errors import SquashproxyError, UsageError
from squashproxy.layer_memory.results_record import decode_results
from squashproxy.location import parse_location
from squashproxy.oci import mediatypes
from squashproxy.oci.config import parse_config
from squashproxy.oci.manifest import ImageIndex, RawManifest, parse_manifest
from squashproxy.oci.mediatypes import Family
from squashproxy.oci.platform import parse_platform
from squashproxy.pipeline.bases.base_image import is_scratch
from squashproxy.reference import parse_reference, parse_repository
from squashproxy.registry.auth.authfile import parse_authfile
from squashproxy.registry.auth.challenges import parse_challenges
from squashproxy.registry.http.error_responses import read_refusal
from squashproxy.registry.http.links import next_target
from squashproxy.registry.http.retry_after import parse_retry_after
from squashproxy.registry.http.urls import read_url
from squashproxy.rules.repository_patterns import parse_repository_pattern
from squashproxy.rules.target_template import TargetTemplate
from squashproxy.server.api.webhooks import read_pushes
from squashproxy.server.http.errors import ApiError
from squashproxy.server.http.ranges import find_part
from squashproxy.server.http.routes import UpstreamNames, parse_path
from squashproxy.span import Inflated
from squashproxy.squash.listing_record import decode_listing
from squashproxy.testing import ImageBuilder, LayerBuilder, Packing, index_of, pack

_LIMIT = 1 << 22
_LAYER = digest_of(b"a layer")


@dataclass(frozen=True, slots=True)
class Parser:
    """A parser, the errors that it documents, and inputs that it takes.

    `piece` makes a long input out of short ones, to count the parser's steps; its pieces are
    repeated between a beginning and an end.
    """

    parse: Callable[[bytes], object]
    errors: tuple[type[Exception], ...] = (SquashproxyError,)
    seeds: tuple[bytes, ...] = ()
    piece: tuple[bytes, bytes, bytes] = (b"", b"a", b"")

    def accepts(self, data: bytes) -> bool:
        """Whether an input is taken. Any other error than a documented one passes through."""
        try:
            self.parse(data)
        except self.errors:
            return False
        return True


def _text(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    """A parser of text; bytes that are not UTF-8 come as they do in arguments and headers."""
    return lambda data: parse(data.decode("utf-8", "surrogateescape"))


def _header(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: parse(data.decode("latin-1"))


def _manifest(media_type: str) -> Callable[[bytes], object]:
    def parse(data: bytes) -> object:
        """Parse a manifest, and look at all that others look at."""
        raw = RawManifest(data, media_type)
        parsed = parse_manifest(raw, "the manifest")
        node_of(raw.digest, raw, "the manifest")
        seen: list[object] = [parsed.kind, dict(parsed.annotations)]
        seen += [parse_date(value) for value in parsed.annotations.values()]
        seen += [is_scratch(value) for value in parsed.annotations.values()]
        if isinstance(parsed, ImageIndex):
            for child in parsed.children:
                seen += [child.is_attestation, child.may_be_image, child.kind, str(child.platform)]
            seen.append(parsed.with_children([each.descriptor for each in parsed.children], {}))
            return seen
        seen += [parsed.is_image, parsed.with_layers(parsed.config, parsed.layers, {})]
        return seen

    return parse


def _config(data: bytes) -> object:
    config = parse_config(data, 2, "the config")
    new = digest_of(b"new")
    steps = [config.created_by(layer) for layer in range(2)]
    note = {"created_by": "x"}
    return (
        str(config.platform),
        config.history,
        steps,
        config.squashed(1, [new], note),
        config.pruned([new, None], note),
        config.rebased(config, 1),
    )


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="fuzz-"))


def _filed(name: str, parse: Callable[[Path], object]) -> Callable[[bytes], object]:
    """A parser of a file."""

    def read(data: bytes) -> object:
        path = _folder() / name
        path.write_bytes(data)
        return parse(path)

    return read


def _sealed_plan(data: bytes) -> object:
    """A plan whose checksum is right, if it is JSON at all: as one that somebody forged."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        stated = {key: value for key, value in document.items() if key != "checksum"}
        data = json.dumps({**stated, "checksum": plan_file._checksum(stated)}).encode()
    return _filed("plan.json", plan_file.read_plan)(data)


def _route(path: str) -> object:
    route = parse_path(path)
    if route is None or not route.name:
        return route
    names = UpstreamNames(frozenset({"docker.io", "h.example:5000"}), "docker.io")
    return names.find(route.name, None), names.find(route.name, "docker.io")


def _scan(data: bytes) -> int:
    scanner = TarScanner("the layer", 1)
    scanner.feed(Inflated(data))
    entries = 0
    while scanner.advance():
        entries += 1
        scanner.keep()
    scanner.take()
    scanner.finish()
    return entries


def _inflate(data: bytes) -> int:
    size = 0
    for chunk in iter_decompressed([data], "the layer", find_library()):
        size += len(chunk)
        if size > _LIMIT:
            break
    return size


_IMAGE = (
    ImageBuilder(annotations={"org.opencontainers.image.created": "2026-01-01T00:00:00Z"})
    .layer(LayerBuilder().file("a", b"a" * 600))
    .layer(LayerBuilder().directory("d").symlink("s", "a").whiteout("a"))
    .build()
)
_DOCKER = ImageBuilder(Family.DOCKER).layer(LayerBuilder().file("a", b"a")).build()
_INDEX = index_of([_IMAGE], annotations={"a": "b"})
_CONFIG = next(data for data in _IMAGE.blobs.values() if data.startswith(b"{"))
_DIGEST = _IMAGE.digest
_TAR = LayerBuilder().file("a", b"a" * 600).directory("d").symlink("s", "a" * 200).tar()


def _plan() -> bytes:
    removal = Removal(_DIGEST, mediatypes.OCI_MANIFEST, 5, "image", ("1",), "why")
    kept = KeptTag("2", _DIGEST, "why")
    tags = {"1": _DIGEST, "2": _DIGEST}
    repository = RepositoryPlan("h.example/a", tags, kept=(kept,), remove=(removal,))
    rules = (RulePlan("old", "delete", 1.8e9, (repository, replace(repository, problem="x"))),)
    return json.dumps(plan_file.plan_document(CleanupPlan(rules))).encode()


def _log() -> bytes:
    with AuditLog(_folder(), "seed.jsonl") as log:
        name = parse_repository("h.example/a")
        raw = _IMAGE.manifest
        number = log.begin(Entry("delete", "old", name, raw.digest, ("1",), "why", raw))
        log.end(number, plan_outcome(), ("1",))
        log.begin(Entry("untag", "old", name, raw.digest, ("2",), "why", raw))
    data = log.path.read_bytes()
    log.path.unlink()
    return data


def plan_outcome() -> Any:
    """How the step of the seed ended."""
    from squashproxy.cleanup.results import StepOutcome  # noqa: PLC0415 - for the seed alone

    return StepOutcome.DELETED


_CONFIGURATION = b"""
state: state
registries: {h.example: {rate: 50/s, plain_http: true}}
promote:
  - {name: a, from: "h.example/a/*", to: "h.example/b/{repo}:{tag}", tags: {newest: 3}}
cleanup:
  - {name: b, repositories: ["h.example/b/*"], keep: {tags: ["/v[0-9]+/"], newest: 2,
     group: "(.*)-"}, action: delete, schedule: "0 3 * * *", untagged: {older_than: 7d}}
serve:
  upstreams: {docker.io: {url: "https://h.example"}}
  store: {directory: x, max_size: 5GiB}
"""
_AUTH = json.dumps(
    {
        "auths": {
            "h.example": {"auth": base64.b64encode(b"user:word").decode()},
            "https://index.docker.io/v1/": {"identitytoken": "x", "username": "u"},
        },
        "credHelpers": {"g.example": "x"},
        "credsStore": "y",
    }
).encode()
_PUSH = {"action": "push", "target": {"repository": "a", "tag": "1", "url": "https://h.example/"}}
_HARBOR = {"resource_url": "h.example/a:1"}
_HOOKS = (
    json.dumps({"events": [{**_PUSH, "request": {"host": "h.example"}}]}).encode(),
    json.dumps(
        {"type": "PUSH_ARTIFACT", "event_data": {"resources": [_HARBOR]}},
    ).encode(),
)
_REFUSAL = b'{"errors": [{"code": "DENIED", "message": "no", "detail": {"a": 1}}]}'

PARSERS: dict[str, Parser] = {
    "reference": Parser(
        _text(parse_reference),
        (UsageError,),
        (b"a", b"h.example:5000/a/b:1", f"h.example/a:1@{_DIGEST}".encode(), b"[::1]:5000/a"),
        (b"h.example/", b"a__b-", b"c:1"),
    ),
    "location": Parser(
        _text(parse_location),
        (UsageError,),
        (b"oci:dir:1", b"docker-archive:-:a:1", f"oci-archive:a.tar@{_DIGEST}".encode(), b"a/b"),
        (b"oci:", b"a/:", b"@sha256:0"),
    ),
    "pattern": Parser(
        _text(parse_repository_pattern),
        (ValueError,),
        (b"h.example/a/*", b"h.example/[a-z]?", b"h.example/a"),
        (b"h.example/", b"*[a-z]", b"a"),
    ),
    "target": Parser(
        _text(lambda text: TargetTemplate(text, "a/")),
        (ValueError,),
        (b"h.example/{repo}:{tag}", b"h.example/{path}", b"h.example/a:{tag}-x"),
        (b"h.example/", b"{repo}", b":{tag}"),
    ),
    "platform": Parser(
        _text(parse_platform),
        (ValueError,),
        (b"linux/arm/v7", b"linux/amd64"),
        (b"linux/", b"a/", b""),
    ),
    "challenges": Parser(
        _header(parse_challenges),
        (),
        (b'Bearer realm="https://h/t",service="a",scope="b:c"', b"Basic realm=x, Bearer a=b"),
        (b"Bearer ", b'a="b\\"",', b""),
    ),
    "link": Parser(
        _header(next_target),
        (ValueError,),
        (b'</v2/a/tags/list?n=2&last=b>; rel="next"', b'<a>;rel=prev, <b>; title="x;,"; rel=next'),
        (b"", b'<a>; title="b"; rel=prev, ', b""),
    ),
    "retry-after": Parser(
        _header(lambda text: parse_retry_after(text, datetime(2026, 1, 1, tzinfo=UTC))),
        (),
        (b"5", b"Wed, 21 Oct 2026 07:28:00 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT"),
        (b"Wed, 21 Oct 2026 ", b"9", b":28:00 GMT"),
    ),
    "url": Parser(
        _header(lambda text: read_url("https://h.example/v2/", text)),
        (ValueError,),
        (b"/v2/a?b=c", b"https://h.example:5000/a", b"//[::1]/a", b"?x"),
        (b"https://h.example/", b"%2e/", b""),
    ),
    "refusal": Parser(
        lambda data: read_refusal(403, {"Content-Type": "application/json"}, data),
        (),
        (_REFUSAL, b'{"details": "no"}', b"plain text"),
        (b'{"errors": [', b'{"code": "A"},', b"{}]}"),
    ),
    "image": Parser(
        _manifest(mediatypes.OCI_MANIFEST),
        seeds=(_IMAGE.manifest.data,),
        piece=(b'{"config": 5, "layers": [', b"{},", b"{}]}"),
    ),
    "docker image": Parser(
        _manifest(mediatypes.DOCKER_MANIFEST),
        seeds=(_DOCKER.manifest.data,),
    ),
    "index": Parser(
        _manifest(mediatypes.OCI_INDEX),
        seeds=(_INDEX.manifest.data,),
        piece=(
            b'{"manifests": [',
            b'{"digest": "%s", "size": 1, "platform": {"os": "linux"}},' % _DIGEST.encode(),
            b'{"digest": "%s", "size": 1}]}' % _DIGEST.encode(),
        ),
    ),
    "no type": Parser(_manifest(""), seeds=(_INDEX.manifest.data, _IMAGE.manifest.data)),
    "config": Parser(
        _config,
        seeds=(_CONFIG,),
        piece=(
            b'{"rootfs": {"diff_ids": ["%s", "%s"]}, "history": [' % ((_DIGEST.encode(),) * 2),
            b'{"created_by": "x", "empty_layer": true},',
            b"{}]}",
        ),
    ),
    "auth file": Parser(
        lambda data: parse_authfile(data, "the file").find(parse_repository("h.example/a")),
        seeds=(_AUTH, b'{"auths": {}}'),
        piece=(b'{"auths": {', b'"a": {"auth": "YTpi"},', b'"b": {}}}'),
    ),
    "configuration": Parser(
        _text(lambda text: parse_configuration(text, "a.yml", Path("/"), {})),
        seeds=(_CONFIGURATION,),
        piece=(b"registries:\n", b"  h.example: {}\n", b"state: x\n"),
    ),
    "plan file": Parser(
        _filed("plan.json", plan_file.read_plan), seeds=(_plan(),), piece=(b"{", b'"a": [],', b"}")
    ),
    "forged plan": Parser(_sealed_plan, seeds=(_plan(),)),
    "audit log": Parser(
        _filed("log.jsonl", read_log), seeds=(_log(),), piece=(b"", b'{"format": "x"}\n', b"")
    ),
    "images in use": Parser(
        _filed("pods.json", lambda path: InUseLists([path])),
        seeds=(b'{"items": [{"image": "h.example/a:1"}]}', b"h.example/a:1\n# no\n"),
        piece=(b"", b"h.example/a:1\n", b""),
    ),
    "listing": Parser(lambda data: decode_listing(data, _LAYER), (ValueError, SquashproxyError)),
    "results": Parser(lambda data: decode_results(data, _LAYER, 1), (ValueError, SquashproxyError)),
    "route": Parser(
        _text(_route),
        (ApiError,),
        (
            b"/v2/",
            b"/v2/a/b/manifests/1",
            b"/v2/h.example:5000/a/blobs/sha256:0",
            b"/v2/a/tags/list",
        ),
        (b"/v2/", b"a/blobs/", b"tags/list"),
    ),
    "range": Parser(
        _header(lambda text: find_part(text, 1000)),
        (ApiError,),
        (b"bytes=0-5", b"bytes=-5", b"bytes=9-"),
    ),
    "notification": Parser(
        lambda data: read_pushes(data, {"h.example": "h.example"}),
        seeds=_HOOKS,
        piece=(b'{"events": [', b'{"action": "push"},', b"{}]}"),
    ),
    "tar": Parser(_scan, seeds=(_TAR, _TAR[:1024], b"\0" * 1024)),
    "gzip": Parser(_inflate, seeds=(pack(_TAR, Packing.GZIP), pack(_TAR, Packing.GZIP) * 2)),
    "zstd": Parser(_inflate, seeds=(pack(_TAR, Packing.ZSTD), pack(_TAR, Packing.ZSTD) * 2)),
}
"""By name; files of the corpus begin with it."""

JSON = frozenset(
    {
        *("image", "docker image", "index", "no type", "config", "auth file", "plan file"),
        *("forged plan", "notification", "refusal", "images in use"),
    }
)
"""The parsers of JSON documents, whose values can be exchanged for others."""
