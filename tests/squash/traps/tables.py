"""All tables of traps, by name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.squash.trap import Trap
from tests.squash.traps.directories import DIRECTORIES
from tests.squash.traps.duplicates import DUPLICATES
from tests.squash.traps.hard_links import HARD_LINKS
from tests.squash.traps.headers import HEADERS
from tests.squash.traps.kept_base import KEPT_BASE
from tests.squash.traps.leftovers import LEFTOVERS
from tests.squash.traps.lower_links import LOWER_LINKS
from tests.squash.traps.names import NAMES
from tests.squash.traps.plain import PLAIN
from tests.squash.traps.roundabout import ROUNDABOUT
from tests.squash.traps.symlinked_parents import SYMLINKED_PARENTS
from tests.squash.traps.whiteouts import WHITEOUTS

TABLES: Mapping[str, Mapping[str, Trap]] = {
    "plain": PLAIN,
    "hard links": HARD_LINKS,
    "links to lower layers": LOWER_LINKS,
    "whiteouts": WHITEOUTS,
    "directories": DIRECTORIES,
    "symlinked parents": SYMLINKED_PARENTS,
    "duplicates": DUPLICATES,
    "names": NAMES,
    "roundabout names": ROUNDABOUT,
    "headers": HEADERS,
    "aufs": LEFTOVERS,
    "base kept": KEPT_BASE,
}
