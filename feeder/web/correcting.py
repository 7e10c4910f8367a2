"""What a person says of a frame or a visit, by one tap."""

from fastapi import APIRouter

router = APIRouter()
