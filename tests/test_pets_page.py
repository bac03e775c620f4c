"""The page of the lost-pet search in a browser, desktop and phone: what a person does there, by mouse and by keys."""

import json
import re
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from chromium import started_browser
from pets_browser import served_toy, shown
from toy_engine import photo_of

from auxreid.data.vocabulary import DOG_ATTRIBUTES

PAGE = files("auxreid.lostpets") / "page"
FORMS = {"en": {"one", "other"}, "ru": {"one", "few", "many", "other"}}
PLACEHOLDERS = re.compile(r"\{\w+(?:\|\w+)?\}")
USED = re.compile(r"""(?:data-t(?:-\w+)?=|\bt(?:Label|Alt)?: |key: |announce\(|tell\()"([\w.]+)\"""")
OUTSIDE = re.compile(r"https?://(?!www\.w3\.org)[\w.]+|@import|innerHTML|insertAdjacentHTML|eval\(")
LOADED = "all => all.every(one => one.naturalWidth)"
OUTLINE = "getComputedStyle(document.activeElement.closest('.chip, .pick') ?? document.activeElement).outlineStyle"
GIVE = """([name, selector, base64]) => {
  const bytes = Uint8Array.from(atob(base64), one => one.charCodeAt(0)), data = new DataTransfer();
  data.items.add(new File([bytes], "a.jpg", {type: "image/jpeg"}));
  const props = {bubbles: true, cancelable: true};
  document.querySelector(selector).dispatchEvent(name === "paste"
    ? new ClipboardEvent(name, {...props, clipboardData: data})
    : new DragEvent(name, {...props, dataTransfer: data}));
}"""
RIGA = {"latitude": 56.95, "longitude": 24.11}
WAIT = 20  # seconds


def texts(language: str) -> dict:
    return json.loads((PAGE / f"words.{language}.json").read_text(encoding="utf-8"))


def sources() -> dict[str, str]:
    kinds = (".html", ".js", ".css")
    return {one.name: one.read_text(encoding="utf-8") for one in PAGE.iterdir() if one.suffix in kinds}


@pytest.fixture(scope="module")
def browser():
    with started_browser() as started:
        yield started


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with served_toy(tmp_path_factory.mktemp("pets")) as one:
        yield one


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Files: two photographs of the blue dog that the base has not, and three of a white one that is not in it."""
    folder = tmp_path_factory.mktemp("photos")
    paths = {}
    for dog, view in (("blue", 7), ("blue", 8), ("white", 1), ("white", 2), ("white", 3)):
        paths[f"{dog}{view}"] = folder / f"{dog}{view}.jpg"
        paths[f"{dog}{view}"].write_bytes(photo_of(dog, view))
    return paths


def until(holds: Callable[[], bool]) -> None:
    """Wait until it holds. The page's own policy forbids Playwright's way of waiting for a function."""
    end = time.monotonic() + WAIT
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def put(one, *paths: Path, form: str = "query") -> None:
    """Choose photographs, and wait until they are looked at."""
    page = one.page
    before = page.locator(f"#{form}-photos li").count()
    if form == "query":
        with page.expect_response("**/api/look"):
            page.set_input_files(f"#{form}-photos input[multiple]", paths)
    else:
        page.set_input_files(f"#{form}-photos input[multiple]", paths)
    page.wait_for_selector(f"#{form}-photos li:nth-child({before + len(paths)})")
    if form == "query":
        page.wait_for_selector("#attributes[aria-busy=false]")


def search(one) -> dict:
    """Search, and wait for the answer. Returns what was asked."""
    with one.page.expect_request("**/api/search") as asked:
        one.page.click("#go")
    one.page.wait_for_selector("#results[aria-busy=false] .banner")
    return json.loads(re.search(r'name="query"\s+(\{.*\})', asked.value.post_data)[1])


def state_of(one, name: str) -> str:
    return one.page.get_attribute(f"#attribute-{name}", "data-state")


def chosen(one, name: str) -> str:
    return one.page.eval_on_selector(f"#attribute-{name} input:checked", "input => input.value")


def test_both_languages_say_the_same_and_name_every_word_of_a_dog():
    both = {language: texts(language) for language in FORMS}
    english, russian = both["en"], both["ru"]
    assert english.keys() == russian.keys()
    for key, text in english.items():
        if key.startswith("noun."):
            assert all(set(both[language][key]) == forms for language, forms in FORMS.items()), key
        else:
            assert sorted(PLACEHOLDERS.findall(text)) == sorted(PLACEHOLDERS.findall(russian[key])), key
            nouns = re.findall(r"\|(\w+)\}", text + russian[key])
            assert all(f"noun.{noun}" in english for noun in nouns), key
    named = {f"attribute.{name}" for name in DOG_ATTRIBUTES}
    named |= {f"word.{name}.{word}" for name, words in DOG_ATTRIBUTES.items() for word in words}
    assert named <= english.keys()
    used = {key for text in sources().values() for key in USED.findall(text)}
    assert len(used) > 150 and used - {""} <= english.keys()


def test_nothing_is_inline_and_no_other_host_is_named():
    for name, text in sources().items():
        assert OUTSIDE.findall(text) == [], name
    page = sources()["index.html"]
    assert re.findall(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=", page) == []


def test_a_search_from_two_photographs_to_what_is_said_of_a_dog(browser, address, photos):
    with shown(browser, address, "desktop", geolocation=RIGA, permissions=["geolocation"]) as one:
        page = one.page
        one.open()
        assert page.inner_text("#about").startswith("21 photographs to compare with")
        one.check("empty")
        put(one, photos["blue7"], photos["blue8"])
        assert page.locator("#query-photos li").count() == 2
        assert (state_of(one, "coat_colour"), chosen(one, "coat_colour")) == ("predicted", "blue")
        assert re.search(r"\d+%", page.inner_text("#attribute-coat_colour .chip:has(:checked)"))
        correct(one)
        crop(one)
        page.fill("#text", "маленькая собака, синий")
        page.click("#facts summary")
        page.fill("#since", "2026-05-02")
        page.click("#query-place button")
        until(lambda: page.input_value("#query-coordinates") == "56.95000, 24.11000")
        page.select_option("#km", "50")
        one.check("filled")
        left, top, width, height = search(one)["crops"][0]
        assert (left, top, width, height) == pytest.approx((0.25, 0.25, 0.25, 0.5), abs=0.02)
        one.check("results")
        assert "may be" in page.inner_text(".verdict") or "probably" in page.inner_text(".verdict")
        assert page.inner_text(".dog >> nth=0").startswith("1. dog-blue")
        told = page.inner_text(".summary")
        assert re.search(r"Compared: \d+ photographs of \d dogs\.", told) and "too early" in told
        assert re.search(r"\d+ photographs without a date were kept", told)
        assert "Size: small" in told and "Ears: floppy" in told
        assert "маленькая" in page.inner_text("#understood") and "Not used:" in page.inner_text("#understood")
        terms = page.inner_text(".terms >> nth=0")
        assert re.search(r"Looks\s+alike \+\d", terms) and "as you said" in terms
        judge(one)
        compare(one)
        page.click(".dog >> nth=0 >> text=Similar to this")
        page.wait_for_selector("text=Similar to dog-blue")
        assert "dog-blue" not in page.inner_text(".dogs")
        one.check("similar")
        page.click("text=Back to my results")
        assert page.inner_text(".dog >> nth=0").startswith("1. dog-blue")


def correct(one) -> None:
    """A chip corrected, taken back, and not known."""
    page = one.page
    before = chosen(one, "ears")
    other = "erect" if before == "floppy" else "floppy"
    page.click(f"#attribute-ears .chip:has([value={other}])")
    assert (state_of(one, "ears"), chosen(one, "ears")) == ("stated", other)
    page.click("#attribute-ears .back")
    assert (state_of(one, "ears"), chosen(one, "ears")) == ("predicted", before)
    page.click("#attribute-ears .chip:has([value='?'])")
    assert (state_of(one, "ears"), chosen(one, "ears")) == ("stated", "?")
    page.click("#attributes-reset")
    assert state_of(one, "ears") == "predicted"
    page.click("#attribute-ears .chip:has([value=floppy])")


def crop(one) -> None:
    """A box dragged on the first photograph; what is seen in it is asked again."""
    page = one.page
    page.click("#query-photos li >> nth=0 >> text=Crop")
    one.check("crop")
    box = page.locator("#crop-stage").bounding_box()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.25 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.75 * box["height"], steps=3)
    page.mouse.up()
    with page.expect_response("**/api/look"):
        page.click("#crop button[value=crop]")
    assert page.inner_text("#query-photos li >> nth=0 >> button >> nth=0") == "Cropped"
    page.wait_for_selector("#attributes[aria-busy=false]")


def judge(one) -> None:
    page = one.page
    for text, verdict in (("This is the dog", "same"), ("Not this dog", "different")):
        with page.expect_request("**/api/feedback") as asked:
            page.click(f".dog >> nth=0 >> text={text}")
        assert asked.value.post_data_json["verdict"] == verdict and asked.value.post_data_json["dog"] == "dog-blue"
        page.wait_for_selector(f".judge[aria-pressed=true]:has-text('{text}')")
    with page.expect_request("**/api/feedback") as asked:
        page.click("text=None of these is the dog")
    assert asked.value.post_data_json["dog"] is None
    page.wait_for_selector("text=Noted: none of these")


def compare(one) -> None:
    """Two photographs zoom and move together."""
    page = one.page
    moved = "all => all.map(one => one.style.transform)"
    page.click(".dog >> nth=0 >> .photo")
    until(lambda: page.eval_on_selector_all("#compare img", LOADED))
    one.check("compare")
    for key in ("+", "+", "ArrowLeft"):
        page.keyboard.press(key)
    first, second = page.eval_on_selector_all("#compare img", moved)
    assert first == second == "translate(10%, 0%) scale(1.96)"
    pane = page.locator("#compare .pane >> nth=1").bounding_box()
    page.mouse.move(pane["x"] + pane["width"] / 2, pane["y"] + pane["height"] / 2)
    page.mouse.wheel(0, 100)
    first, second = page.eval_on_selector_all("#compare img", moved)
    assert first == second and "scale(1.4)" in first
    page.select_option("#compare figure >> nth=0 >> select", "1")
    assert page.inner_text("#zoom-level") == "100%"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.className") == "photo"


def test_a_dog_is_reported_found_waits_in_a_saved_search_and_comes_home(browser, address, photos):
    with shown(browser, address, "phone", "ru") as one:
        page = one.page
        one.open()
        assert page.get_attribute("html", "lang") == "ru" and page.inner_text("#go") == "Искать"
        one.check("empty")
        put(one, photos["white1"])
        page.fill("#text", "белая")
        one.check("filled")
        search(one)
        one.check("results")
        assert "белая" in page.inner_text("#understood")
        page.click(".dog >> nth=0 >> .photo")
        one.check("compare")
        page.click("#compare-close")
        page.fill("#save-name", "Белка")
        page.click(".save button")
        link = page.input_value(".done .copy input")
        one.check("saved")
        assert page.evaluate("localStorage.getItem('pets.tokens')") is None
        page.click(".done input[type=checkbox]")
        report_id, token = report(one, photos)
        until(lambda: has_candidate(address, link))
        page.click("nav a[href='#mine']")
        page.click("#mine-searches button")
        page.wait_for_selector("#mine-searches .candidates h4:has-text('1 новый кандидат')")
        one.check("mine")
        assert "Найденная собака" in page.inner_text("#mine-searches .dog")
        assert "me@example.org" not in page.content()
        page.click("#mine-searches >> text=Похожие на неё")
        page.wait_for_selector("#view-search :text('Похожие на')")
        assert page.evaluate("document.activeElement.id") == "results-title"
        page.click("nav a[href='#mine']")
        message(one)
        # another visit: what was kept is there, what was not kept is not, and the token opens it
        page.reload()
        page.wait_for_selector("#mine-searches h3")
        assert page.inner_text("#mine-searches h3") == "Белка" and page.locator("#mine-reports .own").count() == 0
        page.click("#view-mine details summary")
        page.fill("#mine-id", report_id)
        page.fill("#mine-token", token)
        page.click("#mine-open button")
        page.click("#mine-reports button:has-text('Вернулась домой')")
        page.wait_for_selector("#mine-reports .tag:has-text('снова вместе')")
        assert page.inner_text("#status").startswith("Снова вместе!")
        one.check("reunited")
        page.click("#mine-searches button >> nth=0")
        page.wait_for_selector("#mine-searches .candidates:has-text('ничего нового')")
        page.click("#mine-reports button:has-text('Удалить')")
        one.check("confirm")
        page.click("#confirm-yes")
        page.wait_for_selector("#mine-reports :text('Пока нет')")
        page.click("#mine-searches button:has-text('Удалить')")
        page.click("#confirm-yes")
        page.wait_for_selector("#mine-searches :text('Пока нет')")
        assert json.loads(page.evaluate("localStorage.getItem('pets.tokens')")) == {"reports": [], "searches": []}


def report(one, photos) -> tuple[str, str]:
    """Post the white dog as found, twice: the second is merged. Returns the first one's number and token."""
    page = one.page
    ids = []
    for photo in (None, "white2"):  # None: those of the search
        page.click("nav a[href='#report']")
        page.click("input[name=report-kind][value=found]")
        page.click("#report .main")
        page.wait_for_selector("#problem-report-photos:has-text('Добавьте фотографию')")
        if photo is None:
            page.click("#report-take")
        else:
            put(one, photos[photo], form="report")
        page.click("#report .main")
        page.wait_for_selector("#problem-report-contact:has-text('связаться')")
        if not ids:
            one.check("report")
        page.fill("#report-date", "2026-05-03")
        page.fill("#report-place", "Рига, парк")
        page.fill("#report-contact", "me@example.org")
        page.click("#report .main")
        page.wait_for_selector("#posted .done")
        ids.append([page.input_value(f"#posted .copy input >> nth={place}") for place in (0, 1)])
    page.wait_for_selector("#posted .alike img")
    one.check("posted")
    page.click("#posted >> text=Та же собака: объединить")
    page.click("#confirm-yes")
    page.wait_for_selector("#posted :text('Объединено.')")
    return tuple(ids[0])


def message(one) -> None:
    page = one.page
    page.click("#mine-searches >> text=Написать автору")
    page.click("#message .main")
    page.wait_for_selector("#problem-message-text:has-text('Напишите сообщение')")
    one.check("message")
    page.fill("#message-text", "Это моя собака!")
    page.fill("#message-reply", "you@example.org")
    page.click("#message .main")
    page.wait_for_selector("#status.toast:has-text('Сообщение отправлено')")


def has_candidate(address: str, link: str) -> bool:
    """Whether the saved search has been run on a report that fits; its feed leaves what is new new."""
    _, saved, token = link.partition("#")[2].split("/")
    with urllib.request.urlopen(f"{address}/api/searches/{saved}/feed.atom?token={token}") as feed:
        return b"<entry" in feed.read()


def test_the_whole_way_by_keyboard_alone(browser, address, photos):
    with shown(browser, address, "desktop") as one:
        page, choosers = one.page, []
        page.on("filechooser", lambda one: choosers.append(one))
        one.open()

        def tab_to(selector: str, back: bool = False) -> None:
            for _ in range(80):
                page.keyboard.press("Shift+Tab" if back else "Tab")
                if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                    assert page.evaluate(OUTLINE) == "solid", selector
                    return
            raise AssertionError(f"{selector} is not reached")

        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        tab_to("#query-photos input[multiple]")
        with page.expect_response("**/api/look"):
            page.keyboard.press("Enter")
            until(lambda: choosers or page.wait_for_timeout(20))
            choosers[0].set_files(photos["blue7"])
        page.wait_for_selector("#attributes[aria-busy=false] [data-state=predicted]")
        tab_to("#query-photos li button", back=True)
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        for _ in range(5):
            page.keyboard.press("ArrowRight")
        assert page.input_value("#crop-edges [name=left]") == "15"
        tab_to("#crop button[value=crop]")
        with page.expect_response("**/api/look"):
            page.keyboard.press("Enter")
        page.wait_for_selector("#attributes[aria-busy=false]")
        tab_to("#attribute-size input")
        page.keyboard.press("ArrowRight")
        assert state_of(one, "size") == "stated"
        tab_to("#text")
        page.keyboard.type("белая")
        tab_to("#go")
        page.keyboard.press("Enter")
        page.wait_for_selector(".dogs")
        assert page.evaluate("document.activeElement.id") == "results-title"
        tab_to(".photo")
        page.keyboard.press("Enter")
        page.keyboard.press("+")
        assert page.inner_text("#zoom-level") == "140%"
        page.keyboard.press("Escape")
        tab_to(".judge")
        page.keyboard.press("Space")
        page.wait_for_selector(".judge[aria-pressed=true]")


def test_pasted_and_dropped_photographs_and_a_language_chosen_by_hand(browser, address, photos):
    with shown(browser, address, "desktop", color_scheme="dark", reduced_motion="reduce") as one:
        page = one.page
        one.open()
        for number, (name, selector, photo) in enumerate((("paste", "body", "blue7"), ("drop", ".drop", "blue8")), 1):
            with page.expect_response("**/api/look"):
                page.evaluate(GIVE, [name, selector, b64encode(photos[photo].read_bytes()).decode()])
            page.wait_for_selector(f"#query-photos li:nth-child({number})")
            page.wait_for_selector("#attributes[aria-busy=false]")
        page.click("#attribute-size .chip:has([value=large])")
        search(one)
        one.check("dark")
        page.click("[data-language=ru]")
        page.wait_for_selector("html[lang=ru]")
        assert page.inner_text("#go") == "Искать" and "Размер: крупный" in page.inner_text(".summary")
        assert chosen(one, "size") == "large" and page.locator("#query-photos li").count() == 2
        assert re.search(r"[+−]\d,\d", page.inner_text(".terms >> nth=0"))
        page.reload()
        page.wait_for_selector("body[data-ready]")
        assert page.get_attribute("html", "lang") == "ru"


def test_what_is_refused_is_said_where_it_belongs(browser, address, photos, tmp_path):
    text = tmp_path / "letter.jpg"
    text.write_text("no picture")
    with shown(browser, address, "phone") as one:
        page = one.page
        one.open()
        page.click("#go")
        assert page.inner_text("#problem-query").startswith("Add a photograph")
        page.set_input_files("#query-photos input[multiple]", text)
        page.wait_for_selector("#problem-query-photos:has-text('“letter.jpg” is not a picture')")
        page.fill("#text", "qwerty")
        page.click("#facts summary")
        page.click("#query-place button")
        page.wait_for_selector("#problem-query-coordinates:has-text('does not tell where you are')")
        page.fill("#query-coordinates", "somewhere")
        page.click("#go")
        assert "in degrees" in page.inner_text("#problem-query-coordinates")
        page.fill("#query-coordinates", "")
        page.fill("#since", "2026-05-02")
        page.fill("#until", "2026-05-01")
        page.click("#go")
        assert page.inner_text("#problem-until") == "The end is before the beginning."
        page.fill("#until", "")
        page.click("#go")  # the server understands nothing of it
        page.wait_for_selector(".problem:has-text('othing to search by')")
        one.check("refused")
        page.route("**/api/search", lambda route: route.abort())
        page.click("#go")
        page.wait_for_selector("#problem-query:has-text('cannot be reached')")
        page.unroute("**/api/search")
        put(one, *[photos[name] for name in ("blue7", "blue8", "white1", "white2")])
        page.set_input_files("#query-photos input[multiple]", [photos["white3"], photos["blue7"], photos["blue8"]])
        page.wait_for_selector("#problem-query-photos:has-text('At most 6')")
        assert page.locator("#query-photos li").count() == 6
        page.fill("#since", "")
        for kind in ("found", "base"):
            page.uncheck(f"[name=kind][value={kind}]")
        search(one)
        assert page.inner_text("#answer .card >> nth=0").startswith("Nothing is left to compare with.")
        assert re.search(r"\d+ photographs were left out by kind", page.inner_text(".summary"))
        page.uncheck("[name=kind][value=lost]")
        page.click("#go")
        assert page.inner_text("#problem-kinds") == "Choose at least one kind."
        assert len(one.said) == 2 and all("Failed to load resource" in line for line in one.said)
        one.said.clear()  # the browser's own lines about the requests that failed


def test_a_browser_that_keeps_nothing_is_served_too(browser, address):
    with shown(browser, address, "phone") as one:
        one.page.add_init_script("Object.defineProperty(window, 'localStorage', {get() { throw Error('no') }})")
        one.open()
        one.page.click("[data-language=ru]")
        one.page.wait_for_selector("html[lang=ru]")
        one.page.click("nav a[href='#mine']")
        one.page.wait_for_selector("#mine-reports :text('Пока нет')")


def test_a_feed_s_link_shows_its_report_and_a_choice_of_language_leaves_the_key(browser, address, photos):
    with shown(browser, address, "phone") as one:
        page = one.page
        one.open("#report")
        put(one, photos["white3"], form="report")
        page.fill("#report-text", "By the old mill. \u05db\u05dc\u05d1")
        page.fill("#report-contact", "me@example.org")
        page.click("#report .main")
        page.wait_for_selector("#posted .done")
        said = "inputs => inputs.map(one => one.value)"
        report_id, token = page.eval_on_selector_all("#posted .copy input", said)
        page.click("[data-language=ru]")
        page.wait_for_selector("html[lang=ru]")
        assert page.eval_on_selector_all("#posted .copy input", said) == [report_id, token]
        one.open(f"?report={report_id}")
        assert "By the old mill." in page.inner_text("#answer .said") and page.inner_text("#answer h3")
        one.check("linked")
        page.click("#answer .actions button")
        page.fill("#message-text", "Here")
        page.fill("#message-reply", "you@example.org")
        page.route("**/message", lambda route: (time.sleep(0.3), route.continue_()))
        with page.expect_request_finished(lambda asked: asked.url.endswith("/message")):
            page.dblclick("#message .main")
        page.wait_for_selector("#status.toast")
        assert sum(url.endswith("/message") for url in one.asked) == 1
        mine = page.request.delete(f"{address}/api/reports/{report_id}", headers={"X-Report-Token": token})
        assert mine.status == 204
        one.open(f"?report={report_id}")
        assert "No such report" in page.inner_text("#answer .problem")
        assert len(one.said) == 1 and "404" in one.said.pop()


def test_a_second_click_says_and_saves_nothing_twice(browser, address, photos):
    with shown(browser, address, "phone") as one:
        page = one.page
        one.open()
        page.fill("#text", "белая")
        search(one)
        for path in ("feedback", "searches"):
            page.route(f"**/api/{path}", lambda route: (time.sleep(0.3), route.continue_()))
        page.dblclick(".judge >> nth=0")
        page.wait_for_selector(".judge[aria-pressed=true]")
        page.fill("#save-name", "Rex")
        page.dblclick(".save .row button")
        page.wait_for_selector(".done .copy")
        asked = [url.rpartition("/")[2] for url in one.asked]
        assert (asked.count("feedback"), asked.count("searches")) == (1, 1)


def test_a_bad_start_and_bad_links_leave_a_page_that_works(browser, address, photos):
    with shown(browser, address, "phone") as one:
        page = one.page
        page.route("**/api/about", lambda route: route.abort())
        one.open("#main")  # where the link past the navigation leads
        assert page.is_visible("#view-search") and page.is_visible("#problem-stated")
        page.click("#clear")
        page.click("#go")
        assert page.inner_text("#problem-query").startswith("Add a photograph")
        page.unroute("**/api/about")
        put(one, photos["white1"])
        page.wait_for_selector("#attribute-coat_colour[data-state=predicted]")
        page.goto(f"{address}/#saved/none")
        page.wait_for_selector("#problem-mine:has-text('not there')")
        assert all("Failed to load resource" in line for line in one.said)
        one.said.clear()


def test_long_names_break_and_those_from_right_to_left_turn_nothing(browser, address):
    with shown(browser, address, "phone") as one:
        page = one.page
        said = {"kind": "found", "contact": "me@example.org", "name": "w" * 100, "text": "t" * 4000}
        said |= {"place": {"name": "x" * 200, "latitude": 56.95, "longitude": 24.11}, "date": "2026-05-03"}
        photo = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photo_of("white", 4)}
        form = {"report": json.dumps(said), "photos": photo}
        posted = page.request.post(f"{address}/api/reports", multipart=form).json()
        one.open()
        page.fill("#text", "белая " + "y" * 400)
        search(one)
        page.wait_for_selector(".dog:has-text('xxxx')")
        page.click(".dog:has-text('xxxx') .says summary")
        page.wait_for_selector(".dog .said:has-text('tttt')")
        one.check("long")
        page.fill("#save-name", "q" * 100)
        page.click(".save .row button")
        page.wait_for_selector(".done .copy")
        page.click("nav a[href='#mine']")
        one.check("long-mine")
        one.open(f"?report={posted['report']}")
        one.check("long-linked")
        mine = {"X-Report-Token": posted["token"]}
        assert page.request.delete(f"{address}/api/reports/{posted['report']}", headers=mine).status == 204
