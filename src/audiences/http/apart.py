"""The call for a token on its way, apart from the calls that it is for."""

from __future__ import annotations

import httpx

from audiences.errors import Unanswered
from audiences.http.granted import unreached
from audiences.http.wire import SIGN_IN, Around, host, unwatched


class Apart(Around):
    """Send calls for a token by a transport of their own, and let none that fails put a batch in doubt.

    inner:   for all other calls
    sign_in: for those for a token; it may repeat them, whatever the connector says of its verbs: what a provider made
             of an unanswered one is out of reach either way
    """

    def __init__(self, inner: httpx.BaseTransport, sign_in: httpx.BaseTransport):
        super().__init__(inner)
        self.sign_in = sign_in

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if SIGN_IN not in request.extensions:
            return self.inner.handle_request(request)
        with unwatched():
            try:
                return self.sign_in.handle_request(request)
            except Unanswered:
                name = host(request)
        raise unreached(name)
