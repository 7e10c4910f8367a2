"""What no species fitted, sorted by likeness, and named at once."""

from fastapi import APIRouter

router = APIRouter()
