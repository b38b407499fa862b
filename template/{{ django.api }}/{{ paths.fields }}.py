"""Strict serializer fields: by default, REST framework coerces 7 to "7"."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers


# Text fields reject NUL, which PostgreSQL cannot store; the schema documents this.
@extend_schema_field({"type": "string", "pattern": r"^[^\u0000]+$"})
class TextField(serializers.CharField):
    """A string; numbers are not coerced."""

    def to_internal_value(self, data: Any) -> str:  # noqa: ANN401
        """Return the string, or fail for any other type."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field({"type": "string", "format": "password"})
class PasswordField(TextField):
    """A string whose leading and trailing whitespace is kept."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401
        super().__init__(trim_whitespace=False, **options)


class NumberField(serializers.IntegerField):
    """An integer; strings are not coerced."""

    def to_internal_value(self, data: Any) -> int:  # noqa: ANN401
        """Return the integer, or fail for a string."""
        if isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)
