"""The settings, to read."""

from fastapi import APIRouter

router = APIRouter()
