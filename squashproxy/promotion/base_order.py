"""The order of copies: a base comes before the images that are built on it.

A base is found in a base repository once it is there (pipeline/bases). Where images of a rule go to
one of the rule's own base repositories, an application that is copied before its base would get
layers of its own in place of the base's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from squashproxy.catalog.tags import side_by_side
from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError
from squashproxy.oci.manifest import ImageIndex, ImageManifest, parse_manifest
from squashproxy.promotion.results import ImageOutcome
from squashproxy.promotion.steps import Step
from squashproxy.registry.client import RegistryClient
from squashproxy.transports.index_images import find_leaves
from squashproxy.transports.registry import RegistrySource

_Layers = tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class BaseOrder:
    """The numbers of all steps in the order to begin them, and by number those each waits for.

    A step waits only for steps that come before it in the order.
    """

    order: Sequence[int]
    bases: Mapping[int, Sequence[int]]


def order_steps(steps: Sequence[Step], client: RegistryClient) -> BaseOrder:
    """Order the steps of one rule, bases first.

    Where an image to copy goes to a base repository of the rule, this reads the manifests of all
    images to copy; else it reads nothing. An image whose manifests cannot be read waits for none:
    its own copy tells why.
    """
    copied = [number for number, step in enumerate(steps) if step.outcome is ImageOutcome.COPY]
    if len(copied) < 2 or not any(_is_shared(steps[number]) for number in copied):
        return BaseOrder(range(len(steps)), {})
    read = partial(_layers_of, client)
    found = side_by_side(read, [steps[number] for number in copied])
    images = dict(zip(copied, found, strict=True))
    weights = {number: sum(map(len, images[number])) for number in copied}
    shared = {
        layers: number
        for number in copied
        if _is_shared(steps[number])
        for layers in images[number]
    }
    bases = {
        number: sorted(
            {
                base
                for layers in images[number]
                for count in range(1, len(layers))
                if (base := shared.get(layers[:count], number)) != number
                and weights[base] < weights[number]
            }
        )
        for number in copied
    }
    order = sorted(range(len(steps)), key=lambda number: weights.get(number, 0))
    return BaseOrder(order, bases)


def _is_shared(step: Step) -> bool:
    """Whether a step's image is a base to others of its rule, once it is copied."""
    return step.target.repository in step.options.base_repos


def _layers_of(client: RegistryClient, step: Step) -> frozenset[_Layers]:
    """The layers of each image of a step's source; none where they cannot be read."""
    assert step.source_digest is not None, "what is to be copied was looked at"
    source = RegistrySource(client, step.source.at(step.source_digest))
    try:
        top = parse_manifest(source.read_manifest(), f"the manifest of {source.name}")
        if isinstance(top, ImageManifest):
            return frozenset({_digests(top)})
        return frozenset(_image_layers(source, top, step))
    except SquashproxyError:
        return frozenset()


def _image_layers(source: RegistrySource, index: ImageIndex, step: Step) -> list[_Layers]:
    wanted = step.options.platforms
    children = [each for each in find_leaves(source, index, wanted).children if each.may_be_image]
    manifests = [
        parse_manifest(source.read_manifest(each.descriptor.digest), source.name)
        for each in children
        if each.platform is None or not wanted or any(map(each.platform.matches, wanted))
    ]
    return [_digests(each) for each in manifests if isinstance(each, ImageManifest)]


def _digests(manifest: ImageManifest) -> _Layers:
    return tuple(layer.digest for layer in manifest.layers)
