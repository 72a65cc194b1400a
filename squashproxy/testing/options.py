"""Options of a fake registry: a switch for each way in which real registries differ."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

ALL_ACTIONS = frozenset({"pull", "push", "delete"})


@dataclass(frozen=True, slots=True)
class Basic:
    """HTTP Basic authentication. The user may do `actions`; anything else gets 403 DENIED."""

    user: str
    password: str
    actions: frozenset[str] = ALL_ACTIONS


@dataclass(frozen=True, slots=True)
class Bearer:
    """Token authentication, with the token endpoint at `/token` of the same server.

    The user may get tokens for `actions`. With `anonymous_pull`, anybody gets a token for pulling.
    `lifetime` is that of a token, in seconds. `POST /token` accepts `refresh_token` as an identity
    token; if `post` is false, it answers 404 instead, as older token servers do. With
    `offers_basic`, the registry also challenges for Basic, and accepts it. `realm` replaces the
    address of the token endpoint in the challenge. `known_actions` are those that the token
    endpoint knows; a scope with another one gets 400. `delete_actions` are what a deletion needs,
    which the challenge names. With `redirect`, a status, the token endpoint sends clients on to
    `/token/`.
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
    known_actions: frozenset[str] = ALL_ACTIONS | {"*"}
    delete_actions: frozenset[str] = frozenset({"delete"})
    redirect: int | None = None


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate chain and its key, as PEM files."""

    certificate: Path
    key: Path


class TagDeletion(Enum):
    """The effect of a DELETE of a tag.

    - TAG: delete only the tag (distribution 3, zot, Quay).
    - MANIFEST: delete its manifest with all tags that point to it (older registries).
    - REFUSED: delete nothing and answer 400 (distribution 2, Harbor).
    """

    TAG = "tag"
    MANIFEST = "manifest"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class RegistryOptions:
    """The behaviour of a FakeRegistry. By default it can do everything and is open to everyone.

    Attributes:
        auth: how clients log in, and what they may do; with None, everyone may do everything.
        tls: serve HTTPS with this certificate.
        port: the port to listen on; 0 for a free one.
        directory: keep blobs as files there instead of in memory, for layers of gigabytes.
        read_only: answer 405 UNSUPPORTED to every request that writes.
        deletes: if false, answer 405 UNSUPPORTED when a manifest, tag or blob is to be deleted.
        tag_deletion: the effect of a DELETE of a tag.
        deletes_tagged: if false, do not delete a digest that tags point to; answer
            `tagged_refusal`.
        lists_dead_tags: keep listing tags whose manifest was deleted by its digest.
        mounts: if false, answer every mount with 202 and an upload session.
        check_references: refuse manifests whose blobs or children are absent, as most do.
        relative_locations: write `Location` without scheme and host.
        ranged_uploads: if false, refuse a PATCH with Content-Range (400).
        streamed_uploads: if false, refuse a PATCH without Content-Range (400).
        whole_uploads: if false, refuse a PUT that holds a blob without a PATCH before it (400).
        resumable_uploads: if false, end a session whose PATCH broke off, as distribution does.
        old_locations: tell the newest Location of a session to a GET with an older one, as
            distribution 3 does. If false, answer 404, as distribution 2 does.
        chunk_min_length: the least bytes in a chunk except the last; sent as
            OCI-Chunk-Min-Length.
        head_manifests: if false, answer 404 to HEAD of a manifest, as Nexus does.
        digest_headers: if false, send no Docker-Content-Digest.
        harbor: offer Harbor's own API, and delete tags only through it.
        referrers: if false, answer 404 to the referrers API and send no OCI-Subject.
        page_size: the most tags or repositories in one answer.
        links: if false, do not name the next page, so that lists seem to end after `page_size`.
        last: if false, ignore `last` and send lists whole, as distribution 2 does with tags.
        most_asked: the largest `n` that is not refused (400): distribution's
            `catalog.maxentries`.
        lists_empty: if false, answer 404 NAME_UNKNOWN to the list of tags of a repository without
            tags, as distribution does where nothing was ever tagged.
        lying_mounts: answer 201 to a mount, but do not hold the blob then.
        names_missing: if false, do not say which blob a refused manifest lacks.
        missing_status: the status for a manifest that names a blob which is not there.
        redirects_heads: redirect HEAD of a blob, too.
        head_blobs: if false, answer 403 to HEAD of a blob, as storage does whose URL is signed for
            GET.
        hides: answer 404 in place of a challenge; only `/v2/` has one.
        deletion_refusal: the status where `deletes` is false.
        dashed_digests: take a tag `sha256-HEX` for the digest, as GitLab does.
        referrers_status: the status of the referrers API where `referrers` is false.
        tag_refusal: the status with which TagDeletion.REFUSED refuses.
        catalog: if false, answer 404 to the list of repositories.
        creates: if false, answer 404 NAME_UNKNOWN to a push into a repository that does not exist.
        mounts_unnamed: if false, mount only blobs that a manifest of the other repository names.
        patch_status: the status of an accepted PATCH.
        stale_ranges: let the Range of every PATCH after the first stay where the first one ended.
        chunk_max_length: the most bytes in a PATCH with Content-Range; more get 416.
        empty_type: the Content-Type of answers without a body.
        lists_manifests: list manifests beside tags, with the time of their upload, as Google does.
        strict_accept: answer 406 to a list that is asked for with an Accept of something else.
        redirects_blobs: redirect GET of a blob to another host name of this server, where it may
            be read without a login, but not with an Authorization header (400) or by HEAD (403).
        capacity: the most bytes of blobs; further uploads get 507, no space left on device.
        redirect_blobs_to: `HOST:PORT` (plain HTTP) to which a GET of a blob is redirected (307).

    """

    auth: Basic | Bearer | None = None
    tls: Tls | None = None
    port: int = 0
    directory: Path | None = None
    read_only: bool = False
    deletes: bool = True
    tag_deletion: TagDeletion = TagDeletion.TAG
    deletes_tagged: bool = True
    tagged_refusal: int = 409
    lists_dead_tags: bool = False
    mounts: bool = True
    check_references: bool = True
    relative_locations: bool = False
    ranged_uploads: bool = True
    streamed_uploads: bool = True
    whole_uploads: bool = True
    resumable_uploads: bool = True
    old_locations: bool = False
    chunk_min_length: int = 0
    head_manifests: bool = True
    digest_headers: bool = True
    harbor: bool = False
    referrers: bool = True
    page_size: int = 1000
    links: bool = True
    last: bool = True
    most_asked: int | None = None
    lists_empty: bool = True
    lying_mounts: bool = False
    names_missing: bool = True
    missing_status: int = 400
    redirects_heads: bool = False
    head_blobs: bool = True
    hides: bool = False
    deletion_refusal: int = 405
    dashed_digests: bool = False
    referrers_status: int = 404
    tag_refusal: int = 400
    catalog: bool = True
    creates: bool = True
    mounts_unnamed: bool = True
    patch_status: int = 202
    stale_ranges: bool = False
    chunk_max_length: int | None = None
    empty_type: str | None = None
    lists_manifests: bool = False
    strict_accept: bool = False
    redirects_blobs: bool = False
    capacity: int | None = None
    redirect_blobs_to: str | None = None
