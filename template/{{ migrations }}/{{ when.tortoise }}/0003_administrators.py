from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("models", "0002_logins")]

    initial = False

    operations = [
        ops.AddField(
            model_name="User",
            name="is_admin",
            field=fields.BooleanField(default=False, db_default=False),
        ),
    ]
