"""The review of an assembled set: its page in a browser, as a file and from the server that writes decisions."""

import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from chromium import started_browser
from dog_photos import dog_of, dogs_of, photo_of, put_dogs, run

from auxreid.assembling.decisions import COLUMNS, read_decisions, standing
from auxreid.assembling.page import page_data, write_page
from auxreid.assembling.server import open_review
from auxreid.assembling.workplace import Workplace
from auxreid.plumbing.base.errors import ConfigError


@pytest.fixture(scope="module")
def browser():
    with started_browser() as started:
        yield started


@pytest.fixture
def page(browser):
    """A page without a network but for 127.0.0.1, on which nothing may go wrong unsaid."""
    context = browser.new_context(viewport={"width": 1400, "height": 800}, accept_downloads=True)
    shown, said = context.new_page(), []
    shown.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.said = said
    yield shown
    context.close()
    assert said == []


@pytest.fixture
def made(tmp_path):
    """A set with its page."""
    who = put_dogs(tmp_path / "walks", range(4))
    out = tmp_path / "mydogs"
    assembly = run(out, tmp_path / "walks")
    assert sorted(map(len, dogs_of(assembly, who))) == [4] * 8
    write_page(assembly, out)
    return assembly, out


def decided(page) -> str:
    return page.inner_text("#count")


def shown_photos(page) -> list[str]:
    return page.eval_on_selector_all("#photos figcaption bdi", "all => all.map(one => one.textContent)")


def choose(page, dog: str) -> None:
    page.click(f"nav button:has-text('{dog}')")


def test_the_page_asks_no_other_host_and_its_data_cannot_break_out(made, tmp_path):
    assembly, out = made
    text = (out / "review.html").read_text(encoding="utf-8")
    assert re.findall(r"https?://|@import|<link|<iframe|<script [^>]*src", text) == []
    assert text.count("</script>") == 2 and "default-src 'none'" in text
    data = page_data(assembly, "</script><b>")
    assert data["title"] == "</script><b>" and len(data["dogs"]) == 8
    from auxreid.assembling.page import page_text

    assert page_text(data, []).count("</script>") == 2


def test_a_person_merges_splits_rejects_undoes_and_saves_by_keyboard_and_the_next_run_obeys(made, page):
    assembly, out = made
    page.goto((out / "review.html").as_uri())
    assert decided(page) == "0 of 8 dogs decided"
    assert page.evaluate("document.activeElement.tagName") == "FIGURE"
    broken = "all => all.filter(one => !one.complete || !one.naturalWidth).length"
    page.wait_for_function("[...document.querySelectorAll('#photos img')].every(one => one.naturalWidth)")
    assert page.eval_on_selector_all("#photos img", broken) == 0
    first = page.inner_text("#name")
    assert len(shown_photos(page)) == 4
    page.keyboard.press("Enter")
    assert decided(page) == "1 of 8 dogs decided" and page.inner_text("#name") != first
    # two photographs off
    second = page.inner_text("#name")
    names = shown_photos(page)
    for key in ("a", "a", "Space", "ArrowRight", "Space", "s"):  # a marks its sequence, which is one photograph
        page.keyboard.press(key)
    assert shown_photos(page) == names[2:] and decided(page) == "1 of 9 dogs decided"
    page.keyboard.press("j")
    assert page.inner_text("#name") == f"{second} (2)" and shown_photos(page) == names[:2]
    page.keyboard.press("Enter")
    # a merge with the dog that looks most like it
    choose(page, second)
    other = page.inner_text("#near li:first-child button span").split()[0]
    page.keyboard.press("1")
    assert page.inner_text("#name") == second and len(shown_photos(page)) == 6
    # a photograph rejected, and one rejected by mistake
    page.keyboard.press("ArrowRight")
    rejected = shown_photos(page)[1]
    page.keyboard.press("x")
    assert rejected not in shown_photos(page) and len(shown_photos(page)) == 5
    page.keyboard.press("x")
    page.keyboard.press("u")
    assert len(shown_photos(page)) == 5 and page.inner_text("#said") == "Undone."
    before = (decided(page), shown_photos(page))
    page.reload()
    choose(page, second)
    assert (decided(page), shown_photos(page)) == before
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(out / "decisions (1).csv")
    assert (out / "decisions (1).csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    again = run(out)
    photo = {name: photo_of(again, name) for name in names if name != rejected}
    assert photo_of(again, rejected) not in {one for dog in again.found.dogs.values() for one in dog.photos}
    assert dog_of(again, names[0]) == dog_of(again, names[1])
    stays = [name for name in names[2:] if name != rejected]
    assert dog_of(again, stays[0]) != dog_of(again, names[0]) and photo
    absorbed = [again.found.items[one].path.name for one in assembly.found.dogs[other].photos]
    assert {dog_of(again, name) for name in [*stays, *absorbed] if name != rejected} == {dog_of(again, stays[0])}
    assert again.found.dogs[dog_of(again, names[0])].doubt == 0
    write_page(again, out)
    page.reload()
    assert page.inner_text("#saved") == "All decisions are in decisions.csv"
    assert page.evaluate("Object.values(localStorage)") == ["[]"]


def test_more_dogs_that_look_like_it_are_a_key_away(made, page):
    _, out = made
    page.goto((out / "review.html").as_uri())
    seen = []
    for _ in range(2):
        seen += page.eval_on_selector_all("#near button", "all => all.map(one => one.innerText.split(/\\s+/)[1])")
        page.keyboard.press("m")
    assert len(seen) == len(set(seen)) > 5
    assert page.inner_text("#which").startswith("1 to 5 of ")
    page.keyboard.press("m")
    other = page.inner_text("#near li:first-child button span").split()[0]
    page.keyboard.press("1")
    assert page.inner_text("#said") == f"{other} is {page.inner_text('#name')}."


def test_marks_and_focus_are_seen_and_nothing_moves(made, page):
    _, out = made
    page.goto((out / "review.html").as_uri())
    box = "JSON.stringify(document.querySelector(name).getBoundingClientRect())"
    boxes = f"['header', 'main', 'aside', 'footer'].map(name => {box})"
    before = page.evaluate(boxes)
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for key in ("Space", "s", "j", "Enter", "1", "x", "u", "k", "a", "a", "m", "m"):
        page.keyboard.press(key)
        assert page.evaluate(boxes) == before, key
    page.keyboard.press("Space")
    assert page.locator("[aria-selected=true]").count() == 1
    page.keyboard.press("z")
    page.wait_for_function("document.querySelector('dialog[open] img').naturalWidth === 64")  # the photograph itself
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


@contextmanager
def served(assembly, out: Path) -> Iterator:
    server = open_review(Workplace(out), page_data(assembly, out.name), 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_server_writes_each_decision_at_once_and_a_reload_shows_it(made, page):
    assembly, out = made
    with served(assembly, out) as server:
        page.goto(server.address)
        page.wait_for_function("[...document.querySelectorAll('#photos img')].every(one => one.naturalWidth)")
        with page.expect_response("**/decisions"):
            page.keyboard.press("Enter")
        page.wait_for_function("document.querySelector('#saved').textContent.startsWith('All')")
        lines = read_decisions(out)
        assert [one.action for one in lines] == ["confirm"] * 4
        page.evaluate("localStorage.clear()")
        page.reload()
        assert decided(page) == "1 of 8 dogs decided"
        with page.expect_response("**/decisions"):
            page.keyboard.press("u")
        page.wait_for_function("document.querySelector('#saved').textContent.startsWith('All')")
        assert standing(read_decisions(out)) == [] and decided(page) == "0 of 8 dogs decided"
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('#saved').textContent === 'Server gone: 1 kept in this browser'")
    page.said.clear()  # the browser's own line about the request that failed
    assert "confirm" in page.evaluate("Object.values(localStorage)[0]")


def ask(server, path: str, content: bytes | None = None, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(
        server.address + path, content, {key.replace("_", "-"): headers[key] for key in headers}
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_server_takes_decisions_of_its_page_alone_and_shows_its_pictures_alone(made):
    assembly, out = made
    photo = next(iter(assembly.found.items))
    line = json.dumps([["1", "reject", photo, ""]]).encode()
    with served(assembly, out) as server:
        token = {"X_Review_Token": server.token}
        assert ask(server, "/decisions", line)[0] == 403
        assert ask(server, "/decisions", line, X_Review_Token="x")[0] == 403
        assert ask(server, "/decisions", line, Host="evil.example", **token)[0] == 403
        assert ask(server, "/", Host="evil.example")[0] == 403
        assert ask(server, "/decisions", b"{", **token) == (
            400,
            "a list of lines of step, action, photo, other is needed",
        )
        code, said = ask(server, "/decisions", b'[["1", "drop", "x", ""]]', **token)
        assert code == 400 and said.startswith("action 'drop', allowed: ")
        assert ask(server, "/.assemble/thumbs/../dogs.json")[0] == 404
        assert ask(server, "/.assemble/dogs.json")[0] == 404
        assert ask(server, "/photos/../decisions.csv")[0] == ask(server, "/photos/0.jpg")[0] == 404
        assert ask(server, f"/.assemble/thumbs/{photo}.jpg")[0] == ask(server, f"/photos/{photo}.jpg")[0] == 200
        assert not (out / "decisions.csv").exists()
        assert ask(server, "/decisions", line, **token) == ask(server, "/decisions", line, **token) == (200, "written")
        assert [one.photo for one in read_decisions(out)] == [photo]
        with pytest.raises(ConfigError, match=rf"--port {server.server_address[1]}: cannot be opened on 127.0.0.1 "):
            open_review(Workplace(out), {}, server.server_address[1])
