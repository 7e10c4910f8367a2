"""The calendar: visits by day over the years."""

from fastapi import APIRouter

router = APIRouter()
