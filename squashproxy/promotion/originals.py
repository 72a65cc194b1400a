"""Copying the original of a signed image beside the squashed one, with everything that refers to
it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from squashproxy.cancellation import Cancellation
from squashproxy.config.promote import OnExisting
from squashproxy.digest import Digest
from squashproxy.oci.manifest import ImageIndex, RawManifest, parse_json_object, parse_manifest
from squashproxy.pipeline.backup import write_backup
from squashproxy.pipeline.exact.copier import ExactCopier
from squashproxy.progress import Observer
from squashproxy.promotion.steps import Collision, Place, Step
from squashproxy.registry.client import RegistryClient
from squashproxy.transports.documents import short
from squashproxy.transports.registry import RegistrySink, RegistrySource


@dataclass(frozen=True, slots=True)
class OriginalCopy:
    """Copies the original of a step. Its digest stays the same, so its signatures stay valid."""

    client: RegistryClient
    step: Step
    place: Place
    observer: Observer
    cancellation: Cancellation

    def copy(self) -> list[str]:
        """Copy the original and its referrers; the tag moves last. Returns warnings.

        Raises Collision where somebody took the tag in the meantime, BackupTaken, and
        SquashproxyError.
        """
        step, digest = self.step, self.place.digest
        assert digest is not None, "an original is known by its digest"
        source = RegistrySource(self.client, step.source.at(digest))
        sink = RegistrySink(self.client, self.place.name)
        self._check_place(sink)
        copier = ExactCopier(source, sink, self.observer, self.cancellation, step.options.jobs)
        raw = copier.copy(digest)
        for referrer in step.attached.referrers:
            sink.write_referrer(copier.copy(referrer))
        warnings = list(self._bring_tags(copier, sink))
        if step.attached.untold:
            warnings.append(
                f"{step.source} has {step.attached}: what refers to these may stay behind"
            )
        there = self._check_place(sink)
        if there is not None and there != digest and step.rule.on_existing is OnExisting.BACKUP:
            spare = next(each.name.tag for each in step.beside if each.digest == there)
            write_backup(sink, there, spare or "")
        sink.publish(raw)
        return warnings

    def _check_place(self, sink: RegistrySink) -> Digest | None:
        """What the original's tag points to. Raises Collision if that changed since the plan."""
        there = sink.find_manifest()
        if there in (None, self.place.digest, self.place.there):
            return there
        raise Collision(
            f"{self.place.name}, where the original of {self.step.source} would go, was pushed to "
            "meanwhile; its push was left"
        )

    def _bring_tags(self, copier: ExactCopier, sink: RegistrySink) -> Iterator[str]:
        """Copy the tags that belong to the original: signatures, and lists of referrers.

        A list is merged into the one at the target, which may have further entries.
        """
        remote = self.client.repository(self.step.source.repository)
        for tag in self.step.attached.tags:
            raw = copier.copy(remote.get_manifest(tag).digest)
            if "." not in tag and self._join_list(raw, copier, sink):
                continue
            there = sink.find_manifest(tag)
            policy = self.step.rule.on_existing
            if there in (None, raw.digest) or policy is OnExisting.REPLACE:
                sink.write_manifest(raw, tag)
            else:
                yield (
                    f"{sink.repository}:{tag} points to something else than at the source, and was "
                    f"left, because of on_existing: {policy.value}"
                )

    def _join_list(self, raw: RawManifest, copier: ExactCopier, sink: RegistrySink) -> bool:
        """Write the manifests of a list as referrers; False if `raw` is not such a list.

        Lists of referrers are stored under a tag without a suffix (referrers tag schema).
        """
        parsed = parse_manifest(raw, f"the list of referrers {short(raw.digest)}")
        if not isinstance(parsed, ImageIndex):
            return False
        found = [copier.copy(child.descriptor.digest) for child in parsed.children]
        if any("subject" not in parse_json_object(each.data, "a referrer") for each in found):
            return False
        for each in found:
            sink.write_referrer(each)
        return True
