"""The baseline of the benchmark for the default project.

The same routes, tables and responses, written in one file with FastAPI and
SQLAlchemy: ``uvicorn fastapi_app:app`` with the project's ``DATABASE_URL``. No
settings, no layers, no request ids, no log but the server's.
"""

import os
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import Depends, FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy import DateTime, ForeignKey, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    joinedload,
    mapped_column,
    relationship,
)

url = os.environ["DATABASE_URL"].replace("sqlite:", "sqlite+aiosqlite:")
engine = create_async_engine(url)
sessions = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


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


class Health(BaseModel):
    """The answer of a healthy service."""

    status: str = "ok"


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


async def get_session() -> AsyncIterator[AsyncSession]:
    """Give a request its session."""
    async with sessions() as session:
        yield session


@app.get("/health/live")
async def live() -> Health:
    """Answer that the process runs."""
    return Health()


@app.get("/products")
async def read_products(
    session: Annotated[AsyncSession, Depends(get_session)],
    limit: int = 20,
    offset: int = 0,
) -> Page:
    """Return some products with their owners, newest first."""
    total = await session.scalar(select(func.count()).select_from(Product))
    products = await session.scalars(
        select(Product)
        .options(joinedload(Product.owner))
        .order_by(Product.id.desc())
        .limit(limit)
        .offset(offset)
    )
    return Page(
        items=[ProductRead.model_validate(product) for product in products],
        total=total or 0,
        limit=limit,
        offset=offset,
    )
