"""A real browser, without a window."""

import shlex
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException, WebDriverException
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from contract.vendor import AXE, fetch
from tests.tools import chromium, missing

needs_browser = pytest.mark.skipif(
    bool({"chromium", "chromedriver"} & missing().keys()),
    reason="Chromium is not installed, and `make test` could not install it",
)
WAIT_SECONDS = 30
REPLACED = (NoSuchElementException, StaleElementReferenceException)
MOST_TABS = 80
DESKTOP, PHONE = (1300, 1000), (360, 740)
# One question to the browser; an element at a time, a list of fifty takes a hundred.
FIND = """
const [selector, text] = arguments;
return [...document.querySelectorAll(selector)].find((element) =>
  element.checkVisibility({ visibilityProperty: true }) && (element.innerText ?? element.textContent).includes(text)) ?? null;
"""


class Browser(webdriver.Chrome):
    def __init__(self, profile: Path) -> None:
        options = webdriver.ChromeOptions()
        # Chromedriver expects a page from the start, which the program without windows only opens if it is named.
        start = profile.with_name(f"{profile.name}-start")
        start.write_text(f'#!/bin/sh\nexec {shlex.quote(str(chromium()))} "$@" about:blank\n')
        start.chmod(0o700)
        options.binary_location = str(start)
        for argument in (
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--force-prefers-reduced-motion",
            "--disable-background-networking",
            "--disable-component-update",
            "--hide-scrollbars",
            "--renderer-process-limit=1",
            "--disable-features=SpareRendererForSitePerProcess,BackForwardCache,OptimizationHints,MediaRouter",
            "--disable-site-isolation-trials",
            "--window-size=1300,1800",
            "--host-resolver-rules=MAP *.example.com 127.0.0.1",
            f"--user-data-dir={profile}",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.visited: set[str] = set()
        super().__init__(options, webdriver.ChromeService(shutil.which("chromedriver")))

    def get(self, url: str) -> None:
        self.visited.add("://".join(urlsplit(url)[:2]))
        super().get(url)

    def forget(self) -> None:
        """A new tab in which nothing is left of what was done before, except for files whose addresses tell their version."""
        former = self.window_handles
        self.switch_to.new_window("tab")
        [new] = set(self.window_handles) - set(former)
        for handle in former:
            self.switch_to.window(handle)
            self.close()
        self.switch_to.window(new)
        self.execute_cdp_cmd("Network.clearBrowserCookies", {})
        for origin in self.visited:
            self.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
        self.complaints()

    def until(self, condition: Callable[[Any], Any]) -> Any:
        """Waits until the condition holds; an element that the page has replaced in the meantime is looked for again."""

        def holds(driver: Any) -> Any:
            try:
                return condition(driver)
            except WebDriverException as error:
                # How the driver sometimes calls a stale element of a page that is being left.
                if "does not belong to the document" in str(error):
                    return None
                raise

        return WebDriverWait(self, WAIT_SECONDS, ignored_exceptions=REPLACED).until(holds)

    def one(self, selector: str, text: str = "") -> WebElement:
        """The first element in view that a selector finds and whose text contains this, once there is one."""
        found: WebElement = self.until(lambda b: b.execute_script(FIND, selector, text))
        return found

    def shows(self, text: str) -> None:
        """Waits until the page shows a text, spelt in any letter case."""
        self.until(lambda b: text.lower() in b.execute_script("return document.body.innerText").lower())

    def screen(self, size: tuple[int, int], *, dark: bool = False) -> None:
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def press(self, *keys: str) -> None:
        webdriver.ActionChains(self).send_keys(*keys).perform()

    def tab_to(self, name: str) -> WebElement:
        """Presses the tab key until an element with this text or label has the focus."""
        for _ in range(MOST_TABS):
            self.press(Keys.TAB)
            if name in self.until(lambda b: (b.switch_to.active_element.accessible_name, b.switch_to.active_element.text)):
                return self.switch_to.active_element
        raise AssertionError(f"The tab key does not lead to {name!r}")

    def violations(self, *rules: str) -> list[str]:
        """What axe-core finds wrong with the page, by these of its rules or by any."""
        if not self.execute_script("return 'axe' in window"):
            self.execute_script((fetch(AXE) / "axe.min.js").read_text("utf-8"))
        options = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
        found = self.execute_async_script("axe.run(arguments[0]).then(arguments[arguments.length - 1])", options)
        return [f"{v['id']}: {node['target']} {node['failureSummary']}" for v in found["violations"] for node in v["nodes"]]

    def complaints(self, *expected: str) -> list[str]:
        """What the browser has reported since the last time: errors of scripts, breaches of the policy, failed requests."""
        messages: list[dict[str, Any]] = self.get_log("browser")  # type: ignore[no-untyped-call]
        return [m["message"] for m in messages if not any(part in m["message"] for part in expected)]

    def still(self, seconds: float = 0.3) -> None:
        """Lets the page finish what its last change has started; for pictures, never for a result."""
        time.sleep(seconds)
