"""Fields that take JSON for what it is: REST framework itself reads 7 as "7"."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers


# All text fields refuse NUL, which PostgreSQL cannot store; the document is to say so.
@extend_schema_field({"type": "string", "pattern": r"^[^\u0000]+$"})
class TextField(serializers.CharField):
    """Text, and no number."""

    default_error_messages = {"invalid": "Input should be a valid string"}  # noqa: RUF012

    def to_internal_value(self, data: Any) -> str:  # noqa: ANN401
        """Return the text."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field({"type": "string", "format": "password"})
class PasswordField(TextField):
    """Text of which every character counts, spaces at its ends too."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401
        super().__init__(trim_whitespace=False, **options)


class NumberField(serializers.IntegerField):
    """A whole number, and no text."""

    default_error_messages = {"invalid": "Input should be a valid integer"}  # noqa: RUF012

    def to_internal_value(self, data: Any) -> int:  # noqa: ANN401
        """Return the number."""
        if isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)
