"""A real browser, and pages that must be no trouble in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Browser, Page, sync_playwright

_CHROMIUM = shutil.which("chromium")
_ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@contextmanager
def run_browser() -> Iterator[Browser]:
    """Debian's chromium, which asks nobody for anything by itself."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_ARGUMENTS)
        yield browser
        browser.close()


@dataclass(slots=True)
class Sheet:
    """A page, and everything that it should not do: complain, open dialogs, ask elsewhere.

    `allowed` are the beginnings of the URLs that it may ask for.
    """

    page: Page
    allowed: tuple[str, ...]
    troubles: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Write troubles down from now on."""
        self.page.on("console", lambda message: self.troubles.append(message.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("dialog", lambda dialog: self.troubles.append(dialog.message))
        self.page.on("request", lambda request: self._check(request.url))

    def _check(self, url: str) -> None:
        if not url.startswith(self.allowed):
            self.troubles.append(url)
