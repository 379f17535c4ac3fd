"""`make migrate DATABASE_URL=…`: runs the function migrate_database on this machine, against any database."""

import os
import sys

from contract.openapi import load_handler
from local.postgres import PostgresFailed, Server


def main() -> None:
    url = os.environ.get("DATABASE_URL")
    if not url:
        sys.exit("Name the database: make migrate DATABASE_URL=postgresql://user:password@host:5432/database")
    try:
        server = Server.from_url(url)
        server.check()
        os.environ.update(server.environment)
        result = load_handler("migrate_database").handler({}, None)
    except Exception as error:
        sys.exit(f"Nothing was migrated. {error}" if isinstance(error, PostgresFailed) else f"Nothing was migrated: {error!r}")
    print(f"At {result['current']}; applied: {', '.join(result['applied']) or 'nothing, it was up to date'}")


if __name__ == "__main__":
    main()
