"""Stands between one client and a server, passes bytes on, and at a certain point holds them back.

So a test can end the server at a moment that is otherwise over too soon: when half of a request has arrived
(`cut="request"`), or when the server has done what was asked and its answer is still on the way (`cut="reply"`).
What it holds back never arrives, also if the gate is opened afterwards; only new connections pass then.
"""

import socket
import threading

CHUNK_BYTES = 4_096
PATIENCE_S = 60.0


class Gate:
    """Listens on a free port. A context: leaving it closes every connection."""

    def __init__(self, port, after, cut):
        """Holds back once `after` bytes of requests have passed: all further bytes, or the next reply."""
        self.target, self.after, self.cut = port, after, cut
        self.passed, self.opened = 0, False
        self.held = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"longshore://127.0.0.1:{self.listener.getsockname()[1]}"
        self.pairs = []
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._close([self.listener])
        self.threads[0].join(PATIENCE_S)
        self._close(self.pairs)
        for thread in self.threads:
            thread.join(PATIENCE_S)

    def open(self):
        """Ends the connections that there are; new ones pass unhindered."""
        self.opened = True
        self._close(self.pairs)

    @staticmethod
    def _close(sockets):
        for one in list(sockets):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # It is closed already.
            one.close()

    def wait(self, patience_s=PATIENCE_S):
        """Waits until something is held back."""
        if not self.held.wait(patience_s):
            raise AssertionError(f"{self.passed} bytes passed in {patience_s:.0f} s, and not {self.after}")

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target), PATIENCE_S)
            except OSError:
                client.close()
                continue
            server.settimeout(None)  # Its silence is no fault: what is held back waits until the gate closes.
            self.pairs += [client, server]
            for source, target, passes in ((client, server, self._request), (server, client, self._reply)):
                thread = threading.Thread(target=self._pump, args=(source, target, passes), daemon=True)
                self.threads.append(thread)
                thread.start()

    def _request(self, size):
        self.passed += size
        full = self.passed >= self.after
        if full and self.cut == "request" and not self.opened:
            self.held.set()
            return False
        return True

    def _reply(self, _):
        if self.cut == "reply" and self.passed >= self.after and not self.opened:
            self.held.set()
            return False
        return True

    @staticmethod
    def _pump(source, target, passes):
        try:
            while data := source.recv(CHUNK_BYTES):
                if not passes(len(data)):
                    return  # Both sides stay connected, and hear nothing.
                target.sendall(data)
        except OSError:
            pass  # Either side is gone; then so is the other.
        Gate._close([source, target])
