"""Endpoints that still call what pydantic 1 had; apart from tests whose applications are clean."""

from typing import Any

from pydantic import BaseModel


class Member(BaseModel):
    name: str = "Ada"


class Admin(Member):
    """Another one than the annotation says."""


def anybody() -> Any:
    return Admin()


async def save(member: Member) -> Any:
    return member.dict()


async def keep() -> Any:
    return await save(Admin())


async def who() -> Any:
    return anybody().dict()


async def who_mended() -> Any:
    return anybody().model_dump()
