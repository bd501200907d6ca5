"""Headless Chromium, and functions that read a page of the dashboard."""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

SECONDS = 120
POLL_SECONDS = 0.2
SIZE = (1400, 1000)
# The browser has a profile of its own, and requests nothing but the page's own resources.
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    f"--window-size={SIZE[0]},{SIZE[1]}",
)  # fmt: skip
# All rows of a table in their order. The browser only draws the grid; this hidden copy of it is for screen readers.
TABLE = """
const rows = document.querySelectorAll('.st-key-' + arguments[0] + ' canvas table tr');
return [...rows].map(row => [...row.children].map(cell => cell.textContent));
"""


class Browser:
    """One browser window. `base` is the dashboard's address."""

    def __init__(self, driver: webdriver.Chrome, base: str) -> None:
        self.driver = driver
        self.base = base

    def open(self, path: str) -> None:
        self.driver.get(f"{self.base}/{path}")

    @property
    def text(self) -> str:
        return str(self.driver.execute_script("return document.body.innerText"))

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for the condition. Look again for an element that is missing, or was just replaced."""
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                if condition():
                    return
            except (StaleElementReferenceException, NoSuchElementException):
                pass
            assert time.monotonic() < deadline, f"not so: {what}; the page says: {self.text}"
            time.sleep(POLL_SECONDS)

    def until_text(self, *texts: str) -> None:
        self.until(lambda: all(text in self.text for text in texts), f"the page says {texts}")

    def figures(self) -> dict[str, str]:
        """Return the large numbers by their labels."""
        found = self.driver.execute_script(
            "return [...document.querySelectorAll('[data-testid=stMetric]')].map(each => each.innerText)"
        )
        return dict(re.split(r"\n+", each.strip())[:2] for each in found)

    def table(self, key: str) -> list[dict[str, str]]:
        """Return the rows that the table shows, as cells by column."""
        rows = self.driver.execute_script(TABLE, key)
        return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]] if rows else []

    def choose(self, label: str, value: str) -> None:
        """Type the value into a box with a list, and choose the entry with that text."""

        def offered() -> bool:
            box = self._box(label)
            # Scrolling closes the list, and a refresh may come between two letters.
            if (box.get_attribute("aria-expanded"), box.get_attribute("value")) != ("true", value):
                self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", box)
                box.click()
                box.send_keys(Keys.CONTROL, "a")
                box.send_keys(value)
            return any(value in each.text for each in self.driver.find_elements(By.CSS_SELECTOR, "[role=option]"))

        self.until(lambda: self._box(label), f"there is a box {label}")
        self.until(offered, f"{value} is offered")
        self._box(label).send_keys(Keys.ENTER)

    def _box(self, label: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, f"input[aria-label^='{label}']")

    def elsewhere(self) -> list[str]:
        """Return the addresses of other hosts that the browser has requested since the last call."""
        host = urlsplit(self.base).netloc
        events = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        asked = (
            event["params"].get("request", event["params"]).get("url", "")
            for event in events
            if event["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated")
        )
        return [
            url
            for url in asked
            if urlsplit(url).scheme in ("http", "https", "ws", "wss", "ftp") and urlsplit(url).netloc != host
        ]

    def picture(self, file: Path, height: int, *, end: bool = False) -> None:
        """Take a picture of the page's start, or of its end."""
        self.driver.set_window_size(SIZE[0], height)
        main = "document.querySelector('[data-testid=stMain]')"
        self.driver.execute_script(f"{main}.scrollTop = {f'{main}.scrollHeight' if end else 0}")
        self.until(lambda: not self.driver.find_elements(By.CSS_SELECTOR, "[data-testid=stStatusWidget]"), "it rests")
        self.driver.save_screenshot(str(file))
        self.driver.set_window_size(*SIZE)


def require_browser() -> tuple[str, str]:
    """Return Chromium and its driver, or skip the test: otherwise selenium would download them."""
    found = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if not all(found):
        pytest.skip(
            "NOT TESTED: the dashboard in a browser, as chromium and chromedriver (chromium-driver) are missing"
        )
    return str(found[0]), str(found[1])


@contextmanager
def opened(base: str, profile: Path) -> Iterator[Browser]:
    chromium, chromedriver = require_browser()
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    try:
        driver.set_page_load_timeout(SECONDS)
        yield Browser(driver, base)
    finally:
        driver.quit()
