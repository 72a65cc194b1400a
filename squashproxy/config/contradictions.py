"""Contradictions between several values of a configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from squashproxy.config.cleanup import Action, CleanupRule
from squashproxy.config.configuration import Configuration
from squashproxy.config.document import Document
from squashproxy.config.engine import EngineKind, EngineSettings
from squashproxy.config.promote import OnExisting, PromoteRule, Signed, TagSelection
from squashproxy.config.serve import DirectoryStoreSettings, ServeSettings
from squashproxy.config.succession import Route, Succession, samples_of
from squashproxy.pipeline.mode import Mode, PruneThreshold
from squashproxy.reference import parse_host
from squashproxy.rules.target_template import base_repository

_ONLY_SQUASHED = "which only cuts a squashed layer; leave it out, or write mode: squash"
_ONLY_PRUNED = "which only shapes pruned layers; leave it out, or write mode: prune"
_SHAPING = (
    *("base", "base_repos", "compression", "strict", "provenance", "signed", "originals"),
    *("prune_over", "max_layer_size"),
)
"""Keys of a promotion rule that mean nothing where no byte changes."""

_SERVING = ("base", "platforms", "compression", "prune_over", "max_layer_size")

Rules = Sequence[PromoteRule | CleanupRule]


def contradictions_of(found: Configuration, document: Document) -> Iterator[str]:
    """A sentence for each contradiction, with file and line."""
    yield from _twice(("registries",), document)
    yield from _twice(("serve", "upstreams"), document)
    yield from _strange_rules("promote", found.promote, document)
    yield from _strange_rules("cleanup", found.cleanup, document)
    yield from _strange_promotions(found.promote, document)
    yield from _strange_cleanups(found.cleanup, document)
    yield from _strange_engine(found.engine, document.at(("engine",)))
    serve = found.serve
    if serve is None:
        return
    if found.engine.kind is EngineKind.CELERY and isinstance(serve.store, DirectoryStoreSettings):
        yield (
            f"{document.at(('serve', 'store'))}: engine.kind is celery, and workers cannot write "
            "to the folder of serve.store; write {registry: HOST/REPO}, or engine: {kind: local}"
        )
    there = " or ".join(sorted(serve.upstreams))
    for host, upstream in serve.upstreams.items():
        if (upstream.username is None) != (upstream.password is None):
            at = document.at(("serve", "upstreams", host))
            yield f"{at}: {host} has one of username and password; write both, or none"
    for number, listener in enumerate(serve.listen):
        if listener.upstream is not None and listener.upstream not in serve.upstreams:
            at = document.at(("serve", "listen", number))
            yield f"{at}: {listener.upstream} is not among the upstreams; write {there}"
    yield from _strange_rules_of_serve(serve, document)
    yield from _strange_images(serve, document, there)


def _strange_engine(engine: EngineSettings, at: str) -> Iterator[str]:
    if engine.kind is EngineKind.CELERY and engine.broker is None:
        yield f"{at}: engine.kind is celery, which needs 'broker'; write it"
    written = None if engine.broker is None else urlsplit(engine.broker).password
    if written is not None and engine.password is not None:
        yield f"{at}: engine.broker and engine.password hold a password each; write one of them"


def _twice(path: tuple[str, ...], document: Document) -> Iterator[str]:
    """Find hosts that occur twice, as Docker Hub may by its several names: the last would win."""
    hosts: Any = document.data
    for part in path:
        hosts = (hosts or {}).get(part)
    seen: dict[str, str] = {}
    for key in hosts or {}:
        other = seen.setdefault(parse_host(key), key)
        if other != key:
            yield f"{document.at((*path, key))}: {key} is {other} again; leave one of them out"


def _strange_rules(section: str, rules: Rules, document: Document) -> Iterator[str]:
    names = Counter(rule.name for rule in rules)
    for number, rule in enumerate(rules):
        at = document.at((section, number))
        if rule.max_layer_size is not None and rule.mode is Mode.PRUNE:
            yield f"{at}: {rule.name} has max_layer_size, {_ONLY_SQUASHED}"
        if rule.mode is Mode.SQUASH and rule.prune_over != PruneThreshold():
            yield f"{at}: {rule.name} has prune_over, {_ONLY_PRUNED}"
        if rule.schedule is not None and rule.every is not None:
            yield f"{at}: {rule.name} has both schedule and every; write one of them"
        if rule.timetable is None and (rule.jitter or rule.timezone is not None):
            yield f"{at}: {rule.name} has a timezone or jitter, but no schedule; write one"
        if rule.every is not None and rule.timezone is not None:
            yield f"{at}: {rule.name} runs every so often, in any timezone; leave that out"
        if names[rule.name] > 1:
            yield f"{at}: {rule.name} is the name of {names[rule.name]} rules; give each its own"


def _strange_promotions(rules: Sequence[PromoteRule], document: Document) -> Iterator[str]:
    for number, rule in enumerate(rules):
        at = document.at(("promote", number))
        if (rule.source is None) == (not rule.pins):
            yield f"{at}: {rule.name} needs one of 'from' and 'pins'; write that one"
        if rule.pins and rule.tags != TagSelection():
            yield f"{at}: {rule.name} has pins, which name their tags; leave 'tags' out"
        if rule.pins and rule.mirror_deletions is not None:
            yield f"{at}: {rule.name} has pins, so nothing is mirrored; leave that out"
        yield from _strange_mode(rule, number, document)
        if (
            rule.signed is Signed.COPY
            and rule.on_existing is OnExisting.BACKUP
            and rule.originals == rule.backup
        ):
            yield (
                f"{at}: {rule.name} has one template for originals and backups, {rule.backup!r}; "
                "write another one for either"
            )
    yield from _strange_routes(rules, document)


def _strange_mode(rule: PromoteRule, number: int, document: Document) -> Iterator[str]:
    at = document.at(("promote", number))
    if rule.mode is not Mode.COPY:
        if rule.referrers is not None:
            yield (
                f"{at}: {rule.name} has referrers, which belong to the digest that only mode: copy "
                "keeps; write that, or leave them out"
            )
        return
    yield from _meaningless(at, rule.name, document.data["promote"][number], _SHAPING)
    if len(rule.platforms) > 1:
        yield (
            f"{at}: {rule.name} has mode: copy and several platforms, but an index with only some "
            "of its images is another index; write one platform, or none to copy all"
        )


def _meaningless(
    at: str, name: str, written: Mapping[str, Any], keys: Sequence[str]
) -> Iterator[str]:
    """Keys that are written although nothing is shaped."""
    found = [key for key in keys if key in written]
    if found:
        verb, them = ("means", "it") if len(found) == 1 else ("mean", "them")
        yield (
            f"{at}: {name} has mode: copy, which changes no byte, so {' and '.join(found)} {verb} "
            f"nothing; leave {them} out"
        )


def _strange_routes(rules: Sequence[PromoteRule], document: Document) -> Iterator[str]:
    """Find targets that cannot be filled in, and rules that promote their own results forever."""
    routes: list[Route] = []
    places: dict[str, str] = {}
    for number, rule in enumerate(rules):
        places[rule.name] = at = document.at(("promote", number))
        try:
            route = Route(rule)
            for text in rule.base_repos:
                base_repository(text, route.template.host)
        except ValueError as error:
            yield f"{at}: {rule.name}: {error}"
        else:
            routes.append(route)
    succession = Succession(tuple(routes))
    told: set[frozenset[str]] = set()
    for route in routes:
        for name in samples_of(route):
            trouble = succession.trouble_with(name)
            if trouble is not None and told.isdisjoint({trouble.rules}):
                told.add(trouble.rules)
                yield f"{places[route.rule.name]}: {trouble}"


def _strange_cleanups(rules: Sequence[CleanupRule], document: Document) -> Iterator[str]:
    for number, rule in enumerate(rules):
        at = document.at(("cleanup", number))
        if rule.action is Action.DELETE and not rule.keep.keeps_anything:
            yield f"{at}: {rule.name} deletes and keeps nothing; write what to keep"
        if rule.action is Action.DELETE and rule.sign is not None:
            yield f"{at}: {rule.name} only deletes, so there is nothing to sign; leave sign out"
        if rule.mode is Mode.COPY:
            yield f"{at}: {rule.name} has mode: copy, which changes nothing; write squash or prune"
        if rule.keep.group is not None and rule.keep.newest is None:
            yield f"{at}: {rule.name} has keep.group without keep.newest; write how many"


def _strange_rules_of_serve(serve: ServeSettings, document: Document) -> Iterator[str]:
    for number, rule in enumerate(serve.rules):
        place = ("serve", "rules", number)
        if rule.signed_as and not rule.require_signature:
            yield (
                f"{document.at(place)}: the rule for {rule.match} has signed_as without "
                "require_signature, so no signature is looked at; write the keys, or leave it out"
            )
        if rule.mode is not Mode.COPY:
            continue
        written = document.data["serve"]["rules"][number]
        yield from _meaningless(document.at(place), f"the rule for {rule.match}", written, _SERVING)
        if written.get("squash"):
            yield (
                f"{document.at(place)}: the rule for {rule.match} has mode: copy and squash: true; "
                "leave one of them out"
            )


def _strange_images(serve: ServeSettings, document: Document, there: str) -> Iterator[str]:
    for number, rule in enumerate(serve.rules):
        if rule.max_layer_size is not None and rule.mode is Mode.PRUNE:
            at = document.at(("serve", "rules", number))
            yield f"{at}: {rule.match} has max_layer_size, {_ONLY_SQUASHED}"
        if rule.mode is Mode.SQUASH and rule.prune_over != PruneThreshold():
            at = document.at(("serve", "rules", number))
            yield f"{at}: {rule.match} has prune_over, {_ONLY_PRUNED}"
    for number, image in enumerate(serve.warm.images):
        if image.repository.host not in serve.upstreams:
            at = document.at(("serve", "warm", "images", number))
            host = image.repository.host
            yield f"{at}: {image} is of {host}, which is not among the upstreams; write {there}"
