"""One parser under atheris, which looks for inputs that reach new code.

usage: python -m tests.fuzz.harness PARSER [LIBFUZZER OPTIONS] FOLDER...

It ends with the first input that raises an error which the parser does not document, or takes more
lines of Python than its length allows; libFuzzer keeps the input as `crash-...` where
`-artifact_prefix` says. Such an input belongs into tests/fuzz/corpus, with the parser's name.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["squashproxy"]):
    from tests.fuzz.parsers import PARSERS


def main() -> None:
    """The command line."""
    name, *options = sys.argv[1:]
    parser = PARSERS[name]

    def look(data: bytes) -> None:
        parser.accepts(data)

    atheris.Setup([sys.argv[0], *options], look)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
