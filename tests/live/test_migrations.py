"""Stage 5: a migration that is generated runs, and passes all checks as it is written.

Not among the default tests, for they take minutes: ``nox -s live``.
"""

import re
import shlex
from contextlib import ExitStack
from pathlib import Path

import pytest

from tools import live, servers
from tools.combinations import find_combinations, select
from tools.template import FAMILY_ROOT, render

# Of each framework, mapper and database; by layer and by feature.
PROJECTS = {
    combination.id: combination.answers
    for combination in select(
        find_combinations(FAMILY_ROOT),
        ["purpose=api", "size=medium", "database=sqlite,postgresql", "worker=none"],
    )
    if combination.answers.get("websocket") != "yes"
    and (combination.answers["layout"] == "layer")
    == (combination.answers["concurrency"] == "async")
}
SQLALCHEMY = '''"""The tag model."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import ForeignKey, Numeric, String
from sqlalchemy.orm import Mapped, mapped_column

from {database} import Base, Timestamps, UtcDateTime


class Tag(Timestamps, Base):
    """A tag of a product."""

    __tablename__ = "tags"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), index=True)
    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
'''
TORTOISE = '''"""The tag model."""

from tortoise import fields

from {database} import Timestamps
from {products} import Product


class Tag(Timestamps):
    """A tag of a product."""

    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=50, db_index=True)
    seen_at = fields.DatetimeField(null=True)
    price = fields.DecimalField(max_digits=10, decimal_places=2)
    product = fields.ForeignKeyField(Product, related_name=False)

    class Meta:
        """The name of the table."""

        table = "tags"
'''
DJANGO = '''

class Tag(TimestampedModel):
    """A tag of a product."""

    name = models.CharField(max_length=50, db_index=True)
    seen_at = models.DateTimeField(null=True, blank=True)
    price = models.DecimalField(max_digits=10, decimal_places=2)
    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="tags")

    def __str__(self) -> str:
        return self.name
'''
COMMANDS = {
    "sqlalchemy": (
        'alembic revision --autogenerate --message "add tags"',
        "alembic upgrade head",
        "alembic check",
        "alembic downgrade base",
        "alembic upgrade head",
    ),
    "tortoise": (
        'tortoise makemigrations --name "add tags"',
        "ruff check --fix",
        "ruff format",
        "tortoise migrate",
        "tortoise downgrade models 0001_users_and_products",
        "tortoise migrate",
    ),
    "django": (
        "python manage.py makemigrations",
        "ruff check --fix",
        "ruff format",
        "python manage.py migrate",
        "python manage.py makemigrations --check",
        "python manage.py migrate products 0001",
        "python manage.py migrate",
    ),
}
CHECKS = ("ruff check", "ruff format --check", "mypy")


def add_model(tree: Path, mapper: str) -> None:
    """Add a model to a project, as its user would."""
    by_feature = not (tree / "app" / "models").exists()
    (products,) = (
        path
        for pattern in ("app/models/products*", "app/products/models.py")
        for path in tree.glob(pattern)
    )
    if mapper == "django":
        models = products if products.is_file() else products / "models.py"
        models.write_text(models.read_text("utf-8") + DJANGO, encoding="utf-8")
        return
    tags = tree / "app" / ("tags/models.py" if by_feature else "models/tags.py")
    tags.parent.mkdir(exist_ok=True)
    (tags.parent / "__init__.py").touch()
    module = "app.products.models" if by_feature else "app.models.products"
    text = TORTOISE if mapper == "tortoise" else SQLALCHEMY
    tags.write_text(
        text.format(database="app.database", products=module), encoding="utf-8"
    )
    if mapper == "tortoise":
        database = tree / "app" / "database.py"
        listed = f'    "{module}",\n'
        source = database.read_text("utf-8")
        assert listed in source
        more = listed + listed.replace("products", "tags")
        database.write_text(source.replace(listed, more), encoding="utf-8")


@pytest.mark.parametrize("name", PROJECTS)
def test_a_generated_migration_runs_and_passes_all_checks(
    name: str, tmp_path: Path
) -> None:
    answers = PROJECTS[name]
    mapper = (
        "django"
        if answers["framework"] == "django"
        else answers.get("orm") or "sqlalchemy"
    )
    with ExitStack() as stack:
        tree = render(answers, tmp_path / "project")
        scheme = live.settings(tree)["DATABASE_URL"].partition(":")[0]
        if answers["database"] == "postgresql":
            url = stack.enter_context(servers.postgresql_server())
            variables = {"DATABASE_URL": re.sub("^postgresql", scheme, url)}
        else:
            variables = {}
        project = live.make(tree, logs=tmp_path / "logs", variables=variables)
        project.prepare()
        add_model(tree, mapper)
        for command in (*COMMANDS[mapper], *CHECKS):
            project.run(shlex.split(command))
    for path in tree.rglob("*tag*.py"):
        if "migrations" in path.parts:
            assert "import app" not in path.read_text("utf-8")
            assert "from app" not in path.read_text("utf-8")
