"""Sixteen writers, as an application has them: each writes to the Service of one region, and asks again with the same
idempotency key when no answer came. What was answered with success must be there in the end, once, in every region.

They dial Services by their addresses from this machine, so they need a cluster whose addresses lead somewhere from here
(`cluster/local.sh`).
"""

import collections
import http.client
import json
import socket
import ssl
import threading
import time

WRITERS = 16
KEYS = 40  # a writer's own; each holds the number of its last write
PAUSE = 0.04
ANSWER_WITHIN = 10  # seconds for one try
GIVE_UP_AFTER = 60  # seconds for one write
AGAIN_AFTER = 0.2


class Load:
    def __init__(self, servers, ca):
        """`servers`: region to the name and the address of its Service; `ca`: who signed for them, as PEM."""
        self.servers = servers
        self._trust = ssl.create_default_context(cadata=ca)
        self._run = f"{time.time_ns():x}"
        self.failed = []
        self.written = {}  # key to the number in it
        self.votes = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._writes, self._longest = 0, 0.0
        self._again = collections.Counter()
        regions = sorted(servers)
        self._threads = [threading.Thread(target=self._write, args=(at, regions[at % len(regions)]), daemon=True) for at in range(WRITERS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(GIVE_UP_AFTER + ANSWER_WITHIN)

    def phase(self):
        """Since the last call: how many writes, the seconds that the longest took, and how often which answer made
        writers ask again."""
        with self._lock:
            told = self._writes, self._longest, dict(self._again)
            self._writes, self._longest = 0, 0.0
            self._again.clear()
            return told

    def _write(self, me, region):
        line = Line(*self.servers[region], self._trust)
        count = 0
        while not self._stop.is_set():
            count += 1
            key = f"w{me}-{count % KEYS}"
            is_vote = count % 5 == 0
            if is_vote:
                request = ("POST", "/v1/collections/votes/keys/tea/ops", {"increment": 1})
            else:
                request = ("PUT", f"/v1/collections/pages/keys/{key}", count)
            began, why = time.monotonic(), None
            while time.monotonic() - began < GIVE_UP_AFTER:
                why = line.ask(*request, f"{self._run}-{me}-{count}")
                if why is None:
                    break
                with self._lock:
                    self._again[f"{region}: {why[:120]}"] += 1
                time.sleep(AGAIN_AFTER)
            spent = time.monotonic() - began
            with self._lock:
                self._writes += 1
                self._longest = max(self._longest, spent)
                if why is not None:
                    self.failed.append(f"{region} {key} after {spent:.0f} s: {why}")
                elif is_vote:
                    self.votes += 1
                else:
                    self.written[key] = count
            time.sleep(PAUSE)
        line.close()

    def missing(self, region):
        """What is not in a region as it was written there or elsewhere."""
        line = Line(*self.servers[region], self._trust)
        wrong = []
        for key, number in sorted(self.written.items()):
            found = line.value("pages", key)
            if found != number:
                wrong.append(f"{region}: {key} is {found}, not {number}")
        votes = line.value("votes", "tea")
        if votes != self.votes:
            wrong.append(f"{region}: {votes} votes, not {self.votes}")
        line.close()
        return wrong


class Line:
    """A connection that is made again when it broke."""

    def __init__(self, name, address, trust):
        self._name, self._address, self._trust = name, address, trust
        self._connection = None

    def ask(self, method, path, body, name):
        """None for success, else why not."""
        try:
            answer = self._request(method, path, json.dumps(body), {"idempotency-key": name, "content-type": "application/json"})
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return f"{type(error).__name__}: {error}"
        status, text = answer
        if status < 300:
            return None
        # Another node may know better: a Service chooses anew for a new connection.
        self.close()
        try:
            problem = json.loads(text)
            return f"{status} {problem['reason']}: {problem.get('detail')}"
        except (ValueError, KeyError):
            return f"{status} {text[:200]}"

    def value(self, collection, key):
        status, text = self._request("GET", f"/v1/collections/{collection}/keys/{key}", None, {})
        return json.loads(text) if status == 200 else None

    def close(self):
        if self._connection:
            self._connection.close()
            self._connection = None

    def _request(self, method, path, body, headers):
        if not self._connection:
            plain = socket.create_connection((self._address, 7400), timeout=ANSWER_WITHIN)
            self._connection = http.client.HTTPConnection(self._name)
            self._connection.auto_open = False  # by the name, which means nothing here
            self._connection.sock = self._trust.wrap_socket(plain, server_hostname=self._name)
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")


def watch(story, what, seconds):
    """Waits until what was applied is Ready; answers the words in which its status told of the way there, each once."""
    seen = []

    def is_ready():
        found = story.get(what)
        status = found.get("status", {})
        if status.get("observedGeneration") != found["metadata"]["generation"]:
            return False
        conditions = {one["type"]: one for one in status.get("conditions", [])}
        ready = conditions.get("Ready", {})
        if ready.get("status") == "True":
            return True
        text = f"{ready.get('reason')}: {ready.get('message')}"
        if text not in seen:
            seen.append(text)
        return False

    story.eventually(f"{what} is as declared", is_ready, seconds)
    return seen
