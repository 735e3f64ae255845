"""A client of the Redis protocol on a plain socket: enough to say right and wrong things to a server.

Replies become Python values: bulk and simple strings are `bytes`, integers `int`, arrays `list`, an error is a
`ReplyError` value (never raised here, because in a pipeline it belongs to one request only).
"""

import json
import socket

READ_BYTES = 1 << 16


class ReplyError(Exception):
    """An error reply: its first word, and the message behind it."""

    def __init__(self, text):
        super().__init__(text)
        self.word, _, self.message = text.partition(" ")
        self.text = text


class Disconnected(Exception):
    """The other side is gone, before or instead of a reply."""


def encode(arguments):
    """One request, as an array of bulk strings."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        if not isinstance(argument, bytes):
            argument = str(argument).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(argument), argument))
    return b"".join(parts)


class Client:
    """One connection. Not for several threads at once."""

    def __init__(self, port, timeout=30.0):
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        except OSError as error:
            raise Disconnected(str(error)) from error
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        """Sends bytes as they are."""
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Disconnected(str(error)) from error

    def call(self, *arguments):
        """One request and its reply; an error reply is raised."""
        self.send(encode(arguments))
        reply = self.reply()
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def pipeline(self, requests):
        """Many requests at once; their replies in order, errors as values."""
        self.send(b"".join(encode(request) for request in requests))
        return [self.reply() for _ in requests]

    def json(self, *arguments):
        """A request whose reply is JSON."""
        return json.loads(self.call(*arguments))

    def reply(self):
        """The next reply."""
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            return ReplyError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if int(rest) < 0 else self._bytes(int(rest))
        if kind == b"*":
            return None if int(rest) < 0 else [self.reply() for _ in range(int(rest))]
        raise AssertionError(f"not a RESP2 reply: {line!r}")

    def is_closed(self):
        """Whether the server has closed the connection, or does so now."""
        try:
            return self.socket.recv(READ_BYTES) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    def _more(self):
        try:
            data = self.socket.recv(READ_BYTES)
        except OSError as error:
            raise Disconnected(str(error)) from error
        if not data:
            raise Disconnected("closed by the server")
        self.buffer += data

    def _line(self):
        while (end := self.buffer.find(b"\r\n")) < 0:
            self._more()
        line, self.buffer = self.buffer[:end], self.buffer[end + 2 :]
        return line

    def _bytes(self, length):
        while len(self.buffer) < length + 2:
            self._more()
        data, self.buffer = self.buffer[:length], self.buffer[length + 2 :]
        return data
