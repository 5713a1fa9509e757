"""axe-core's rules for WCAG 2.1 A and AA, on the page in every shape and on Swagger UI."""

import itertools

import pytest

from test_swagger import open_swagger

SHAPES = list(itertools.product(["da", "en"], [360, 1280], ["light", "dark"]))
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]

# What Swagger UI, somebody else's program, breaks by itself. The page at `/` says the same and breaks none of it. A rule
# that a new release breaks fails the test, and so does one that it no longer breaks: then its line goes.
SWAGGER = {
    "color-contrast": "the colours of its own style sheet: verbs in white on light blue and orange, grey small print",
    "nested-interactive": "the path within a method's button is a link",
    "select-name": "its list of servers has a label beside it that is not tied to it",
}


def violations(browser, axe, tags=tuple(RULES)):
    """Rule → the places that break it; axe must have looked at something."""
    browser.run(axe)
    found = browser.driver.execute_async_script("""
        const done = arguments[arguments.length - 1];
        axe.run(document, {runOnly: {type: 'tag', values: arguments[0]}})
            .then(result => done({passes: result.passes.map(rule => rule.id), violations: result.violations}))
            .catch(error => done({error: String(error)}));""", list(tags))
    assert "error" not in found, found
    assert {"color-contrast", "html-has-lang", "document-title"} <= {*found["passes"], *(
        rule["id"] for rule in found["violations"])}
    return {rule["id"]: [" ".join(map(str, node["target"])) for node in rule["nodes"]] for rule in found["violations"]}


@pytest.mark.parametrize("language, width, scheme", SHAPES)
def test_the_page_breaks_no_rule(browser, service, axe, language, width, scheme):
    browser.open(f"{service.base}/?sprog={language}", width, scheme)
    assert violations(browser, axe) == {}


def test_the_page_follows_the_best_practices_as_well(browser, service, axe):
    browser.open(service.base + "/")
    assert violations(browser, axe, [*RULES, "best-practice"]) == {}


@pytest.mark.parametrize("damage, rule", [
    ("document.querySelector('.lead').style.color = '#bbb'", "color-contrast"),
    ("document.documentElement.removeAttribute('lang')", "html-has-lang"),
    ("document.title = ''", "document-title"),
    ("document.querySelector('main').append(new Image())", "image-alt"),
    ("document.querySelector('.table').removeAttribute('tabindex')", "scrollable-region-focusable"),
], ids=["grey on white", "no language", "no title", "an image without text", "a box that the keyboard cannot scroll"])
def test_axe_sees_a_page_that_is_damaged(browser, service, axe, damage, rule):
    browser.open(service.base + "/", 360)
    browser.run(damage)
    assert rule in violations(browser, axe)


@pytest.mark.parametrize("width, scheme", list(itertools.product([360, 1280], ["light", "dark"])))
def test_swagger_ui_breaks_only_the_rules_that_are_listed(browser, service, axe, width, scheme):
    open_swagger(browser, service, width, scheme)
    found = violations(browser, axe)
    assert set(found) == set(SWAGGER), found
    ours = [place for places in found.values() for place in places
            if browser.run("return document.querySelector(arguments[0]).closest('.swagger-ui') === null", place)]
    assert ours == []
