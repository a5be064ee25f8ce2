"""What the test of telemetry is made of: processes on loopback, a way that can be slowed and cut, clients."""

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.parse


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(what, seconds, look, every=0.25):
    """What `look` answers, once it is something; looks for so many seconds."""
    end = time.monotonic() + seconds
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(every)


class Process:
    """A program, its log, and its end."""

    all = []

    def __init__(self, name, command, directory, env=None):
        self.name, self.log = name, directory / f"{name}.log"
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **(env or {})}, cwd=directory)
        Process.all.append(self)

    def signal(self, number):
        if self.child.poll() is None:
            self.child.send_signal(number)

    def stop(self):
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()

    @classmethod
    def stop_all(cls):
        for process in cls.all:
            process.signal(signal.SIGCONT)
            process.signal(signal.SIGTERM)
        for process in cls.all:
            process.stop()


class Client:
    """One connection; opened anew when it broke. Clients of one region may share nothing else."""

    def __init__(self, port):
        self.port, self.connection = port, None

    def ask(self, method, path, body=None, headers=None, timeout=20):
        """(status, headers, body)"""
        for turn in (0, 1):
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
            try:
                self.connection.request(method, path, body, headers or {})
                answer = self.connection.getresponse()
                return answer.status, answer.headers, answer.read()
            except (OSError, http.client.HTTPException):
                self.connection.close()
                self.connection = None
                if turn:
                    raise

    def json(self, path):
        status, _, body = self.ask("GET", path)
        assert status == 200, f"{path}: {status} {body[:200]}"
        return json.loads(body)

    def put(self, collection, key, value, **headers):
        named = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        key = urllib.parse.quote(key, safe="")
        status, answer, body = self.ask("PUT", f"/v1/collections/{collection}/keys/{key}", json.dumps(value), named)
        assert status in (200, 201, 204), f"PUT {collection}: {status} {body[:200]}"
        return answer

    def is_ready(self):
        try:
            return self.ask("GET", "/readyz")[0] == 200
        except OSError:
            return False


class Way:
    """A TCP proxy: everything later by `delay`, each way; nothing at all while it is cut. What `harm` makes of a chunk
    is what goes on."""

    def __init__(self, to):
        self.to, self.delay, self.is_cut, self.harm = to, 0.0, False, lambda chunk: chunk
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = set()
        threading.Thread(target=self.accept, daemon=True).start()

    def cut(self, is_cut):
        self.is_cut = is_cut
        if is_cut:
            self.drop()

    def slow(self, delay):
        """For connections that come: those that are there are ended."""
        self.delay = delay
        self.drop()

    def drop(self):
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            try:
                if self.is_cut:
                    raise OSError
                far = socket.create_connection(("127.0.0.1", self.to), 5)
            except OSError:
                near.close()
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                end.settimeout(None)
                self.open.add(end)
            for source, target in ((near, far), (far, near)):
                self.carry(source, target)

    def carry(self, source, target):
        due, arrived, delay = [], threading.Condition(), self.delay

        def read():
            while True:
                try:
                    chunk = source.recv(65536)
                except OSError:
                    chunk = b""
                with arrived:
                    due.append((time.monotonic() + delay, self.harm(chunk)))
                    arrived.notify()
                if not chunk:
                    return

        def write():
            while True:
                with arrived:
                    arrived.wait_for(lambda: due)
                    at, chunk = due.pop(0)
                time.sleep(max(0.0, at - time.monotonic()))
                try:
                    if not chunk:
                        raise OSError
                    target.sendall(chunk)
                except OSError:
                    for end in (source, target):
                        self.open.discard(end)
                        try:
                            end.shutdown(socket.SHUT_RDWR)
                        except OSError:
                            pass
                    return

        for work in (read, write):
            threading.Thread(target=work, daemon=True).start()


class Load(threading.Thread):
    """Writes that never conflict, so many a second, until it is stopped; how long each took."""

    def __init__(self, port, name, rate):
        super().__init__(daemon=True)
        self.client, self.name_, self.rate = Client(port), name, rate
        self.ended, self.took, self.failed = threading.Event(), [], 0

    def run(self):
        number = 0
        while not self.ended.wait(1 / self.rate):
            number, begun = number + 1, time.monotonic()
            try:
                self.client.put("pages", f"zqkey-{self.name_}-{number % 200}", f"zqvalue-{number}")
                self.took.append(time.monotonic() - begun)
            except (AssertionError, OSError):
                self.failed += 1

    def stop(self):
        self.ended.set()
        self.join(20)
