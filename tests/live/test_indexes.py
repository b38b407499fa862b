"""Stage 5: lists and searches of many products use every index of the table.

Not among the default tests, for they take minutes: ``nox -s live``.
"""

from contextlib import suppress
from pathlib import Path

import pytest
from test_database import SERVICES, connect, register, serving

from tools.live import wait_until

FILL = """
import sys
import psycopg

_, url, products, users = sys.argv
with psycopg.connect(url, autocommit=True) as connection:
    connection.execute(
        f"INSERT INTO {products}"
        " (name, description, price_cents, owner_id, created_at, updated_at)"
        " SELECT 'Chair ' || md5(n::text), '', n, id, now(), now()"
        f" FROM {users}, generate_series(1, 100000) n"
    )
    connection.execute(f"VACUUM ANALYZE {products}")
"""
USES = """
import sys
import psycopg

with psycopg.connect(sys.argv[1]) as connection:
    for row in connection.execute(
        "SELECT indexrelname, idx_scan FROM pg_stat_user_indexes WHERE relname = %s",
        sys.argv[2:],
    ):
        print(*row)
"""
LISTS: tuple[dict[str, str | int], ...] = (
    {"sort": "-id"},
    {"search": "ab12"},
    {"sort": "name"},
    {"sort": "-name", "offset": 50},
    {"sort": "price_cents"},
    {"sort": "-price_cents", "offset": 50},
    {"max_price_cents": 100},
)


@pytest.mark.parametrize("name", SERVICES)
def test_lists_of_many_products_use_the_indexes(name: str, tmp_path: Path) -> None:
    is_django = name.startswith("django")
    products, users = (
        ("products_product", "users_user") if is_django else ("products", "users")
    )
    with serving(name, tmp_path) as (project, port, url), connect(port) as client:
        register(client)
        project.run(("python", "-c", FILL, url, products, users))
        for parameters in LISTS:
            found = client.get("/products", params={"limit": 20, **parameters})
            assert found.status_code == 200
            assert found.json()["items"]

        def unused() -> set[str]:
            rows = project.run(("python", "-c", USES, url, products)).splitlines()
            uses = dict(row.split() for row in rows)
            # Only the deletion of a user needs the index of owners.
            return {
                index
                for index, scans in uses.items()
                if scans == "0" and "owner_id" not in index
            }

        # Servers count with a delay.
        with suppress(TimeoutError):
            wait_until(lambda: not unused(), "the use of the indexes")
        assert unused() == set()
