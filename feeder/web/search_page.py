"""Frames most like words, a photo or another frame."""

from fastapi import APIRouter

router = APIRouter()
