"""Mutation tests of the matrix: ``nox -s mutants``.

Each mutant is the template with one deliberate fault in it. A project is rendered from
it and goes through the stages of the matrix. The table says which of them caught it; a
fault that is not caught by the first stage that can see it is a failure.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tools.combinations import Combination, find_combinations, select
from tools.matrix.report import BUILD, OWN_TESTS, RENDER, STAGES, TYPES, Display
from tools.matrix.run import DEFAULT_CACHE, JOBS, Options, Project, run
from tools.template import FAMILY_ROOT, copy_template

FASTAPI = ("framework=fastapi", "purpose=api", "size=medium", "concurrency=async")
SHOP = ("database=sqlite", "layout=layer", "worker=none")
SQLALCHEMY = (*FASTAPI, *SHOP, "orm=sqlalchemy")
TORTOISE = (*FASTAPI, *SHOP, "orm=tortoise")
FLASK = ("framework=flask", "size=medium", *SHOP)
FLASK_QUEUED = ("framework=flask", "size=medium", "database=sqlite", "worker=celery")
SMALL_FLASK = ("framework=flask", "size=small", "worker=none")
DJANGO = ("framework=django", "purpose=api", "size=medium", "concurrency=sync", *SHOP)
DJANGO_QUEUED = ("framework=django", "purpose=api", "size=medium", "concurrency=sync")
SITE = ("purpose=site", "size=medium", "concurrency=sync", *SHOP)
SCRIPT = ("purpose=script", "size=medium", "work=computing")
QUEUED = ("size=medium", "layout=layer", "concurrency=sync")
WORKER = ("purpose=worker", *QUEUED)

USERS = "template/{{ features.users }}"
CHECKS = "template/{{ features.checks }}/{{ paths.checks_service }}.py.jinja"
CLIENT = (
    "            follow_redirects=True,\n"
    "        )\n"
    "        self.seconds = seconds\n"
    "        self."
)
DEPENDENCIES = "computed/dependencies.jinja"


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes:
        name: What is wrong.
        stage: The stage that has to catch it.
        combination: Selects the combinations that it reaches; the first is taken.
        file: The template's file, below its root.
        old: Text that stands there once.
        new: What stands there instead.
    """

    name: str
    stage: int
    combination: Sequence[str]
    file: str
    old: str
    new: str

    @property
    def slug(self) -> str:
        """Its name, as a directory."""
        return re.sub(r"\W+", "-", self.name.lower())


MUTANTS = (
    # --- Stage 1: what is rendered ---
    Mutant(
        "a formatting error",
        RENDER,
        SQLALCHEMY,
        "includes/frameworks/fastapi/lifespan.jinja",
        'logger.info("stopped")',
        'logger.info( "stopped")',
    ),
    Mutant(
        "an import that nothing uses",
        RENDER,
        SMALL_FLASK,
        "template/{{ small.flask }}/main.py.jinja",
        "from typing import Any\n",
        "from typing import Any\nimport json\n",
    ),
    Mutant(
        "an untyped public function",
        RENDER,
        SMALL_FLASK,
        "template/{{ small.flask }}/main.py.jinja",
        "def live() -> dict[str, str]:",
        "def live():",
    ),
    Mutant(
        "a blocking client in async code",
        RENDER,
        (*FASTAPI, "database=none", "layout=layer", "worker=none"),
        CHECKS,
        "import time\n",
        "import time\nimport requests as requests\n",
    ),
    Mutant(
        "a tag that is not closed",
        RENDER,
        DJANGO,
        "template/{{ django.api }}/{{ paths.permissions }}.py.jinja",
        '"""Permission classes."""',
        '"""Permission classes{{ \'."""',
    ),
    Mutant(
        "a trailing space in a file that is no code",
        RENDER,
        SCRIPT,
        "template/{{ structured }}/.pre-commit-config.yaml.jinja",
        "repos:\n",
        "repos: \n",
    ),
    Mutant(
        "a workflow that is not YAML",
        RENDER,
        FLASK,
        "template/{{ structured }}/.github/workflows/ci.yml.jinja",
        "name: CI\n",
        "name: [CI\n",
    ),
    # --- Stage 2: declarations, types, contracts ---
    Mutant(
        "a dependency that is not declared",
        TYPES,
        (*FASTAPI, "database=none", "layout=layer", "worker=none"),
        DEPENDENCIES,
        "  ('httpx2>=2.16.2', has_checks or has_async_views),\n",
        "",
    ),
    Mutant(
        "a dependency that another one brings along",
        TYPES,
        SQLALCHEMY,
        DEPENDENCIES,
        "  ('starlette>=1.10', framework == 'fastapi'),\n",
        "",
    ),
    Mutant(
        "a library without a lower bound",
        TYPES,
        FLASK,
        DEPENDENCIES,
        "'gunicorn>=27.0.1'",
        "'gunicorn'",
    ),
    Mutant(
        "a wrong import in one layout",
        TYPES,
        (*FASTAPI, "database=sqlite", "layout=feature", "worker=none"),
        USERS + "/{{ paths.users_service }}.py.jinja",
        "from {{ mod.users_repository }} import LoginRepository, UserRepository",
        "from {{ 'app.users.repositories' if by_feature else mod.users_repository }}"
        " import LoginRepository, UserRepository",
    ),
    Mutant(
        "a wrong type",
        TYPES,
        FLASK,
        USERS + "/{{ paths.security }}.py.jinja",
        "hash_refresh_token(token: str) -> str:",
        "hash_refresh_token(token: str) -> bytes:",
    ),
    Mutant(
        "a coroutine that nobody awaits",
        TYPES,
        SQLALCHEMY,
        USERS + "/{{ paths.products_service }}.py.jinja",
        "        {{ await_ }}self.products.add(product)\n",
        "        self.products.add(product)\n",
    ),
    Mutant(
        "a route that uses a repository",
        TYPES,
        SQLALCHEMY,
        USERS + "/{{ when.fastapi }}/{{ paths.products_routes }}.py.jinja",
        "\nrouter = ",
        "from {{ mod.products_repository }} import ProductRepository\n\n"
        "REPOSITORY = ProductRepository\nrouter = ",
    ),
    # --- Stage 3: the project's own tests ---
    Mutant(
        "a dropped eager load (FastAPI)",
        OWN_TESTS,
        SQLALCHEMY,
        "template/{{ orms.sqlalchemy }}/{{ paths.products_repository }}.py.jinja",
        "            .options(OWNER)\n            # A unique",
        "            # A unique",
    ),
    Mutant(
        "a dropped eager load (Flask)",
        OWN_TESTS,
        FLASK,
        "template/{{ orms.sqlalchemy }}/{{ paths.products_repository }}.py.jinja",
        "            .options(OWNER)\n            # A unique",
        "            # A unique",
    ),
    Mutant(
        "a dropped eager load (Tortoise)",
        OWN_TESTS,
        TORTOISE,
        "template/{{ orms.tortoise }}/{{ paths.products_repository }}.py.jinja",
        "wanted.only(*SHOWN)",
        "wanted.all()",
    ),
    Mutant(
        "a dropped eager load (Django)",
        OWN_TESTS,
        DJANGO,
        "template/{{ django.api }}/{{ paths.products_routes }}.py.jinja",
        "Product.objects.all().with_owner()",
        "Product.objects.all()",
    ),
    Mutant(
        "a dropped eager load (site)",
        OWN_TESTS,
        SITE,
        "template/{{ site.package }}/{{ paths.products_views }}.py.jinja",
        "Product.objects.with_owner().newest_first()",
        "Product.objects.all().newest_first()",
    ),
    Mutant(
        "a handler of errors that is not registered (FastAPI)",
        OWN_TESTS,
        SQLALCHEMY,
        "template/{{ frameworks.fastapi }}/{{ paths.handlers }}.py.jinja",
        "    app.exception_handler(AppError)(on_app_error)\n",
        "",
    ),
    Mutant(
        "a handler of errors that is not registered (Flask)",
        OWN_TESTS,
        FLASK,
        "template/{{ frameworks.flask }}/{{ paths.handlers }}.py.jinja",
        "    app.register_error_handler(InternalServerError, on_unexpected_error)\n",
        "",
    ),
    Mutant(
        "logins without a limit (FastAPI)",
        OWN_TESTS,
        SQLALCHEMY,
        USERS + "/{{ paths.users_service }}.py.jinja",
        "            raise refused\n"
        "        {{ await_ }}self.limits.count_login(account)\n",
        "            raise refused\n",
    ),
    Mutant(
        "logins without a limit (Django)",
        OWN_TESTS,
        DJANGO,
        "template/{{ frameworks.django }}/{{ paths.backends }}.py.jinja",
        "        get_limits().count_login(account)\n",
        "",
    ),
    Mutant(
        "an address that clients can forge (Flask)",
        OWN_TESTS,
        FLASK,
        "template/{{ frameworks.flask }}/{{ paths.main }}.py.jinja",
        "x_for=hops,",
        "x_for=hops + 1,",
    ),
    Mutant(
        "an address that clients can forge (site)",
        OWN_TESTS,
        SITE,
        "template/{{ frameworks.django }}/{{ paths.backends }}.py.jinja",
        "forwarded[-hops]",
        "forwarded[0]",
    ),
    Mutant(
        "a refresh token that works twice (FastAPI)",
        OWN_TESTS,
        SQLALCHEMY,
        "template/{{ orms.sqlalchemy }}/{{ paths.users_repository }}.py.jinja",
        "                Login.token_hash == token_hash,\n",
        "",
    ),
    Mutant(
        "a refresh token that works twice (Tortoise)",
        OWN_TESTS,
        TORTOISE,
        "template/{{ orms.tortoise }}/{{ paths.users_repository }}.py.jinja",
        "id=login_id, token_hash=token_hash, expires_at__gt",
        "id=login_id, expires_at__gt",
    ),
    Mutant(
        "a stolen refresh token that ends no login (Django)",
        OWN_TESTS,
        DJANGO,
        "template/{{ django.api }}/{{ paths.users_service }}.py.jinja",
        "        Login.objects.filter(pk=login_id).delete()\n        raise",
        "        raise",
    ),
    Mutant(
        "a swallowed exception",
        OWN_TESTS,
        FLASK,
        USERS + "/{{ paths.security }}.py.jinja",
        "    except (jwt.InvalidTokenError, ValueError) as error:\n"
        '        kind = audience or "access"',
        "    except (jwt.InvalidTokenError, ValueError) as error:\n"
        '        if str(error).startswith("Signature"):\n'
        '            unread = jwt.decode(token, options={"verify_signature": False})\n'
        '            return UUID(unread["sid"])\n'
        '        kind = audience or "access"',
    ),
    Mutant(
        "a transaction that is not committed",
        OWN_TESTS,
        SQLALCHEMY,
        "template/{{ orms.sqlalchemy }}/{{ paths.database }}.py.jinja",
        "with sessions.begin() as session:",
        "with sessions() as session:",
    ),
    Mutant(
        "a migration without an index",
        OWN_TESTS,
        SQLALCHEMY,
        "template/{{ migrations }}/{{ when.sqlalchemy }}/versions/"
        "0001_users_and_products.py",
        '    op.create_index("ix_products_name_id", "products", ["name", "id"])\n',
        "",
    ),
    Mutant(
        "a model that its migrations do not know (Django)",
        OWN_TESTS,
        DJANGO,
        "template/{{ frameworks.django }}/{{ paths.products_models }}.py.jinja",
        '            models.Index(fields=["name", "id"], name="products_by_name"),\n',
        "",
    ),
    Mutant(
        "anybody may change a product (site)",
        OWN_TESTS,
        SITE,
        "template/{{ site.package }}/{{ paths.products_views }}.py.jinja",
        "if product.owner_id != self.request.user.pk:",
        "if product.owner_id is None:",
    ),
    Mutant(
        "a form without its token (site)",
        OWN_TESTS,
        SITE,
        "template/{{ site.package }}/templates/form.html",
        "    {% csrf_token %}\n",
        "",
    ),
    Mutant(
        "a link that resets a password twice (FastAPI)",
        OWN_TESTS,
        (*FASTAPI, "database=sqlite", "layout=layer", "worker=celery"),
        USERS + "/{{ paths.users_service }}.py.jinja",
        "digest_of(user.password_hash) != digest",
        "not (digest_of(user.password_hash) and digest)",
    ),
    Mutant(
        "a new password that leaves logins as they are (Flask)",
        OWN_TESTS,
        FLASK_QUEUED,
        USERS + "/{{ paths.users_service }}.py.jinja",
        "                raise InvalidTokenError\n"
        "            {{ await_ }}LoginRepository(session).end_all(user.id)\n",
        "                raise InvalidTokenError\n",
    ),
    Mutant(
        "a link for users who are not active (Django)",
        OWN_TESTS,
        (*DJANGO_QUEUED, "worker=celery"),
        "template/{{ django.api }}/{{ paths.users_service }}.py.jinja",
        "filter(pk=user_id, is_active=True)",
        "filter(pk=user_id)",
    ),
    Mutant(
        "a password of the mail server in the clear (Django)",
        OWN_TESTS,
        (*DJANGO_QUEUED, "worker=celery"),
        "includes/frameworks/django/mail.jinja",
        "bool(parts.username) and not encrypted",
        "False",
    ),
    Mutant(
        "an email of the site that has no limit",
        OWN_TESTS,
        SITE,
        "template/{{ site.package }}/{{ paths.users_views }}.py.jinja",
        "        get_limits().count_reset(User.objects.normalize_email(email))\n",
        "",
    ),
    Mutant(
        "a job that is not enqueued",
        OWN_TESTS,
        (*FASTAPI, "database=sqlite", "layout=layer", "worker=celery"),
        USERS + "/{{ paths.users_service }}.py.jinja",
        "        {{ await_ }}self.mails.welcome(user.id)\n",
        "",
    ),
    Mutant(
        "jobs in a module that there is not (Celery)",
        OWN_TESTS,
        (*WORKER, "worker=celery"),
        "includes/workers/celery_modules.jinja",
        "[module.name for module in modules]",
        '[m.name + "_" for m in modules]',
    ),
    Mutant(
        "a worker that listens to another queue (RQ)",
        OWN_TESTS,
        (*WORKER, "worker=rq"),
        "includes/workers/rq/worker.jinja",
        "Queue(name, connection=connection, serializer=JSONSerializer)",
        'Queue(f"late-{name}", connection=connection, serializer=JSONSerializer)',
    ),
    Mutant(
        "a job under a name that no worker knows (ARQ)",
        OWN_TESTS,
        (*WORKER, "worker=arq"),
        "includes/workers/arq/app.jinja",
        "        job.name,\n",
        "        str(job),\n",
    ),
    Mutant(
        "a flower that gets no prediction",
        OWN_TESTS,
        ("purpose=ml", "size=medium", "concurrency=async", "database=none"),
        "template/{{ features.predictions }}/{{ paths.predictions_service }}.py.jinja",
        "return await to_thread.run_sync(model.predict, flowers)",
        "return await to_thread.run_sync(model.predict, flowers[1:])",
    ),
    Mutant(
        "files of the same size taken for the same",
        OWN_TESTS,
        SCRIPT,
        "template/{{ features.duplicates }}/{{ paths.duplicates_service }}.py.jinja",
        'digest = hashlib.file_digest(content, "sha256").hexdigest()\n'
        "            return digest, content.tell()",
        'digest = hashlib.sha256(b"").hexdigest()\n'
        "            return digest, content.seek(0, 2)",
    ),
    # Faults that passed the tests of older projects.
    Mutant(
        "a job that swallows its exception (FastAPI)",
        OWN_TESTS,
        (*FASTAPI, "database=sqlite", "layout=layer", "worker=celery"),
        "includes/workers/celery/users.jinja",
        "    return {{ 'asyncio.run(_with_sessions(work))' if await_"
        " else '_with_sessions(work)' }}\n\n\n"
        '@app.task(name="users.count_welcomed")',
        "    try:\n"
        "        return {{ 'asyncio.run(_with_sessions(work))' if await_"
        " else '_with_sessions(work)' }}\n"
        "    except Exception:\n"
        '        logger.exception("not welcomed")\n'
        "        return False\n\n\n"
        '@app.task(name="users.count_welcomed")',
    ),
    Mutant(
        "a job that swallows its exception (Flask)",
        OWN_TESTS,
        FLASK_QUEUED,
        "includes/workers/celery/users.jinja",
        "    return {{ 'asyncio.run(_with_sessions(work))' if await_"
        " else '_with_sessions(work)' }}\n\n\n"
        '@app.task(name="users.count_welcomed")',
        "    try:\n"
        "        return {{ 'asyncio.run(_with_sessions(work))' if await_"
        " else '_with_sessions(work)' }}\n"
        "    except Exception:\n"
        '        logger.exception("not welcomed")\n'
        "        return False\n\n\n"
        '@app.task(name="users.count_welcomed")',
    ),
    Mutant(
        "a job that swallows its exception (Django)",
        OWN_TESTS,
        (*DJANGO_QUEUED, "worker=celery"),
        "includes/workers/celery/users_django.jinja",
        "    return User.objects.welcome(user_id)\n",
        "    try:\n"
        "        return User.objects.welcome(user_id)\n"
        "    except Exception:\n"
        '        logger.exception("not welcomed")\n'
        "        return False\n",
    ),
    Mutant(
        "a job that is not idempotent (FastAPI)",
        OWN_TESTS,
        (*FASTAPI, "database=sqlite", "layout=layer", "worker=celery"),
        USERS + "/{{ paths.users_service }}.py.jinja",
        "user is None or user.welcomed_at is not None",
        "user is None",
    ),
    Mutant(
        "a job that is not idempotent (Django)",
        OWN_TESTS,
        (*DJANGO_QUEUED, "worker=celery"),
        "template/{{ frameworks.django }}/{{ paths.users_managers }}.py.jinja",
        "self.filter(pk=user_id, welcomed_at=None)",
        "self.filter(pk=user_id)",
    ),
    Mutant(
        "a job that is not retried (Celery)",
        OWN_TESTS,
        (*WORKER, "worker=celery"),
        "includes/workers/celery/app.jinja",
        "    autoretry_for = (Exception,)\n",
        "",
    ),
    Mutant(
        "one try less (Celery)",
        OWN_TESTS,
        (*WORKER, "worker=celery"),
        "includes/workers/celery/app.jinja",
        '"max_retries": settings.job_retries, ',
        '"max_retries": settings.job_retries - 1, ',
    ),
    Mutant(
        "a row that is not locked (FastAPI)",
        OWN_TESTS,
        (*FASTAPI, "database=postgresql", "orm=sqlalchemy", "worker=celery"),
        "template/{{ orms.sqlalchemy }}/{{ paths.users_repository }}.py.jinja",
        ", with_for_update=True",
        "",
    ),
    Mutant(
        "a row that is not locked (Flask)",
        OWN_TESTS,
        ("framework=flask", "size=medium", "database=postgresql", "worker=rq"),
        "template/{{ orms.sqlalchemy }}/{{ paths.users_repository }}.py.jinja",
        ", with_for_update=True",
        "",
    ),
    Mutant(
        "a row that is not locked (Tortoise)",
        OWN_TESTS,
        (*FASTAPI, "database=postgresql", "orm=tortoise", "worker=arq"),
        "template/{{ orms.tortoise }}/{{ paths.users_repository }}.py.jinja",
        "User.select_for_update(using_db=self.session)",
        "User.filter().using_db(self.session)",
    ),
    Mutant(
        "the commit after the response (FastAPI)",
        OWN_TESTS,
        SQLALCHEMY,
        USERS + "/{{ when.fastapi }}/{{ paths.dependencies }}.py.jinja",
        'Depends(get_session, scope="function")',
        "Depends(get_session)",
    ),
    Mutant(
        "a job that is enqueued before the commit (Django)",
        OWN_TESTS,
        (*DJANGO_QUEUED, "worker=celery"),
        "template/{{ django.api }}/{{ paths.users_service }}.py.jinja",
        "transaction.on_commit(welcome, robust=True)",
        "welcome()",
    ),
    Mutant(
        "a total that ignores filters (FastAPI)",
        OWN_TESTS,
        SQLALCHEMY,
        "template/{{ orms.sqlalchemy }}/{{ paths.products_repository }}.py.jinja",
        "select(func.count()).select_from(Product).where(*wanted)",
        "select(func.count()).select_from(Product).where(*wanted[:0])",
    ),
    Mutant(
        "a total that ignores filters (Flask)",
        OWN_TESTS,
        FLASK,
        "template/{{ orms.sqlalchemy }}/{{ paths.products_repository }}.py.jinja",
        "select(func.count()).select_from(Product).where(*wanted)",
        "select(func.count()).select_from(Product).where(*wanted[:0])",
    ),
    Mutant(
        "every SQL error called an outage (Django, PostgreSQL)",
        OWN_TESTS,
        (*DJANGO_QUEUED, "database=postgresql", "worker=none"),
        "template/{{ frameworks.django }}/{{ paths.database }}.py.jinja",
        "return sqlstate[:2] in OUTAGES",
        'return sqlstate[:2] in OUTAGES or sqlstate > ""',
    ),
    Mutant(
        "every SQL error called an outage (site, SQLite)",
        OWN_TESTS,
        SITE,
        "template/{{ frameworks.django }}/{{ paths.database }}.py.jinja",
        "isinstance(error, OperationalError) and code != sqlite3.SQLITE_ERROR",
        "isinstance(error, OperationalError) and code != sqlite3.SQLITE_OK",
    ),
    Mutant(
        "a query for each row of the admin (Django)",
        OWN_TESTS,
        DJANGO,
        "template/{{ django.api }}/{{ paths.products_admin }}.py.jinja",
        '"owner", "created_at")\n    list_select_related = ("owner",)\n',
        '"owner__name", "created_at")\n',
    ),
    Mutant(
        "a query for each row of the admin (site)",
        OWN_TESTS,
        SITE,
        "template/{{ site.package }}/{{ paths.products_admin }}.py.jinja",
        '"owner", "created_at")\n    list_filter = ("created_at",)\n'
        '    list_select_related = ("owner",)\n',
        '"owner__name", "created_at")\n    list_filter = ("created_at",)\n',
    ),
    Mutant(
        "text of users that is not escaped (site)",
        OWN_TESTS,
        SITE,
        "template/{{ site.package }}/templates/products/product_detail.html",
        "  <h1>{{ product.name }}</h1>",
        "  <h1>{{ product.name|safe }}</h1>",
    ),
    Mutant(
        "a description that is not escaped (site)",
        OWN_TESTS,
        SITE,
        "template/{{ site.package }}/templates/products/product_detail.html",
        "{{ product.description|linebreaks }}",
        "{{ product.description|safe|linebreaks }}",
    ),
    Mutant(
        "a form with method GET (site)",
        OWN_TESTS,
        SITE,
        "template/{{ site.package }}/templates/form.html",
        'method="post"',
        'method="get"',
    ),
    Mutant(
        "a broken link (site)",
        OWN_TESTS,
        SITE,
        "template/{{ site.package }}/templates/error.html",
        '{% url "home" %}',
        "/start/",
    ),
    Mutant(
        "inactive users who are given a token (Django)",
        OWN_TESTS,
        DJANGO,
        "template/{{ django.api }}/{{ paths.settings }}.py.jinja",
        'AUTH_USER_MODEL = "users.User"\n',
        'AUTH_USER_MODEL = "users.User"\n'
        "AUTHENTICATION_BACKENDS = [\n"
        '    "django.contrib.auth.backends.AllowAllUsersModelBackend",\n]\n',
    ),
    Mutant(
        "a rule of passwords that is dropped (Django)",
        OWN_TESTS,
        DJANGO,
        "includes/frameworks/django/password_validators.jinja",
        '    {"NAME": f"{VALIDATORS}.NumericPasswordValidator"},\n',
        "",
    ),
    Mutant(
        "a rule of passwords that is dropped (site)",
        OWN_TESTS,
        SITE,
        "includes/frameworks/django/password_validators.jinja",
        '    {"NAME": f"{VALIDATORS}.CommonPasswordValidator"},\n',
        "",
    ),
    Mutant(
        "a list without a tie-breaker (FastAPI)",
        OWN_TESTS,
        (*FASTAPI, "database=postgresql", "orm=sqlalchemy", "worker=none"),
        "template/{{ orms.sqlalchemy }}/{{ paths.products_repository }}.py.jinja",
        "direction(column), direction(Product.id)",
        "direction(column)",
    ),
    Mutant(
        "a list without a tie-breaker (Flask)",
        OWN_TESTS,
        ("framework=flask", "size=medium", "database=postgresql", "worker=none"),
        "template/{{ orms.sqlalchemy }}/{{ paths.products_repository }}.py.jinja",
        "direction(column), direction(Product.id)",
        "direction(column)",
    ),
    Mutant(
        "a list without a tie-breaker (Django)",
        OWN_TESTS,
        (*DJANGO_QUEUED, "database=postgresql", "worker=none"),
        "template/{{ django.api }}/{{ paths.products_routes }}.py.jinja",
        'products.order_by(query["sort"], tiebreaker)',
        'products.order_by(query["sort"] or tiebreaker)',
    ),
    Mutant(
        "a status 405 without its header (FastAPI)",
        OWN_TESTS,
        SQLALCHEMY,
        "template/{{ frameworks.fastapi }}/{{ paths.handlers }}.py.jinja",
        'headers["Allow"] = allowed_methods(request)',
        'headers.pop("Allow", allowed_methods(request))',
    ),
    Mutant(
        "a status 405 without its header (Flask)",
        OWN_TESTS,
        FLASK,
        "template/{{ frameworks.flask }}/{{ paths.handlers }}.py.jinja",
        "headers=error.get_headers())",
        "headers=None)",
    ),
    Mutant(
        "every SQL error called an outage (FastAPI)",
        OWN_TESTS,
        SQLALCHEMY,
        "template/{{ orms.sqlalchemy }}/{{ paths.database }}.py.jinja",
        "if not is_unavailable(error):",
        "if not (is_unavailable(error) or error):",
    ),
    Mutant(
        "every SQL error called an outage (Flask)",
        OWN_TESTS,
        FLASK,
        "template/{{ orms.sqlalchemy }}/{{ paths.database }}.py.jinja",
        "if not is_unavailable(error):",
        "if not (is_unavailable(error) or error):",
    ),
    Mutant(
        "every SQL error called an outage (Tortoise)",
        OWN_TESTS,
        TORTOISE,
        "template/{{ orms.tortoise }}/{{ paths.database }}.py.jinja",
        "if not is_unavailable(error):",
        "if not (is_unavailable(error) or error):",
    ),
    Mutant(
        "a total that ignores filters (Tortoise)",
        OWN_TESTS,
        TORTOISE,
        "template/{{ orms.tortoise }}/{{ paths.products_repository }}.py.jinja",
        "await wanted.count()",
        "await Product.all().using_db(self.session).count()",
    ),
    Mutant(
        "a list without a tie-breaker (Tortoise)",
        OWN_TESTS,
        (*FASTAPI, "database=postgresql", "orm=tortoise", "worker=none"),
        "template/{{ orms.tortoise }}/{{ paths.products_repository }}.py.jinja",
        ".order_by(query.sort, tiebreaker)",
        ".order_by(query.sort or tiebreaker)",
    ),
    Mutant(
        "a rule of passwords that is dropped (FastAPI)",
        OWN_TESTS,
        SQLALCHEMY,
        USERS + "/{{ paths.users_schemas }}.py.jinja",
        "Field(min_length=8, max_length=128)",
        "Field(max_length=128)",
    ),
    Mutant(
        "a rule of passwords that is dropped (Flask)",
        OWN_TESTS,
        FLASK,
        USERS + "/{{ paths.users_schemas }}.py.jinja",
        "Field(min_length=8, max_length=128)",
        "Field(max_length=128)",
    ),
    Mutant(
        "a job that is not idempotent (Flask)",
        OWN_TESTS,
        FLASK_QUEUED,
        USERS + "/{{ paths.users_service }}.py.jinja",
        "user is None or user.welcomed_at is not None",
        "user is None",
    ),
    Mutant(
        "symbolic links called duplicates (script)",
        OWN_TESTS,
        SCRIPT,
        "template/{{ features.duplicates }}/{{ paths.duplicates_service }}.py.jinja",
        "path.lstat()",
        "path.stat()",
    ),
    *(
        Mutant(
            f"redirects that are not followed ({name})",
            OWN_TESTS,
            combination,
            CHECKS,
            client,
            client.replace("True", "False"),
        )
        for name, combination, client in (
            (
                "FastAPI",
                (*FASTAPI, "database=none", "layout=layer", "worker=none"),
                CLIENT + "places",
            ),
            ("Flask", SMALL_FLASK, CLIENT + "concurrency"),
            (
                "Django",
                ("framework=django", "size=small", "concurrency=sync"),
                CLIENT + "concurrency",
            ),
            (
                "script",
                ("purpose=script", "size=small", "concurrency=sync", "work=waiting"),
                CLIENT + "concurrency",
            ),
            ("worker", (*WORKER, "worker=rq"), CLIENT + "concurrency"),
        )
    ),
    # --- Stage 4: the wheel ---
    Mutant(
        "a wheel without the application",
        BUILD,
        ("framework=fastapi", "size=large", "worker=none"),
        "template/{{ structured }}/pyproject.toml.jinja",
        "{% elif framework == 'none' %}\n",
        "\n[tool.uv.build-backend]\n"
        'wheel-exclude = ["main.py"]\n'
        "{% elif framework == 'none' %}\n",
    ),
)


def mutated(
    mutant: Mutant, combinations: Sequence[Combination], scratch: Path
) -> Project:
    """Plan a project of the template with a fault in it.

    Args:
        mutant: The fault.
        combinations: All combinations.
        scratch: Directory for templates and projects.

    Raises:
        ValueError: The text that it changes is not there, or more than once.
    """
    (combination, *_) = select(combinations, mutant.combination)
    template = copy_template(FAMILY_ROOT, scratch / "templates" / mutant.slug)
    path = template / mutant.file
    text = path.read_text("utf-8")
    if text.count(mutant.old) != 1:
        raise ValueError(
            f"{mutant.name}: {mutant.file} has {mutant.old!r} "
            f"{text.count(mutant.old)} times, not once."
        )
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    tree = scratch / "projects" / mutant.slug
    stages = frozenset(STAGES)
    return Project(
        mutant.slug, combination.id, tree, stages, template, combination.answers
    )


def main(words: Sequence[str] | None = None) -> int:
    """Print what caught each fault.

    Returns:
        0 where each was caught by the stage that has to, 1 where not.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only faults whose names have these")
    parser.add_argument("--jobs", type=int, default=JOBS)
    options = parser.parse_args(words)
    mutants = [
        mutant
        for mutant in MUTANTS
        if all(word in mutant.name for word in options.words)
    ]
    if not mutants:
        parser.error(f"No fault is called {' '.join(options.words)}.")
    with tempfile.TemporaryDirectory(prefix="patterns-mutants-") as name:
        scratch = Path(name).resolve()
        combinations = find_combinations(FAMILY_ROOT)
        projects = [mutated(mutant, combinations, scratch) for mutant in mutants]
        report = run(
            projects,
            Options(DEFAULT_CACHE / "mutants", scratch, jobs=options.jobs),
            Display(Console(quiet=True)),
        )
    table = Table("fault", "combination", "expected", "caught by")
    missed = 0
    for mutant, project in zip(mutants, projects, strict=True):
        stages = sorted(stage for id_, stage in report.failures if id_ == project.id)
        missed += stages[:1] != [mutant.stage]
        caught = ", ".join(f"{stage} {STAGES[stage]}" for stage in stages) or "NOTHING"
        due = f"{mutant.stage} {STAGES[mutant.stage]}"
        table.add_row(mutant.name, project.combination, due, caught)
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    console.print(f"{len(mutants) - missed} of {len(mutants)} caught where expected")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
