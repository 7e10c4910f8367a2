"""Whether messages can go where [alerts] says, without sending one."""

from collections.abc import Iterator

from feeder.alerts import apprise_service, targets
from feeder.check import Check, is_open_to_others
from feeder.config import Settings


def examine(settings: Settings, *, whole: bool) -> Iterator[Check]:
    """Whether each entry of `send_to` is understood and its file the owner's alone; no check
    where nobody is to be told. Nothing of a URL is said but its place and the service's name.

    Unless `whole`, Apprise, which takes a second and memory to load, is not asked.
    """
    if not settings.alerts.send_to:
        return
    found, wrong = (apprise_service.usable if whole else targets.read)(settings)
    for error in wrong:
        yield Check("alerts", False, str(error), error.hint)
    for file in targets.files(settings):
        if is_open_to_others(file):
            said = f"everybody on this computer may read {file}, which holds secrets"
            yield Check("alerts", False, said, f"chmod 600 '{file}'")
    if found:
        names = ", ".join(target.name for target in found)
        yield Check("alerts", True, f"{names}; `feeder alerts test` tries them")
    elif not wrong:
        mend = "write an Apprise URL into the files that `send_to` under [alerts] names"
        yield Check("alerts", False, "no service is named", mend)
