"""The site as people use it: in a browser, on the server that production runs.

``nox -s browser``; it needs a Chromium on PATH. ``SCREENSHOTS=docs/screenshots`` saves
the pages there.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from httpx2 import Client

from tools import live
from tools.template import FAMILY_ROOT, render

if TYPE_CHECKING:
    from playwright.sync_api import Page

PASSWORD = "correct horse battery"  # noqa: S105
PRODUCTS = {
    "Walnut desk tray": "64.00",
    "Brass pencil sharpener": "18.50",
    "Fountain pen": "89.90",
    "Letter opener": "24.00",
    "Linen notebook": "12.50",
}
MOST_TABS = 20


@pytest.fixture(scope="module")
def project(
    chromium: str,  # noqa: ARG001 - without one, nobody looks at the site
    tmp_path_factory: pytest.TempPathFactory,
) -> live.Project:
    """Return the site, ready to be started as in production."""
    directory = tmp_path_factory.mktemp("site")
    answers = yaml.safe_load((FAMILY_ROOT / "variants/site.yml").read_text())
    image = live.make(
        render({**answers, "project_name": "Stationery"}, directory / "project"),
        logs=directory / "logs",
        variables={},
    )
    manage = ("python", "manage.py")
    # The image is built without the settings of production.
    image.run((*manage, "collectstatic", "--noinput", "--verbosity", "0"))
    production = {
        **live.PRODUCTION,
        "HTTPS": "false",
        "SECRET_KEY": secrets.token_hex(32),
        "DJANGO_SUPERUSER_NAME": "Grace",
        "DJANGO_SUPERUSER_EMAIL": "grace@example.com",
        "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
    }
    project = replace(image, variables={**image.variables, **production})
    project.run((*manage, "migrate", "--verbosity", "0"))
    project.run((*manage, "createsuperuser", "--noinput"))
    return project


@pytest.fixture(scope="module")
def address(project: live.Project) -> Iterator[str]:
    """Start the site, and give its address."""
    port = live.free_port()
    server = ("gunicorn", "app.main", "--bind", f"127.0.0.1:{port}", "--threads", "4")
    with project.running(server, project.logs / "server.log") as process:
        live.wait_until(
            lambda: live.answers(port, "/health/ready", process), "the server's answer"
        )
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def page(new_page: "Callable[..., Page]", address: str) -> "Page":
    """Return a page of a new browser."""
    return new_page(base_url=address, viewport={"width": 960, "height": 640})


def show(page: "Page", name: str) -> None:
    """Save what the page looks like, where that is wanted."""
    if directory := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(directory) / f"{name}.png")


def tab_to(page: "Page", name: str) -> None:
    """Press Tab until the element of this name has the focus, and see that it shows."""
    # A browser that has not yet given the focus to the first field would complain.
    page.wait_for_function(
        "!document.querySelector('[autofocus]')"
        " || document.activeElement !== document.body"
    )
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        focus = page.locator(":focus")
        if not focus.count():
            continue  # past the last element, before the first
        label = focus.evaluate(
            "it => (it.labels?.[0] ?? it).innerText.trim().replace(/:$/, '')"
        )
        outline = focus.evaluate("it => getComputedStyle(it).outlineStyle")
        assert outline != "none", f"the focus on {label} is not to be seen"
        if label == name:
            return
    pytest.fail(f"{name} is not reached with {MOST_TABS} tabs")


def type_into(page: "Page", fields: dict[str, str]) -> None:
    for label, text in fields.items():
        tab_to(page, label)
        page.keyboard.press("Control+a")
        page.keyboard.type(text)


def press(page: "Page", name: str) -> None:
    tab_to(page, name)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def fill_sign_up(page: "Page", name: str) -> None:
    page.get_by_label("Email").fill(f"{name.lower()}@example.com")
    page.get_by_label("Name").fill(name)
    page.locator("#id_password1").fill(PASSWORD)
    page.locator("#id_password2").fill(PASSWORD)


def sign_up(page: "Page", name: str) -> None:
    page.goto("/account/sign-up/")
    fill_sign_up(page, name)
    page.get_by_role("button", name="Sign up").click()


def log_in(page: "Page", name: str) -> None:
    page.get_by_label("Email").fill(f"{name.lower()}@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def offer(page: "Page", name: str, price: str) -> None:
    page.goto("/products/new/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Description").fill("Made by hand, one at a time.")
    page.get_by_label("Price").fill(price)
    page.get_by_role("button", name="Save").click()


def test_from_signing_up_to_logging_out(page: "Page") -> None:
    sign_up(page, "Ada")
    assert page.get_by_role("status").inner_text() == "Welcome, Ada! Please log in."
    log_in(page, "Ada")
    for name, price in PRODUCTS.items():
        offer(page, name, price)
    assert page.get_by_role("status").inner_text() == "“Linen notebook” was created."
    show(page, "detail")
    page.get_by_role("link", name="Edit").click()
    show(page, "form")
    page.get_by_label("Price").fill("13.00")
    page.get_by_role("button", name="Save").click()
    page.goto("/products/")
    show(page, "list")
    assert page.get_by_role("listitem").filter(has_text="13.00").count() == 1
    page.goto("/account/")
    show(page, "account")
    page.goto("/products/?q=opener")
    page.get_by_role("link", name="Letter opener").click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete").click()
    assert page.get_by_role("status").inner_text() == "The product was deleted."
    assert page.get_by_text("Letter opener").count() == 0
    page.get_by_role("button", name="Log out").click()
    assert page.get_by_role("link", name="Log in").is_visible()


def test_everything_is_done_with_the_keyboard_alone(page: "Page") -> None:
    page.goto("/")
    tab_to(page, "Skip to content")
    press(page, "Sign up")
    assert page.locator(":focus").get_attribute("name") == "email"
    page.locator("main").focus()
    account = {"Email": "eve@example.com", "Name": "Eve"}
    passwords = {"Password": PASSWORD, "Password confirmation": PASSWORD}
    type_into(page, account | passwords)
    press(page, "Sign up")
    page.locator("main").focus()
    type_into(page, {"Email": "eve@example.com", "Password": PASSWORD})
    press(page, "Log in")
    press(page, "New product")
    type_into(page, {"Name": "Blotter", "Description": "Green.", "Price": "7.20"})
    press(page, "Save")
    press(page, "Edit")
    type_into(page, {"Price": "7.50"})
    press(page, "Save")
    page.get_by_text("7.50").wait_for()
    press(page, "Delete")
    press(page, "Delete")
    assert page.get_by_role("status").inner_text() == "The product was deleted."
    press(page, "Log out")
    assert page.get_by_role("link", name="Log in").is_visible()


def test_a_double_click_submits_a_form_once(page: "Page") -> None:
    page.goto("/account/sign-up/")
    fill_sign_up(page, "Bob")
    page.get_by_role("button", name="Sign up").dblclick()
    assert page.get_by_role("status").inner_text() == "Welcome, Bob! Please log in."
    log_in(page, "Bob")
    page.goto("/products/new/")
    page.get_by_label("Name").fill("Ink")
    page.get_by_label("Price").fill("4.00")
    page.get_by_role("button", name="Save").dblclick()
    page.get_by_role("status").wait_for()
    page.goto("/products/?q=Ink")
    assert page.get_by_role("link", name="Ink").count() == 1


def test_of_parallel_sign_ups_with_one_address_one_succeeds(address: str) -> None:
    account = {"name": "Carol", "email": "carol@example.com"}
    passwords = {"password1": PASSWORD, "password2": PASSWORD}

    def post(_number: int) -> int:
        with Client(base_url=address) as client:
            client.get("/account/sign-up/")
            token = {"csrfmiddlewaretoken": client.cookies["csrftoken"]}
            form = account | passwords | token
            return client.post("/account/sign-up/", data=form).status_code

    # Three passwords may wait for their hashes; a fourth would be answered with a 503.
    with ThreadPoolExecutor(3) as pool:
        statuses = sorted(pool.map(post, range(3)))
    assert statuses == [200, 200, 302]


def test_the_server_ends_if_a_setting_is_missing(project: live.Project) -> None:
    variables = {**project.variables, "SECRET_KEY": ""}
    server = replace(project, variables=variables)
    ended = server.ended(project.commands.server, seconds=60)
    assert ended.returncode == 1
    assert "SECRET_KEY must be set in production" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_admin(page: "Page") -> None:
    page.goto("/admin/")
    log_in(page, "Grace")
    page.get_by_role("heading", name="Site administration").wait_for()
    page.goto("/admin/products/product/")
    page.get_by_role("heading", name="Select product to change").wait_for()
    show(page, "admin")
