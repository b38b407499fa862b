"""The baseline of the benchmark for the Django project.

The same routes, tables and responses, written in one file with Django and REST
framework: ``gunicorn django_app:application`` with the project's ``DATABASE_URL``. No
settings of one's own, no layers, no admin, no request ids, no log but the server's; the
middleware is what `startproject` gives.
"""

import os

from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    SECRET_KEY="for-the-benchmark",  # noqa: S106
    ROOT_URLCONF="django_app",
    TIME_ZONE="UTC",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "rest_framework",
        "rest_framework.authtoken",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["DATABASE_URL"].removeprefix("sqlite:///"),
        }
    },
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "rest_framework.authentication.TokenAuthentication"
        ],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
)

# What follows needs the settings.
from django.core.wsgi import get_wsgi_application  # noqa: E402

application = get_wsgi_application()

from django.db import models  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.decorators import api_view  # noqa: E402
from rest_framework.generics import ListAPIView  # noqa: E402
from rest_framework.pagination import LimitOffsetPagination  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.serializers import ModelSerializer  # noqa: E402


class User(models.Model):
    """Owns products."""

    email = models.EmailField()
    name = models.CharField(max_length=100)
    password = models.CharField(max_length=128)
    welcomed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        """Which table."""

        app_label = "bare"
        db_table = "users_user"


class Product(models.Model):
    """What the list shows."""

    name = models.CharField(max_length=200)
    description = models.TextField()
    price_cents = models.PositiveIntegerField()
    owner = models.ForeignKey(User, on_delete=models.CASCADE)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        """Which table."""

        app_label = "bare"
        db_table = "products_product"


class OwnerSerializer(ModelSerializer[User]):
    """A user, as others see it."""

    class Meta:
        """Which fields."""

        model = User
        fields = ("id", "name")


class ProductSerializer(ModelSerializer[Product]):
    """A product with its owner."""

    owner = OwnerSerializer()

    class Meta:
        """Which fields."""

        model = Product
        fields = (
            "id",
            "name",
            "description",
            "price_cents",
            "owner",
            "created_at",
            "updated_at",
        )


class Pagination(LimitOffsetPagination):
    """One part of the list, and how long the whole of it is."""

    def get_paginated_response(self, data: object) -> Response:
        """Return the page."""
        page = {"total": self.count, "limit": self.limit, "offset": self.offset}
        return Response({"items": data, **page})


class ProductList(ListAPIView[Product]):
    """Some products with their owners, newest first."""

    queryset = Product.objects.select_related("owner").order_by("-id")
    serializer_class = ProductSerializer
    pagination_class = Pagination


@api_view()
def live(_request: Request) -> Response:
    """Answer that the process runs."""
    return Response({"status": "ok"})


urlpatterns = [
    path("health/live", live),
    path("products", ProductList.as_view()),
]
