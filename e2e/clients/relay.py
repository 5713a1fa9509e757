"""A TCP relay before the service that holds an answer up, or cuts it off."""

import re
import socket
import threading


class Relay:
    """Each connection is passed on to the service, and its answer back as far as `cut_after` bytes go."""

    def __init__(self, target):
        self.target, self.statuses, self.answered = target, [], 0
        self.cut_after, self.passing = None, threading.Event()
        self.passing.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.base = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        """Accepts nothing more."""
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client):
        try:
            service = socket.create_connection(("127.0.0.1", self.target))
        except ConnectionRefusedError:
            client.close()
            return
        with client, service:
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                request += client.recv(65536)
            # One request a connection, so that the end of the answer is the end of the stream.
            service.sendall(request[:-2] + b"Connection: close\r\n\r\n")
            answer = b""
            while chunk := service.recv(65536):
                answer += chunk
            self.answered = len(answer)
            self.statuses.append(int(re.match(rb"HTTP/1.1 (\d{3}) ", answer)[1]))
            self.passing.wait(60)
            client.sendall(answer if self.cut_after is None else answer[:self.cut_after])
