"""The push half of the registry API: uploads, manifests, deletions."""

from __future__ import annotations

from collections.abc import Iterator

from squashproxy.digest import Digest, Hasher
from squashproxy.errors import FormatError
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Json, parse_descriptor
from squashproxy.oci.manifest import MAX_MANIFEST, RawManifest, parse_json_object
from squashproxy.testing.answers import Answer, Code, Headers, Refusal
from squashproxy.testing.body import Request
from squashproxy.testing.names import check_tag, checked_digest
from squashproxy.testing.options import RegistryOptions, TagDeletion
from squashproxy.testing.ranges import parse_upload_range
from squashproxy.testing.store import Store
from squashproxy.testing.uploads import Upload, Uploads


class Push:
    """Answers POST, PATCH, PUT and DELETE, and GET of an upload; every method may raise Refusal."""

    def __init__(self, options: RegistryOptions, store: Store, uploads: Uploads, url: str) -> None:
        self._options = options
        self._store = store
        self._uploads = uploads
        self._url = "" if options.relative_locations else url

    def begin(self, request: Request, repo: str, _: str) -> Answer:
        """POST: mount a blob, store the whole blob of the body, or open an upload session."""
        if not self._options.creates and repo not in self._store.names():
            raise Refusal(Code.NAME_UNKNOWN, f"there is no repository {repo}")
        mount, source = request.parameter("mount"), request.parameter("from")
        if mount and source and self._options.mounts:
            digest = checked_digest(mount)
            if digest in self._store.blobs(source) and self._may_mount(source, digest):
                if not self._options.lying_mounts:
                    self._store.link_blob(repo, digest)
                return self._created(repo, "blobs", digest)
        whole = request.parameter("digest")
        if whole and not mount:
            digest = checked_digest(whole)
            self._uploads.store_at_once(repo, request.body, digest)
            return self._created(repo, "blobs", digest)
        return self._progress(self._uploads.begin(repo), 202)

    def _may_mount(self, source: str, digest: Digest) -> bool:
        if self._options.mounts_unnamed:
            return True
        return any(digest.encode() in raw.data for raw in self._store.manifests(source).values())

    def status(self, request: Request, repo: str, upload_id: str) -> Answer:
        """GET: how many bytes of an upload have arrived."""
        if self._options.old_locations:
            upload = self._uploads.find(repo, upload_id)
        else:
            upload = self._session(request, repo, upload_id)
        with upload.lock:
            return self._progress(upload, 204)

    def feed(self, request: Request, repo: str, upload_id: str) -> Answer:
        """PATCH: the next chunk, or the whole stream."""
        upload = self._session(request, repo, upload_id)
        ranged = "content-range" in request.headers
        allowed = self._options.ranged_uploads if ranged else self._options.streamed_uploads
        if not allowed:
            kind = "with" if ranged else "without"
            raise Refusal(
                Code.UNSUPPORTED, f"PATCH {kind} Content-Range is not supported", status=400
            )
        with upload.lock:
            self._append(request, upload)
            upload.turn()
            return self._progress(upload, self._options.patch_status)

    def finish(self, request: Request, repo: str, upload_id: str) -> Answer:
        """PUT: end an upload; the query has its digest, and the body may have its last bytes."""
        upload = self._session(request, repo, upload_id)
        digest = checked_digest(request.parameter("digest") or "")
        with upload.lock:
            before = upload.draft.size
            self._append(request, upload)
            if not self._options.whole_uploads and not before and upload.draft.size:
                raise Refusal(Code.UNSUPPORTED, "a PATCH comes first", status=400)
            self._uploads.finish(upload, digest)
        return self._created(repo, "blobs", digest)

    def cancel(self, _: Request, repo: str, upload_id: str) -> Answer:
        """DELETE: cancel an upload; an older Location will do."""
        self._uploads.cancel(self._uploads.find(repo, upload_id))
        return Answer(204)

    def put_manifest(self, request: Request, repo: str, selector: str) -> Answer:
        """PUT of a manifest, by tag or digest."""
        data = request.body.read(MAX_MANIFEST)
        document = _document(data)
        media_type = request.headers.get("content-type") or str(document.get("mediaType"))
        tag, digest = _selected(selector, data)
        if self._options.check_references:
            self._check_references(repo, media_type, document)
        manifest = RawManifest(data, media_type)
        name = self._store.add_manifest(repo, tag, manifest, digest)
        stated = document.get("subject")
        subject = stated.get("digest") if isinstance(stated, dict) else None
        extra: Headers = ()
        if subject and self._options.referrers:
            extra = (("OCI-Subject", str(subject)),)
        return self._created(repo, "manifests", name, extra)

    def delete_manifest(self, _: Request, repo: str, selector: str) -> Answer:
        """DELETE of a tag, or of a manifest with all its tags."""
        self._check_deletes()
        options = self._options
        is_tag = ":" not in selector
        if is_tag and (options.harbor or options.tag_deletion is TagDeletion.REFUSED):
            raise Refusal(
                Code.UNSUPPORTED, f"unsupported digest {selector}", status=options.tag_refusal
            )
        if is_tag and options.tag_deletion is TagDeletion.MANIFEST:
            selector = self._store.manifest(repo, selector)[0]
        elif not is_tag and not options.deletes_tagged and self._store.tags_of(repo, selector):
            raise Refusal(Code.DENIED, f"{selector} is tagged", status=options.tagged_refusal)
        self._store.delete_manifest(repo, selector, keeps_tags=options.lists_dead_tags)
        return Answer(202)

    def delete_blob(self, _: Request, repo: str, digest: str) -> Answer:
        """DELETE of a blob."""
        self._check_deletes()
        self._store.delete_blob(repo, checked_digest(digest))
        return Answer(202)

    def _check_deletes(self) -> None:
        if not self._options.deletes:
            raise Refusal(Code.UNSUPPORTED, status=self._options.deletion_refusal)

    def _session(self, request: Request, repo: str, upload_id: str) -> Upload:
        upload = self._uploads.find(repo, upload_id)
        if request.parameter("_state") != upload.state:
            raise Refusal(Code.BLOB_UPLOAD_INVALID, "this is not the newest Location")
        return upload

    def _append(self, request: Request, upload: Upload) -> None:
        stated = request.headers.get("content-range")
        before = upload.draft.size
        expected = None
        if stated is not None:
            start, stop = parse_upload_range(stated)
            if start != before:
                raise self._wrong_start(upload, start)
            expected = stop - start
            most = self._options.chunk_max_length
            if most is not None and expected > most:
                raise Refusal(Code.RANGE_INVALID, f"a chunk has at most {most} bytes")
        try:
            upload.draft.append(_after_short(request, upload))
        except ConnectionError:
            if not self._options.resumable_uploads:
                self._uploads.cancel(upload)
            raise
        added = upload.draft.size - before
        if expected is not None and added != expected:
            raise Refusal(Code.SIZE_INVALID, f"Content-Range is {stated}, the body {added} bytes")
        upload.ended_short = bool(stated) and added < self._options.chunk_min_length

    def _wrong_start(self, upload: Upload, start: int) -> Refusal:
        answer = self._progress(upload, 416)
        message = f"the next byte is {upload.draft.size}, not {start}"
        return Refusal(Code.RANGE_INVALID, message, headers=answer.headers)

    def _progress(self, upload: Upload, status: int) -> Answer:
        location = f"{self._url}/v2/{upload.repo}/blobs/uploads/{upload.id}?_state={upload.state}"
        headers: Headers = (
            ("Location", location),
            ("Range", upload.first_range if self._options.stale_ranges else upload.range),
            ("Docker-Upload-UUID", upload.id),
        )
        if self._options.chunk_min_length:
            headers = (*headers, ("OCI-Chunk-Min-Length", str(self._options.chunk_min_length)))
        return Answer(status, headers)

    def _created(self, repo: str, kind: str, digest: Digest, extra: Headers = ()) -> Answer:
        headers: Headers = (("Location", f"{self._url}/v2/{repo}/{kind}/{digest}"), *extra)
        if self._options.digest_headers:
            headers = (*headers, ("Docker-Content-Digest", digest))
        return Answer(201, headers)

    def _check_references(self, repo: str, media_type: str, document: Json) -> None:
        """Refuse a manifest whose blobs or children are absent; foreign layers may be elsewhere.

        Children may be blobs, as in the cache of BuildKit: distribution looks for both.
        """
        if media_type in mediatypes.INDEXES:
            held = frozenset(self._store.manifests(repo)) | frozenset(self._store.blobs(repo))
            named = document.get("manifests") or []
        else:
            config = [document["config"]] if "config" in document else []
            held = self._store.blobs(repo)
            named = [*config, *(document.get("layers") or [])]
        for number, entry in enumerate(named):
            try:
                descriptor = parse_descriptor(entry, f"descriptor {number}")
            except FormatError as error:
                raise Refusal(Code.MANIFEST_INVALID, str(error)) from error
            foreign = mediatypes.is_foreign(descriptor.media_type)
            if descriptor.digest not in held and not foreign:
                named = f"{descriptor.digest} is unknown" if self._options.names_missing else ""
                raise Refusal(
                    Code.MANIFEST_BLOB_UNKNOWN, named, status=self._options.missing_status
                )


def _after_short(request: Request, upload: Upload) -> Iterator[bytes]:
    """The body. Raises Refusal if an earlier chunk was so short that it had to be the last."""
    for piece in request.body:
        if upload.ended_short:
            raise Refusal(Code.SIZE_INVALID, "only the last chunk may be that short")
        yield piece


def _selected(selector: str, data: bytes) -> tuple[str | None, Digest | None]:
    if ":" not in selector:
        check_tag(selector)
        return selector, None
    digest = checked_digest(selector)
    hasher = Hasher(digest)
    hasher.update(data)
    if hasher.digest != digest:
        raise Refusal(Code.DIGEST_INVALID, f"the manifest has the digest {hasher.digest}")
    return None, digest


def _document(data: bytes) -> Json:
    try:
        return parse_json_object(data, "the manifest")
    except FormatError as error:
        raise Refusal(Code.MANIFEST_INVALID, str(error)) from error
