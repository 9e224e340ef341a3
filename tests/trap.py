"""What an SDK sends, caught on loopback and written down. Run in an environment that holds the SDK and nothing else:

    python -P tests/trap.py tests/sdk/hubspot.py hubspot.json

`make sdk` builds the environments and does so. The vendor's host is this machine for as long as the trap is set, and
TLS is left out; all else of the SDK's transport is its own. The script's calls(sends) makes it send, a request each.
"""

import json
import logging
import re
import runpy
import socket
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler
from importlib.metadata import version
from pathlib import Path
from socketserver import ThreadingTCPServer

# Of the transport, what an SDK would like to read, and what it says of itself, the machine and this one call.
UNSAID = re.compile(
    "accept|accept-encoding|connection|content-length|host|user-agent"
    "|client-request-id|os-usage-data|x-client-.*|x-fern-.*|x-goog-api-client|x-ms-.*|x-zoho-sdk"
)
SDK = re.compile(r'^# dependencies = \["([\w-]+)==', re.MULTILINE)


class Sends:
    """sends(call, function, …): what the function has the SDK send, kept under the name of the call.

    call: method and path, with {names} for what varies, as the vendor writes it
    """

    def __init__(self, server):
        self.server, self.kept = server, []

    def __call__(self, call, function, *args, told=None, **kwargs):
        """told: the answers of the vendor, as JSON, where the SDK makes several calls and needs them; the last counts.

        What an SDK makes of the last one is no matter.
        """
        told = [*(told or []), {}]
        self.server.caught, self.server.told = [], iter(told)
        try:
            function(*args, **kwargs)
        except Exception:
            if len(self.server.caught) < len(told):
                raise
        self.kept.append({"call": call, **self.server.caught[len(told) - 1]})


class Vendor(BaseHTTPRequestHandler):
    """Whoever answers, whatever it is asked."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        content = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        headers = {name.lower(): value for name, value in self.headers.items() if not UNSAID.fullmatch(name.lower())}
        url = f"https://{self.headers['host']}{self.path}"
        self.server.caught.append({"method": self.command, "url": url, "headers": headers, "body": read(content)})
        said = json.dumps(next(self.server.told, {})).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def __getattr__(self, name):
        """The server looks for a do_GET and its like."""
        return self.answer if name.startswith("do_") else super().__getattribute__(name)

    def log_message(self, *_):
        """Nothing."""


def read(content):
    """A body's value where it is JSON, else its text; None where there is none."""
    try:
        return json.loads(content) if content else None
    except ValueError:
        return content


def main(script, kept):
    """Spring the trap on every call of a script, and write down what was sent."""
    logging.disable()  # what an SDK makes of our answers is no matter
    sdk = SDK.search(Path(script).read_text("utf-8"))[1]
    server = ThreadingTCPServer(("127.0.0.1", 0), Vendor)  # an HTTPServer would look its own name up
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", server.server_address)]
    socket.getaddrinfo = lambda *_, **__: here
    connect = socket.socket.connect
    socket.socket.connect = lambda sock, _: connect(sock, server.server_address)  # some leave the name to the system
    ssl.SSLContext.wrap_socket = lambda _, sock, *__, **___: sock
    runpy.run_path(script)["calls"](sends := Sends(server))
    said = {"sdk": sdk, "version": version(sdk), "requests": sends.kept}
    Path(kept).write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
