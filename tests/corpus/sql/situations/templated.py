"""Rows that a template goes through: its own line is the guilty one."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from tests.corpus.sql.labels import TEMPLATES
from tests.corpus.sql.shop.database import AsyncDb, Db
from tests.corpus.sql.shop.models import Author

router = APIRouter(default_response_class=HTMLResponse)
templates = Jinja2Templates(TEMPLATES)


# situation: template-reads (template authors.html)
@router.get("/template-reads")
def template_reads(request: Request, session: Db):
    found = {"authors": session.scalars(select(Author).order_by(Author.id)).all()}
    return templates.TemplateResponse(request, "authors.html", found)


# situation: template-loaded (clean, like SQL101, mends template-reads)
@router.get("/template-loaded")
def template_loaded(request: Request, session: Db):
    query = select(Author).options(selectinload(Author.books)).order_by(Author.id)
    found = {"authors": session.scalars(query).all()}
    return templates.TemplateResponse(request, "authors_loaded.html", found)


# situation: macro-reads (template awards.html)
@router.get("/macro-reads")
def macro_reads(request: Request, session: Db):
    found = {"authors": session.scalars(select(Author).order_by(Author.id)).all()}
    return templates.TemplateResponse(request, "awards.html", found)


# situation: async-template-reads (template async_authors.html)
@router.get("/async-template-reads")
async def async_template_reads(request: Request, session: AsyncDb):
    found = {"authors": (await session.scalars(select(Author).order_by(Author.id))).all()}
    return templates.TemplateResponse(request, "async_authors.html", found)
