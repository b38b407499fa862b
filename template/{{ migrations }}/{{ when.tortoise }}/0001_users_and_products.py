from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    initial = True

    operations = [
        ops.CreateModel(
            name="User",
            fields=[
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("updated_at", fields.DatetimeField(auto_now=True, auto_now_add=False)),
                (
                    "id",
                    fields.IntField(
                        generated=True, primary_key=True, unique=True, db_index=True
                    ),
                ),
                ("email", fields.CharField(max_length=254, unique=True)),
                ("name", fields.CharField(max_length=100)),
                ("password_hash", fields.CharField(max_length=255)),
                (
                    "welcomed_at",
                    fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
                ),
            ],
            options={
                "table": "users",
                "app": "models",
                "pk_attr": "id",
                "table_description": "A user who can log in.",
            },
            bases=["Timestamps"],
        ),
        ops.CreateModel(
            name="Product",
            fields=[
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("updated_at", fields.DatetimeField(auto_now=True, auto_now_add=False)),
                (
                    "id",
                    fields.IntField(
                        generated=True, primary_key=True, unique=True, db_index=True
                    ),
                ),
                ("name", fields.CharField(max_length=200)),
                ("description", fields.CharField(max_length=2000)),
                ("price_cents", fields.IntField()),
                (
                    "owner",
                    fields.ForeignKeyField(
                        "models.User",
                        source_field="owner_id",
                        db_constraint=True,
                        to_field="id",
                        related_name=False,
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
            ],
            options={
                "table": "products",
                "app": "models",
                "indexes": [
                    Index(fields=["name"], name="ix_products_name"),
                    Index(fields=["owner_id"], name="ix_products_owner_id"),
                ],
                "pk_attr": "id",
                "table_description": "A product offered by its owner.",
            },
            bases=["Timestamps"],
        ),
    ]
