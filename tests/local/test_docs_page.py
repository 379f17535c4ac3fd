"""The documentation page in a real browser, and authorization as a client experiences it."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from contract.functions import OPENAPI, load_functions
from contract.texts import GATEWAY
from drill.laptop import STOP_SECONDS, Laptop
from drill.servers import wait_until
from orders.event_models import EVENTS
from tests.browser import WAIT_SECONDS, Browser, needs_browser


@needs_browser
def test_the_page_lists_the_endpoints_and_tries_them_out(browser: Browser, laptop: Laptop) -> None:
    laptop.finished(laptop.seed(customers=1))
    browser.get(f"{laptop.url}/api/docs/")
    wait = WebDriverWait(browser, WAIT_SECONDS)
    wait.until(lambda b: b.find_elements(By.CSS_SELECTOR, ".opblock"))
    listed = {element.text for element in browser.find_elements(By.CSS_SELECTOR, ".opblock-summary-path")}
    paths = json.loads(OPENAPI.read_text())["paths"].keys()
    assert {path.replace("\u200b", "") for path in listed} == paths | EVENTS.keys()
    block = browser.find_element(By.CSS_SELECTOR, "[id$='list_orders']")
    block.find_element(By.CSS_SELECTOR, ".opblock-summary-control").click()
    wait.until(lambda b: b.find_elements(By.CSS_SELECTOR, ".execute"))[0].click()
    browser.one(".live-responses-table .highlight-code", "alice.nguyen.1@")
    # Nothing was fetched from anywhere else: no CDN, no fonts.
    fetched = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert all(name.startswith((laptop.url, "data:")) for name in fetched)
    logs = browser.get_log("browser")  # type: ignore[no-untyped-call]
    assert [entry for entry in logs if entry["level"] == "SEVERE" and "favicon" not in entry["message"]] == []


@needs_browser
def test_the_page_authorizes_itself_and_is_then_let_in(browser: Browser, guarded: Laptop) -> None:
    browser.get(f"{guarded.url}/api/docs/")
    wait = WebDriverWait(browser, WAIT_SECONDS)
    wait.until(lambda b: b.find_elements(By.CSS_SELECTOR, ".scheme-container .authorize"))[0].click()
    flows = wait.until(lambda b: b.find_elements(By.CSS_SELECTOR, ".auth-container"))
    [dialog] = [flow for flow in flows if "clientCredentials" in flow.text]
    dialog.find_element(By.ID, "client_id_clientCredentials").send_keys("page")
    dialog.find_element(By.ID, "client_secret_clientCredentials").send_keys("any")
    dialog.find_element(By.CSS_SELECTOR, "[data-all]").click()
    dialog.find_element(By.CSS_SELECTOR, ".auth-btn-wrapper .authorize").click()
    wait.until(lambda b: "Logout" in b.find_element(By.CSS_SELECTOR, ".auth-btn-wrapper").text)
    browser.find_element(By.CSS_SELECTOR, ".close-modal").click()
    block = browser.find_element(By.CSS_SELECTOR, "[id$='list_customers']")
    block.find_element(By.CSS_SELECTOR, ".opblock-summary-control").click()
    wait.until(lambda b: b.find_elements(By.CSS_SELECTOR, ".execute"))[0].click()
    browser.one(".live-responses-table .highlight-code", '"results": []')


# What a page can send without a preflight: a form, and a request whose answer it will not see.
ATTACK = """<!doctype html><title>attack</title>
<iframe name="hidden"></iframe>
<form id="form" method="post" enctype="text/plain" target="hidden" action="{laptop}/api/orders/{order}/cancel/"></form>
<a href="{laptop}/api/docs/">documentation</a>
<script>
document.querySelector("#form").submit();
fetch("{laptop}/api/dev/seed/", {{method: "POST", mode: "no-cors"}}).catch(() => null);
fetch("{laptop}/api/orders/{order}/").then(answer => answer.text(), () => "unreadable").then(text => document.title = text);
</script>"""


@contextmanager
def site(page: str) -> Iterator[int]:
    """Serves one page; yields the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@needs_browser
def test_a_page_elsewhere_can_neither_cancel_an_order_nor_seed_nor_read(browser: Browser, tmp_path: Path) -> None:
    wait = WebDriverWait(browser, WAIT_SECONDS)
    with Laptop(tmp_path / "laptop", CORS_ORIGINS="http://localhost:*") as laptop:
        customer = laptop.post("/api/customers/", {"email": "a@b.de", "name": "A"}).json()
        item = {"sku": "A", "quantity": 1, "unit_price_cents": 1}
        order = laptop.post("/api/orders/", {"customer_id": customer["id"], "items": [item]}).json()
        with site(ATTACK.format(laptop=laptop.url, order=order["id"])) as port:
            for attempt, host in enumerate(("evil.example.com", "127.0.0.1"), 1):
                browser.get(f"http://{host}:{port}/")
                wait.until(lambda b: b.title == "unreadable")
                for request in (f"POST /api/orders/{order['id']}/cancel/", "POST /api/dev/seed/"):
                    wait_until(
                        lambda request=request, attempt=attempt: laptop.output.count(f"{request} → 403") == attempt,  # type: ignore[misc]
                        f"The refusal of {request}",
                    )
            assert laptop.get(f"/api/orders/{order['id']}/").json() == order
            assert laptop.processes("cancel_order", "start_seed") == []
            # A link is not an attack.
            browser.find_element(By.TAG_NAME, "a").click()
            wait.until(lambda b: b.find_elements(By.CSS_SELECTOR, ".opblock"))
            # To the browser, a page whose name was rebound to this machine has the same origin as the gateway.
            browser.get(f"http://rebound.example.com:{laptop.url.rpartition(':')[2]}/api/orders/")
            assert browser.find_element(By.TAG_NAME, "body").text == '{"message":"Forbidden"}'
            # An allowed origin can do all of it.
            browser.get(f"http://localhost:{port}/")
            wait.until(lambda b: '"status"' in b.title)
            wait_until(lambda: laptop.get(f"/api/orders/{order['id']}/").json()["status"] == "cancelled", "The cancelling")


def test_with_authorization_only_the_open_routes_answer_without_a_token(guarded: Laptop) -> None:
    # Nor another test has left them running.
    writing = ("create_", "cancel_", "start_seed", "delete_", "update_")
    for process in guarded.processes(*writing):
        process.kill()
        process.wait(STOP_SECONDS)
    everything, reading = re.findall(r"eyJ[\w.-]+", guarded.output)
    routes = [route for function in load_functions() for route in function.routes]
    for route in routes:
        path = re.sub(r"{run_id}", "00000000-0000-0000-0000-000000000000", route.path)
        path = re.sub(r"{\w+}", "1", path) + "/"
        if not route.scopes:
            # What the console's paths name is not a file.
            assert guarded.get(path).status_code == (404 if "{" in route.path else 200)
            continue
        refused = guarded.http.request(route.method, path)
        assert (refused.status_code, refused.json()) == (401, {"message": GATEWAY[401]})
        assert "www-authenticate" in refused.headers
        answer = guarded.http.request(route.method, path, headers={"Authorization": f"Bearer {reading}"})
        may_read = any(scope.endswith("/read") for scope in route.scopes)
        assert (answer.status_code in (401, 403)) == (not may_read)
        assert may_read or answer.json() == {"message": GATEWAY[403]}
    # No function was invoked for a refused request, so none of those that write was even started.
    assert guarded.processes(*writing) == []
    form = {"grant_type": "client_credentials", "scope": "orders/read", "client_id": "swagger"}
    granted = guarded.http.post("/oauth2/token", data=form).json()["access_token"]
    assert guarded.get("/api/orders/", headers={"Authorization": f"Bearer {granted}"}).status_code == 200
    assert guarded.http.post("/oauth2/token", data={"grant_type": "password"}).status_code == 400
    assert guarded.get("/.well-known/openid-configuration").json()["issuer"] == guarded.url
    headers = {"Authorization": f"Bearer {everything}"}
    customer = guarded.post("/api/customers/", {"email": "a@b.de", "name": "A"}, headers).json()
    item = {"sku": "A", "quantity": 1, "unit_price_cents": 1}
    order = guarded.post("/api/orders/", {"customer_id": customer["id"], "items": [item]}, headers).json()
    events = guarded.get(f"/api/orders/{order['id']}/events/", headers=headers).json()["results"]
    assert [(event["type"], event["actor"]) for event in events] == [("order.created", "laptop")]
