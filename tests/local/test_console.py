"""The console in a real browser: what people do with it."""

import base64
import csv
import gzip
import io
import os
import re
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from contract.functions import ROOT
from drill.laptop import Laptop
from tests.browser import DESKTOP, PHONE, Browser, needs_browser

pytestmark = needs_browser

ROWS = ".rows tbody:not(.skeleton) tr"
# What reaches beyond the frame that it is in, unless it is meant to be cut off.
TOO_WIDE = """
const right = (element) => element.getBoundingClientRect().right;
const frame = (element) => element.parentElement.closest(".rows, .card, main");
return [...document.querySelectorAll("main *:not(.clip *)")]
  .filter((element) => element.offsetParent && right(element) > right(frame(element)) + 1)
  .map((element) => element.outerHTML.slice(0, 200));
"""
ITEMS = [
    {"sku": "MUG-11", "quantity": 2, "unit_price_cents": 1250},
    {"sku": "TEE-L", "quantity": 12, "unit_price_cents": 199_900},
]
# As many as list.js keeps: six pages of 50.
MOST_ROWS = 300
MOST_BYTES_OF_A_PICTURE = 100_000
HOSTILE = [
    "<img src=x onerror=\"document.title='broken in'\">",
    "<script>document.title='broken in'</script>",
    "javascript:document.title='broken in'",
    "${document.title='broken in'}",
    '"><svg onload="document.title=\'broken in\'">',
]


@pytest.fixture(scope="module")
def laptop(laptop: Laptop) -> Laptop:
    laptop.finished(laptop.seed(customers=100, orders_per_customer=8))
    return laptop


def customer(laptop: Laptop, name: str = "Ada Lovelace", email: str = "") -> dict[str, Any]:
    number = len(laptop.get("/api/customers/?limit=200&email=%40shop.example.com").json()["results"])
    answer = laptop.post("/api/customers/", {"name": name, "email": email or f"ada.{number}@shop.example.com"})
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


def order(laptop: Laptop, **fields: Any) -> dict[str, Any]:
    answer = laptop.post("/api/orders/", {"customer_id": customer(laptop)["id"], "items": ITEMS, **fields})
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


def show(browser: Browser, laptop: Laptop, view: str) -> None:
    """Opens a view as a new visitor does."""
    browser.get("about:blank")
    browser.get(f"{laptop.url}/#/{view}")
    browser.one("main h1")


def texts(browser: Browser, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map(element => element.innerText)"
    found: list[str] = browser.execute_script(script, selector)
    return found


# Orders ----------------------------------------------------------------------------------------------------------------


def test_orders_are_filtered_by_status_and_by_a_part_of_the_address(browser: Browser, laptop: Laptop) -> None:
    show(browser, laptop, "")
    browser.until(lambda b: len(b.find_elements(By.CSS_SELECTOR, ROWS)) >= 50)
    browser.one(".pills a", "Delivered").click()
    browser.until(lambda b: set(texts(b, f"{ROWS} td.wide .status")) == {"Delivered"})
    browser.one("input[type=search]").send_keys("ALICE.nguyen.1@")
    browser.until(lambda b: {text.partition("@")[0] for text in texts(b, f"{ROWS} .person-cell .soft")} == {"alice.nguyen.1"})
    assert set(texts(browser, f"{ROWS} td.wide .status")) == {"Delivered"}
    # The address of the view has both, so that it can be passed on.
    browser.get(browser.current_url)
    browser.until(lambda b: len(b.find_elements(By.CSS_SELECTOR, ROWS)) > 0)
    assert browser.one("input[type=search]").get_attribute("value") == "ALICE.nguyen.1@"
    browser.one("input[type=search]").send_keys("nobody")
    browser.shows("No order matches")
    assert browser.complaints() == []


def test_a_list_that_has_become_empty_says_so_to_those_who_do_not_see_it(browser: Browser, laptop: Laptop) -> None:
    show(browser, laptop, "orders")
    browser.one(ROWS)
    browser.execute_script("window.said = document.querySelector('main [role=status]')")
    browser.until(lambda b: b.execute_script("return said.textContent") == "50 orders loaded")
    browser.one("input[type=search]").send_keys("nobody")
    browser.shows("No order matches")
    browser.until(lambda b: b.execute_script("return said.isConnected && said.textContent") == "No orders")


# Faster than the pause after which the address follows what is typed.
TYPE = """
const typed = (at, text) => {
  const input = document.querySelectorAll("input[type=search]")[at];
  input.value = text;
  input.dispatchEvent(new Event("input", { bubbles: true }));
};
"""


def test_a_filter_that_is_chosen_while_another_is_typed_does_not_undo_it(browser: Browser, laptop: Laptop) -> None:
    show(browser, laptop, "orders")
    browser.one(".pills a", "Paid")
    browser.execute_script(TYPE + "typed(0, 'alice'); document.querySelector(\".pills a[href*='=paid']\").click()")
    browser.until(lambda b: b.current_url.endswith("#/orders?status=paid&email=alice"))
    browser.execute_script(TYPE + "typed(0, 'bob'); setTimeout(() => typed(1, 'PO-1'), 200)")
    browser.until(lambda b: b.current_url.endswith("#/orders?status=paid&email=bob&reference=PO-1"))
    assert [field.get_attribute("value") for field in browser.find_elements(By.CSS_SELECTOR, "input[type=search]")] == [
        "bob",
        "PO-1",
    ]
    assert browser.complaints() == []


@pytest.mark.parametrize(
    ("view", "said", "offered", "without"),
    [
        ("orders?status=paid&customer_id=x", "customer_id: must be", "Remove the filter", "orders?status=paid"),
        ("orders?status=lost&email=alice&customer_id=x", "; customer_id: must be", "Remove the filters", "orders?email=alice"),
        ("customers?email=%00", "email: must", "Remove the filter", "customers"),
    ],
)
def test_a_filter_that_is_refused_can_be_removed_and_is_not_tried_again(
    browser: Browser, laptop: Laptop, view: str, said: str, offered: str, without: str
) -> None:
    show(browser, laptop, view)
    browser.one(".notice.error", said)
    assert not [text for text in texts(browser, "main button, main a") if "Try again" in text]
    browser.tab_to(offered)
    browser.press(Keys.ENTER)
    browser.one(ROWS)
    assert browser.current_url == f"{laptop.url}/#/{without}"
    assert browser.switch_to.active_element.tag_name == "h1"
    assert browser.violations() == []
    assert browser.complaints("422") == []


def test_on_a_telephone_a_refusal_has_room_beside_what_helps(browser: Browser, laptop: Laptop) -> None:
    browser.screen(PHONE)
    show(browser, laptop, "orders?customer_id=x")
    browser.one("a.button", "Remove the filter")
    width = "return document.querySelector('.notice > div').clientWidth / document.querySelector('.notice').clientWidth"
    assert browser.execute_script(width) > 0.8
    assert texts(browser, ".chips") == ["Only orders of customer x · show all"]
    assert browser.execute_script(TOO_WIDE) == []


def test_a_list_that_cannot_be_read_on_because_its_cursor_is_of_another_database_begins_anew(
    browser: Browser, laptop: Laptop
) -> None:
    show(browser, laptop, "orders")
    first = browser.one(f"{ROWS} .row-link").text
    browser.execute_script(
        "const real = fetch; window.fetch = (path, ...rest) => real(path.replace(/cursor=[^&]+/, 'cursor=x'), ...rest)"
    )
    browser.execute_script("scrollTo(0, document.body.scrollHeight)")
    browser.one(".notice.error", "cursor")
    assert not [text for text in texts(browser, "main button") if "Try again" in text]
    browser.one("button", "Begin anew").click()
    browser.until(lambda b: texts(b, f"{ROWS} .row-link")[:1] == [first] and not b.find_elements(By.CSS_SELECTOR, ".notice"))
    assert browser.complaints("422") == []


@pytest.mark.parametrize("view", ["orders/x", "orders/999999999", "customers/x", "webhooks/x", "webhooks/999999999", "seed/x"])
def test_what_does_not_exist_is_said_not_to_and_is_not_tried_again(browser: Browser, laptop: Laptop, view: str) -> None:
    show(browser, laptop, view)
    browser.one("h1", "No such")
    assert not [text for text in texts(browser, "main button") if "Try again" in text]
    assert browser.complaints("404", "422") == []


def test_a_long_list_is_walked_to_its_end_and_back_with_as_many_rows_on_the_page_as_before(
    browser: Browser, laptop: Laptop
) -> None:
    expected, path = [], "/api/orders/?limit=200"
    while path:
        answer = laptop.get(path).json()
        expected += [f"#{document['id']}" for document in answer["results"]]
        path = answer["next"]
    assert len(expected) > 2 * MOST_ROWS
    begun = len(laptop.output)
    show(browser, laptop, "orders")
    first = browser.one(f"{ROWS} .row-link").text
    seen: dict[str, None] = {}

    def walk(step: int, until: str) -> None:
        def at_the_end(_: object) -> bool:
            # Before the rows: another page may come in between.
            ended = until in texts(browser, "main")[0]
            rows = texts(browser, f"{ROWS} .row-link")
            assert len(rows) <= MOST_ROWS
            seen.update(dict.fromkeys(rows))
            browser.execute_script("window.scrollBy(0, arguments[0])", step)
            return ended and (step > 0 or rows[0] == until)

        browser.until(at_the_end)

    walk(2500, "and no more")
    assert list(seen) == expected
    requests = [line for line in laptop.output[begun:].splitlines() if "list_orders" in line and "limit=50" in line]
    walk(-2500, first)
    # The browser's own view of what is on top: rows that came or went above have not moved those in view.
    assert texts(browser, f"{ROWS} .row-link")[0] == expected[0]
    assert len(requests) < len(expected) / 50 + 10
    assert browser.complaints() == []


# What a gateway answers without a database, as long as window.down is set.
DOWN = """
const real = fetch;
const answer = JSON.stringify({ title: "Service unavailable", detail: "The database cannot be reached." });
window.down = true;
window.fetch = async (...request) => window.down ? new Response(answer, { status: 503 }) : real(...request);
"""


def test_rows_before_those_in_view_that_cannot_be_fetched_are_asked_for_where_they_are_missing(
    browser: Browser, laptop: Laptop
) -> None:
    show(browser, laptop, "orders")
    first = browser.one(f"{ROWS} .row-link").text

    def dropped(b: Browser) -> bool:
        b.execute_script("scrollTo(0, document.body.scrollHeight)")
        return texts(b, f"{ROWS} .row-link")[0] != first

    browser.until(dropped)
    browser.execute_script(DOWN)
    browser.execute_script("scrollTo(0, 0)")
    browser.one(".notice.error", "Service unavailable")
    in_view = "const { top, bottom } = document.querySelector('.notice').getBoundingClientRect(); return [top, bottom]"
    # It appears above the rows in view, and does not move them.
    browser.execute_script("scrollTo(0, 0)")
    top, bottom = browser.execute_script(in_view)
    assert 0 <= top < bottom <= browser.execute_script("return innerHeight")
    browser.execute_script("window.down = false")
    browser.one(".notice button", "Try again").click()
    browser.until(lambda b: not b.find_elements(By.CSS_SELECTOR, ".notice"))
    browser.execute_script("scrollTo(0, 0)")
    browser.until(lambda b: b.execute_script("scrollTo(0, 0)") or texts(b, f"{ROWS} .row-link")[0] == first)


def test_coming_back_from_an_order_the_list_is_where_it_was_left_with_the_order_as_it_is_now(
    browser: Browser, laptop: Laptop
) -> None:
    for _ in range(60):
        made = order(laptop)
    target = laptop.get("/api/orders/?limit=56").json()["results"][55]
    show(browser, laptop, "orders")
    browser.one(ROWS)
    browser.execute_script("scrollTo(0, document.body.scrollHeight)")
    link = browser.until(lambda b: b.find_element(By.CSS_SELECTOR, f"a[href='#/orders/{target['id']}']"))
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", link)
    before = browser.execute_script("return scrollY")
    assert before > 0
    link.click()
    browser.one("button", "Mark as paid").click()
    browser.shows("The order is paid now")
    browser.back()
    browser.until(lambda b: b.find_elements(By.CSS_SELECTOR, f"a[href='#/orders/{target['id']}']"))
    browser.until(lambda b: abs(b.execute_script("return scrollY") - before) < 5)
    row = f"//tr[.//a[@href='#/orders/{target['id']}']]"
    browser.until(lambda b: "Paid" in b.find_element(By.XPATH, row).text)
    assert made["status"] == "pending"


def test_an_order_is_changed_and_moved_and_its_history_tells_so(browser: Browser, laptop: Laptop) -> None:
    made = order(laptop)
    show(browser, laptop, f"orders/{made['id']}")
    browser.one("button", "Edit").click()
    quantity = browser.one("form input[inputmode=numeric]")
    quantity.clear()
    quantity.send_keys("0")
    browser.one("form button", "Save").click()
    browser.shows("must be at least 1")
    quantity.send_keys(Keys.BACKSPACE, "3")
    browser.one("form button", "Save").click()
    browser.shows("Item saved")
    browser.one("button", "Add an item").click()
    # The form's first field gets the focus, a moment after it is shown.
    browser.until(lambda b: b.switch_to.active_element == b.find_element(By.CSS_SELECTOR, ".item-form input"))
    for field, text in zip(browser.find_elements(By.CSS_SELECTOR, ".item-form input"), ("CAP-01", "", "1,014.90"), strict=True):
        field.send_keys(text)
    browser.one("form button", "Add").click()
    browser.shows("Item added")
    # 3 × 12.50 + 12 × 1,999.00 + 1 × 1,014.90
    browser.until(lambda b: b.find_element(By.CSS_SELECTOR, "tfoot .total").text == "25,040.40")
    browser.find_elements(By.XPATH, "//button[text()='Remove']")[0].click()
    browser.shows("Item removed")
    for action, status in (("Mark as paid", "Paid"), ("Mark as shipped", "Shipped"), ("Mark as delivered", "Delivered")):
        browser.one("button", action).click()
        browser.one("h1 .status", status)
    browser.until(lambda b: len(b.find_elements(By.CSS_SELECTOR, ".timeline > li")) == 7)
    history = texts(browser, ".timeline .event strong")
    assert history == ["Delivered", "Shipped", "Paid", "Item removed", "Item added", "Item updated", "Created"]
    assert not browser.find_elements(By.XPATH, "//button[starts-with(text(), 'Mark') or text()='Edit']")
    assert laptop.get(f"/api/orders/{made['id']}/").json()["status"] == "delivered"
    assert browser.complaints("422") == []


# Lets go of an answer that was held, and waits until the page has had the time to show it.
LET_GO = "held[arguments[0]]().then(() => requestAnimationFrame(() => requestAnimationFrame(arguments[1])))"
HOLD = """
const real = fetch;
window.held = [];
window.fetch = (...request) => String(request[0]).includes("/mails/")
  ? new Promise((go) => held.push(async () => {
      const answer = await real(...request), copy = answer.clone();
      go(answer);
      await copy.text();
    }))
  : real(...request);
"""


def test_an_answer_that_was_overtaken_by_a_change_does_not_bring_back_what_was_before(browser: Browser, laptop: Laptop) -> None:
    """Each change reads the order and all about it anew, and the next change does not wait for that."""
    made = order(laptop)
    show(browser, laptop, f"orders/{made['id']}")
    browser.one("button", "Mark as paid")
    browser.execute_script(HOLD)
    for action, status in (("Mark as paid", "Paid"), ("Mark as shipped", "Shipped")):
        browser.one("button", action).click()
        browser.one("h1 .status", status)
    browser.until(lambda b: b.execute_script("return held.length") == 2)
    browser.execute_async_script(LET_GO, 1)
    browser.until(lambda b: len(b.find_elements(By.CSS_SELECTOR, ".timeline > li")) == 3)
    # Before the second change the first one had read the order.
    browser.execute_async_script(LET_GO, 0)
    assert texts(browser, "h1 .status") == ["Shipped"]
    assert len(texts(browser, ".timeline > li")) == 3
    browser.one("button", "Mark as delivered").click()
    browser.one("h1 .status", "Delivered")
    assert browser.complaints() == []


def test_the_history_shows_metadata_as_they_were_and_as_they_became(browser: Browser, laptop: Laptop) -> None:
    made = order(laptop, metadata={"PO_Number": "7", "id": "a", "stays": "as it is"})
    for change in ({"PO_Number": "8", "constructor": "new"}, {"id": None}):
        assert laptop.http.patch(f"/api/orders/{made['id']}/", json={"metadata": change}).status_code == 200
    show(browser, laptop, f"orders/{made['id']}")
    browser.until(lambda b: len(b.find_elements(By.CSS_SELECTOR, ".timeline > li")) == 3)
    assert texts(browser, ".timeline .changes .break")[:2] == [
        "id: a → nothing",
        "PO_Number: 7 → 8, constructor: nothing → new",
    ]


def test_what_is_written_from_right_to_left_became_what_stands_to_the_right_of_the_arrow(
    browser: Browser, laptop: Laptop
) -> None:
    before, after = "שלום", "עולם"
    made = order(laptop, metadata={"note": before})
    laptop.http.patch(f"/api/orders/{made['id']}/", json={"metadata": {"note": after}})
    show(browser, laptop, f"orders/{made['id']}")
    browser.one(".timeline .changes .break", after)
    left = """
    const text = document.querySelector(".timeline .changes .break").firstChild;
    return arguments[0].map((part) => {
      const range = document.createRange();
      range.setStart(text, text.data.indexOf(part));
      range.setEnd(text, text.data.indexOf(part) + part.length);
      return range.getBoundingClientRect().left;
    });
    """
    first, second = browser.execute_script(left, [before, after])
    assert first < second


# Pages of one event, instead of 200.
SHORT_PAGES = """
const real = fetch;
window.fetch = (path, ...rest) => real(String(path).replace("/events/?limit=200", "/events/?limit=1"), ...rest);
location.hash = arguments[0];
"""


def test_a_history_too_long_to_be_read_at_once_says_so_and_is_read_on_to_its_newest_event(
    browser: Browser, laptop: Laptop
) -> None:
    made = order(laptop)
    for number in range(10):
        laptop.http.patch(f"/api/orders/{made['id']}/", json={"metadata": {"turn": str(number)}})
    show(browser, laptop, "seed")
    browser.execute_script(SHORT_PAGES, f"#/orders/{made['id']}")
    browser.shows("There are newer events, mails or deliveries than these, the oldest.")
    assert len(texts(browser, ".timeline > li")) == 10
    browser.one("button", "Show newer ones").click()
    browser.until(lambda b: len(texts(b, ".timeline > li")) == 11)
    assert "turn: 8 → 9" in texts(browser, ".timeline > li")[0]
    assert "newer" not in texts(browser, "main")[0].lower()
    browser.one("button", "Mark as paid").click()
    browser.until(lambda b: texts(b, ".timeline .event strong")[0] == "Paid")
    assert browser.complaints() == []


def test_deliveries_too_many_to_be_read_at_once_are_read_on_as_events_are(browser: Browser, laptop: Laptop) -> None:
    # Nobody listens there.
    hook = laptop.post("/api/webhooks/", {"url": "http://127.0.0.1:9/", "types": ["order.updated"]}).json()
    made = order(laptop)
    for number in range(11):
        laptop.http.patch(f"/api/orders/{made['id']}/", json={"metadata": {"turn": str(number)}})
    browser.until(lambda _: len(laptop.get(f"/api/orders/{made['id']}/webhook-deliveries/").json()["results"]) == 11)
    show(browser, laptop, "seed")
    browser.execute_script(SHORT_PAGES.replace("/events/", "/webhook-deliveries/"), f"#/orders/{made['id']}")
    browser.until(lambda b: len(texts(b, ".timeline > li a")) == 10)
    browser.one("button", "Show newer ones").click()
    browser.until(lambda b: len(texts(b, ".timeline > li a")) == 11)
    browser.until(lambda b: "Show newer" not in texts(b, "main")[0])
    laptop.http.delete(f"/api/webhooks/{hook['id']}/")
    assert browser.complaints() == []


# The next page of the history arrives once window.arrive is called.
SLOW_PAGE = """
const short = fetch;
window.fetch = async (path, ...rest) => {
  if (!window.arrive && String(path).includes("/events/")) await new Promise((arrive) => { window.arrive = arrive; });
  return short(path, ...rest);
};
"""


def test_a_change_is_made_while_the_history_is_read_on(browser: Browser, laptop: Laptop) -> None:
    made = order(laptop)
    for number in range(10):
        laptop.http.patch(f"/api/orders/{made['id']}/", json={"metadata": {"turn": str(number)}})
    show(browser, laptop, "seed")
    browser.execute_script(SHORT_PAGES, f"#/orders/{made['id']}")
    browser.one("button", "Show newer ones")
    browser.execute_script(SLOW_PAGE)
    browser.one("button", "Show newer ones").click()
    browser.until(lambda b: b.execute_script("return Boolean(window.arrive)"))
    browser.one("button", "Mark as paid").click()
    browser.until(lambda _: laptop.get(f"/api/orders/{made['id']}/").json()["status"] == "paid")
    browser.execute_script("window.arrive()")
    browser.until(lambda b: texts(b, ".timeline .event strong")[0] == "Paid")
    assert len(texts(browser, ".timeline > li")) == 12
    assert browser.complaints() == []


# The list of an order's history is read as it is, and the browser tells how often.
READINGS = """
return performance.getEntriesByType("resource").map(({ name }) => name).filter((name) => name.includes("/events/")).length
"""


def test_a_long_history_begins_with_the_newest_events_and_is_not_read_anew_after_each_change(
    browser: Browser, laptop: Laptop
) -> None:
    made = order(laptop)
    for number in range(450):
        laptop.http.patch(f"/api/orders/{made['id']}/", json={"metadata": {"turn": str(number)}})
    show(browser, laptop, f"orders/{made['id']}")
    browser.until(lambda b: len(texts(b, ".timeline > li")) == 200)
    assert "turn: 448 → 449" in texts(browser, ".timeline > li")[0]
    assert browser.execute_script(READINGS) == 3
    browser.one("button", "Mark as paid").click()
    browser.until(lambda b: texts(b, ".timeline .event strong")[0] == "Paid")
    # The last page alone.
    assert browser.execute_script(READINGS) == 4
    browser.tab_to("Show 200 older events")
    browser.press(Keys.ENTER)
    browser.until(lambda b: len(texts(b, ".timeline > li")) == 400)
    assert browser.switch_to.active_element.text == "Show 52 older events"
    browser.press(Keys.ENTER)
    browser.until(lambda b: texts(b, ".timeline .event strong")[-1] == "Created")
    assert len(texts(browser, ".timeline > li")) == 452
    assert browser.complaints() == []


def test_the_history_of_an_order_with_many_items_is_one_key_away(browser: Browser, laptop: Laptop) -> None:
    made = order(laptop, items=[{"sku": f"SKU-{number}", "quantity": 1, "unit_price_cents": 1} for number in range(100)])
    browser.screen(PHONE)
    show(browser, laptop, f"orders/{made['id']}")
    browser.one(".timeline > li")
    browser.tab_to("To the history")
    browser.press(Keys.ENTER)
    browser.until(lambda b: b.switch_to.active_element.text == "History")
    top = browser.execute_script("return document.activeElement.getBoundingClientRect().top")
    header = browser.execute_script("return document.querySelector('header').getBoundingClientRect().bottom")
    assert header <= top < PHONE[1]
    # The address still says which view this is.
    assert browser.current_url.endswith(f"#/orders/{made['id']}")
    assert browser.violations() == []
    show(browser, laptop, f"orders/{order(laptop)['id']}")
    browser.one(".timeline > li")
    assert "To the history" not in texts(browser, "main")[0]


@pytest.mark.parametrize("view", ["orders/..", "customers/%2e%2e", "seed/."])
def test_an_address_that_would_leave_its_path_leads_nowhere(browser: Browser, laptop: Laptop, view: str) -> None:
    """A browser takes two dots for the folder above, however they are escaped."""
    browser.get("about:blank")
    browser.get(f"{laptop.url}/#/{view}")
    browser.shows("There is nothing here")
    assert browser.complaints() == []


def test_whoever_was_slower_is_told_and_sees_the_order_as_it_is(browser: Browser, laptop: Laptop) -> None:
    made = order(laptop)
    show(browser, laptop, f"orders/{made['id']}")
    slow = browser.current_window_handle
    browser.one("button", "Mark as paid")
    browser.switch_to.new_window("tab")
    show(browser, laptop, f"orders/{made['id']}")
    browser.one("button", "Cancel order").click()
    browser.one("dialog button", "Keep it").click()
    browser.until(lambda b: not b.find_elements(By.TAG_NAME, "dialog"))
    browser.one("button", "Cancel order").click()
    browser.one("dialog button", "Cancel the order").click()
    browser.shows("The order is cancelled now")
    browser.switch_to.window(slow)
    browser.one("button", "Mark as paid").click()
    notice = browser.one("[role=alert]").text
    assert "Somebody was faster." in notice
    assert "“Mark as paid” was not carried out" in notice
    assert "Cancelled, just now" in notice
    assert browser.find_element(By.CSS_SELECTOR, "h1 .status").text == "Cancelled"
    assert not browser.find_elements(By.XPATH, "//button[starts-with(text(), 'Mark')]")
    assert laptop.get(f"/api/orders/{made['id']}/").json()["status"] == "cancelled"
    assert browser.complaints("412") == []


def test_an_order_is_made_paid_and_kept_from_cancelling_with_the_keyboard_alone(browser: Browser, laptop: Laptop) -> None:
    buyer = customer(laptop, "Grace Hopper", "grace.hopper@keys.example.com")
    show(browser, laptop, "orders")
    browser.one(ROWS)
    browser.press(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to the content"
    browser.press(Keys.ENTER)
    browser.tab_to("New order")
    browser.press(Keys.ENTER)
    browser.until(lambda b: (b.switch_to.active_element.tag_name, b.switch_to.active_element.text) == ("h1", "New order"))
    browser.tab_to("E-mail contains")
    browser.press("keys.example")
    browser.one(".found button", "Grace Hopper")
    browser.press(Keys.TAB, Keys.ENTER)
    browser.until(lambda b: b.switch_to.active_element.text == "Choose another")
    for label, text in (("SKU", "KEY-1"), ("Quantity", "3"), ("Price", "4.5")):
        browser.tab_to(label)
        # The tab key has selected what is there.
        browser.press(text)
    browser.press(Keys.ENTER)
    browser.shows("13.50")
    browser.tab_to("Mark as paid")
    browser.press(Keys.ENTER)
    browser.shows("The order is paid now")
    # The button is gone; the focus has not gone with it.
    browser.until(lambda b: b.switch_to.active_element.tag_name == "h1")
    browser.tab_to("Cancel order")
    browser.press(Keys.ENTER)
    browser.until(lambda b: b.switch_to.active_element.text == "Keep it")
    browser.press(Keys.ESCAPE)
    browser.until(lambda b: not b.find_elements(By.TAG_NAME, "dialog"))
    assert browser.switch_to.active_element.text == "Cancel order"
    [made] = laptop.get(f"/api/orders/?customer_id={buyer['id']}").json()["results"]
    assert (made["status"], made["total_cents"]) == ("paid", 1350)


def add_item(browser: Browser, *texts: str) -> None:
    browser.one("button", "Add an item").click()
    browser.until(lambda b: b.switch_to.active_element == b.find_element(By.CSS_SELECTOR, ".item-form input"))
    for field, text in zip(browser.find_elements(By.CSS_SELECTOR, ".item-form input"), texts, strict=True):
        field.send_keys(text)
    browser.one("form button", "Add").click()


def test_an_item_that_is_refused_for_what_the_order_would_be_says_so_beside_its_button(
    browser: Browser, laptop: Laptop
) -> None:
    most = {"quantity": 1_000_000, "unit_price_cents": 1_000_000_000}
    made = order(laptop, items=[{"sku": f"MOST-{number}", **most} for number in range(9)])
    show(browser, laptop, f"orders/{made['id']}")
    add_item(browser, "MOST-10", "000000", "10000000")
    assert "The order would total more than" in browser.one(".item-form .notice").text
    assert browser.complaints("422") == []


def test_a_form_says_that_its_item_is_another_than_when_it_was_opened(browser: Browser, laptop: Laptop) -> None:
    """The next attempt, with the new ETag, would undo what somebody else has done."""
    made = order(laptop)
    show(browser, laptop, f"orders/{made['id']}")
    browser.one("button", "Edit").click()
    browser.one(".item-form input").send_keys("2")
    path = f"/api/orders/{made['id']}/items/{made['items'][0]['id']}/"
    assert laptop.http.patch(path, json={"unit_price_cents": 9900}).status_code == 200
    browser.one("form button", "Save").click()
    browser.one(".item-form .notice.conflict", "It is 2 × 99.00 now.")
    assert browser.complaints("412") == []


# The answer to the next POST is lost, although the service has acted.
LOST = """
const real = fetch;
let once = true;
window.fetch = async (...request) => {
  const answer = await real(...request);
  if (!once || request[1].method === "GET") return answer;
  once = false;
  throw new TypeError("lost");
};
"""


def test_an_item_that_is_corrected_after_its_answer_was_lost_is_not_added_twice_and_not_silently_once(
    browser: Browser, laptop: Laptop
) -> None:
    made = order(laptop)
    show(browser, laptop, f"orders/{made['id']}")
    browser.one("button", "Add an item")
    browser.execute_script(LOST)
    add_item(browser, "CAP-1", "", "1")
    browser.one(".item-form .notice", "The service cannot be reached")
    browser.find_elements(By.CSS_SELECTOR, ".item-form input")[2].send_keys("5")
    browser.one("form button", "Add").click()
    assert "Item added" in browser.one(".notice.conflict").text
    items = laptop.get(f"/api/orders/{made['id']}/").json()["items"]
    assert [item["unit_price_cents"] for item in items if item["sku"] == "CAP-1"] == [100]


def test_a_change_that_was_made_although_its_answer_was_lost_is_not_said_to_be_somebody_elses(
    browser: Browser, laptop: Laptop
) -> None:
    made = order(laptop)
    show(browser, laptop, f"orders/{made['id']}")
    browser.one("button", "Remove")
    browser.execute_script(LOST)
    browser.one("button", "Remove").click()
    browser.one(".notice.error", "The service cannot be reached")
    browser.one("button", "Remove").click()
    notice = browser.one(".notice.conflict").text
    assert "The order has changed." in notice
    assert "may have changed the order" in notice
    assert "Item removed, just now" in notice
    laptop.post(f"/api/orders/{made['id']}/cancel/")
    browser.one("button", "Mark as paid").click()
    assert "Somebody was faster." in browser.one(".notice.conflict", "Cancelled").text
    buyer = customer(laptop)
    show(browser, laptop, f"customers/{buyer['id']}")
    browser.one("input[name=name]").send_keys(" II")
    browser.execute_script(LOST)
    browser.one("button", "Save").click()
    browser.one(".notice.error", "The service cannot be reached")
    browser.one("button", "Save").click()
    browser.one(".notice.done", "Saved.")


def test_a_change_that_failed_is_seen_by_whoever_is_far_down_in_an_order(browser: Browser, laptop: Laptop) -> None:
    made = order(laptop, items=[{"sku": f"ROW-{number}", "quantity": 1, "unit_price_cents": 1} for number in range(60)])
    show(browser, laptop, f"orders/{made['id']}")
    remove = browser.one("button[aria-label='Remove ROW-59']")
    browser.execute_script(DOWN)
    remove.click()
    browser.one(".notice.error", "The database cannot be reached.")
    bar, notice = browser.execute_script(
        "return [document.querySelector('.bar').getBoundingClientRect().bottom,"
        " document.querySelector('.notice').getBoundingClientRect().top]"
    )
    assert browser.execute_script("return scrollY") < 200
    assert notice >= bar


def test_what_is_wrong_with_a_new_order_stands_beside_the_field(browser: Browser, laptop: Laptop) -> None:
    buyer = customer(laptop)
    show(browser, laptop, f"orders/new?customer_id={buyer['id']}")
    browser.shows(buyer["email"])
    browser.one("button", "Create order").click()
    price = browser.one("input[inputmode=decimal]")
    assert price.get_attribute("aria-invalid") == "true"
    price.send_keys("10000000.01")
    browser.one("button", "Create order").click()
    sku = browser.until(lambda b: b.find_element(By.CSS_SELECTOR, "input[maxlength='64'][aria-invalid]"))
    problem = browser.find_element(By.ID, sku.get_attribute("aria-describedby") or "")
    assert problem.text.startswith("must ")
    assert browser.one("input[inputmode=decimal]").get_attribute("aria-invalid") == "true"
    assert laptop.get(f"/api/orders/?customer_id={buyer['id']}").json()["results"] == []


def test_what_was_wrong_with_a_new_order_is_not_said_of_what_stands_there_instead(browser: Browser, laptop: Laptop) -> None:
    buyer = customer(laptop)
    show(browser, laptop, "orders/new")
    browser.one("button", "Add an item").click()
    browser.find_elements(By.CSS_SELECTOR, "input[inputmode=decimal]")[1].send_keys("12.50")
    browser.one("button", "Create order").click()
    browser.one(".wrong", "choose a customer")
    browser.one("input[type=search]").send_keys(buyer["email"])
    browser.one(".found button", buyer["email"]).click()
    browser.one("button", "Choose another")
    browser.until(lambda b: texts(b, ".wrong") == ["must be an amount such as 12.50"])
    browser.one("button", "Remove").click()
    browser.until(lambda b: texts(b, ".wrong") == [])
    assert browser.one("input[inputmode=decimal]").get_attribute("value") == "12.50"


def test_the_first_field_that_is_wrong_gets_the_focus(browser: Browser, laptop: Laptop) -> None:
    """Those who do not see the page learn so that something is wrong, and what; others may be far from it."""

    def focused(name: str, description: str) -> None:
        script = "return document.getElementById(document.activeElement.getAttribute('aria-describedby'))?.innerText ?? ''"
        browser.until(lambda b: b.switch_to.active_element.accessible_name == name)
        assert description in browser.execute_script(script)

    show(browser, laptop, "orders/new")
    browser.one("button", "Create order").click()
    focused("E-mail contains", "choose a customer")
    show(browser, laptop, f"orders/new?customer_id={customer(laptop)['id']}")
    browser.one("button", "Choose another")
    browser.one("input[inputmode=decimal]").send_keys("1")
    browser.one("button", "Create order").click()
    focused("SKU", "must ")
    show(browser, laptop, f"orders/{order(laptop)['id']}")
    browser.one("button", "Edit").click()
    browser.one(".item-form input[inputmode=decimal]").send_keys("x")
    browser.one("form button", "Save").click()
    focused("Price", "must be an amount")
    for view, button, name, description in (
        ("customers/new", "Create customer", "Name", "must "),
        ("exports?customer_id=0", "Start", "Customer's number", "must "),
        ("webhooks", "Create", "URL", "must "),
    ):
        show(browser, laptop, view)
        browser.one("button", button).click()
        focused(name, description)
    show(browser, laptop, "seed")
    browser.one("form input").send_keys("x")
    browser.one("button", "Start").click()
    focused("Customers", "must be a whole number")
    assert browser.complaints("422") == []


@pytest.mark.parametrize(("number", "said"), [("999999", "There is no customer 999999."), ("x", "customer_id: must be")])
def test_a_customer_who_cannot_be_found_for_a_new_order_is_said_to_be_missing(
    browser: Browser, laptop: Laptop, number: str, said: str
) -> None:
    show(browser, laptop, f"orders/new?customer_id={number}")
    browser.one(".field .wrong", said)
    assert browser.complaints("404", "422") == []


# Holds the answers to what changes something.
HOLD_CHANGES = """
const real = fetch;
window.fetch = (...request) => request[1].method === "GET" ? real(...request) : new Promise((go) => {
  window.answer = () => real(...request).then(go);
});
"""


def test_a_slow_answer_does_not_take_people_from_where_they_have_gone(browser: Browser, laptop: Laptop) -> None:
    show(browser, laptop, "customers/new")
    browser.one("input[name=name]").send_keys("Slow")
    browser.one("input[name=email]").send_keys("slow@answers.example.com")
    browser.execute_script(HOLD_CHANGES)
    browser.one("button", "Create customer").click()
    browser.until(lambda b: b.execute_script("return 'answer' in window"))
    browser.one("nav a", "Summary").click()
    browser.one(ROWS)
    browser.execute_script("return answer()")
    browser.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 100))")
    assert browser.current_url.endswith("#/summary")
    assert len(laptop.get("/api/customers/?email=slow@answers").json()["results"]) == 1


# Customers, summary, seeding ---------------------------------------------------------------------------------------------


def test_a_customer_is_created_found_renamed_and_deleted_unless_there_are_orders(browser: Browser, laptop: Laptop) -> None:
    show(browser, laptop, "customers")
    browser.one(".button", "New customer").click()
    browser.one("input[name=name]").send_keys("Mary Shelley")
    browser.one("input[name=email]").send_keys("mary@")
    browser.one("button", "Create customer").click()
    browser.shows("is not an e-mail address")
    browser.one("input[name=email]").send_keys("novel.example.com")
    browser.one("button", "Create customer").click()
    browser.until(lambda b: re.search(r"#/customers/\d+$", b.current_url))
    name = browser.one("input[name=name]")
    name.send_keys(" II")
    browser.one("button", "Save").click()
    browser.shows("Saved.")
    show(browser, laptop, "customers")
    browser.one("input[type=search]").send_keys("MARY@NOVEL")
    browser.until(lambda b: texts(b, f"{ROWS} .row-link") == ["Mary Shelley II"])
    browser.one(".row-link").click()
    browser.one("button", "Delete").click()
    browser.one("dialog button", "Delete the customer").click()
    browser.until(lambda b: b.current_url.endswith("#/customers"))
    assert laptop.get("/api/customers/?email=mary@novel").json()["results"] == []
    buyer = order(laptop)["customer"]
    show(browser, laptop, f"customers/{buyer['id']}")
    browser.one("button", "Delete").click()
    browser.one("dialog button", "Delete the customer").click()
    browser.shows("The customer has orders; nothing was deleted.")
    assert browser.complaints("409", "422") == []


def test_a_new_customer_who_is_corrected_after_the_answer_was_lost_is_not_refused_for_its_key(
    browser: Browser, laptop: Laptop
) -> None:
    show(browser, laptop, "customers/new")
    browser.one("input[name=name]").send_keys("Lost")
    browser.one("input[name=email]").send_keys("lost@answers.example.com")
    browser.execute_script(LOST)
    browser.one("button", "Create customer").click()
    browser.one(".notice.error", "The service cannot be reached")
    browser.one("input[name=name]").send_keys(" and found")
    browser.one("button", "Create customer").click()
    browser.until(lambda b: "exists" in "".join(texts(b, ".notice, .wrong")))


def test_a_stale_change_of_a_customer_is_refused_and_says_so(browser: Browser, laptop: Laptop) -> None:
    made = customer(laptop)
    show(browser, laptop, f"customers/{made['id']}")
    name = browser.one("input[name=name]")
    laptop.http.patch(f"/api/customers/{made['id']}/", json={"name": "Faster"})
    name.send_keys(" slower")
    browser.one("button", "Save").click()
    browser.shows("Somebody was faster.")
    browser.until(lambda b: b.find_element(By.CSS_SELECTOR, "input[name=name]").get_attribute("value") == "Faster")
    assert laptop.get(f"/api/customers/{made['id']}/").json()["name"] == "Faster"


def test_the_summary_ranks_customers_with_a_bar_for_what_each_has_spent(browser: Browser, laptop: Laptop) -> None:
    show(browser, laptop, "summary")
    browser.one(ROWS)
    rows = laptop.get("/api/orders/summary/?limit=10").json()["results"]
    assert texts(browser, f"{ROWS} .rank")[:3] == ["1", "2", "3"]
    shown = [text.replace(",", "").replace(".", "") for text in texts(browser, f"{ROWS} td:last-child")[:10]]
    assert shown == [str(row["total_spent_cents"]) for row in rows]
    track, *_ = browser.find_elements(By.CSS_SELECTOR, ".bar-track")
    bars = [bar.size["width"] / track.size["width"] for bar in browser.find_elements(By.CSS_SELECTOR, ".bar-fill")[:10]]
    assert bars == pytest.approx([row["total_spent_cents"] / rows[0]["total_spent_cents"] for row in rows], abs=0.01)


def test_the_summarys_bars_are_as_long_when_its_first_rows_are_out_of_sight(browser: Browser, laptop: Laptop) -> None:
    laptop.finished(laptop.seed(customers=300, orders_per_customer=1))
    show(browser, laptop, "summary")
    browser.one(ROWS)

    def at_the_end(b: Browser) -> bool:
        b.execute_script("scrollTo(0, document.body.scrollHeight)")
        return "and no more" in texts(b, "main")[0]

    browser.until(at_the_end)
    widths = "return [...document.querySelectorAll('.bar-fill')].map(bar => bar.style.width)"
    before = browser.execute_script(widths)
    assert "0%" not in before[:10]
    browser.execute_script("document.querySelector('.row-link').click()")
    browser.one("form")
    browser.back()
    browser.one(ROWS)
    assert browser.execute_script(widths) == before


def test_a_seed_run_is_started_and_watched_to_its_end(browser: Browser, laptop: Laptop) -> None:
    show(browser, laptop, "seed")
    for field, text in zip(browser.find_elements(By.CSS_SELECTOR, "form input"), ("300", "4", "0"), strict=True):
        field.clear()
        field.send_keys(text)
    browser.one("button", "Start").click()
    browser.shows("must be at least 1 if there are orders")
    browser.press(Keys.BACKSPACE)
    items = browser.find_elements(By.CSS_SELECTOR, "form input")[2]
    items.clear()
    items.send_keys("2")
    browser.one("button", "Start").click()
    browser.shows("Succeeded")
    browser.shows("3,900 of 3,900 rows")
    assert browser.find_element(By.TAG_NAME, "progress").get_attribute("value") == "3900"
    browser.one(".button", "Show the orders").click()
    browser.one(ROWS)
    assert browser.complaints("422") == []


@pytest.mark.parametrize("view", ["seed", "exports"])
def test_what_is_watched_is_seen_to_its_end_although_the_service_was_away_meanwhile(
    browser: Browser, laptop: Laptop, view: str
) -> None:
    show(browser, laptop, view)
    # Only what is read fails: with two customers, the work has ended before.
    browser.execute_script(DOWN.replace("window.down ?", "window.down && request[1].method === 'GET' ?"))
    if view == "seed":
        browser.one("form input").clear()
        browser.one("form input").send_keys("2")
    browser.one("button", "Start").click()
    browser.one(".notice.error", "The database cannot be reached.")
    browser.execute_script("window.down = false")
    browser.shows("Succeeded")
    browser.until(lambda b: not b.find_elements(By.CSS_SELECTOR, ".notice"))
    if view == "exports":
        browser.one("button", "Remove").click()
        browser.one("dialog button", "Remove it").click()
        browser.shows("No exports yet")
    assert browser.complaints() == []


def test_an_export_is_started_watched_and_downloaded_with_the_keyboard_alone(
    browser: Browser, laptop: Laptop, tmp_path: Path
) -> None:
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    show(browser, laptop, "orders?status=paid")
    browser.one(ROWS)
    browser.tab_to("Export")
    browser.press(Keys.ENTER)
    browser.until(lambda b: (b.switch_to.active_element.tag_name, b.switch_to.active_element.text) == ("h1", "Exports"))
    assert browser.tab_to("Status").get_attribute("value") == "paid"
    browser.tab_to("Start")
    browser.press(Keys.ENTER)
    browser.shows("Succeeded")
    browser.shows("Status paid")
    browser.tab_to("Download Orders, CSV")
    browser.press(Keys.ENTER)
    browser.until(lambda _: list(tmp_path.glob("orders-*.csv.gz")))
    [file] = tmp_path.glob("orders-*.csv.gz")
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(file.read_bytes()).decode())))
    assert {row["status"] for row in rows} == {"paid"}
    first = laptop.get("/api/orders/?status=paid&limit=1").json()["results"][0]
    assert int(rows[0]["id"]) == first["id"]
    browser.one("button", "Remove").click()
    browser.one("dialog button", "Remove it").click()
    browser.shows("No exports yet")
    assert browser.complaints() == []


def test_an_export_of_the_orders_with_a_reference_has_no_others(browser: Browser, laptop: Laptop) -> None:
    made = order(laptop, reference="PO-EXPORT-1")
    show(browser, laptop, "orders?reference=PO-EXPORT-1")
    browser.one("a.button", "Export").click()
    browser.until(lambda b: b.one("input[name=reference]").get_attribute("value") == made["reference"])
    browser.one("button", "Start").click()
    browser.shows("Reference PO-EXPORT-1")
    browser.shows("1 row,")
    browser.one("button", "Remove").click()
    browser.one("dialog button", "Remove it").click()
    browser.shows("No exports yet")
    assert browser.complaints() == []


def test_an_export_is_what_its_form_shows_whatever_the_address_asks_for(browser: Browser, laptop: Laptop) -> None:
    show(browser, laptop, "exports?kind=everything&format=xml&status=lost")
    browser.one("button", "Start").click()
    browser.shows("Orders, CSV")
    browser.shows("Succeeded")
    browser.one("button", "Remove").click()
    browser.one("dialog button", "Remove it").click()
    browser.shows("No exports yet")
    assert browser.complaints() == []


def test_what_is_wrong_with_an_export_stands_beside_the_field(browser: Browser, laptop: Laptop) -> None:
    show(browser, laptop, "exports")
    browser.one("input[name=customer_id]").send_keys("none")
    browser.one("button", "Start").click()
    browser.one(".field .wrong")
    assert browser.complaints("422") == []


def test_a_webhook_is_made_tested_and_what_failed_is_delivered_again(browser: Browser, laptop: Laptop) -> None:
    show(browser, laptop, "webhooks")
    browser.one("input[name=url]").send_keys("ftp://shop.example.com/")
    browser.one("button", "Create").click()
    browser.one(".field .wrong")
    browser.one("input[name=url]").clear()
    # Nobody listens there.
    browser.one("input[name=url]").send_keys("http://127.0.0.1:9/hook")
    browser.one("input[name=types]").clear()
    browser.one("input[name=types]").send_keys("order.delivered")
    browser.one("button", "Create").click()
    browser.shows("whsec_")
    browser.one(f"{ROWS} .row-link", "http://127.0.0.1:9/hook").click()
    browser.one("button", "Send a test").click()

    def has_failed(b: Browser) -> bool:
        # Before the button is pressed, which empties the list for a moment.
        if "No answer" in "".join(texts(b, f"{ROWS} .wrong")):
            return True
        b.one("button", "Look again").click()
        return False

    browser.until(has_failed)
    browser.shows("1 delivery, and no more")
    browser.one(f"{ROWS} button", "Redeliver").click()
    browser.until(lambda b: "Pending" in "".join(texts(b, ROWS)))
    webhook = browser.current_url
    made = order(laptop)
    for action in ("pay", "ship", "deliver"):
        laptop.post(f"/api/orders/{made['id']}/{action}/")
    show(browser, laptop, f"orders/{made['id']}")
    told = browser.one(".timeline > li a", "Webhook #")
    assert "Delivered" in browser.find_element(By.XPATH, "//ol[contains(@class, 'timeline')]/li[.//a]").text
    assert len(browser.find_elements(By.CSS_SELECTOR, ".timeline > li a")) == 1
    told.click()
    browser.until(lambda b: b.current_url == webhook)
    browser.one("button", "Disable").click()
    browser.shows("Somebody disabled it.")
    browser.one("button", "Delete").click()
    browser.one("dialog button", "Delete it").click()
    browser.shows("No webhooks yet")
    assert browser.complaints("422") == []


# Everywhere ----------------------------------------------------------------------------------------------------------


def test_what_customers_call_themselves_is_never_more_than_text(browser: Browser, laptop: Laptop) -> None:
    made = []
    for number, name in enumerate(HOSTILE):
        buyer = customer(laptop, name, f"{number}<b>&quot;@hostile.example.com")
        items = [{"sku": name[:64], "quantity": 1, "unit_price_cents": 1}]
        made.append(laptop.post("/api/orders/", {"customer_id": buyer["id"], "items": items}).json())
    for view, selector in (("orders?email=hostile", ".clip"), ("customers?email=hostile", ".row-link")):
        show(browser, laptop, view)
        browser.one(f"{ROWS} {selector}", HOSTILE[0])
        assert set(HOSTILE) <= set(texts(browser, f"{ROWS} {selector}"))
    for document in made:
        show(browser, laptop, f"orders/{document['id']}")
        browser.shows(document["customer"]["name"])
        show(browser, laptop, f"customers/{document['customer']['id']}")
        browser.one("h1 .break", document["customer"]["name"])
        show(browser, laptop, f"orders/new?customer_id={document['customer']['id']}")
        browser.shows(document["customer"]["email"])
    for address in ("orders/%3Cimg%20src=x%20onerror=document.title=1%3E", "orders?email=%3Cimg+src%3Dx%3E", "%3Cscript%3E"):
        show(browser, laptop, address)
    assert "broken" not in browser.title
    assert not browser.find_elements(By.CSS_SELECTOR, "main img, main script, a[href^='javascript']")
    # Neither a script's error nor a breach of the policy, which the browser would report.
    assert browser.complaints("422") == []


def test_no_view_breaks_a_rule_of_accessibility(browser: Browser, laptop: Laptop) -> None:
    made = order(laptop, customer_id=customer(laptop, "W" * 200)["id"])
    laptop.post(f"/api/orders/{made['id']}/pay/")
    pending = order(laptop)
    run = laptop.seed(customers=1)
    laptop.finished(run)
    laptop.post("/api/exports/", {"kind": "events", "format": "jsonl", "filters": {"customer_id": made["customer"]["id"]}})
    hook = laptop.post("/api/webhooks/", {"url": f"{laptop.url}/hook/{'of-a-long-name' * 8}", "types": ["*"]}).json()
    laptop.post(f"/api/webhooks/{hook['id']}/test/")
    views = {
        "orders": ROWS,
        "orders?email=nobody": ".empty",
        f"orders/{made['id']}": ".timeline li",
        f"orders/{pending['id']}": ".timeline li",
        "orders/999999999": "main p",
        "orders/new": "form",
        "customers": ROWS,
        f"customers/{made['customer']['id']}": "form",
        "customers/new": "form",
        "summary": ROWS,
        "exports": ROWS,
        "webhooks": "input[name=url]",
        f"webhooks/{hook['id']}": ROWS,
        "mails": "main p",
        "seed": "form",
        f"seed/{run.split('/')[-2]}": "progress",
        "nothing": "h1",
    }
    screens = ((DESKTOP, False), (DESKTOP, True), (PHONE, False))
    for view, shown in views.items():
        browser.screen(DESKTOP)
        show(browser, laptop, view)
        browser.one(shown)
        for size, dark in screens:
            browser.screen(size, dark=dark)
            # In the dark only colours are different.
            rules = ["color-contrast"] if dark else []
            assert browser.execute_script(TOO_WIDE) == [], (view, size)
            assert browser.violations(*rules) == [], (view, size, dark)
            # Nothing has to be scrolled sideways.
            assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0], (view, size)
    show(browser, laptop, f"orders/{pending['id']}")
    browser.one("button", "Edit").click()
    browser.one("button", "Cancel order").click()
    browser.one("dialog button", "Keep it")
    for size, dark in screens:
        browser.screen(size, dark=dark)
        assert browser.violations(*(["color-contrast"] if dark else [])) == [], (size, dark)


def test_the_largest_amounts_are_shown_whole(browser: Browser, laptop: Laptop) -> None:
    most = {"quantity": 1_000_000, "unit_price_cents": 1_000_000_000}
    items = [{"sku": "W" * 64, **most} for _ in range(9)]
    made = order(laptop, customer_id=customer(laptop)["id"], items=items)
    for view in ("orders", f"orders/{made['id']}", "summary"):
        for size in (DESKTOP, PHONE):
            browser.screen(size)
            show(browser, laptop, view)
            browser.one("td .number", "90,000,000,000,000.00")
            assert browser.execute_script(TOO_WIDE) == [], (view, size)
            assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0], (view, size)


# As a restore makes them (skip_ids.sql).
LONG_IDS = """
const real = fetch;
const long = (_, name, id) => `"${name}":${1795794927500000 + Number(id)}`;
window.fetch = async (...request) => {
  const answer = await real(...request);
  return new Response((await answer.text()).replace(/"(id|event_id|customer_id)":([0-9]+)/g, long), answer);
};
location.hash = arguments[0];
"""
# What stands in a row's cells, where it reaches into what stands in another one, or is almost there.
COLLISIONS = """
const lines = (node) => {
  const range = document.createRange();
  range.selectNodeContents(node);
  return [...range.getClientRects()].map((box) => [box, node.data]);
};
const parts = (element) => element.matches(".clip, button")
  ? [[element.getBoundingClientRect(), element.textContent]]
  : [...element.childNodes].flatMap((node) => node.nodeType === Node.TEXT_NODE ? lines(node) : parts(node));
const near = (a, b) => a.left < b.right + 12 && b.left < a.right + 12 && a.top < b.bottom && b.top < a.bottom;
return [...document.querySelectorAll(".rows tbody tr")].flatMap(({ cells }) => [...cells].flatMap((cell, at) =>
  [...cells].slice(at + 1).flatMap((other) => parts(cell).flatMap(([a, one]) =>
    parts(other).filter(([b]) => near(a, b)).map(([, another]) => [one, another])))));
"""


def test_long_numbers_do_not_reach_into_what_stands_beside_them(browser: Browser, laptop: Laptop) -> None:
    made = order(laptop)
    laptop.post("/api/exports/", {"kind": "orders", "format": "csv", "filters": {"customer_id": made["customer"]["id"]}})
    # Nobody listens there.
    hook = laptop.post("/api/webhooks/", {"url": "http://127.0.0.1:9/", "types": ["order.paid"]}).json()
    laptop.post(f"/api/orders/{made['id']}/pay/")
    shown = {"orders": "1795", "customers": "1795", "exports": "Succeeded", f"webhooks/{hook['id']}": "No answer"}
    for view, text in shown.items():
        for size in (DESKTOP, PHONE):
            browser.screen(size)
            show(browser, laptop, "seed")
            browser.execute_script(LONG_IDS, f"#/{view}")
            browser.one(ROWS, text if (view, size) != ("customers", PHONE) else "")
            assert browser.execute_script(COLLISIONS) == [], (view, size)
            assert browser.execute_script(TOO_WIDE) == [], (view, size)
    laptop.http.delete(f"/api/webhooks/{hook['id']}/")


def test_the_number_of_an_order_stands_in_one_line(browser: Browser, laptop: Laptop) -> None:
    order(laptop)
    for size in (DESKTOP, PHONE):
        browser.screen(size)
        show(browser, laptop, "seed")
        browser.execute_script(LONG_IDS, "#/orders")
        browser.one(f"{ROWS} .row-link", "#1795")
        lines = "return new Set([...document.querySelector('td .row-link').getClientRects()].map(({ top }) => top)).size"
        assert browser.execute_script(lines) == 1, size


def test_text_is_as_large_as_its_reader_has_asked_the_browser_for(browser: Browser, laptop: Laptop) -> None:
    browser.screen(DESKTOP)
    for view in ("orders", f"orders/{order(laptop)['id']}", "exports"):
        show(browser, laptop, view)
        browser.one(".rows, .items, form")
        size = "return parseFloat(getComputedStyle(document.querySelector('main p, main td')).fontSize)"
        before = browser.execute_script(size)
        browser.execute_script("document.documentElement.style.fontSize = '200%'")
        assert browser.execute_script(size) == 2 * before
        assert browser.execute_script("return document.documentElement.scrollWidth") <= DESKTOP[0], view


def test_a_service_that_cannot_be_reached_is_said_to_be_and_can_be_tried_again(browser: Browser, laptop: Laptop) -> None:
    show(browser, laptop, "orders")
    browser.one(ROWS)
    browser.execute_cdp_cmd("Network.enable", {})
    conditions = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": True, **conditions})
    browser.one(".pills a", "Paid").click()
    browser.shows("The service cannot be reached")
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": False, **conditions})
    browser.one("button", "Try again").click()
    browser.until(lambda b: set(texts(b, f"{ROWS} td.wide .status")) == {"Paid"})


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("'<html>Sign in to the network</html>'", "Something else than the service has answered"),
        ("'null'", "Something else than the service has answered"),
        # What was promised as longer than it is.
        (
            "new ReadableStream({start(c) { c.enqueue(new TextEncoder().encode('{')); c.error(new TypeError('ended')); }})",
            "The service cannot be reached",
        ),
    ],
)
def test_an_answer_that_is_cut_off_or_not_the_services_is_said(
    browser: Browser, laptop: Laptop, answer: str, said: str
) -> None:
    show(browser, laptop, "seed")
    browser.execute_script(f"window.fetch = async () => new Response({answer})")
    for view in ("orders", "orders/1", "customers/1", "webhooks/1", "seed/x"):
        browser.execute_script("location.hash = arguments[0]", f"#/{view}")
        browser.one(".notice.error", said)
    browser.execute_script("location.hash = '#/customers/new'")
    browser.one("button", "Create customer").click()
    browser.one(".notice.error", said)
    assert browser.complaints() == []


def test_an_amount_that_could_mean_two_things_is_none(browser: Browser, laptop: Laptop) -> None:
    show(browser, laptop, "orders/new")
    module = "document.querySelector('script[src]').src.replace('app.js', 'format.js')"
    script = f"return import({module}).then(format => arguments[0].map(format.cents))"
    texts = [
        "12",
        " 12.5 ",
        "1,200.50",
        "1,234,567",
        "0,125",
        "1,2345",
        "12,50",
        "1200,500",
        ",125",
        "9" * 400,
        "90071992547409.92",
    ]
    expected = [1200, 1250, 120050, 123456700, *[None] * 7]
    assert browser.execute_script(script, texts) == expected
    quantity = browser.find_elements(By.CSS_SELECTOR, "fieldset input")[1]
    quantity.send_keys("9" * 400)
    browser.one("button", "Create order").click()
    browser.one(".wrong", "must be a whole number")
    assert browser.complaints() == []


def test_pictures_are_taken(browser: Browser, laptop: Laptop, tmp_path: Path) -> None:
    """PICTURES=docs makes the one in the README."""
    folder = ROOT / os.environ["PICTURES"] if "PICTURES" in os.environ else tmp_path
    browser.screen((1200, 760))
    show(browser, laptop, "orders")
    browser.one(ROWS)
    browser.still()
    picture = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "webp", "quality": 70})["data"]
    (folder / "console.webp").write_bytes(base64.b64decode(picture))
    assert (folder / "console.webp").stat().st_size < MOST_BYTES_OF_A_PICTURE
