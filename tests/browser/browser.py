"""Headless Chromium, and functions that read a page of the dashboard."""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

T = TypeVar("T")
SECONDS = 120
POLL_SECONDS = 0.2
SIZE = (1400, 1000)
# The browser has a profile of its own, and requests nothing but the page's own resources.
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    f"--window-size={SIZE[0]},{SIZE[1]}",
)  # fmt: skip
# Text, large numbers and tables of one moment: the page cannot change while a script runs. The browser only draws a
# table's grid. The hidden copy of it, which has all rows in their order, is for screen readers.
READ = """
const rows = key => [...document.querySelectorAll('.st-key-' + key + ' canvas table tr')];
const cells = row => [...row.children].map(cell => cell.textContent);
return {
    text: document.body.innerText,
    figures: [...document.querySelectorAll('[data-testid=stMetric]')].map(each => each.innerText),
    tables: [...arguments].map(key => rows(key).map(cells)),
};
"""
# The whole value at once, as from the clipboard: a refresh may come between two typed letters.
PASTE = "arguments[0].focus(); arguments[0].select(); document.execCommand('insertText', false, arguments[1])"


@dataclass(frozen=True)
class Shown:
    """A page at one moment. `figures` has the large numbers by their labels, `tables` rows of cells by column."""

    text: str
    figures: dict[str, str]
    tables: dict[str, list[dict[str, str]]]


class Browser:
    """One browser window. `base` is the dashboard's address."""

    def __init__(self, driver: webdriver.Chrome, base: str) -> None:
        self.driver = driver
        self.base = base

    def open(self, path: str) -> None:
        self.driver.get(f"{self.base}/{path}")

    def read(self, *keys: str) -> Shown:
        """Return what the page shows now, with the tables of these keys. A table that is not there has no rows."""
        found = self.driver.execute_script(READ, *keys)
        figures = (re.split(r"\n+", each.strip()) for each in found["figures"])
        return Shown(
            text=found["text"],
            figures={each[0]: each[1] for each in figures if len(each) > 1},
            tables={
                key: [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
                for key, rows in zip(keys, found["tables"], strict=True)
            },
        )

    @property
    def text(self) -> str:
        return self.read().text

    def figures(self) -> dict[str, str]:
        return self.read().figures

    def table(self, key: str) -> list[dict[str, str]]:
        return self.read(key).tables[key]

    def until(self, condition: Callable[[], T], what: str) -> T:
        """Wait for the condition. Return its value, so that nobody has to read the page again.

        Looks again for an element that is missing, or was just replaced.
        """
        return self._await(condition, lambda: f"not so: {what}; the page says: {self.text}")

    def until_text(self, *texts: str) -> None:
        def said() -> bool:
            found = self.text
            return all(text in found for text in texts)

        self.until(said, f"the page says {texts}")

    def until_equal(self, compared: Callable[[], tuple[Mapping[str, object], Mapping[str, object]]]) -> None:
        """Wait until all parts that the page shows are as expected. An error names each part that differs.

        `compared` returns the shown and the expected parts by name, read anew at each call: both may change meanwhile.
        """
        differences: list[str] = []

        def equal() -> bool:
            shown, expected = compared()
            differences[:] = [
                f"{part}: the page has {shown.get(part)!r}, expected is {value!r}"
                for part, value in expected.items()
                if shown.get(part) != value
            ]
            return not differences

        self._await(equal, lambda: "\n".join([*differences, f"the page says: {self.text}"]))

    def until_rows(self, key: str, count: int | None = None) -> list[dict[str, str]]:
        """Wait until the table has this many rows, or any. Return them."""

        def there() -> list[dict[str, str]]:
            rows = self.table(key)
            return rows if count in (None, len(rows)) else []

        return self.until(there, f"the table {key} has {'any' if count is None else count} rows")

    def _await(self, condition: Callable[[], T], failure: Callable[[], str]) -> T:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                if found := condition():
                    return found
            except (StaleElementReferenceException, NoSuchElementException):
                pass
            assert time.monotonic() < deadline, failure()
            time.sleep(POLL_SECONDS)

    def unfold(self) -> None:
        """Unfold the list of the page."""

        def unfolded() -> bool:
            found = self.driver.find_element(By.CSS_SELECTOR, "details")
            if found.get_attribute("open") is None:
                found.find_element(By.CSS_SELECTOR, "summary").click()
                return False
            return True

        self.until(unfolded, "the list is unfolded")

    def choose(self, label: str, value: str) -> None:
        """Paste the value into a box with a list, and choose the entry with that text."""

        def offered() -> bool:
            box = self._box(label)
            # Scrolling closes the list.
            if (box.get_attribute("aria-expanded"), box.get_attribute("value")) != ("true", value):
                self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", box)
                box.click()
                self.driver.execute_script(PASTE, box, value)
            return any(value in each.text for each in self.driver.find_elements(By.CSS_SELECTOR, "[role=option]"))

        def chosen() -> bool:
            if not offered():
                return False
            self._box(label).send_keys(Keys.ENTER)  # a refresh may have replaced the box: then it starts again
            return True

        self.until(lambda: self._box(label), f"there is a box {label}")
        self.until(chosen, f"{value} is offered")

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
