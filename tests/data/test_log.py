"""PostgreSQL's log is kept for months and read by people who need not see customers' data."""

from local.postgres import EmbeddedPostgres
from tests.harness import Service

ADDRESS, KEY = "somebody.special@example.com", "a-key-that-is-used-twice"


def test_neither_an_address_nor_a_key_reaches_the_log(service: Service, postgres: EmbeddedPostgres) -> None:
    body = {"email": ADDRESS, "name": "Somebody"}
    assert service.http("POST", "/api/customers/", body, headers={"Idempotency-Key": KEY}).status == 201
    assert service.http("POST", "/api/customers/", body, headers={"Idempotency-Key": KEY}).status == 201
    assert service.http("POST", "/api/customers/", body).status == 409
    log = (postgres.folder / "log").read_text()
    # The refusals are logged, so this is the right file.
    assert "duplicate key value violates unique constraint" in log
    assert ADDRESS not in log
    assert KEY not in log
