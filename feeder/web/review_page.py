"""What waits for a person to look at it."""

from fastapi import APIRouter

router = APIRouter()
