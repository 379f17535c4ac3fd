"""One connection per execution environment; reads need no transaction around them."""

import os
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

tls = (
    {"sslmode": "verify-full", "sslrootcert": os.environ["DATABASE_CA_FILE"]} if os.environ["DATABASE_TLS"] == "verify" else {}
)
engine = create_async_engine(
    URL.create(
        "postgresql+psycopg",
        os.environ["DATABASE_USER"],
        os.environ["DATABASE_PASSWORD"],
        os.environ["DATABASE_HOST"],
        int(os.environ["DATABASE_PORT"]),
        os.environ["DATABASE_NAME"],
    ),
    pool_size=1,
    max_overflow=0,
    connect_args=tls,
)
Reading = async_sessionmaker(engine.execution_options(isolation_level="AUTOCOMMIT"), expire_on_commit=False)
Writing = async_sessionmaker(engine, expire_on_commit=False)


async def reading() -> AsyncIterator[AsyncSession]:
    async with Reading() as session:
        yield session


async def writing() -> AsyncIterator[AsyncSession]:
    async with Writing.begin() as session:
        yield session


Reader = Annotated[AsyncSession, Depends(reading, scope="function")]
Writer = Annotated[AsyncSession, Depends(writing, scope="function")]
