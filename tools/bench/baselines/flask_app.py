"""The baseline of the benchmark for the Flask project.

The same routes, tables and responses, written in one file with Flask and SQLAlchemy:
``gunicorn flask_app:app`` with the project's ``DATABASE_URL``. No settings, no layers,
no request ids, no log but the server's.
"""

import os
from datetime import datetime

from flask import Flask, Response, request
from pydantic import BaseModel, ConfigDict
from sqlalchemy import DateTime, ForeignKey, create_engine, func, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    joinedload,
    mapped_column,
    relationship,
    sessionmaker,
)

engine = create_engine(os.environ["DATABASE_URL"])
sessions = sessionmaker(engine, expire_on_commit=False)
app = Flask(__name__)


class Base(DeclarativeBase):
    """The tables' common ancestor."""


class User(Base):
    """Owns products."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    name: Mapped[str]
    password_hash: Mapped[str]
    welcomed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Product(Base):
    """What the list shows."""

    __tablename__ = "products"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    description: Mapped[str]
    price_cents: Mapped[int]
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    owner: Mapped[User] = relationship()


class Owner(BaseModel):
    """A user, as others see it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str


class ProductRead(BaseModel):
    """A product with its owner."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    description: str
    price_cents: int
    owner: Owner
    created_at: datetime
    updated_at: datetime


class Page(BaseModel):
    """One part of the list, and how long the whole of it is."""

    items: list[ProductRead]
    total: int
    limit: int
    offset: int


@app.get("/health/live")
def live() -> dict[str, str]:
    """Answer that the process runs."""
    return {"status": "ok"}


@app.get("/products")
def read_products() -> Response:
    """Return some products with their owners, newest first."""
    limit = request.args.get("limit", 20, type=int)
    offset = request.args.get("offset", 0, type=int)
    with sessions() as session:
        total = session.scalar(select(func.count()).select_from(Product))
        products = session.scalars(
            select(Product)
            .options(joinedload(Product.owner))
            .order_by(Product.id.desc())
            .limit(limit)
            .offset(offset)
        )
        page = Page(
            items=[ProductRead.model_validate(product) for product in products],
            total=total or 0,
            limit=limit,
            offset=offset,
        )
    return Response(page.model_dump_json(), mimetype="application/json")
