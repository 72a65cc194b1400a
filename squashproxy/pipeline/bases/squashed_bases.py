"""Finding the squashed form of an image's base in repositories that hold bases.

A squashed image records the chain ID of its source's layers. If that is the chain ID of an image's
first layers, the squashed image is the base of that image, in another form.

A registry cannot be asked for an annotation, so the images of a repository are read one by one:

1. The tag that the image's own annotations name as its base, in a repository of the same last name,
   is read first. If it is the base, nothing else is read.
2. The tags are listed: a GET for each 1000 of them, and one for the end of the list.
3. Each tag is read with a GET. An index takes another one for the platform's image, and a Docker
   image another one for its config. At most MOST_TAGS of a repository are read.
4. The manifest and the config of a base that was found take two more.

All of this is remembered as long as the object lives, so the images of one run share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from threading import Lock

from squashproxy.errors import BadReference, SquashproxyError
from squashproxy.pipeline.bases.base_image import (
    BASE_NAME,
    SourceOpener,
    counts_by_chain,
    is_scratch,
)
from squashproxy.pipeline.bases.base_repository import (
    MOST_TAGS,
    BaseQuery,
    BaseRepository,
    SquashedBase,
)
from squashproxy.pipeline.image import Image
from squashproxy.progress import Observer
from squashproxy.reference import Repository, parse_reference
from squashproxy.transports.base import ImageSink, TagLister


class SquashedBases:
    """What the images of base repositories record; usable from several threads.

    One object serves the copies of one run. `forget_tag` has to be told what the run itself pushes.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._repositories: dict[Repository, BaseRepository] = {}

    def find_named(
        self,
        image: Image,
        repositories: Sequence[Repository],
        sink: ImageSink,
        open_source: SourceOpener,
    ) -> SquashedBase | None:
        """The base that the annotations of `image` name, in squashed form; see `find`."""
        name, tag = _named(image)
        if tag is None or not isinstance(sink, TagLister):
            return None
        query = BaseQuery(image, counts_by_chain(image), open_source, 1)
        found = [
            self._of(repository).find(query, (tag,), _most(image, repository, sink))
            for repository in repositories
            if repository.host == sink.repository.host and _last(repository) == name
        ]
        return _longest(found)

    def find(
        self,
        image: Image,
        repositories: Sequence[Repository],
        sink: ImageSink,
        open_source: SourceOpener,
        *,
        jobs: int,
        observer: Observer,
    ) -> SquashedBase | None:
        """The base that stands for most layers of `image`; of equals, that found first.

        In the sink's own repository, an image of all layers is no base, but the image itself as it
        was squashed before. A repository that refuses to be searched is a warning. `jobs` tags are
        read at once. Raises temporary errors.
        """
        if not isinstance(sink, TagLister):
            return None
        query = BaseQuery(image, counts_by_chain(image), open_source, jobs)
        found = []
        for repository in dict.fromkeys(repositories):
            most = _most(image, repository, sink)
            try:
                tags = self._of(repository).choose_tags(partial(sink.iter_tags, repository))
                found.append(self._of(repository).find(query, tags, most))
            except SquashproxyError as error:
                if error.temporary:
                    raise
                observer.warn(
                    f"{repository} could not be searched for squashed bases ({error}); ignored"
                )
            if self._of(repository).is_cut:
                observer.warn(
                    f"{repository} has more than {MOST_TAGS} tags, so only the {MOST_TAGS} highest "
                    "were searched for squashed bases"
                )
        return _longest(found)

    def forget_tag(self, repository: Repository, tag: str) -> None:
        """Read a tag again when it is needed next, since another image was pushed to it."""
        self._of(repository).forget_tag(tag)

    def _of(self, repository: Repository) -> BaseRepository:
        with self._lock:
            return self._repositories.setdefault(repository, BaseRepository(repository))


def _named(image: Image) -> tuple[str, str | None]:
    """The last name and the tag of the base that an image names; no tag where it names none."""
    name = image.manifest.annotations.get(BASE_NAME)
    try:
        reference = parse_reference(name) if name and not is_scratch(name) else None
    except BadReference:
        reference = None
    return ("", None) if reference is None else (_last(reference.repository), reference.tag)


def _last(repository: Repository) -> str:
    return repository.path.rpartition("/")[2]


def _most(image: Image, repository: Repository, sink: TagLister) -> int:
    """The most layers that a base from a repository may stand for."""
    return len(image.manifest.layers) - (repository == sink.repository)


def _longest(found: Sequence[SquashedBase | None]) -> SquashedBase | None:
    bases = [base for base in found if base is not None]
    return max(bases, key=lambda base: base.count, default=None)
