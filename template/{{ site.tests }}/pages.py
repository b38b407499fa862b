"""Reads pages as a browser does: which links and forms do they have?"""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, override
from urllib.parse import urldefrag, urljoin

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response


@dataclass
class Form:
    """A form, with the values that a browser would submit without any input."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)


class Page(HTMLParser):
    """A page.

    Attributes:
        path: its path.
        text: its source.
        links: the absolute paths that it links to.
        forms: its forms.
    """

    def __init__(self, response: "Response") -> None:
        super().__init__()
        self.path: str = response.request["PATH_INFO"]
        self.text = response.content.decode()
        self.links: list[str] = []
        self.forms: list[Form] = []
        self.feed(self.text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        match tag:
            case "a":
                link, _ = urldefrag(urljoin(self.path, values["href"]))
                self.links.append(link)
            case "form":
                action = urljoin(self.path, values.get("action", ""))
                self.forms.append(Form(values.get("method", "get"), action))
            case "input" | "textarea" if "name" in values:
                self.forms[-1].fields[values["name"]] = values.get("value", "")
