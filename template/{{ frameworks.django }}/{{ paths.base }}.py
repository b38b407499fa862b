"""What all tables share."""

from django.db import models


class TimestampedModel(models.Model):
    """Says when a row was made and last changed."""

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        """Has no table of its own."""

        abstract = True
