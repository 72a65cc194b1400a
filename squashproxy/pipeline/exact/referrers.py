"""The referrers of an image: found at the source, compared with the target, and copied.

Sources: distribution specification 1.1, listing referrers and referrers tag schema; cosign keeps
signatures, attestations and bills of material under tags that begin with `sha256-HEX`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from squashproxy.digest import Digest
from squashproxy.errors import FormatError, NotFound
from squashproxy.oci.manifest import (
    ImageIndex,
    RawManifest,
    parse_json_object,
    parse_manifest,
)
from squashproxy.oci.mediatypes import INDEXES
from squashproxy.pipeline.exact.choice import iter_manifests
from squashproxy.pipeline.exact.copier import ExactCopier
from squashproxy.pipeline.results import ReferrerCopy
from squashproxy.registry.referrers import fallback_tag
from squashproxy.transports.base import ImageSink, ImageSource, ReferrerSink, ReferrerSource
from squashproxy.transports.documents import short

_MOST_CHAINED = 8
"""A signature of a bill of material of an image is a chain of 2."""


@dataclass(frozen=True, slots=True)
class Referrer:
    """A manifest and the manifest that it refers to."""

    digest: Digest
    subject: Digest


@dataclass(frozen=True, slots=True)
class Companion:
    """A tag that belongs to the manifest `subject` by its name, and what it points to."""

    tag: str
    digest: Digest
    subject: Digest


@dataclass(slots=True)
class Referrers:
    """What refers to an image, and to what refers to it; subjects come before their referrers."""

    referrers: list[Referrer] = field(default_factory=list)
    companions: list[Companion] = field(default_factory=list)

    def is_all_at(self, sink: ImageSink, *, keeps_tags: bool) -> bool:
        """Whether the sink holds and lists all of them.

        With `keeps_tags`, a tag that points elsewhere there counts as held. Costs a list for each
        subject, and a HEAD for each tag. Raises ReferrersUnknown and other RegistryErrors.
        """
        assert isinstance(sink, ReferrerSink), "check_fit lets no other sink through"
        wanted: defaultdict[Digest, set[Digest]] = defaultdict(set)
        for each in self.referrers:
            wanted[each.subject].add(each.digest)
        return all(
            digests <= {there.digest for there in sink.list_referrers(subject)}
            for subject, digests in wanted.items()
        ) and all(_stands(sink, each, keeps_tags=keeps_tags) for each in self.companions)


def _stands(sink: ImageSink, companion: Companion, *, keeps_tags: bool) -> bool:
    there = sink.find_manifest(companion.tag)
    return there == companion.digest or (keeps_tags and there is not None)


def find_referrers(source: ImageSource, digest: Digest, warn: Callable[[str], None]) -> Referrers:
    """Find what refers to a manifest or to anything below it, and to that, and so on.

    Costs the image's manifests, and a list of referrers for each of them; of a repository whose
    tags are not known, also its list of tags. Raises ReferrersUnknown where a registry does not
    tell, and FormatError for lists that go in a circle or too deep.
    """
    return _Search(source, warn).run(digest)


class _Search:
    """Follows lists of referrers from manifest to manifest; each is visited once."""

    def __init__(self, source: ImageSource, warn: Callable[[str], None]) -> None:
        assert isinstance(source, ReferrerSource), "check_source lets no other source through"
        self._source = source
        self._lists: ReferrerSource = source
        self._warn = warn
        self._found = Referrers()
        self._seen: set[Digest] = set()
        self._by_tag: dict[Digest, list[Digest] | None] = {}

    def run(self, digest: Digest) -> Referrers:
        """Everything that refers to `digest`, directly or not."""
        for each in iter_manifests(self._source, digest):
            self._visit(each.digest, (each.digest,))
        return self._found

    def _visit(self, subject: Digest, path: tuple[Digest, ...]) -> None:
        if subject in self._seen:
            return
        self._seen.add(subject)
        if len(path) > _MOST_CHAINED + 1:
            raise FormatError(
                f"{self._source.name}: more than {_MOST_CHAINED} referrers refer one to the other, "
                f"down to {path[0]}",
                advice="leave {referrers} out, or copy them one by one",
            )
        for companion in self._companions_of(subject):
            self._found.companions.append(companion)
            if companion.digest not in path:  # some tag an image by its own digest
                self._follow(companion.digest, path)
        for referrer in self._referrers_of(subject):
            self._found.referrers.append(Referrer(referrer, subject))
            self._follow(referrer, path)

    def _follow(self, digest: Digest, path: tuple[Digest, ...]) -> None:
        if digest in path:
            raise FormatError(
                f"{self._source.name}: the referrers of {short(digest)} go in a circle, back to it",
                advice="leave {referrers} out, or have the registry's list mended",
            )
        self._visit(digest, (*path, digest))

    def _referrers_of(self, subject: Digest) -> list[Digest]:
        listed = self._lists.list_referrers(subject) or ()
        found = [each.digest for each in listed]
        if fallback_tag(subject) in self._lists.companion_tags(subject):
            found += self._listed_by_tag(subject) or ()
        return list(dict.fromkeys(found))

    def _companions_of(self, subject: Digest) -> Iterator[Companion]:
        """The tags that are copied as tags: all but the list of referrers, which is joined."""
        for tag in self._lists.companion_tags(subject):
            if tag == fallback_tag(subject) and self._listed_by_tag(subject) is not None:
                continue
            found = self._lists.find_tag(tag)
            if found is not None:
                yield Companion(tag, found, subject)

    def _listed_by_tag(self, subject: Digest) -> list[Digest] | None:
        """The referrers in the list under a tag.

        None where what is under the tag is no such list: not an index of manifests that all have
        this subject.
        """
        if subject not in self._by_tag:
            self._by_tag[subject] = self._read_list(subject)
        return self._by_tag[subject]

    def _read_list(self, subject: Digest) -> list[Digest] | None:
        tag = fallback_tag(subject)
        found = self._lists.find_tag(tag)
        if found is None:
            return []
        where = f"{tag} of {self._source.name}"
        index = parse_manifest(self._source.read_manifest(found), where)
        if not isinstance(index, ImageIndex):
            return None
        raws = [self._read_listed(child.descriptor.digest, where) for child in index.children]
        there = [raw for raw in raws if raw is not None]
        return [raw.digest for raw in there] if _all_refer_to(subject, there) else None

    def _read_listed(self, digest: Digest, where: str) -> RawManifest | None:
        """A manifest of a list that clients keep; None for one that was deleted meanwhile."""
        try:
            return self._source.read_manifest(digest)
        except NotFound:
            self._warn(f"{where} lists {short(digest)}, which is gone and was left out")
            return None


def _all_refer_to(subject: Digest, raws: Sequence[RawManifest]) -> bool:
    return all(_refers_to(raw) == subject for raw in raws)


def _refers_to(raw: RawManifest) -> str | None:
    subject = parse_json_object(raw.data, "a referrer").get("subject")
    return str(subject.get("digest")) if isinstance(subject, dict) else None


@dataclass(frozen=True, slots=True)
class ReferrerCopier:
    """Copies referrers with an image's `copier`.

    With `keeps_tags`, a tag that points elsewhere at the target is left there.
    """

    source: ImageSource
    sink: ImageSink
    copier: ExactCopier
    keeps_tags: bool
    warn: Callable[[str], None]

    def copy(self, found: Referrers) -> tuple[ReferrerCopy, ...]:
        """Copy them; those of the image come before those of its referrers. No tag of the image
        moves.

        Raises FormatError for a manifest that does not refer to what it is listed for.
        """
        assert isinstance(self.sink, ReferrerSink), "check_fit lets no other sink through"
        sink = self.sink
        moving = [each for each in found.companions if not self._is_left(each)]
        return (
            *(self._copy_referrer(sink, each) for each in found.referrers),
            *(self._copy_companion(sink, each) for each in moving),
        )

    def _copy_referrer(self, sink: ReferrerSink, referrer: Referrer) -> ReferrerCopy:
        before = len(self.copier.copies)
        raw = self.copier.copy(referrer.digest)
        subject = _refers_to(raw)
        if subject != referrer.subject:
            says = f"it refers to {subject}" if subject else "it refers to nothing"
            raise FormatError(
                f"{self.source.name}: {short(referrer.digest)} is listed as a referrer of "
                f"{short(referrer.subject)}, but {says}",
                advice="leave {referrers} out, or have the registry's list mended",
            )
        sink.write_referrer(raw)
        return self._told(raw, referrer.subject, None, before)

    def _copy_companion(self, sink: ReferrerSink, companion: Companion) -> ReferrerCopy:
        before = len(self.copier.copies)
        raw = self.copier.copy(companion.digest)
        sink.write_companion(raw, companion.tag)
        return self._told(raw, companion.subject, companion.tag, before)

    def _is_left(self, companion: Companion) -> bool:
        if not self.keeps_tags:
            return False
        there = self.sink.find_manifest(companion.tag)
        if there in (None, companion.digest):
            return False
        self.warn(
            f"the tag {companion.tag} beside {self.sink.name} points to something else than at the "
            "source, and was left"
        )
        return True

    def _told(
        self, raw: RawManifest, subject: Digest, tag: str | None, before: int
    ) -> ReferrerCopy:
        uploaded = sum(each.uploaded_bytes for each in self.copier.copies[before:])
        return ReferrerCopy(raw.digest, subject, tag, _type_of(raw), uploaded)


def _type_of(raw: RawManifest) -> str:
    """The artifact type: the manifest's own, or else its config's media type."""
    if raw.media_type in INDEXES:
        return raw.media_type
    document = parse_json_object(raw.data, "a referrer")
    config = document.get("config")
    own = config.get("mediaType") if isinstance(config, dict) else None
    return str(document.get("artifactType") or own or raw.media_type)
