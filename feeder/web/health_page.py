"""How the feeder is: daemon, log, disk, model, cameras."""

from fastapi import APIRouter

router = APIRouter()
