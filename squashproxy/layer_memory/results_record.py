"""Results of pruning one layer as a sealed record (codec/sealed.py).

The content begins with its JSON's length in four bytes, little-endian. The JSON is a list of
objects, one for each result, with the lengths of its two columns of ordinals. All columns follow,
as numbers of four bytes.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from typing import Any

from squashproxy.codec.sealed import packed_column, seal, unpacked_column, unseal
from squashproxy.digest import Digest, parse_digest
from squashproxy.errors import FormatError
from squashproxy.layer_memory.pruned_result import Ordinals, PrunedResult
from squashproxy.oci.manifest import encode_json
from squashproxy.oci.mediatypes import Compression

RESULTS_VERSION = 1
"""Increased whenever the form changes."""
MOST_RESULTS = 32
"""The most results of one layer that are kept."""

_MOST_BYTES = 64 << 20
_LENGTH = 4
_ITEM = array("I").itemsize


def encode_results(results: Sequence[PrunedResult], layer: Digest, engine: int) -> bytes:
    """The record of results of `layer`, made by the engine of that number (pipeline/stamp.py)."""
    document = encode_json([_to_json(result) for result in results])
    columns = [
        packed_column(each.column)
        for result in results
        for each in (result.dropped, result.whiteouts)
    ]
    head = len(document).to_bytes(_LENGTH, "little")
    return seal(_label(layer, engine), (head, document, *columns))


def decode_results(record: bytes, layer: Digest, engine: int) -> tuple[PrunedResult, ...]:
    """The results in a record.

    Raises FormatError for a record that is damaged, of another kind, version, layer or engine, or
    makes no sense; its text is the rest of a sentence.
    """
    content = memoryview(unseal(_label(layer, engine), record, _MOST_BYTES))
    end = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
    if end > len(content):
        raise FormatError("holds less than it says")
    try:
        documents = json.loads(bytes(content[_LENGTH:end]))
        columns = content[end:]
        results = []
        for document in documents:
            result, taken = _from_json(document, layer, columns)
            columns = columns[taken:]
            results.append(result)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FormatError("holds no results of pruning") from error
    if len(columns) or len(results) > MOST_RESULTS:
        raise FormatError("holds more than it says")
    return tuple(results)


def _to_json(result: PrunedResult) -> dict[str, Any]:
    return {
        "source_diff_id": result.source_diff_id,
        "dropped": len(result.dropped),
        "whiteouts": len(result.whiteouts),
        "hidden_bytes": result.hidden_bytes,
        "compression": result.compression.value,
        "digest": result.digest,
        "size": result.size,
        "diff_id": result.diff_id,
        "unpacked": result.unpacked,
    }


def _from_json(
    document: dict[str, Any], layer: Digest, columns: memoryview
) -> tuple[PrunedResult, int]:
    """A result, and how many bytes of the columns it takes. Raises ValueError, FormatError etc."""
    middle = _count(document, "dropped") * _ITEM
    end = middle + _count(document, "whiteouts") * _ITEM
    if end > len(columns):
        raise ValueError("columns")
    result = PrunedResult(
        source=layer,
        source_diff_id=parse_digest(document["source_diff_id"]),
        dropped=_ordinals(columns[:middle]),
        whiteouts=_ordinals(columns[middle:end]),
        hidden_bytes=_count(document, "hidden_bytes"),
        compression=Compression(document["compression"]),
        digest=parse_digest(document["digest"]),
        size=_count(document, "size"),
        diff_id=parse_digest(document["diff_id"]),
        unpacked=_count(document, "unpacked"),
    )
    return result, end


def _ordinals(data: memoryview) -> Ordinals:
    column = unpacked_column("I", data)
    ordinals = Ordinals(column)
    if ordinals.column != column:
        raise ValueError("ordinals")
    return ordinals


def _count(document: dict[str, Any], name: str) -> int:
    value = document[name]
    if type(value) is not int or value < 0:
        raise ValueError(name)
    return value


def _label(layer: Digest, engine: int) -> str:
    return f"results {RESULTS_VERSION} by {engine} of {layer}"
