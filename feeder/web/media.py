"""Pictures by row id, made small and without metadata."""

from fastapi import APIRouter

router = APIRouter()
