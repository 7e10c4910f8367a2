"""Server-sent events: what the log has gained since."""

from fastapi import APIRouter

router = APIRouter()
