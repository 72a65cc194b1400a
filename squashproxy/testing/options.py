"""How a fake registry behaves: the ways in which real registries differ, as switches."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

ALL_ACTIONS = frozenset({"pull", "push", "delete"})


@dataclass(frozen=True, slots=True)
class Basic:
    """HTTP Basic authentication; `actions` is what the user may do (403 DENIED for the rest)."""

    user: str
    password: str
    actions: frozenset[str] = ALL_ACTIONS


@dataclass(frozen=True, slots=True)
class Bearer:
    """Token authentication, with the token endpoint at `/token` of the same server.

    `actions` is what the user may be granted; without credentials a token for pulling is given
    where `anonymous_pull` is set. `lifetime` is in seconds. `refresh_token` is an identity token
    that `POST /token` takes; `post` False answers 404 to POST, as older token servers do.
    `offers_basic` adds a Basic challenge beside the Bearer one, and then takes Basic as well.
    `realm` replaces the address of the token endpoint in the challenge.
    """

    user: str
    password: str
    actions: frozenset[str] = ALL_ACTIONS
    anonymous_pull: bool = False
    lifetime: float = 300.0
    refresh_token: str | None = None
    post: bool = True
    offers_basic: bool = False
    realm: str | None = None
    service: str = "fake-registry"


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate chain and its key, as PEM files."""

    certificate: Path
    key: Path


class TagDeletion(Enum):
    """What a DELETE of a tag does.

    - TAG: take the tag away alone (distribution 3, zot, Quay).
    - MANIFEST: take its manifest away, with all tags of that (older registries).
    - REFUSED: nothing, and answer 400 (distribution 2) or, as a Harbor, the same.
    """

    TAG = "tag"
    MANIFEST = "manifest"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class RegistryOptions:
    """What a FakeRegistry does; the default is a friendly registry that can do everything.

    Attributes:
        auth: who may do what; None lets everyone in.
        tls: serve HTTPS.
        port: 0 takes a free one.
        directory: keep blobs in files there instead of in memory, for layers of gigabytes.
        read_only: answer 405 UNSUPPORTED to everything that writes.
        deletes: False answers 405 UNSUPPORTED to the deletion of manifests, tags and blobs.
        tag_deletion: what the deletion of a tag does.
        deletes_tagged: False answers 409 to the deletion of a digest that tags point to.
        lists_dead_tags: go on listing tags whose manifest was deleted by its digest.
        mounts: False answers every mount with 202, an upload session.
        check_references: refuse manifests whose blobs or children are absent, as most do.
        relative_locations: write `Location` without scheme and host.
        ranged_uploads: False refuses a PATCH with Content-Range (400).
        streamed_uploads: False refuses a PATCH without Content-Range (400).
        resumable_uploads: False forgets a session whose PATCH broke off, as distribution does.
        chunk_min_length: bytes; sent as OCI-Chunk-Min-Length, and held to.
        head_manifests: False answers 404 to HEAD of a manifest, as Nexus does.
        digest_headers: False sends no Docker-Content-Digest.
        harbor: be a Harbor: tags go only through its own API, which also tells dates.
        referrers: False answers 404 to the referrers API and sends no OCI-Subject.
        page_size: the most tags or repositories in one answer.
        links: False names no next page, so that lists end after `page_size` without a word.
        last: False ignores `last` and knows no pages, as distribution 2 lists tags.
        most_asked: an `n` above it is refused (400), as by distribution's `catalog.maxentries`.
        capacity: bytes of blobs; above it uploads fail with 507, no space left on device.
        redirect_blobs_to: `host:port` (plain HTTP) that a GET of a blob is sent on to by a 307.

    """

    auth: Basic | Bearer | None = None
    tls: Tls | None = None
    port: int = 0
    directory: Path | None = None
    read_only: bool = False
    deletes: bool = True
    tag_deletion: TagDeletion = TagDeletion.TAG
    deletes_tagged: bool = True
    lists_dead_tags: bool = False
    mounts: bool = True
    check_references: bool = True
    relative_locations: bool = False
    ranged_uploads: bool = True
    streamed_uploads: bool = True
    resumable_uploads: bool = True
    chunk_min_length: int = 0
    head_manifests: bool = True
    digest_headers: bool = True
    harbor: bool = False
    referrers: bool = True
    page_size: int = 1000
    links: bool = True
    last: bool = True
    most_asked: int | None = None
    capacity: int | None = None
    redirect_blobs_to: str | None = None
