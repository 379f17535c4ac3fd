"""How people sign in: at the laptop's issuer over HTTP, and as they experience it in a browser."""

import base64
import hashlib
import json
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from selenium.webdriver.common.by import By

from contract.edge import CLI_CALLBACK
from drill.laptop import Laptop
from local import sign_in
from local.auth import AUTHORIZE_PATH, TOKEN_PATH, Issuer
from local.events import HttpRequest
from tests.browser import Browser, needs_browser
from tests.local.test_console import LOST

VERIFIER = "verifier-of-at-least-forty-three-characters-1"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def asked(guarded: Laptop, **changes: str | None) -> dict[str, str]:
    fields = {
        "response_type": "code",
        "client_id": "console",
        "redirect_uri": f"{guarded.url}/console/signed-in",
        "state": "s",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "scope": "orders/read customers/read",
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


def code(guarded: Laptop) -> str:
    form = {**asked(guarded), "answer": "yes", "subject": "ada", "may orders/read": "on"}
    answer = guarded.http.post(AUTHORIZE_PATH, data=form)
    assert answer.status_code == 302
    place = urlsplit(answer.headers["location"])
    assert (place.path, parse_qs(place.query)["state"]) == ("/console/signed-in", ["s"])
    return parse_qs(place.query)["code"][0]


def exchange(guarded: Laptop, given: str, **changes: str) -> httpx.Response:
    fields = {
        "grant_type": "authorization_code",
        "client_id": "console",
        "code": given,
        "redirect_uri": f"{guarded.url}/console/signed-in",
        "code_verifier": VERIFIER,
    }
    return guarded.http.post(TOKEN_PATH, data={**fields, **changes})


def of_everything(guarded: Laptop) -> dict[str, str]:
    """With the token that the laptop prints, which has every scope."""
    return {"Authorization": f"Bearer {re.findall(r'eyJ[-.A-Za-z0-9_]+', guarded.output)[0]}"}


def test_a_code_and_its_verifier_get_a_token_with_the_scopes_that_were_allowed(guarded: Laptop) -> None:
    answer = exchange(guarded, code(guarded))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    tokens = answer.json()
    assert (tokens["token_type"], tokens["scope"]) == ("Bearer", "orders/read")
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert guarded.get("/api/orders/", headers=headers).status_code == 200
    assert guarded.get("/api/customers/", headers=headers).status_code == 403


def test_the_command_line_signs_in_as_the_console_does(guarded: Laptop) -> None:
    form = {**asked(guarded, redirect_uri=CLI_CALLBACK), "answer": "yes", "may orders/read": "on"}
    place = guarded.http.post(AUTHORIZE_PATH, data=form).headers["location"]
    assert place.startswith(f"{CLI_CALLBACK}?")
    given = parse_qs(urlsplit(place).query)["code"][0]
    assert exchange(guarded, given, redirect_uri=CLI_CALLBACK).status_code == 200


def test_a_code_works_once_and_only_for_whom_it_was_given(guarded: Laptop) -> None:
    used = code(guarded)
    assert exchange(guarded, used).status_code == 200
    refused = [
        exchange(guarded, used),
        exchange(guarded, "unknown"),
        exchange(guarded, code(guarded), code_verifier="another"),
        exchange(guarded, code(guarded), code_verifier=CHALLENGE),
        exchange(guarded, code(guarded), redirect_uri=f"{guarded.url}/console/signed-in/"),
    ]
    assert [(answer.status_code, answer.json()["error"]) for answer in refused] == [(400, "invalid_grant")] * 5
    assert exchange(guarded, code(guarded), client_id="other").json()["error"] == "invalid_client"
    # A code is used up by the attempt, so that no second verifier can be tried.
    tried = code(guarded)
    assert exchange(guarded, tried, code_verifier="another").status_code == 400
    assert exchange(guarded, tried).status_code == 400


def test_a_refresh_token_works_once(guarded: Laptop) -> None:
    first = exchange(guarded, code(guarded)).json()
    form = {"grant_type": "refresh_token", "client_id": "console", "refresh_token": first["refresh_token"]}
    second = guarded.http.post(TOKEN_PATH, data=form)
    assert (second.status_code, second.json()["scope"]) == (200, "orders/read")
    assert guarded.http.post(TOKEN_PATH, data=form).json()["error"] == "invalid_grant"
    form["refresh_token"] = second.json()["refresh_token"]
    assert guarded.http.post(TOKEN_PATH, data={**form, "client_id": "other"}).json()["error"] == "invalid_client"


def test_a_code_and_a_sign_in_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuer(tmp_path, "http://127.0.0.1:1")
    fields = {"client_id": "console", "redirect_uri": "r", "code_verifier": VERIFIER}
    grant = sign_in.Grant("ada", [], "r", CHALLENGE, time.time() + sign_in.CODE_SECONDS)
    issuer.sign_ins.codes |= {"early": grant, "late": grant}
    assert issuer.sign_ins.redeem({**fields, "code": "early"}) == grant
    token = issuer.sign_ins.refresh_token(grant)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + sign_in.CODE_SECONDS + 1)
    with pytest.raises(sign_in.Refused, match="too old"):
        issuer.sign_ins.redeem({**fields, "code": "late"})
    monkeypatch.setattr(time, "time", lambda: now + sign_in.REFRESH_SECONDS + 1)
    with pytest.raises(sign_in.Refused, match="too old"):
        issuer.sign_ins.renew({**fields, "refresh_token": token})


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "other"},
        {"client_id": None},
        {"redirect_uri": "https://evil.example.com/console/signed-in"},
        {"redirect_uri": "/console/signed-in"},
        {"redirect_uri": CLI_CALLBACK.replace("8765", "8766")},
        {"redirect_uri": None},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_is_sent_to_an_address_that_is_not_the_consoles(
    guarded: Laptop, changes: dict[str, str | None], method: str
) -> None:
    form = {**asked(guarded, **changes), "answer": "yes"}
    answer = guarded.http.get(AUTHORIZE_PATH, params=form) if method == "GET" else guarded.http.post(AUTHORIZE_PATH, data=form)
    assert answer.status_code == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "é" * 43}, "invalid_request"),
    ],
)
def test_a_sign_in_without_a_challenge_by_s256_is_refused(guarded: Laptop, changes: dict[str, Any], error: str) -> None:
    answer = guarded.http.get(AUTHORIZE_PATH, params=asked(guarded, **changes))
    assert answer.status_code == 302
    assert parse_qs(urlsplit(answer.headers["location"]).query)["error"] == [error]


def test_what_an_address_says_is_text_on_the_page_and_another_page_cannot_post_it(guarded: Laptop) -> None:
    hostile = '"><script>alert(1)</script>'
    answer = guarded.http.get(AUTHORIZE_PATH, params=asked(guarded, state=hostile, scope=hostile))
    assert answer.status_code == 200
    assert "<script" not in answer.text
    policy = answer.headers["content-security-policy"]
    style = base64.b64encode(hashlib.sha256(sign_in.STYLE.encode()).digest()).decode()
    assert f"style-src 'sha256-{style}'" in policy
    assert all(part in policy for part in ("default-src 'none'", "form-action 'self'", "frame-ancestors 'none'"))
    foreign = guarded.http.post(AUTHORIZE_PATH, data=asked(guarded), headers={"Origin": "https://evil.example.com"})
    assert foreign.status_code == 403
    request = HttpRequest("POST", AUTHORIZE_PATH, "", [("host", "h")], b"\xff=\xff&client_id=console")
    assert sign_in.SignIns().authorize(request).status == 400


@needs_browser
def test_people_sign_in_see_what_their_scopes_allow_and_stay_signed_in(browser: Browser, guarded: Laptop) -> None:
    headers = of_everything(guarded)
    ada = guarded.post("/api/customers/", {"email": "ada@example.com", "name": "Ada"}, headers).json()
    item = {"sku": "A", "quantity": 1, "unit_price_cents": 1}
    made = guarded.post("/api/orders/", {"customer_id": ada["id"], "items": [item]}, headers).json()
    browser.get(f"{guarded.url}/#/orders/{made['id']}")
    browser.one("button", "Sign in").click()
    browser.one("input[name=subject]").clear()
    browser.one("input[name=subject]").send_keys("grace")
    assert browser.violations() == []
    browser.one("input[name='may customers/read']").click()
    browser.one("input[name='may customers/write']").click()
    browser.one("input[name='may dev/seed']").click()
    browser.one("button", "Sign in").click()
    # Back where the sign-in was asked for, with nothing of it in the address or the history.
    browser.one("button", "Mark as paid").click()
    browser.shows("The order is paid now")
    assert browser.current_url == f"{guarded.url}/#/orders/{made['id']}"
    browser.until(lambda b: "by grace" in b.find_element(By.CSS_SELECTOR, ".timeline").text)
    links = [link.text for link in browser.find_elements(By.CSS_SELECTOR, "header nav a")]
    assert links == ["Orders", "Summary", "Exports", "Webhooks", "Mails", "API"]
    browser.get(f"{guarded.url}/#/customers")
    browser.shows("it needs the scope customers/read")
    # A token that has ended is renewed once for all that is under way; the tab's storage is the only place that has one.
    browser.execute_script(
        "const kept = JSON.parse(sessionStorage['orders.session']); kept.claims.exp = 1;"
        "sessionStorage['orders.session'] = JSON.stringify(kept); window.was = kept.token"
    )
    assert browser.execute_script("return [localStorage.length, document.cookie]") == [0, ""]
    browser.get("about:blank")
    browser.get(f"{guarded.url}/#/orders/{made['id']}")
    browser.one("button", "Mark as shipped").click()
    browser.shows("The order is shipped now")
    browser.one("button", "Sign out").click()
    browser.one("button", "Sign in")
    assert browser.execute_script("return sessionStorage.length") == 0
    assert browser.complaints() == []


@needs_browser
def test_a_renewal_that_does_not_reach_the_issuer_ends_no_session(browser: Browser, guarded: Laptop) -> None:
    tokens = exchange(guarded, code(guarded)).json()
    kept = {"token": tokens["access_token"], "claims": {"scope": "orders/read", "exp": 1}, "refresh": tokens["refresh_token"]}
    browser.get(f"{guarded.url}/#/nothing")
    browser.execute_script("sessionStorage['orders.session'] = arguments[0]", json.dumps(kept))
    browser.refresh()
    browser.execute_script("window.real = fetch; window.fetch = async () => { throw new TypeError('down') }")
    browser.execute_script("location.hash = '#/orders'")
    browser.one(".notice.error", "The service cannot be reached")
    browser.execute_script("window.fetch = real")
    browser.one("button", "Try again").click()
    browser.one("main .rows, main .empty")
    browser.until(lambda b: json.loads(b.execute_script("return sessionStorage['orders.session']"))["claims"]["exp"] > 1)
    # One that the issuer refuses does.
    browser.execute_script("sessionStorage['orders.session'] = arguments[0]", json.dumps(kept))
    browser.refresh()
    browser.one("button", "Sign in")


# The same module as the page's own: an answer 401 asks it for a new token, too.
RENEW = """
const src = document.querySelector("script[src]").src.replace("app.js", "session.js");
return import(src).then((session) => session.token({ renewed: true }));
"""


def sign_in_as(browser: Browser, name: str) -> None:
    browser.one("button", "Sign in").click()
    browser.one("input[name=subject]").clear()
    browser.one("input[name=subject]").send_keys(name)
    browser.one("button", "Sign in").click()
    browser.one("button", "Sign out")


def end_session(browser: Browser, guarded: Laptop) -> None:
    """The refresh token can be used once, and is used elsewhere."""
    refresh = json.loads(browser.execute_script("return sessionStorage['orders.session']"))["refresh"]
    form = {"grant_type": "refresh_token", "client_id": "console", "refresh_token": refresh}
    assert guarded.http.post(TOKEN_PATH, data=form).status_code == 200
    browser.execute_script(RENEW)
    browser.one("button", "Sign in")


def order_of(guarded: Laptop) -> dict[str, Any]:
    headers = of_everything(guarded)
    buyer = guarded.post("/api/customers/", {"email": f"{time.time_ns()}@example.com", "name": "Ada"}, headers).json()
    items = [{"sku": "A", "quantity": 1, "unit_price_cents": 1}]
    made: dict[str, Any] = guarded.post("/api/orders/", {"customer_id": buyer["id"], "items": items}, headers).json()
    return made


TYPED = "return [...document.querySelectorAll('main input')].map((input) => input.value)"


@needs_browser
@pytest.mark.parametrize(
    ("view", "opened", "number", "typed"),
    [
        ("customers/new", "", 2, ["Mary Shelley", "mary@example.com"]),
        ("customers/{customer}", "", 2, ["Ada II", "ada.ii@example.com"]),
        ("orders/new?customer_id={customer}", "Add an item", 6, ["TEA", "12", "3.50", "CUP", "1", "9"]),
        ("orders/{order}", "Edit", 2, ["7", "8.90"]),
        ("orders/{order}", "Add an item", 3, ["TEA", "12", "3.50"]),
        ("exports", "", 3, ["alice", "12", "PO-1"]),
        ("webhooks", "", 3, ["https://shop.example.com/hook", "order.paid", "The shop"]),
        ("seed", "", 3, ["11", "12", "13"]),
    ],
)
def test_what_somebody_has_typed_is_there_again_once_they_have_signed_in_again(
    browser: Browser, guarded: Laptop, view: str, opened: str, number: int, typed: list[str]
) -> None:
    made = order_of(guarded)
    browser.get(f"{guarded.url}/#/{view.format(customer=made['customer']['id'], order=made['id'])}")
    sign_in_as(browser, "grace")
    if "customer_id" in view:
        browser.shows(made["customer"]["email"])
    if opened:
        browser.one("button", opened).click()
    browser.until(lambda b: len(b.find_elements(By.CSS_SELECTOR, "main input")) == number)
    for field, text in zip(browser.find_elements(By.CSS_SELECTOR, "main input"), typed, strict=True):
        field.clear()
        field.send_keys(text)
    address = browser.current_url
    end_session(browser, guarded)
    browser.shows("What you had typed waits in this tab")
    assert browser.violations() == []
    sign_in_as(browser, "grace")
    browser.until(lambda b: b.execute_script(TYPED) == typed)
    if "customer_id" in view:
        browser.shows(made["customer"]["email"])
    assert browser.current_url == address
    assert browser.execute_script("return [Object.keys(sessionStorage), localStorage.length]") == [["orders.session"], 0]


@needs_browser
def test_what_was_typed_is_kept_for_nobody_else_no_other_view_and_no_longer_than_wanted(
    browser: Browser, guarded: Laptop
) -> None:
    def typed_by_grace() -> None:
        browser.get("about:blank")
        browser.get(f"{guarded.url}/#/customers/new")
        sign_in_as(browser, "grace")
        browser.one("input[name=name]").send_keys("Mary Shelley")
        end_session(browser, guarded)
        browser.shows("waits in this tab")

    def nothing_is_left() -> None:
        assert browser.one("input[name=name]").get_attribute("value") == ""
        assert "Mary" not in browser.execute_script("return JSON.stringify(sessionStorage)")
        browser.one("button", "Sign out").click()
        browser.one("button", "Sign in")
        assert browser.execute_script("return sessionStorage.length") == 0

    typed_by_grace()
    sign_in_as(browser, "another")
    nothing_is_left()
    typed_by_grace()
    browser.execute_script("location.hash = '#/summary'")
    sign_in_as(browser, "grace")
    browser.one("main h1", "Summary")
    browser.execute_script("location.hash = '#/customers/new'")
    nothing_is_left()
    typed_by_grace()
    browser.one("button", "Discard it").click()
    browser.until(lambda b: b.execute_script("return sessionStorage.length") == 0)
    sign_in_as(browser, "grace")
    nothing_is_left()
    # A form that nobody has touched is not said to wait.
    browser.get("about:blank")
    browser.get(f"{guarded.url}/#/customers/new")
    sign_in_as(browser, "grace")
    browser.one("input[name=name]")
    end_session(browser, guarded)
    assert "waits in this tab" not in browser.find_element(By.TAG_NAME, "main").text


@needs_browser
def test_what_was_typed_before_somebody_else_made_a_change_is_said_to_be_older(browser: Browser, guarded: Laptop) -> None:
    made = order_of(guarded)
    headers = of_everything(guarded)
    buyer = f"customers/{made['customer']['id']}"
    item = f"orders/{made['id']}/items/{made['items'][0]['id']}"
    for view, field, path, change, now in (
        (buyer, "[name=name]", buyer, {"name": "Faster"}, "It is Faster, "),
        (f"orders/{made['id']}", "", item, {"quantity": 5}, "It is 5 × 0.01 now."),
    ):
        browser.get("about:blank")
        browser.get(f"{guarded.url}/#/{view}")
        sign_in_as(browser, "grace")
        if view != buyer:
            browser.one("button", "Edit").click()
        browser.one(f"form input{field}").send_keys("2")
        typed = browser.one(f"form input{field}").get_attribute("value")
        end_session(browser, guarded)
        assert guarded.http.patch(f"/api/{path}/", json=change, headers=headers).status_code == 200
        sign_in_as(browser, "grace")
        browser.one(".notice.conflict", now)
        assert browser.one(f"form input{field}").get_attribute("value") == typed
        browser.one("form button", "Save").click()
        browser.shows("Saved." if view == buyer else "Item saved.")
        browser.one("button", "Sign out").click()


@needs_browser
@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("POST", "pay/", "The order is no longer pending, so its items cannot be changed any more."),
        ("DELETE", "items/{item}/", "The item cannot be changed any more."),
    ],
)
def test_what_was_typed_for_an_item_that_cannot_be_changed_any_more_is_said_to_be_gone(
    browser: Browser, guarded: Laptop, method: str, path: str, said: str
) -> None:
    made, headers = order_of(guarded), of_everything(guarded)
    order = f"/api/orders/{made['id']}/"
    guarded.post(f"{order}items/", {"sku": "B", "quantity": 1, "unit_price_cents": 1}, headers)
    browser.get(f"{guarded.url}/#/orders/{made['id']}")
    sign_in_as(browser, "grace")
    browser.one("button[aria-label='Edit A']").click()
    browser.one("form input").send_keys("2")
    end_session(browser, guarded)
    browser.shows("What you had typed waits in this tab")
    change = order + path.format(item=made["items"][0]["id"])
    assert guarded.http.request(method, change, headers=headers).is_success
    sign_in_as(browser, "grace")
    browser.one(".notice", said)
    assert browser.execute_script("return Object.keys(sessionStorage)") == ["orders.session"]
    end_session(browser, guarded)
    assert "waits in this tab" not in browser.find_element(By.TAG_NAME, "main").text


@needs_browser
def test_an_attempt_without_an_answer_is_not_made_twice_by_signing_in_again(browser: Browser, guarded: Laptop) -> None:
    browser.get(f"{guarded.url}/#/customers/new")
    sign_in_as(browser, "grace")
    browser.one("input[name=name]").send_keys("Once")
    browser.one("input[name=email]").send_keys("once@answers.example.com")
    browser.execute_script(LOST)
    browser.one("button", "Create customer").click()
    browser.one(".notice.error", "The service cannot be reached")
    end_session(browser, guarded)
    sign_in_as(browser, "grace")
    browser.one("button", "Create customer").click()
    # The same answer again, and not that there is such a customer.
    browser.until(lambda b: re.search(r"#/customers/\d+$", b.current_url))


@needs_browser
def test_a_sign_in_that_is_given_up_or_was_not_begun_here_gives_no_token(browser: Browser, guarded: Laptop) -> None:
    browser.get(f"{guarded.url}/")
    browser.one("button", "Sign in").click()
    browser.one("button", "Give up").click()
    browser.shows("The sign-in was given up.")
    browser.get(f"{guarded.url}/console/signed-in?code={code(guarded)}&state=s")
    browser.shows("does not belong to a sign-in that began here")
    assert browser.execute_script("return [sessionStorage.length, location.search]") == [0, ""]


@needs_browser
def test_a_browser_goes_back_to_the_command_line(browser: Browser, guarded: Laptop) -> None:
    browser.get(f"{guarded.url}{AUTHORIZE_PATH}?{urlencode(asked(guarded, redirect_uri=CLI_CALLBACK))}")
    browser.one("button", "Sign in").click()
    # Whether anything listens there does not matter.
    browser.until(lambda b: b.current_url.startswith(f"{CLI_CALLBACK}?code="))


@needs_browser
def test_people_sign_in_where_another_site_has_opened_the_console(browser: Browser, guarded: Laptop) -> None:
    browser.get("data:text/html,a portal")
    portal = browser.current_window_handle
    browser.execute_script(f"open('{guarded.url}/')")
    browser.switch_to.window(next(handle for handle in browser.window_handles if handle != portal))
    browser.one("button", "Sign in").click()
    browser.one("input[name=subject]")
    browser.one("button", "Sign in").click()
    browser.one("button", "Sign out")
    assert browser.current_url == f"{guarded.url}/"
    browser.close()
    browser.switch_to.window(portal)


@needs_browser
def test_the_documentation_page_signs_people_in_the_same_way(browser: Browser, guarded: Laptop) -> None:
    browser.get(f"{guarded.url}/api/docs/")
    browser.one(".scheme-container .authorize").click()
    container = browser.until(
        lambda b: next(c for c in b.find_elements(By.CSS_SELECTOR, ".auth-container") if "authorizationCode" in c.text)
    )
    assert container.find_element(By.ID, "client_id_authorizationCode").get_attribute("value") == "console"
    container.find_element(By.CSS_SELECTOR, "[data-all], .scopes h2 a").click()
    page = browser.current_window_handle
    container.find_element(By.CSS_SELECTOR, ".auth-btn-wrapper .authorize").click()
    browser.until(lambda b: len(b.window_handles) == 2)
    browser.switch_to.window(next(handle for handle in browser.window_handles if handle != page))
    browser.one("button", "Sign in").click()
    browser.until(lambda b: len(b.window_handles) == 1)
    browser.switch_to.window(page)
    browser.one(".auth-btn-wrapper button", "Logout")
    browser.find_element(By.CSS_SELECTOR, ".close-modal").click()
    block = browser.find_element(By.CSS_SELECTOR, "[id$='list_orders']")
    block.find_element(By.CSS_SELECTOR, ".opblock-summary-control").click()
    browser.one(".execute").click()
    browser.one(".live-responses-table .highlight-code", '"results": [')


@needs_browser
def test_a_customer_who_was_chosen_by_number_is_not_replaced_by_that_of_the_address(browser: Browser, guarded: Laptop) -> None:
    """Whoever signs in again may do more than before, such as reading customers."""
    former, chosen = (order_of(guarded)["customer"] for _ in range(2))
    browser.get(f"{guarded.url}/#/orders/new?customer_id={former['id']}")
    browser.one("button", "Sign in").click()
    browser.one("input[name=subject]").clear()
    browser.one("input[name=subject]").send_keys("grace")
    browser.one("input[name='may customers/read']").click()
    browser.one("button", "Sign in").click()
    browser.one("button", "Sign out")
    browser.one("main input").clear()
    browser.one("main input").send_keys(str(chosen["id"]))
    end_session(browser, guarded)
    sign_in_as(browser, "grace")
    browser.shows(chosen["email"])


@needs_browser
def test_a_session_ends_and_begins_whatever_the_tab_can_keep(browser: Browser, guarded: Laptop) -> None:
    browser.get(f"{guarded.url}/#/customers/new")
    sign_in_as(browser, "grace")
    browser.one("input[name=name]").send_keys("Mary Shelley")
    browser.execute_script("Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }")
    end_session(browser, guarded)
    # What another release, or half of a write, has left.
    browser.execute_script("sessionStorage['orders.typed'] = '{'")
    browser.refresh()
    sign_in_as(browser, "grace")
    browser.one("input[name=name]")
