"""Headless Chromium, driven by Selenium over WebDriver, with what the tests read off it."""

import base64
import json
import os
import shutil
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

# What a browser does of its own accord and a test does not want; the last one leaves it no other host than this one.
QUIET = ["--headless=new", "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-default-apps", "--disable-dev-shm-usage", "--no-first-run", "--no-default-browser-check", "--hide-scrollbars",
         "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]
PATIENCE_SECONDS = 20
# The windows by their width; 320 is the narrowest that WCAG 2.1 asks for (1.4.10), 718 an A4 page within its margins.
HEIGHTS = {320: 640, 360: 740, 718: 1046, 1280: 900, 1440: 900}


def start(language="da", scripts=True):
    """A browser whose reader prefers this language."""
    options = webdriver.ChromeOptions()
    options.binary_location = found("chromium")
    for argument in QUIET:
        options.add_argument(argument)
    if os.geteuid() == 0:
        # Chromium's sandbox does not take root; the only page that it opens is ours.
        options.add_argument("--no-sandbox")
    preferences = {"intl.accept_languages": language}
    if not scripts:
        preferences["profile.managed_default_content_settings.javascript"] = 2
    options.add_experimental_option("prefs", preferences)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=found("chromedriver"))
    return Browser(webdriver.Chrome(options=options, service=service))


def found(program):
    """The path of this program; with it Selenium fetches none."""
    path = shutil.which(program)
    assert path, f"{program} is not installed (Debian: chromium, chromium-driver)"
    return path


class Browser:
    """One browser with one window."""

    def __init__(self, driver):
        self.driver = driver
        self.requests = []
        self.loaded = {}
        driver.execute_cdp_cmd("Network.enable", {})

    def open(self, address, width=1280, scheme="light", media=""):
        """Opens an address as on a screen of this width, forgetting what was logged before."""
        self.look(width, scheme, media)
        self.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.requests, self.loaded = [], {}
        self.driver.get(address)

    def look(self, width=1280, scheme="light", media=""):
        """The screen's width, the reader's colours and the medium."""
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": HEIGHTS[width], "deviceScaleFactor": 1, "mobile": False})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "media": media, "features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def run(self, script, *arguments):
        """What this script returns, run as the inspector would, whatever the page's policy says."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector):
        """The first element, waited for."""
        return self.until(lambda driver: driver.find_element(By.CSS_SELECTOR, selector))

    def all(self, selector, within=None):
        """Every element there is now."""
        return (within or self.driver).find_elements(By.CSS_SELECTOR, selector)

    def until(self, condition):
        """What the condition gives once it gives something."""
        return WebDriverWait(self.driver, PATIENCE_SECONDS).until(condition)

    def console(self):
        """Everything in the console since the page was opened: errors, warnings, broken policies."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def traffic(self):
        """Every address asked for since the page was opened, and the bytes that came, by address."""
        names = {}
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            parameters = message["params"]
            if message["method"] == "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])
                names[parameters["requestId"]] = parameters["request"]["url"]
            elif message["method"] == "Network.loadingFinished" and parameters["requestId"] in names:
                self.loaded[names[parameters["requestId"]]] = parameters["encodedDataLength"]
        return self.requests

    def foreign(self, base):
        """The addresses asked for that are neither the service's nor carried by the page itself."""
        home = urlsplit(base)[:2]
        own = [address for address in self.traffic() if urlsplit(address)[:2] == home]
        assert own, "no request was seen at all"
        return [address for address in self.requests
                if urlsplit(address)[:2] != home and urlsplit(address).scheme not in ("data", "blob")]

    def picture(self, path, whole=True):
        """A picture of the page, or of what is in the window."""
        path.parent.mkdir(parents=True, exist_ok=True)
        data = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole,
                                                                      **({"clip": self.extent()} if whole else {})})
        path.write_bytes(base64.b64decode(data["data"]))

    def extent(self):
        """The whole page as a clip."""
        size = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}

    def overflow(self):
        """What sticks out of the window sideways: how far the page scrolls, and the elements that are why."""
        return self.run("""
            const wide = document.scrollingElement.scrollWidth - document.documentElement.clientWidth;
            return wide <= 0 ? [] : [wide, ...[...document.querySelectorAll('body *')]
                .filter(element => element.getBoundingClientRect().right > window.innerWidth + 1)
                .slice(0, 10).map(element => element.outerHTML.slice(0, 120))];""")

    def table(self, element):
        """The texts of a table's rows, cell by cell."""
        return self.run("return [...arguments[0].rows].map(row => [...row.cells].map(cell => cell.textContent.trim()))",
                        element)

    def quit(self):
        """Ends the browser and its driver."""
        self.driver.quit()
