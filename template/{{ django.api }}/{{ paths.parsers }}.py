"""Parsers for request bodies."""

from typing import Any

from rest_framework import parsers
from rest_framework.exceptions import ParseError


class JSONParser(parsers.JSONParser):
    """Parses JSON, and rejects a body that is nested too deeply to be parsed."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return the data, or raise an error that is a 400 and not a 500."""
        try:
            return super().parse(*args, **kwargs)
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply") from error
