"""A year in 48 weeks, four to each month, as eBird counts them."""

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from feeder.clock import to_local

WEEKS = 48
"""Each month's begin on the 1st, 8th, 15th and 22nd; the last of them has 7 to 10 days."""

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
          "October", "November", "December")  # fmt: skip


def week_of(at: datetime, zone: ZoneInfo | None) -> int:
    """The week, 0 to 47, in which the instant `at` lies in `zone`; None is the computer's own."""
    local = to_local(at, zone)
    return 4 * (local.month - 1) + min((local.day - 1) // 7, 3)


def month_name(week: int) -> str:
    """The month that week 0 to 47 is in."""
    return MONTHS[week // 4]


def weeks_of(months: Iterable[int]) -> npt.NDArray[np.bool_]:
    """bool [48], True in the weeks of these months, 1 to 12."""
    of = set(months)
    return np.array([week // 4 + 1 in of for week in range(WEEKS)])
