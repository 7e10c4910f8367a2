"""Where the page listens, and what browsers call that place."""

import errno
import ipaddress
import os
import socket
from collections.abc import Iterable
from contextlib import closing, suppress

from feeder.errors import ConfigError, FeederError
from feeder.web.security import own_names, plain_name

ANY = ("0.0.0.0", "::")
"""All addresses of this computer, by family."""

_SOMEWHERE = ("192.0.2.1", 9)  # TEST-NET-1 (RFC 5737): nothing is ever sent there


_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def addresses(host: str) -> list[str]:
    """The addresses of this computer that `host` means. ConfigError where it means none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise _no_address(host) from None
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


def is_loopback(host: str) -> bool:
    """Whether nothing but this computer itself reaches `host`; raises as `addresses`."""
    return all(ipaddress.ip_address(one.partition("%")[0]).is_loopback for one in addresses(host))


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen there. FeederError where the port is taken or not to be had."""
    opened: list[socket.socket] = []
    absent: OSError | None = None
    for address in addresses(host):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        both = address == "::" and socket.has_dualstack_ipv6()
        try:
            opened.append(
                socket.create_server(
                    (address, port), family=family, backlog=128, dualstack_ipv6=both
                )
            )
        except OSError as error:
            if error.errno in _ABSENT:  # a name's IPv6 address, say, where there is no IPv6
                absent = error
                continue
            for one in opened:
                one.close()
            raise _explained(host, port, error) from error
    if not opened and absent is not None:
        raise _explained(host, port, absent) from absent
    return opened


def _no_address(host: str) -> ConfigError:
    return ConfigError(
        f"{host!r} is no address of this computer.",
        'Set `host` under [web] to "127.0.0.1", or to "0.0.0.0" for phones in the house.',
    )


def _explained(host: str, port: int, error: OSError) -> FeederError:
    if error.errno == errno.EADDRINUSE:
        return FeederError(
            f"Port {port} of {host} is in use.",
            "Another `feeder serve` may run, or the daemon with `enabled = true` under [web]; "
            "`--port` or `port` under [web] chooses another.",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return FeederError(
            f"Port {port} may not be listened on by this user.",
            "Choose one from 1024 on, as `port` under [web].",
        )
    if error.errno in _ABSENT:
        return _no_address(host)
    reason = os.strerror(error.errno) if error.errno else str(error)
    return FeederError(f"The page cannot listen at {host}, port {port}: {reason}.")


def names(host: str, more: Iterable[str]) -> set[str]:
    """What browsers may call this computer; addresses that a request comes in at come on top."""
    found = {"localhost", "127.0.0.1", "::1", plain_name(host), *map(plain_name, more)}
    if not is_loopback(host):
        found |= set(map(plain_name, own_names()))
    return found - set(ANY)


def urls(host: str, port: int) -> list[str]:
    """The page's addresses to try, the one that a phone most likely finds first."""
    if host not in ANY:
        return [_url(host, port)]
    tried = [name for name in own_names()[-1:] if name != "localhost.local"]
    with suppress(OSError), closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.connect(_SOMEWHERE)  # only chooses the address to send from
        tried.append(str(probe.getsockname()[0]))
    return [_url(one, port) for one in (*tried, "127.0.0.1")]


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
