"""An order as a job of the fleet: what a server asks for, and what a worker makes of it.

A job names what the configuration allows and holds no credentials: who can write to the broker
can have images squashed that the rules squash, and nothing else. So an order says only *how* its
source is read: with the credentials of the worker's own configuration, or with none. Orders of
callers with a login are none of the fleet's (`fits_fleet`).
"""

from __future__ import annotations

from dataclasses import dataclass

from squashproxy.digest import Digest, parse_digest
from squashproxy.errors import FormatError, SquashproxyError
from squashproxy.fleet.job import JobBody, JobKind, JobRequest, QueueName
from squashproxy.oci.descriptor import Json
from squashproxy.reference import Repository, parse_repository
from squashproxy.server.auth.caller import ANYONE, Caller
from squashproxy.server.jobs.job import SquashOrder
from squashproxy.server.jobs.policy import terms_of
from squashproxy.server.store.base import SquashKey, SquashRecord, parse_record

NOBODY = Caller(login=("", ""))
"""A caller without credentials: upstream is asked without any, not with the server's."""


@dataclass(frozen=True, slots=True)
class FleetOrder:
    """What the body of a job says: the key, the source's name for people, and how it is read.

    `store` is the place of the store that the result belongs into, `terms` as of `terms_of`.
    """

    key: SquashKey
    image: str
    store: str
    terms: str
    is_anonymous: bool

    @property
    def caller(self) -> Caller:
        """The caller whose credentials read the source: the configuration's, or none."""
        return NOBODY if self.is_anonymous else ANYONE


def fits_fleet(order: SquashOrder) -> bool:
    """Whether a worker may do it: not with the login of a caller, which stays in this process."""
    return order.caller.login is None or order.caller.login == NOBODY.login


def request_of(order: SquashOrder, store: str) -> JobRequest:
    """The job for an order that fits; the same for all servers of one store."""
    key = order.key
    terms = terms_of(order.options, key.repository)
    access = "own" if order.caller.login is None else "anonymous"
    body: Json = {
        "repository": str(key.repository),
        "source": key.source,
        "options": key.options,
        "image": order.image,
        "store": store,
        "terms": terms,
        "access": access,
    }
    words = (store, str(key.repository), key.source, key.options, terms, access)
    return JobRequest(JobKind.SQUASH, " ".join(words), order.image, body, QueueName.INTERACTIVE)


def read_order(body: JobBody) -> FleetOrder:
    """The order in the body of a job. Raises FormatError for a body that is none."""
    try:
        names = ("repository", "options", "image", "store", "terms")
        fields = {name: body[name] for name in names}
        if not all(isinstance(value, str) for value in fields.values()):
            raise FormatError("the body of a squash job holds something else than texts")
        repository: Repository = parse_repository(fields["repository"])
        source: Digest = parse_digest(body["source"])
        is_anonymous = {"own": False, "anonymous": True}[body["access"]]
    except (KeyError, TypeError, ValueError, SquashproxyError) as error:
        raise FormatError(f"the body of a squash job cannot be read: {error}") from error
    key = SquashKey(repository, source, fields["options"])
    return FleetOrder(key, fields["image"], fields["store"], fields["terms"], is_anonymous)


@dataclass(frozen=True, slots=True)
class SquashResult:
    """The result of a job: the squashed image, and the bytes that came from upstream for it."""

    record: SquashRecord
    fetched: int

    def to_json(self) -> Json:
        """The form for `read_result`."""
        return {"record": self.record.to_json(), "fetched": self.fetched}


def read_result(document: JobBody) -> SquashResult:
    """The result that a worker gave. Raises FormatError for something else."""
    try:
        return SquashResult(parse_record(document["record"]), int(document["fetched"]))
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"the result of a squash job cannot be read: {error}") from error
