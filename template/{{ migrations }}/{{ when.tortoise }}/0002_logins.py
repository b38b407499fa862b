from uuid import uuid4

from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("models", "0001_users_and_products")]

    initial = False

    operations = [
        ops.CreateModel(
            name="Login",
            fields=[
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("updated_at", fields.DatetimeField(auto_now=True, auto_now_add=False)),
                (
                    "id",
                    fields.UUIDField(
                        primary_key=True, default=uuid4, unique=True, db_index=True
                    ),
                ),
                (
                    "user",
                    fields.ForeignKeyField(
                        "models.User",
                        source_field="user_id",
                        db_constraint=True,
                        to_field="id",
                        related_name=False,
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
                ("token_hash", fields.CharField(max_length=64)),
                (
                    "expires_at",
                    fields.DatetimeField(auto_now=False, auto_now_add=False),
                ),
            ],
            options={
                "table": "logins",
                "app": "models",
                "indexes": [Index(fields=["user_id"], name="ix_logins_user_id")],
                "pk_attr": "id",
                "table_description": "A login. Only its newest refresh token is valid, and each use extends it.",
            },
            bases=["Timestamps"],
        ),
        ops.AddField(
            model_name="User",
            name="is_active",
            field=fields.BooleanField(default=True, db_default=True),
        ),
    ]
