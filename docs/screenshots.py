"""`make screenshots`: pictures of the champion's page from a real server, for a desktop and a phone, and of the report
of its training, each in the light and the dark colour scheme. Needs Chromium (`apt install chromium`).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parent.parent
DESK = {"width": 1280, "height": 960}
PHONE = {"width": 390, "height": 844}


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("chromium is missing: apt install chromium")

    server = subprocess.Popen(
        [str(ROOT / ".venv/bin/python"), "-m", "serve"],
        cwd=ROOT, env={**os.environ, "PORT": "0"}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        lines = [server.stdout.readline() for _ in range(2)]
        address = next((word for word in lines[1].split() if word.startswith("http://")), None)
        if address is None:
            sys.exit("the server did not start: run `make train` first")

        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for name, viewport in (("desk", DESK), ("phone", PHONE)):
                for scheme in ("light", "dark"):
                    photograph(browser, address, viewport, scheme, ROOT / "docs" / f"page-{name}-{scheme}.png")
            for scheme in ("light", "dark"):
                photograph_report(browser, address, scheme, ROOT / "docs" / f"report-{scheme}.png")
            browser.close()
    finally:
        server.terminate()
        server.wait()


def photograph(browser: Browser, address: str, viewport: dict[str, int], scheme: str, place: Path) -> None:
    """Ask for the prediction of an example row and save the picture; on a phone it shows the prediction alone."""
    context = browser.new_context(base_url=address, viewport=viewport, color_scheme=scheme)
    page = context.new_page()
    page.goto("/?example=0")
    page.get_by_role("button", name="Predict").click()
    page.locator(".headline").wait_for()

    if viewport is PHONE:
        page.locator(".answer").evaluate("part => part.scrollIntoView()")
    else:
        page.evaluate("window.scrollTo(0, 0)")

    page.screenshot(path=str(place))
    print(place.relative_to(ROOT))
    context.close()


def photograph_report(browser: Browser, address: str, scheme: str, place: Path) -> None:
    """Save the pictures of the report that show how good the model is on the holdout."""
    context = browser.new_context(base_url=address, viewport=DESK, color_scheme=scheme, reduced_motion="reduce")
    page = context.new_page()
    page.goto("/model/report#holdout")
    page.screenshot(path=str(place))
    print(place.relative_to(ROOT))
    context.close()


if __name__ == "__main__":
    main()
