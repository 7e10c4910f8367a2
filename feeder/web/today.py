"""Today's visits, as they come."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from feeder.web.rendering import page

router = APIRouter()


@router.get("/")
def today(request: Request) -> HTMLResponse:
    """Today's visits."""
    return page(request, "today")
