"""How it looks: narrow and wide, light and dark, on paper; the pictures; what the page weighs and is served with."""

import base64
import itertools

import pytest
from PIL import Image

from conftest import PICTURES

WIDTHS, SCHEMES, LANGUAGES = [360, 1280], ["light", "dark"], ["da", "en"]
MAX_BYTES = 100_000
# Det Fælles Designsystem 11.2.0 (npm: dkfds) with the theme of Virk: the value of a style of an element.
DESIGN = {
    ("body", "color"): "rgb(26, 26, 26)",
    ("body", "backgroundColor"): "rgb(255, 255, 255)",
    ("body", "fontSize"): "16px",
    ("section p", "lineHeight"): "24px",
    ("h1", "fontSize"): "48px",
    ("h2", "fontSize"): "32px",
    ("h3", "fontSize"): "24px",
    ("h4", "fontSize"): "20px",
    ("h4", "fontWeight"): "600",
    (".lead", "fontSize"): "20px",
    ("main p a", "color"): "rgb(0, 77, 153)",
    (".table", "borderTopColor"): "rgb(142, 142, 142)",
    ("tbody th", "borderTopColor"): "rgb(191, 191, 191)",
    ("thead th", "backgroundColor"): "rgb(245, 245, 245)",
    ("button", "borderTopColor"): "rgb(0, 89, 179)",
    ("button", "borderTopWidth"): "2px",
    ("button", "borderTopLeftRadius"): "3px",
}


@pytest.mark.parametrize("language, width", list(itertools.product(LANGUAGES, [320, 360, 1280])))
def test_nothing_sticks_out_sideways(browser, service, language, width):
    browser.open(f"{service.base}/?sprog={language}", width)
    assert browser.overflow() == []
    # What is wider than the screen scrolls in a box of its own that the keyboard reaches.
    unreachable = browser.run("""return [...document.querySelectorAll('main *')]
        .filter(element => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0
            && !['inline', 'contents'].includes(getComputedStyle(element).display)
            && !(['auto', 'scroll'].includes(getComputedStyle(element).overflowX) && element.tabIndex === 0))
        .map(element => element.outerHTML.slice(0, 120))""")
    assert unreachable == []
    # On a desktop's screen nothing is cut off at all.
    assert width < 1280 or not browser.run("""return [...document.querySelectorAll('.table, pre')]
        .filter(box => box.scrollWidth > box.clientWidth).map(box => box.outerHTML.slice(0, 120))""")


def test_a_page_that_sticks_out_is_seen(browser, service):
    browser.open(service.base + "/", 360)
    browser.run("document.querySelector('h1').style.width = '400px'")
    assert browser.overflow()[0] > 0


@pytest.mark.parametrize("language, width, scheme", list(itertools.product(LANGUAGES, WIDTHS, SCHEMES)))
def test_it_is_pictured_and_the_console_stays_empty(browser, service, language, width, scheme):
    browser.open(f"{service.base}/?sprog={language}", width, scheme)
    path = PICTURES / f"page-{language}-{width}-{scheme}.png"
    browser.picture(path)
    with Image.open(path) as picture:
        assert picture.width == width and picture.height > 3000
        corner = sum(picture.convert("RGB").getpixel((2, 300))) / 3
    assert corner > 200 if scheme == "light" else corner < 60
    assert browser.console() == []


def test_it_is_dark_where_the_reader_wants_it(browser, service):
    grounds = {}
    for scheme in SCHEMES:
        browser.open(service.base + "/", 1280, scheme)
        grounds[scheme] = browser.run("const style = getComputedStyle(document.body); "
                                      "return [style.backgroundColor, style.color]")
    (light, ink), (dark, chalk) = grounds["light"], grounds["dark"]
    assert light == "rgb(255, 255, 255)" and light != dark and ink != chalk


def test_it_has_the_colours_and_the_type_of_the_design_system(browser, service):
    browser.open(service.base + "/")
    found = {(selector, name): browser.run("return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]",
                                           selector, name) for selector, name in DESIGN}
    assert found == DESIGN


def test_the_contents_stay_in_view_on_a_wide_screen(browser, service):
    browser.open(service.base + "/", 1440)
    browser.run("window.scrollTo(0, document.body.scrollHeight / 2)")
    top, bottom, right, left = browser.run("""
        const nav = document.querySelector('nav.contents').getBoundingClientRect();
        return [nav.top, innerHeight - nav.bottom, nav.right, document.querySelector('main').getBoundingClientRect().left]""")
    assert top >= 0 and bottom >= 0 and right <= left


@pytest.mark.parametrize("width, media", [(1280, ""), (718, "print")])
def test_no_line_of_a_call_is_cut_off_or_wrapped(browser, service, width, media):
    browser.open(service.base + "/", width, media=media)
    calls = browser.run("""return [...document.querySelectorAll('pre code')]
        .filter(code => code.textContent.includes('curl '))
        .map(code => [code.textContent, new Set([...code.getClientRects()].map(box => box.top)).size,
                      code.parentNode.scrollWidth - code.parentNode.clientWidth])""")
    assert len(calls) == 5
    assert [call for call in calls if call[1] != len(call[0].split("\n")) or call[2] > 0] == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_on_paper_it_is_black_on_white_without_navigation_and_without_clipping(browser, service, scheme):
    browser.open(service.base + "/", 718, scheme, media="print")
    hidden = browser.run("return ['nav.languages', 'nav.contents', '.skip', 'footer', '.call button'].map(selector => "
                         "getComputedStyle(document.querySelector(selector)).display)")
    assert hidden == ["none"] * 5
    ground, ink = browser.run("const style = getComputedStyle(document.body); return [style.backgroundColor, style.color]")
    assert (ground, ink) == ("rgb(255, 255, 255)", "rgb(0, 0, 0)")
    clipped = browser.run("""return [...document.querySelectorAll('.table, pre')]
        .filter(box => getComputedStyle(box).overflowX !== 'visible' || box.scrollWidth > box.clientWidth + 1)
        .map(box => box.outerHTML.slice(0, 120))""")
    assert clipped == []
    assert browser.overflow() == []
    browser.picture(PICTURES / f"page-da-print-{scheme}.png")
    # A4 in inches; the margins are Chromium's, 1 cm.
    paper = browser.driver.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69})
    data = base64.b64decode(paper["data"])
    (PICTURES / f"page-da-print-{scheme}.pdf").write_bytes(data)
    assert data.startswith(b"%PDF-") and len(data) > 20_000


def test_the_whole_page_is_light_and_comes_from_here_alone(browser, service):
    browser.open(service.base + "/")
    browser.find("footer")
    assert browser.foreign(service.base) == []
    assert len(browser.requests) == len(set(browser.requests)) >= 2
    weight = sum(browser.loaded.values())
    assert 10_000 < weight < MAX_BYTES, browser.loaded
    assert set(browser.loaded) == set(browser.requests)


def test_a_foreign_picture_would_be_seen_and_is_stopped_by_the_policy(browser, service):
    browser.open(service.base + "/")
    browser.run("const picture = new Image(); document.body.append(picture); picture.src = 'http://127.0.0.1:9/x.png'")
    browser.until(lambda _: [line for line in browser.console() if "Content Security Policy" in line])
    assert browser.foreign(service.base) == ["http://127.0.0.1:9/x.png"]


def test_it_is_served_with_its_protection_and_its_assets_for_ever(browser, service):
    browser.open(service.base + "/")
    assets = [link.get_attribute("href") or link.get_attribute("src") for link in browser.all("link[rel=stylesheet], script")]
    assert len(assets) == 2 and not browser.all("script:not([src]), style, [style], [onclick]")
    page = service.ask("GET", "/").headers
    policy = dict(part.strip().split(" ", 1) for part in page["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["style-src"] == policy["script-src"] == "'self'"
    assert "unsafe" not in page["Content-Security-Policy"] and "http" not in page["Content-Security-Policy"]
    assets = [service.ask("GET", asset.removeprefix(service.base)).headers for asset in assets]
    assert all("immutable" in asset["Cache-Control"] and "max-age=31536000" in asset["Cache-Control"] for asset in assets)
    for headers in (page, *assets, service.ask("GET", "/swagger/").headers):
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "geolocation=()" in headers["Permissions-Policy"]
