"""Swagger UI as a partner uses it: paste a token, fill in, execute, read the answer."""

import itertools
import json

import pytest
from selenium.webdriver.common.by import By

from conftest import PICTURES


def open_swagger(browser, service, width=1280, scheme="light"):
    """Opens Swagger UI and waits until the methods are there."""
    browser.open(service.base + "/swagger/", width, scheme)
    browser.until(lambda _: len(browser.all(".opblock")) == 3)


def authorise(browser, token):
    """Pastes the token into the dialog and closes it."""
    browser.find("button.authorize").click()
    browser.find(".modal-ux input").send_keys(token)
    browser.find(".modal-ux button.authorize[type=submit]").click()
    browser.until(lambda _: "Logout" in browser.find(".modal-ux").text)
    browser.find(".modal-ux button.btn-done").click()
    browser.until(lambda _: not browser.all(".modal-ux"))


def execute(browser, method, **fields):
    """Opens a method, fills in its fields and executes it; (status, body as JSON)."""
    block = browser.find(f".opblock[id$='-{method}']")
    block.find_element(By.CSS_SELECTOR, ".opblock-summary-control").click()
    browser.until(lambda _: browser.all("button.execute", block))
    for name, value in fields.items():
        field = browser.until(lambda _, name=name: browser.all(f"tr[data-param-name='{name}'] input", block))[0]
        browser.run("arguments[0].scrollIntoView({block: 'center'})", field)
        field.clear()
        field.send_keys(value)
    button = block.find_element(By.CSS_SELECTOR, "button.execute")
    browser.run("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    status = browser.until(lambda _: browser.all(".live-responses-table tbody .response-col_status", block))[0].text
    body = browser.all(".live-responses-table tbody .response-col_description .highlight-code", block)[0].text
    return int(status.split()[0]), json.loads(body[body.index("{"):body.rindex("}") + 1])


def test_getlogin_is_executed_with_a_pasted_token_and_its_answer_seen(browser, service, star):
    open_swagger(browser, service)
    authorise(browser, service.token("JobCenter", "AlleBorgere"))
    status, body = execute(browser, "GetLogin", cvrNummer="12345678")
    assert status == 200
    assert body == service.call("GetLogin", star).json()
    assert body["VirksomhedsLoginDto"]["cvrNummer"] == "12345678"
    browser.picture(PICTURES / "swagger-getlogin.png")
    assert browser.console() == []
    assert browser.foreign(service.base) == []


def test_a_refusal_is_seen_with_its_code_and_nothing_is_recorded(browser, service, star):
    before = service.call("GetLogin", star).json()
    open_swagger(browser, service)
    authorise(browser, service.token("A-kasse", "AlleBorgere"))
    status, body = execute(browser, "SetLogin", CvrNummer="12345678")
    assert (status, body["fejlkode"]) == (403, "4575")
    assert service.call("GetLogin", star).json() == before
    assert f"{service.base}/v1/Login/12345678" in browser.traffic()
    assert browser.foreign(service.base) == []


def test_an_unknown_company_is_told_with_the_contracts_words(browser, service):
    open_swagger(browser, service)
    authorise(browser, service.token("STAR", "AlleBorgere"))
    status, body = execute(browser, "GetLogin", cvrNummer="87654321")
    assert (status, body["fejlkode"], body["fejltekst"]) == (404, "120500", "Virksomheden blev ikke fundet.")


def test_without_a_token_nobody_gets_in(browser, service):
    open_swagger(browser, service)
    status, body = execute(browser, "GetLogins")
    assert (status, body["fejlkode"]) == (401, "1012")


@pytest.mark.parametrize("width, scheme", list(itertools.product([360, 1280], ["light", "dark"])))
def test_it_opens_without_a_complaint_and_from_here_alone(browser, service, width, scheme):
    open_swagger(browser, service, width, scheme)
    browser.picture(PICTURES / f"swagger-{width}-{scheme}.png")
    assert browser.console() == []
    assert browser.foreign(service.base) == []
    assert browser.overflow() == []
