"""Length-prefixed frames over a file descriptor: the one transport between all processes of a worker."""

from __future__ import annotations

import os
import struct

HEADER = struct.Struct("<I")


class Oversized(Exception):
    """A frame announces more bytes than its reader accepts."""


def framed(payload: bytes) -> bytes:
    """One frame as it travels."""
    return HEADER.pack(len(payload)) + payload


class FrameBuffer:
    """Bytes as they arrive -> whole frames. Holds at most one frame of `cap` bytes plus what one read brought."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._data = bytearray()

    def feed(self, data: bytes | memoryview) -> None:
        self._data += data

    def next(self) -> bytes | None:
        """The next whole frame, or None while it is incomplete. Raises Oversized."""
        if len(self._data) < HEADER.size:
            return None
        (size,) = HEADER.unpack_from(self._data)
        if size > self._cap:
            raise Oversized(f"a frame of {size} bytes where at most {self._cap} are accepted")
        end = HEADER.size + size
        if len(self._data) < end:
            return None
        payload = bytes(self._data[HEADER.size : end])
        del self._data[:end]
        return payload


class FrameStream:
    """Blocking frames over one descriptor, for processes that have nothing else to wait for."""

    def __init__(self, fd: int, cap: int = 1 << 30) -> None:
        self.fd = fd
        self._buffer = FrameBuffer(cap)

    def read(self) -> bytes:
        """The next frame. Raises EOFError when the other side is gone."""
        while (payload := self._buffer.next()) is None:
            data = os.read(self.fd, 1 << 16)
            if not data:
                raise EOFError("the other side closed the connection")
            self._buffer.feed(data)
        return payload

    def write(self, payload: bytes) -> None:
        view = memoryview(framed(payload))
        while view:
            view = view[os.write(self.fd, view) :]
