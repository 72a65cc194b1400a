"""The floor of any squash: fetch, sha256, inflate, sha256, one after another in one thread.

    python -m tests.bench.floor HOST REPOSITORY TAG KEPT

Reads the layers above the first KEPT; writes nothing anywhere.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import sys
from typing import Any

from zlib_ng import zlib_ng

_PIECE = 256 << 10
_ACCEPT = "application/vnd.oci.image.manifest.v1+json"


def main(host: str, repository: str, tag: str, kept: int) -> None:
    """Read every layer once."""
    connection = http.client.HTTPConnection(host)
    connection.request("GET", f"/v2/{repository}/manifests/{tag}", headers={"Accept": _ACCEPT})
    manifest: dict[str, Any] = json.loads(connection.getresponse().read())
    for layer in manifest["layers"][kept:]:
        connection.request("GET", f"/v2/{repository}/blobs/{layer['digest']}")
        _read(connection.getresponse())


def _read(response: http.client.HTTPResponse) -> None:
    packed, tar = hashlib.sha256(), hashlib.sha256()
    inflater = zlib_ng.decompressobj(31)
    while piece := response.read(_PIECE):
        packed.update(piece)
        while piece and not inflater.eof:
            tar.update(inflater.decompress(piece, _PIECE))
            piece = inflater.unconsumed_tail


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
