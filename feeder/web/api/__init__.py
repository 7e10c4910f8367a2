"""The REST API, version 1: the same queries as the command line."""

from fastapi import APIRouter

router = APIRouter()
