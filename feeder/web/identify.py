"""Upload or paste a photo: its species and the five best labels."""

from fastapi import APIRouter

router = APIRouter()
