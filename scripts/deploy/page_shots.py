"""Opens a running bridge's page in headless Chromium, on a desk and on a phone, and keeps pictures of it.

    python page_shots.py http://127.0.0.1:8080 DIRECTORY

Needs scripts/setup/tools.sh browser, whose Python runs this. Fails when the page has an error, loads something from outside,
shows nothing, or is wider than the screen.

Called by `scripts/deploy/live.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright  # type: ignore[import-not-found]

SCREENS: dict[str, dict[str, Any]] = {
    "desk": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "is_mobile": True},
}


def look(page: Any, url: str) -> list[str]:
    """Open the page; what is wrong with it."""
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith((url, "data:")) else wrong.append(request.url))
    page.goto(url)
    page.wait_for_function("document.querySelectorAll('#tiles .tile').length >= 6")
    page.wait_for_timeout(2_500)
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        wrong.append("the page is wider than the screen")
    if page.title() == "bridge":
        wrong.append("the page shows no state")
    return wrong


def main(url: str, directory: str) -> int:
    """Exit code 1 when something is wrong on one of the screens."""
    bad = 0
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for name, screen in SCREENS.items():
            page = browser.new_context(**screen).new_page()
            wrong = look(page, url.rstrip("/") + "/")
            picture = Path(directory) / f"page-{name}.png"
            page.screenshot(path=picture, full_page=True)
            sys.stdout.write(f"{name}: {page.title()}; {picture}\n" + "".join(f"  {line}\n" for line in wrong))
            bad += len(wrong)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
