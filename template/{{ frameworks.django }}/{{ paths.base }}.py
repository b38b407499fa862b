"""Abstract base model."""

from django.db import models


class TimestampedModel(models.Model):
    """Adds the times of creation and of the last update."""

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        """Abstract base class: no table is created for it."""

        abstract = True
