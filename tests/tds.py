"""The far end of SQL Server's wire, as far as its driver goes before it reads rows: sign-in over TLS, and statements.

It proves how the driver waits and what it sends, and nothing of SQL Server. A statement that says waitfor is answered
only when it is cancelled; any other at once, with nothing.

https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-tds/ (read 2026-11)
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import trustme

BATCH, ANSWER, ATTENTION, PRELOGIN = 1, 4, 6, 18
VERSION, ENCRYPTION, END, REQUIRED = 0, 1, 255, 3
CANCELLED = 0x20
HELLO = struct.pack(">BHHBHHB", VERSION, 11, 6, ENCRYPTION, 17, 1, END) + bytes((16, 0, 0, 0, 0, 0, REQUIRED))


def done(status: int = 0) -> bytes:
    """The end of an answer."""
    return struct.pack("<BHHQ", 0xFD, status, 0, 0)


class Wire:
    """One connection. secured: whether all of it goes through TLS by now"""

    def __init__(self, end: socket.socket, context: ssl.SSLContext):
        self.end, self.secured = end, False
        self.came, self.goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.came, self.goes, server_side=True)

    def packet(self) -> tuple[int, bytes]:
        """Kind and contents of the next message."""
        kind, contents, last = 0, b"", False
        while not last:
            kind, status, length = struct.unpack(">BBH4x", self._read(8))
            contents, last = contents + self._read(length - 8), bool(status & 1)
        return kind, contents

    def send(self, kind: int, contents: bytes) -> None:
        """As one packet."""
        packet = struct.pack(">BBH4x", kind, 1, 8 + len(contents)) + contents
        if self.secured:
            self.tls.write(packet)
            packet = self.goes.read()
        self.end.sendall(packet)

    def secure(self) -> None:
        """Shake hands, each part as the contents of a packet; from then on it is the other way round."""
        while not self.secured:
            try:
                self.tls.do_handshake()
                self.secured = True
            except ssl.SSLWantReadError:
                pass
            if self.goes.pending:
                packet = self.goes.read()
                self.end.sendall(struct.pack(">BBH4x", PRELOGIN, 1, 8 + len(packet)) + packet)
            if not self.secured:
                self.came.write(self.packet()[1])

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            found += self._some(size - len(found))
        return found

    def _some(self, size: int) -> bytes:
        if not self.secured:
            return self._received(size)
        try:
            return self.tls.read(size)
        except ssl.SSLWantReadError:
            self.came.write(self._received(65_536))
            return b""

    def _received(self, size: int) -> bytes:
        if not (received := self.end.recv(size)):
            raise ConnectionResetError
        return received


class TDS:
    """A server on loopback.

    heard: the statements, and CANCEL where one was broken off
    dies:  whether it is gone at such a moment
    """

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.dies = False
        self.server = socket.create_server(("127.0.0.1", 0))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.maximum_version = ssl.TLSVersion.TLSv1_2
        trustme.CA().issue_cert("localhost").configure_cert(self.context)

    @property
    def port(self) -> int:
        return self.server.getsockname()[1]

    def serve(self) -> None:
        """Each connection in a thread of its own, until the server is closed."""
        with suppress(OSError):
            while True:
                end, _ = self.server.accept()
                threading.Thread(target=self._serve, args=(end,), daemon=True).start()

    def _serve(self, end: socket.socket) -> None:
        end.settimeout(20)  # a driver that waits for ever is hung up on
        wire = Wire(end, self.context)
        with end, suppress(OSError):
            wire.packet()
            wire.send(ANSWER, HELLO)
            wire.secure()
            _, login = wire.packet()
            name = "Stand-in".encode("utf-16-le")
            known = struct.pack("<B4sB", 1, login[4:8][::-1], len(name) // 2) + name + bytes((16, 0, 0, 0))
            wire.send(ANSWER, struct.pack("<BH", 0xAD, len(known)) + known + done())
            while True:
                self._answer(wire, *wire.packet())

    def _answer(self, wire: Wire, kind: int, contents: bytes) -> None:
        if kind == ATTENTION:
            self.heard.append("CANCEL")
            if self.dies:
                raise ConnectionResetError
            wire.send(ANSWER, done(CANCELLED))
        elif kind == BATCH:
            (headers,) = struct.unpack_from("<I", contents)
            self.heard.append(contents[headers:].decode("utf-16-le"))
            if "waitfor" not in self.heard[-1]:
                wire.send(ANSWER, done())


@contextmanager
def server() -> Iterator[TDS]:
    """A server, from here to the end of the block."""
    tds = TDS()
    thread = threading.Thread(target=tds.serve, daemon=True)
    thread.start()
    try:
        yield tds
    finally:
        tds.server.shutdown(socket.SHUT_RDWR)
        tds.server.close()
        thread.join()
