"""What attackers try, against the service of each framework, by HTTP alone."""

import itertools
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from httpx2 import Client, Response

from tools import live
from tools.template import render

FRAMEWORKS = {"fastapi": "async", "flask": "sync", "django": "sync"}
SHOP = "https://shop.example.com"
LOGINS, REQUESTS = 4, 30
PASSWORD = "correct horse battery"  # noqa: S105
_addresses = (
    f"198.18.{number // 200}.{number % 200 + 1}" for number in itertools.count()
)


class Inbox:
    """Keeps the token of each link that is sent, by address."""

    tokens: ClassVar[dict[str, str]] = {}

    async def handle_DATA(  # noqa: N802 - the name that aiosmtpd calls
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Keep the token of a mail, if it has one."""
        content = envelope.original_content or b""
        mail = message_from_bytes(content, policy=policy.default)
        body = mail.get_body(("plain",))
        if body and (found := re.search(r"token=(\S+)", body.get_content())):
            self.tokens[str(mail["To"])] = found[1]
        return "250 OK"


@contextmanager
def mail_server(port: int) -> Iterator[None]:
    """Run a mail server."""
    Inbox.tokens.clear()
    server = Controller(Inbox(), hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield
    finally:
        server.stop()


@contextmanager
def service(
    framework: str, scratch: Path, defence: "Defence | None" = None
) -> Iterator[Client]:
    """Yield a client for a service behind a proxy, with low limits.

    Args:
        framework: Of the service.
        scratch: An empty directory.
        defence: What is taken out of it.
    """
    answers = {
        "framework": framework,
        "concurrency": FRAMEWORKS[framework],
        "size": "medium",
        "layout": "layer",
        "database": "sqlite",
    }
    tree = render(answers, scratch / "project")
    if defence:
        defence.take_out(tree)
    variables = {
        "EMAIL_URL": f"smtp://127.0.0.1:{live.free_port()}",
        "ALLOWED_HOSTS": "127.0.0.1",
        "CORS_ORIGINS": SHOP,
        "CLIENT_ATTEMPTS": str(REQUESTS),
        "LOGIN_ATTEMPTS": str(LOGINS),
    }
    # uvicorn believes a proxy on this machine by itself.
    if framework != "fastapi":
        variables["TRUSTED_PROXIES"] = "1"
    project = live.make(tree, logs=scratch / "logs", variables=variables)
    project.prepare()
    with (
        mail_server(port=int(variables["EMAIL_URL"].rpartition(":")[2])),
        project.server("/health/live") as (_, port),
        Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        yield client


def move(client: Client) -> None:
    """Come from another address, as a proxy writes it behind what clients send."""
    client.headers["X-Forwarded-For"] = f"192.0.2.7, {next(_addresses)}"


def register(client: Client, name: str) -> str:
    """Register a user, and return the address."""
    email = f"{name}@example.com"
    account = {"email": email, "name": "Grace", "password": PASSWORD}
    assert client.post("/users", json=account).status_code == 201
    return email


def log_in(client: Client, email: str, password: str = PASSWORD) -> Response:
    """Return the answer to a login."""
    credentials = {"username": email, "password": password}
    return client.post("/users/token", data=credentials)


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    """Return the headers of a request with an access token."""
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def me(client: Client, tokens: dict[str, Any]) -> int:
    """Return the status of a request with an access token."""
    return client.get("/users/me", headers=bearer(tokens)).status_code


def refresh(client: Client, tokens: dict[str, Any]) -> Response:
    """Return the answer to a refresh."""
    token = {"refresh_token": tokens["refresh_token"]}
    return client.post("/users/token/refresh", json=token)


# --- Tokens ---------------------------------------------------------------------------


def a_token_is_used_after_a_logout(client: Client) -> None:
    tokens = log_in(client, register(client, "logout")).json()
    token = {"refresh_token": tokens["refresh_token"]}
    assert me(client, tokens) == 200
    assert client.post("/users/logout", json=token).status_code == 204
    assert me(client, tokens) == refresh(client, tokens).status_code == 401


def a_stolen_refresh_token_is_used(client: Client) -> None:
    email = register(client, "stolen")
    tokens, other = (log_in(client, email).json() for _ in range(2))
    stolen = refresh(client, tokens).json()
    assert refresh(client, tokens).status_code == 401
    assert me(client, stolen) == refresh(client, stolen).status_code == 401
    assert me(client, other) == 200


def tokens_are_used_after_a_new_password(client: Client) -> None:
    email = register(client, "changed")
    tokens = log_in(client, email).json()
    headers = bearer(tokens)
    change = {"current_password": PASSWORD, "new_password": "another horse battery"}
    answer = client.put("/users/me/password", json=change, headers=headers)
    assert answer.status_code == 204
    assert me(client, tokens) == refresh(client, tokens).status_code == 401
    assert log_in(client, email).status_code == 401


def a_token_is_changed(client: Client) -> None:
    tokens = log_in(client, register(client, "forged")).json()
    for name, status in (("access_token", me), ("refresh_token", refresh)):
        for place in (5, -5):
            text = tokens[name]
            letter = "A" if text[place] != "A" else "B"
            rest = text[place + 1 :]
            forged = tokens | {name: f"{text[:place]}{letter}{rest}"}
            answer = status(client, forged)
            assert getattr(answer, "status_code", answer) == 401


# --- Forgotten passwords --------------------------------------------------------------


def forget(client: Client, email: str) -> Response:
    """Ask for a link that resets a password."""
    return client.post("/users/password/forgot", json={"email": email})


def token_of_mail(client: Client, email: str) -> str:
    """Ask for a link, and return its token."""
    assert forget(client, email).status_code == 202
    live.wait_until(lambda: email in Inbox.tokens, "a mail")
    return Inbox.tokens[email]


def reset(client: Client, token: str) -> int:
    """Return the status of a reset."""
    data = {"token": token, "new_password": "another horse battery"}
    return client.post("/users/password/reset", json=data).status_code


def a_link_is_used_twice(client: Client) -> None:
    email = register(client, "forgetful")
    tokens = log_in(client, email).json()
    token = token_of_mail(client, email)
    assert reset(client, token) == 204
    assert reset(client, token) == 403
    assert me(client, tokens) == refresh(client, tokens).status_code == 401


def a_link_is_changed(client: Client) -> None:
    token = token_of_mail(client, register(client, "careless"))
    for place in (2, len(token) // 2, -3):
        letter = "A" if token[place] != "A" else "B"
        rest = token[place + 1 :] if place != -1 else ""
        assert reset(client, f"{token[:place]}{letter}{rest}") == 403
    tokens = log_in(client, register(client, "other")).json()
    assert reset(client, tokens["access_token"]) == 403
    assert reset(client, tokens["refresh_token"]) == 403


def accounts_are_enumerated_by_forgotten_passwords(client: Client) -> None:
    emails = register(client, "remembered"), "never@example.com"
    seconds = dict.fromkeys(emails, 60.0)
    for email in emails * (LOGINS - 1):
        started = time.perf_counter()
        answer = forget(client, email)
        seconds[email] = min(seconds[email], time.perf_counter() - started)
        assert (answer.status_code, answer.text.strip("nul\n")) == (202, "")
    assert max(seconds.values()) - min(seconds.values()) < 0.02, seconds


def a_user_is_flooded_with_links(client: Client) -> None:
    email = register(client, "flooded")
    statuses = []
    for _ in range(LOGINS + 1):
        move(client)
        statuses.append(forget(client, email).status_code)
    assert statuses == [202] * LOGINS + [429]


# --- Accounts -------------------------------------------------------------------------


def accounts_are_enumerated_by_logins(client: Client) -> None:
    emails = register(client, "known"), "unknown@example.com"
    bodies, seconds = [], dict.fromkeys(emails, 60.0)
    for email in emails * 3:
        started = time.perf_counter()
        answer = log_in(client, email, "a guess")
        seconds[email] = min(seconds[email], time.perf_counter() - started)
        assert answer.status_code == 401
        bodies.append({**answer.json(), "request_id": ""})
    assert all(body == bodies[0] for body in bodies)
    assert max(seconds.values()) < 1.6 * min(seconds.values()), seconds


def roles_are_assigned_with_a_registration(client: Client) -> None:
    roles = {"is_admin": True, "is_staff": True, "is_superuser": True}
    account = {"email": "boss@example.com", "name": "Boss", "password": PASSWORD}
    others = {"is_active": False, "id": 1}
    answer = client.post("/users", json=roles | others | account)
    assert answer.status_code in {201, 422}
    if answer.status_code == 201:
        assert answer.json()["id"] != 1
        assert answer.json()["is_admin"] is False
        assert not answer.json().keys() & {"is_staff", "is_superuser"}
        tokens = log_in(client, account["email"]).json()
        assert client.get("/users", headers=bearer(tokens)).status_code == 403


def a_user_acts_as_an_administrator(client: Client) -> None:
    tokens = log_in(client, register(client, "climber")).json()
    headers = bearer(tokens)
    own = client.get("/users/me", headers=headers).json()["id"]
    victim = register(client, "deactivated")
    headers_of_victim = bearer(log_in(client, victim).json())
    other = client.get("/users/me", headers=headers_of_victim).json()["id"]
    for user_id, change in (
        (own, {"is_admin": True}),
        (own, {"is_staff": True}),
        (other, {"is_active": False}),
    ):
        url = f"/users/{user_id}"
        assert client.patch(url, json=change, headers=headers).status_code == 403
        assert client.patch(url, json=change).status_code == 401
    assert client.get("/users", headers=headers).status_code == 403
    assert client.get("/users/me", headers=headers).json()["is_admin"] is False
    assert log_in(client, victim).status_code == 200


def an_account_is_deleted_with_a_stolen_token(client: Client) -> None:
    email = register(client, "kept")
    tokens = log_in(client, email).json()
    statuses = []
    for _ in range(LOGINS + 1):
        data = {"current_password": "a guess"}
        answer = client.post("/users/me/delete", json=data, headers=bearer(tokens))
        statuses.append(answer.status_code)
    assert statuses == [403] * LOGINS + [429]
    assert log_in(client, email).status_code == 200


def tokens_of_a_deleted_account_are_used(client: Client) -> None:
    email = register(client, "deleted")
    tokens = log_in(client, email).json()
    headers, data = bearer(tokens), {"current_password": PASSWORD}
    answer = client.post("/users/me/delete", json=data, headers=headers)
    assert answer.status_code == 204
    assert me(client, tokens) == refresh(client, tokens).status_code == 401
    assert log_in(client, email).status_code == 401
    again = log_in(client, register(client, "deleted")).json()
    assert me(client, again) == 200
    assert me(client, tokens) == refresh(client, tokens).status_code == 401


def a_password_is_guessed_from_many_addresses(client: Client) -> None:
    email = register(client, "victim")
    for _ in range(LOGINS):
        move(client)
        assert log_in(client, email, "a guess").status_code == 401
    move(client)
    answer = log_in(client, email)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["code"] == "too_many_requests"


def many_accounts_are_tried_with_forged_addresses(client: Client) -> None:
    behind = client.headers["X-Forwarded-For"].rpartition(", ")[2]
    statuses = []
    for number in range(REQUESTS + 1):
        client.headers["X-Forwarded-For"] = f"198.51.100.{number}, {behind}"
        email = f"user{number}@example.com"
        statuses.append(log_in(client, email, "a guess").status_code)
    assert statuses == [401] * REQUESTS + [429]


# --- Browsers -------------------------------------------------------------------------


def a_page_of_another_origin_reads_answers(client: Client) -> None:
    for origin in ("https://evil.example", f"{SHOP}.evil.example", "null"):
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        for answer in (
            client.get("/products", headers=headers),
            client.options("/users/token", headers=headers),
        ):
            assert "Access-Control-Allow-Origin" not in answer.headers
    answer = client.get("/products", headers={"Origin": SHOP})
    assert answer.headers["Access-Control-Allow-Origin"] == SHOP


def a_link_redirects_to_another_site(client: Client) -> None:
    for path in ("//evil.example", "//evil.example/..", "/%5Cevil.example/"):
        url = f"{client.base_url}{path}"
        answer = client.get(url)
        target = urljoin(str(client.base_url), answer.headers.get("Location", ""))
        assert urlsplit(target).hostname == "127.0.0.1"


ATTACKS = (
    a_token_is_used_after_a_logout,
    a_stolen_refresh_token_is_used,
    tokens_are_used_after_a_new_password,
    a_token_is_changed,
    a_link_is_used_twice,
    a_link_is_changed,
    accounts_are_enumerated_by_forgotten_passwords,
    a_user_is_flooded_with_links,
    accounts_are_enumerated_by_logins,
    roles_are_assigned_with_a_registration,
    a_user_acts_as_an_administrator,
    an_account_is_deleted_with_a_stolen_token,
    tokens_of_a_deleted_account_are_used,
    a_password_is_guessed_from_many_addresses,
    many_accounts_are_tried_with_forged_addresses,
    a_page_of_another_origin_reads_answers,
    a_link_redirects_to_another_site,
)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_attack_is_held(
    framework: str, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    with service(framework, tmp_path) as client:
        for attack in ATTACKS:
            move(client)
            with subtests.test(attack.__name__):
                attack(client)


# --- The attacks themselves -----------------------------------------------------------


type Attack = Callable[[Client], None]
# Files of a project by layer, each with a line and what stands there without a defence.
type Changes = tuple[tuple[str, str, str], ...]
type Defences = dict[Attack, Changes]


@dataclass(frozen=True)
class Defence:
    """What holds an attack, and the changes that take it out."""

    attack: Attack
    changes: Changes

    def take_out(self, tree: Path) -> None:
        """Take it out.

        Raises:
            ValueError: There is no such line.
        """
        for file, line, without in self.changes:
            path = tree / "app" / f"{file}.py"
            text = path.read_text("utf-8")
            if line not in text:
                raise ValueError(f"{file} has no line {line}")
            path.write_text(text.replace(line, without), "utf-8")


def _without_await(text: str) -> str:
    return re.sub("await |async ", "", text)


UNSIGNED = (
    (
        "security",
        '"require": required',
        '"require": required, "verify_signature": False',
    ),
)
ENUMERABLE = """
        async with unit_of_work(self.sessions) as session:
            if await UserRepository(session).by_email(email) is None:
                raise InvalidTokenError
        await self.mails.reset(email)"""
FIRST_ADDRESS = 'request.headers.get("X-Forwarded-For", "").split(",")[0]'
# Of FastAPI; Flask's are the same, but for what awaits.
OF_SERVICES: Defences = {
    a_token_is_used_after_a_logout: (
        ("services/users", "await LoginRepository(session).end(login_id)", "pass"),
    ),
    a_stolen_refresh_token_is_used: (
        ("services/users", "await logins.end(login_id)", "pass"),
    ),
    tokens_are_used_after_a_new_password: (
        ("services/users", "await LoginRepository(session).end_all(user.id)", "pass"),
    ),
    a_token_is_changed: UNSIGNED,
    a_link_is_used_twice: (
        ("services/users", "digest_of(user.password_hash) != digest", "not digest"),
    ),
    a_link_is_changed: UNSIGNED,
    accounts_are_enumerated_by_forgotten_passwords: (
        ("services/users", "\n        await self.mails.reset(email)", ENUMERABLE),
    ),
    a_user_is_flooded_with_links: (
        ("services/users", "await self.limits.count_reset(email)", "pass"),
    ),
    accounts_are_enumerated_by_logins: (
        ("security", "hasher.hash(password)\n        return False", "return False"),
    ),
    roles_are_assigned_with_a_registration: (
        (
            "services/users",
            "User(email=data.email,",
            "User(is_admin=True, email=data.email,",
        ),
    ),
    a_user_acts_as_an_administrator: (
        ("dependencies/users", "if not user.is_admin", "if False"),
    ),
    an_account_is_deleted_with_a_stolen_token: (
        (
            "services/users",
            "await self._check_password(user, data.current_password)",
            "pass",
        ),
    ),
    tokens_of_a_deleted_account_are_used: (
        ("services/users", "not await UserRepository(session).delete(user)", "False"),
    ),
    a_password_is_guessed_from_many_addresses: (
        ("services/users", "await self.limits.count_login(account)", "pass"),
    ),
}
UNCHECKED: Changes = (
    (
        "services/users",
        "not default_token_generator.check_token(user, signature)",
        "False",
    ),
)
DEFENCES: dict[str, Defences] = {
    "fastapi": {
        **OF_SERVICES,
        many_accounts_are_tried_with_forged_addresses: (
            (
                "dependencies/users",
                'request.client.host if request.client else ""',
                FIRST_ADDRESS,
            ),
        ),
        a_page_of_another_origin_reads_answers: (
            ("main", "allow_origins=settings.cors_origins", 'allow_origins=["*"]'),
        ),
    },
    "flask": {
        **{
            attack: tuple(
                (file, _without_await(line), _without_await(without))
                for file, line, without in changes
            )
            for attack, changes in OF_SERVICES.items()
        },
        many_accounts_are_tried_with_forged_addresses: (
            ("dependencies/users", 'request.remote_addr or ""', FIRST_ADDRESS),
        ),
        a_page_of_another_origin_reads_answers: (
            ("main", "origins=settings.cors_origins", 'origins="*"'),
        ),
    },
    "django": {
        a_token_is_used_after_a_logout: (
            (
                "services/users",
                "Login.objects.filter(pk=read_refresh_token(refresh_token)).delete()",
                "read_refresh_token(refresh_token)",
            ),
        ),
        a_stolen_refresh_token_is_used: (
            ("services/users", "Login.objects.filter(pk=login_id).delete()", "pass"),
        ),
        # As in Django's sessions, the hash of the password is compared as well.
        tokens_are_used_after_a_new_password: (
            ("services/users", "user.logins.all().delete()", "pass"),
            (
                "models/users/models",
                "return login if any(same) else None",
                "return login",
            ),
        ),
        a_token_is_changed: (
            (
                "authentication",
                "signing.loads(token, salt=ACCESS_TOKEN, max_age=lifetime)",
                "signing.b64_decode(token.split(':')[0].encode()).decode().strip('\"')",
            ),
        ),
        a_link_is_used_twice: UNCHECKED,
        a_link_is_changed: UNCHECKED,
        accounts_are_enumerated_by_forgotten_passwords: (
            (
                "services/users",
                "    get_limits().count_reset(",
                (
                    "    if not User.objects.filter(email=email).exists():\n"
                    "        raise InvalidTokenError\n"
                    "    get_limits().count_reset("
                ),
            ),
        ),
        a_user_is_flooded_with_links: (
            ("services/users", "get_limits().count_reset(", "print("),
        ),
        accounts_are_enumerated_by_logins: (
            (
                "backends",
                "        user = super().authenticate(",
                (
                    "        if not User.objects.filter(email=account).exists():\n"
                    "            return None\n"
                    "        user = super().authenticate("
                ),
            ),
        ),
        roles_are_assigned_with_a_registration: (
            ("services/users", "User(email=email,", "User(is_staff=True, email=email,"),
        ),
        a_user_acts_as_an_administrator: (
            ("routes/users", "(IsAdminUser,)", "(IsAuthenticated,)"),
        ),
        an_account_is_deleted_with_a_stolen_token: (
            (
                "services/users",
                "    _check_password(user, current_password)",
                "    pass",
            ),
        ),
        tokens_of_a_deleted_account_are_used: (
            ("models/users/managers", "current.delete()", "pass"),
        ),
        a_password_is_guessed_from_many_addresses: (
            ("backends", "get_limits().count_login(account)", "pass"),
        ),
        many_accounts_are_tried_with_forged_addresses: (
            ("backends", "forwarded[-hops]", "forwarded[0]"),
        ),
        a_page_of_another_origin_reads_answers: (
            (
                "settings",
                "CORS_ALLOWED_ORIGINS = settings.cors_origins",
                "CORS_ALLOW_ALL_ORIGINS = True",
            ),
        ),
    },
}


@pytest.mark.parametrize(
    ("framework", "defence"),
    [
        pytest.param(
            framework, Defence(attack, changes), id=f"{framework}-{attack.__name__}"
        )
        for framework, defences in DEFENCES.items()
        for attack, changes in defences.items()
    ],
)
def test_an_attack_sees_that_its_defence_is_gone(
    framework: str, defence: Defence, tmp_path: Path
) -> None:
    with service(framework, tmp_path, defence) as client:
        move(client)
        with pytest.raises(AssertionError):
            defence.attack(client)
