from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps


async def add_search_index(_apps: StateApps, editor: BaseSchemaEditor) -> None:
    # Trigrams find a part of a name. Any database owner may create this extension.
    if editor.DIALECT == "postgres":
        await editor.client.execute_script(
            "CREATE EXTENSION IF NOT EXISTS pg_trgm;"
            "CREATE INDEX ix_products_name_trigrams ON products"
            " USING gin (upper(name::varchar) gin_trgm_ops)"
        )


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
                    Index(fields=["owner_id"], name="ix_products_owner_id"),
                    Index(fields=["name", "id"], name="ix_products_name_id"),
                    Index(
                        fields=["price_cents", "id"], name="ix_products_price_cents_id"
                    ),
                ],
                "pk_attr": "id",
                "table_description": "A product offered by its owner.",
            },
            bases=["Timestamps"],
        ),
        ops.RunPython(add_search_index, reverse_code=ops.RunPython.noop),
    ]
