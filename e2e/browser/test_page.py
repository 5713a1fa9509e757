"""The page at `/` as a reader meets it: what it says, in which language, and with the keyboard alone."""

import itertools
import os
import subprocess

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import chromium
from service import METHODS, MODES, ORGANISATIONS, SHIPPED, Service, access_table

PARTS = ["Tilladte organisationer", "Scope", "Input", "Output", "Fejlkoder"]
# Every row and every column marked somewhere, and a method that no caller may call.
OTHER = """version = 1
[GetLogin]
A-kasse   = ["Gaesteadgang", "AndenAktoerEgneBorgere", "AndenAktoerGaesteadgang"]
JobCenter = ["AndenAktoerAlleBorgere", "SystemAlleBorgere"]
STAR      = ["EgneBorgere", "TidligereEgneBorgere", "AlleBorgere"]
[GetLogins]
JobCenter = ["SystemAlleBorgere"]
"""


def marks(browser, method):
    """The page's table of a method: organisation type → set of access modes; the cells are all there."""
    tables = browser.all(f"section[aria-labelledby='{method}'] table.marks")
    if not tables:
        text = browser.find(f"section[aria-labelledby='{method}'] .contract").text
        assert "Ingen organisationer" in text
        return {row: set() for row in ORGANISATIONS}
    head, *rows = browser.table(tables[0])
    assert head == ["", *MODES.values()]
    assert [row[0] for row in rows] == [row for row in ORGANISATIONS if row in [cells[0] for cells in rows]]
    read = {row: set() for row in ORGANISATIONS}
    for name, *cells in rows:
        assert len(cells) == len(MODES) and set(cells) <= {"", "X"}, (method, name, cells)
        read[name] = {mode for mode, cell in zip(MODES, cells) if cell == "X"}
    return read


def enforced(service, method):
    """The table of a method as calls meet it: a token for every cell."""
    table = {}
    for organisation in ORGANISATIONS:
        # An "Anden Aktør" must say who it is.
        answers = {mode: service.call(method, service.token(organisation, mode, cvr="87654321")) for mode in MODES}
        assert all(answer.status in (200, 204, 404) or answer.json()["fejlkode"] == "4575"
                   for answer in answers.values()), {mode: answer.status for mode, answer in answers.items()}
        table[organisation] = {mode for mode, answer in answers.items() if answer.status != 403}
    return table


def test_it_opens_in_danish_with_the_methods_in_the_contracts_order(browser, service):
    browser.open(service.base + "/")
    assert browser.driver.title == "Virksomhedslogin – Metoder"
    assert browser.find("html").get_attribute("lang") == "da"
    assert [heading.text for heading in browser.all("h1")] == ["Virksomhedslogin"]
    assert "Siden opdateres automatisk til at afspejle koden." in browser.find("main").text
    assert [heading.get_attribute("id") for heading in browser.all("main section.method > h3")] == METHODS
    for method in METHODS:
        parts = browser.all(f"section[aria-labelledby='{method}'] .contract h4")
        assert [part.text for part in parts] == PARTS


@pytest.mark.parametrize("method", METHODS)
def test_its_marks_are_those_of_the_file_and_those_that_callers_meet(browser, service, method):
    browser.open(service.base + "/")
    read = marks(browser, method)
    assert read == access_table(SHIPPED)[method]
    assert read == enforced(service, method)


def test_its_marks_follow_another_table_of_access_without_a_restart(browser, binary, tmp_path):
    service = Service(binary, tmp_path)
    try:
        browser.open(service.base + "/")
        assert {method: marks(browser, method) for method in METHODS} == access_table(SHIPPED)
        service.reload(OTHER)
        browser.driver.refresh()
        assert {method: marks(browser, method) for method in METHODS} == access_table(OTHER)
        assert {method: enforced(service, method) for method in METHODS} == access_table(OTHER)
    finally:
        service.stop()


@pytest.mark.parametrize("language", ["da", "en"])
def test_every_table_header_has_a_scope_and_every_table_a_name(browser, service, language):
    browser.open(f"{service.base}/?sprog={language}")
    tables = browser.all("table")
    assert len(tables) > len(METHODS) * 3
    for table in tables:
        assert table.find_element(By.TAG_NAME, "caption").text.strip()
        assert browser.all("thead th[scope=col]", table) and browser.all("tbody th[scope=row]", table)
    assert not browser.all("th:not([scope]), thead th:not([scope=col]), tbody th:not([scope=row])")


def test_the_switch_leads_to_english_and_back(browser, service):
    browser.open(service.base + "/")
    for language, name, heading in [("en", "English", "Getting started"), ("da", "Dansk", "Kom godt i gang")]:
        browser.driver.find_element(By.LINK_TEXT, name).click()
        browser.until(lambda _, wanted=language: browser.find("html").get_attribute("lang") == wanted)
        assert browser.find("main h2").text == heading
        assert [link.text for link in browser.all("nav.languages a[aria-current]")] == [name]


def test_a_reader_whose_browser_prefers_english_gets_english(service):
    browser = chromium.start("en-GB,en,da")
    try:
        browser.open(service.base + "/")
        assert browser.find("html").get_attribute("lang") == "en"
        assert browser.find("main h2").text == "Getting started"
    finally:
        browser.quit()


def test_it_is_read_without_javascript(service):
    browser = chromium.start("da", scripts=False)
    try:
        # That scripts really are off is seen on the page that needs them.
        browser.open(service.base + "/swagger/")
        assert "kræver JavaScript" in browser.find("body").text
        assert not browser.all(".swagger-ui")
        browser.driver.find_element(By.LINK_TEXT, "Dokumentationen").click()
        for method in METHODS:
            assert browser.find(f"#{method}").text.startswith(method)
        cells = [cell.text for cell in browser.all("section[aria-labelledby='GetLogin'] table.marks tbody tr td")]
        assert cells.count("X") == sum(map(len, access_table(SHIPPED)["GetLogin"].values()))
        assert len(cells) == len(ORGANISATIONS) * len(MODES)
        assert browser.all(".call code") and not [button for button in browser.all(".call button") if button.is_displayed()]
        browser.driver.find_element(By.LINK_TEXT, "English").click()
        assert browser.find("html").get_attribute("lang") == "en"
    finally:
        browser.quit()


def press(browser, *keys):
    """Presses keys, one after the other."""
    ActionChains(browser.driver).send_keys(*keys).perform()


def test_the_skip_link_is_the_first_stop_and_leads_past_the_navigation(browser, service):
    browser.open(service.base + "/")
    skip = browser.find(".skip")
    assert skip.rect["x"] < 0
    press(browser, Keys.TAB)
    assert browser.driver.switch_to.active_element == skip
    assert skip.rect["x"] >= 0 and skip.rect["y"] >= 0 and skip.is_displayed()
    press(browser, Keys.ENTER)
    assert browser.run("return [document.activeElement.localName, location.hash]") == ["main", "#indhold"]
    press(browser, Keys.TAB)
    assert browser.run("return document.querySelector('main').contains(document.activeElement)")


@pytest.mark.parametrize("width, scheme", list(itertools.product([360, 1280], ["light", "dark"])))
def test_every_stop_of_the_keyboard_shows_where_it_is(browser, service, width, scheme):
    browser.open(service.base + "/", width, scheme)
    expected = browser.run("return document.querySelectorAll('a[href], button, [tabindex=\"0\"]').length")
    seen = []
    for _ in range(expected):
        press(browser, Keys.TAB)
        seen.append(browser.run("""
            const element = document.activeElement, style = getComputedStyle(element);
            const channels = text => text.match(/[\\d.]+/g).map(Number);
            const light = text => { const [r, g, b] = channels(text).map(value => (value /= 255) <= 0.04045
                ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
            const pair = [light(style.outlineColor), light(getComputedStyle(document.body).backgroundColor)].sort();
            const box = element.getBoundingClientRect();
            return {what: element.outerHTML.slice(0, 90), style: style.outlineStyle, width: parseFloat(style.outlineWidth),
                    contrast: (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05),
                    inside: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth};"""))
    assert len({stop["what"] for stop in seen}) > expected / 2 > 10
    # WCAG 2.1, 1.4.11: what shows the focus stands out by 3 to 1.
    bad = [stop for stop in seen if not (stop["style"] not in ("none", "auto") and stop["width"] >= 2
                                         and stop["contrast"] >= 3 and stop["inside"])]
    assert not bad
    # After the last one the browser's own stops come: nothing was left out, and the focus is not trapped.
    press(browser, Keys.TAB)
    assert browser.run("return document.activeElement === document.body")


def test_every_call_works_as_pasted(browser, service, star):
    browser.open(service.base + "/")
    calls = [call for call in browser.run("return [...document.querySelectorAll('pre')].map(block => block.textContent)")
             if "curl " in call]
    assert len(calls) == 5
    for call in calls:
        answer = subprocess.run(["bash", "-c", call], env={**os.environ, "TOKEN": star}, capture_output=True, check=True)
        assert answer.stdout.split()[1] == (b"204" if "PUT" in call else b"200"), (call, answer)


# What the browser lets the page do, and what the page then says of the call that it was asked to copy.
@pytest.mark.parametrize("language, setup, said", [
    ("da", "", "Kopieret"),
    ("en", "navigator.clipboard.writeText = () => Promise.reject()", "Copied"),
    ("da", "delete Navigator.prototype.clipboard; document.execCommand = () => false", "Markeret"),
], ids=["with permission", "without permission", "without any"])
def test_a_call_is_copied_with_the_keyboard(browser, service, language, setup, said):
    browser.open(f"{service.base}/?sprog={language}")
    buttons = browser.all(".call button")
    calls = browser.run("return [...document.querySelectorAll('.call code')].map(code => code.textContent)")
    assert len(buttons) == len(calls) == 5
    status = browser.find("[role=status]")
    assert status.text == ""
    browser.run("document.body.append(document.createElement('textarea'))")
    browser.run(setup)
    field = browser.find("textarea")
    for button, call in zip(buttons, calls):
        assert button.accessible_name.split()[0] in ("Kopiér", "Copy")
        button.send_keys(Keys.ENTER)
        browser.until(lambda _: status.text.startswith(said))
        if said == "Markeret":
            assert browser.run("return String(getSelection())") == call
        else:
            field.clear()
            field.send_keys(Keys.CONTROL, "v")
            assert field.get_property("value") == call
        browser.run("arguments[0].textContent = ''", status)
