"""Every species with its picture and charts, and a page for each."""

from fastapi import APIRouter

router = APIRouter()
