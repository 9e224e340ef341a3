"""Which line a call takes: one that is free, directly to its host or by the proxy that the environment names."""

from __future__ import annotations

import ipaddress
import urllib.request
from collections.abc import Callable, Sequence
from functools import cached_property
from queue import LifoQueue
from ssl import SSLContext

import httpx

from audiences.errors import DefinitionError


class Lines(httpx.BaseTransport):
    """As many lines as a provider takes calls at once; each serves one thread at a time.

    One pool of connections for several threads would do, but httpcore 1.0 may close a connection that another thread
    has just been given: a call lost for nothing, and in doubt.
    """

    def __init__(self, lines: Sequence[httpx.BaseTransport]):
        self.lines = lines
        self.free: LifoQueue[httpx.BaseTransport] = LifoQueue()  # the line used last is still open
        for line in lines:
            self.free.put(line)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        line = self.free.get()
        try:
            return line.handle_request(request)
        finally:
            self.free.put(line)

    def close(self) -> None:
        for line in self.lines:
            line.close()


class Routed(httpx.BaseTransport):
    """Send directly, or by the proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names; loopback always directly.

    httpx reads these only where it makes its own transports, and those could not share one pace.

    verified: asked at the first call that goes directly; a run that has nothing to send needs no authorities
    """

    def __init__(self, verified: Callable[[], SSLContext]):
        self.verified = verified
        self.proxied = {
            scheme: _by_proxy(scheme, address, verified())
            for scheme, address in urllib.request.getproxies().items()
            if scheme in ("http", "https", "all")
        }

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._line(request.url).handle_request(request)

    def close(self) -> None:
        opened = (self.direct,) if "direct" in vars(self) else ()
        for line in (*opened, *self.proxied.values()):
            line.close()

    @cached_property
    def direct(self) -> httpx.BaseTransport:
        return httpx.HTTPTransport(verify=self.verified())

    def _line(self, url: httpx.URL) -> httpx.BaseTransport:
        proxy = self.proxied.get(url.scheme) or self.proxied.get("all")
        if proxy is None or is_loopback(url.host) or urllib.request.proxy_bypass(url.netloc.decode("ascii")):
            return self.direct
        return proxy


def _by_proxy(scheme: str, address: str, verified: SSLContext) -> httpx.HTTPTransport:
    problem: type[Exception]
    try:
        return httpx.HTTPTransport(proxy=address if "://" in address else f"http://{address}", verify=verified)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        problem = type(error)
    variable = f"{scheme.upper()}_PROXY"
    if problem is ImportError:
        raise DefinitionError(
            f"{variable} names a SOCKS proxy, which needs one more package",
            do="pip install socksio, or name an HTTP proxy",
        )
    raise DefinitionError(
        f"{variable} holds no address of a proxy", do=f"export {variable}=http://proxy.example.com:3128, or unset it"
    )


def is_loopback(name: str) -> bool:
    """Whether a host's name or address is this machine itself."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
