"""The two pictures that README.md shows: there, small enough, and made again with --write-docs."""

import pytest
from PIL import Image

from conftest import PICTURES
from service import ROOT
from test_swagger import authorise, execute, open_swagger

MAX_BYTES = 200_000
PAGE, SWAGGER = "screenshot-page.png", "screenshot-swagger.png"


def finish(picture, name, renew):
    """Keeps a picture with the others, and under docs/ when that was asked for: in 256 colours, which is plenty for text."""
    picture.save(PICTURES / name)
    if renew:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(ROOT / "docs" / name, optimize=True)


def test_the_page_is_pictured_at_its_first_method(browser, service, request):
    browser.open(service.base + "/")
    browser.run("document.querySelector('#GetLogin').scrollIntoView()")
    browser.picture(PICTURES / PAGE, whole=False)
    with Image.open(PICTURES / PAGE) as picture:
        finish(picture.copy(), PAGE, request.config.getoption("write_docs"))


def test_swagger_ui_is_pictured_with_an_answer(browser, service, star, request):
    open_swagger(browser, service)
    authorise(browser, service.token("JobCenter", "AlleBorgere"))
    assert execute(browser, "GetLogin", cvrNummer="12345678")[0] == 200
    # The curl line holds the token; no token is published, not even a dead one.
    top, bottom = browser.run("""
        document.querySelector('.curl-command').remove();
        const block = document.querySelector('.opblock.is-open').getBoundingClientRect();
        const answer = document.querySelector('.live-responses-table').getBoundingClientRect();
        return [block.top + scrollY, answer.bottom + scrollY]""")
    browser.picture(PICTURES / SWAGGER)
    with Image.open(PICTURES / SWAGGER) as picture:
        finish(picture.crop((0, int(top) - 10, picture.width, int(bottom) + 10)), SWAGGER,
               request.config.getoption("write_docs"))


@pytest.mark.parametrize("name", [PAGE, SWAGGER])
def test_the_readme_shows_it_with_words_for_those_who_do_not_see_it(name):
    assert (ROOT / "docs" / name).stat().st_size < MAX_BYTES
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    text = readme.split(f"](docs/{name})")[0].rpartition("![")[2]
    assert 20 < len(text) < 300
