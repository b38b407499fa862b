"""Stage 5: a management command ends as soon as its work is done.

Not among the default tests, for they take minutes: ``nox -s live``.
"""

import time
from contextlib import ExitStack
from pathlib import Path

from test_database import SHAPE

from tools import live, servers
from tools.combinations import find_combinations, select
from tools.template import FAMILY_ROOT, render

(LISTENED,) = (
    combination.answers
    for combination in select(
        find_combinations(FAMILY_ROOT),
        [*SHAPE[:3], "worker=celery", "framework=django", "websocket=yes"],
    )
)
CHANGE = """
import time
from django.apps import apps

User, Product = (apps.get_model(name) for name in ("users.User", "products.Product"))
user = User.objects.create_user("ada@example.com", name="Ada")
Product(name="Chair", price_cents=1, owner=user).save()
Product.objects.bulk_create(
    Product(name=f"Product {n}", price_cents=1, owner=user) for n in range(500)
)
start = time.monotonic()
Product.objects.all().delete()
print(time.monotonic() - start)
"""


def test_a_command_that_sends_events_ends(tmp_path: Path) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(servers.postgresql_server())
        port = stack.enter_context(servers.redis_server())
        project = live.make(
            render(LISTENED, tmp_path / "project"),
            logs=tmp_path / "logs",
            variables={
                "DATABASE_URL": url,
                "BROKER_URL": f"redis://127.0.0.1:{port}/0",
            },
        )
        project.prepare()
        start = time.monotonic()
        shell = ("python", "manage.py", "shell", "--no-imports", "--command", CHANGE)
        seconds = float(project.run(shell).split()[-1])

        # The pool, if it is left open, takes 20 seconds; 500 single events take 8.
        assert time.monotonic() - start < 15
        assert seconds < 4
