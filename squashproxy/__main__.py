"""`python -m squashproxy` is the same as `squashproxy`."""

from __future__ import annotations

from squashproxy.cli.main import main

if __name__ == "__main__":
    main()
