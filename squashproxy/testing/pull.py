"""The pull half of the registry API, and its lists: tags, repositories, referrers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

from squashproxy.decimals import parse_decimal
from squashproxy.oci import mediatypes
from squashproxy.testing.answers import (
    Answer,
    Body,
    Code,
    Headers,
    Refusal,
    bytes_answer,
    json_answer,
)
from squashproxy.testing.body import Request
from squashproxy.testing.content import Content
from squashproxy.testing.names import checked_digest
from squashproxy.testing.options import RegistryOptions
from squashproxy.testing.ranges import parse_download_range
from squashproxy.testing.store import Store

LOGIN = "/login"
"""The path of a web page, for redirects that lead away from the API."""

STORAGE = "/storage/"
"""The path of blobs that `redirects_blobs` leads to."""

_UPLOADED = "1700000000000"
_DASHED = re.compile("^sha256-([0-9a-f]{64})$")


class Pull:
    """Answers GET and HEAD. Every method raises Refusal for a request it cannot answer."""

    def __init__(self, options: RegistryOptions, store: Store, storage: str) -> None:
        self._options = options
        self._store = store
        self._storage = storage

    def manifest(self, request: Request, repo: str, selector: str) -> Answer:
        """GET or HEAD of a manifest, by tag or digest."""
        if request.method == "HEAD" and not self._options.head_manifests:
            raise Refusal(Code.NOT_FOUND)
        if self._options.dashed_digests and selector not in self._store.tags(repo):
            selector = _DASHED.sub(r"sha256:\1", selector)
        digest, manifest = self._store.manifest(repo, selector)
        if not _accepts(request, manifest.media_type):
            raise Refusal(
                Code.MANIFEST_UNKNOWN,
                f"{manifest.media_type} found, but the Accept header does not name it",
            )
        return bytes_answer(
            200,
            manifest.data,
            (("Content-Type", manifest.media_type), *self._digest_header(digest)),
        )

    def blob(self, request: Request, repo: str, digest_text: str) -> Answer:
        """GET or HEAD of a blob, or GET of a range of it."""
        digest = checked_digest(digest_text)
        content = self._store.blob(repo, digest)
        if self._options.redirects_blobs and request.method == "GET":
            return Answer(307, (("Location", f"{self._storage}/{repo}/{digest}?signed=GET"),))
        if request.method == "HEAD" and not self._options.head_blobs:
            raise Refusal(Code.DENIED, "this address was signed for GET")
        if self._options.redirect_blobs_to and (
            request.method == "GET" or self._options.redirects_heads
        ):
            location = f"http://{self._options.redirect_blobs_to}/v2/{repo}/blobs/{digest}"
            return Answer(307, (("Location", location),))
        return self._send_blob(request, content, digest)

    def stored(self, request: Request) -> Answer:
        """A blob at the address that `redirects_blobs` leads to."""
        if "authorization" in request.headers:
            raise Refusal(Code.UNSUPPORTED, "only one authentication is allowed", status=400)
        if request.method != "GET" or request.parameter("signed") != "GET":
            raise Refusal(Code.DENIED, "this address was signed for GET")
        repo, _, digest = request.path.removeprefix(STORAGE).rpartition("/")
        content = self._store.blob(repo, checked_digest(digest))
        return self._send_blob(request, content, digest)

    def _send_blob(self, request: Request, content: Content, digest: str) -> Answer:
        headers: Headers = (
            ("Content-Type", "application/octet-stream"),
            ("Accept-Ranges", "bytes"),
            *self._digest_header(digest),
        )
        found = parse_download_range(request.headers.get("range"), content.size)
        if found is None or request.method == "HEAD":
            return Answer(200, headers, Body(content.size, content.iter_range(0, content.size)))
        start, stop = found
        return Answer(
            206,
            (*headers, ("Content-Range", f"bytes {start}-{stop - 1}/{content.size}")),
            Body(stop - start, content.iter_range(start, stop)),
        )

    def tags(self, request: Request, repo: str, _: str) -> Answer:
        """`tags/list`, in pages."""
        listed = self._store.listed_tags(repo)
        if not listed and not self._options.lists_empty:
            raise Refusal(Code.NAME_UNKNOWN)
        names, headers = self._page(request, listed, f"/v2/{repo}/tags/list")
        document: dict[str, object] = {"name": repo, "tags": names}
        if self._options.lists_manifests:
            document["manifest"] = {
                digest: {"tag": self._store.tags_of(repo, digest), "timeUploadedMs": _UPLOADED}
                for digest in self._store.manifests(repo)
            }
        return json_answer(200, document, headers)

    def catalog(self, request: Request) -> Answer:
        """`_catalog`, an endpoint of distribution that is not in the specification."""
        if not self._options.catalog:
            raise Refusal(Code.NOT_FOUND)
        names, headers = self._page(request, self._store.names(), "/v2/_catalog")
        return json_answer(200, {"repositories": names}, headers)

    def referrers(self, request: Request, repo: str, digest_text: str) -> Answer:
        """The referrers of a digest: an index of the manifests whose subject it is."""
        if not self._options.referrers:
            status = self._options.referrers_status
            headers: Headers = (("Location", LOGIN),) if 300 <= status < 400 else ()
            raise Refusal(Code.NOT_FOUND, status=status, headers=headers)
        found = self._store.referrers(repo, checked_digest(digest_text))
        headers = (("Content-Type", mediatypes.OCI_INDEX),)
        wanted = request.parameter("artifactType")
        if wanted is not None:
            found = [descriptor for descriptor in found if descriptor["artifactType"] == wanted]
            headers = (*headers, ("OCI-Filters-Applied", "artifactType"))
        document = {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": found}
        answer = json_answer(200, document)
        return Answer(200, headers, answer.body)

    def _digest_header(self, digest: str) -> Headers:
        return (("Docker-Content-Digest", digest),) if self._options.digest_headers else ()

    def _page(self, request: Request, names: Iterable[str], path: str) -> tuple[list[str], Headers]:
        options = self._options
        if options.strict_accept and not _accepts(request, "application/json"):
            raise Refusal(Code.UNSUPPORTED, "not acceptable", status=406)
        text = request.parameter("n")
        asked = options.page_size if text is None else parse_decimal(text)
        most = options.most_asked
        if asked is None:
            raise Refusal(Code.UNSUPPORTED, f"n={text} is no number", status=400)
        if text is not None and most is not None and asked > most:
            raise Refusal(Code.PAGINATION_NUMBER_INVALID, f"n={text} is more than {most}")
        if not options.last:
            return list(names), ()
        size = min(asked, options.page_size)
        last = request.parameter("last")
        left = [name for name in names if last is None or name > last]
        page = left[:size]
        if not page or len(left) == len(page) or not options.links:
            return page, ()
        link = f'<{path}?n={size}&last={quote(page[-1])}>; rel="next"'
        return page, (("Link", link),)


def _accepts(request: Request, media_type: str) -> bool:
    """Whether the Accept header names `media_type`; without the header, every type is accepted."""
    header = request.headers.get("accept")
    if header is None:
        return True
    named = {part.partition(";")[0].strip() for part in header.split(",")}
    return not named.isdisjoint({media_type, "*/*", "application/*"})
