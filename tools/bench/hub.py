"""Our side: a hub of its own on a port of its own, its data in the work folder."""
import http.client
import json
import signal
import subprocess
import time

from measure import BenchError, children_of, lives_below, memory

ENDING = 60                                              # seconds that workers get to end; a bound on a failure


class Hub:
    def __init__(self, build, work):
        self.bin = f"{build}/src/cmd"
        self.data = f"{work}/hub"
        self.log = open(f"{work}/hub.log", "ab")
        self.process = subprocess.Popen([f"{self.bin}/sendense-hub", "--data-dir", self.data, "--listen", "127.0.0.1:0"],
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        try:
            self.wait_ready(work)
        except BaseException:
            self.stop()
            raise
        self.connection = http.client.HTTPConnection(self.host, self.port, timeout=120)
        self.asked = time.monotonic()

    def wait_ready(self, work):
        for _ in range(600):
            if self.process.poll() is not None:
                break
            try:
                with open(f"{self.data}/hub.url") as f:
                    self.host, port = f.read().strip().removeprefix("http://").split(":")
                    self.port = int(port)
                probe = http.client.HTTPConnection(self.host, self.port, timeout=5)
                probe.request("GET", "/api/v1/healthz")
                if probe.getresponse().status == 200:
                    with open(f"{self.data}/admin.token") as f:
                        self.token = f.read().strip()
                    return
            except (OSError, ValueError):
                pass
            time.sleep(0.05)
        raise BenchError(f"the hub did not start: see {work}/hub.log")

    @property
    def pid(self):
        return self.process.pid

    def workers(self):
        return children_of(self.pid)

    def pids(self):
        return [self.pid] + self.workers()

    def worker_peak(self):
        return max([memory(p) for p in self.workers()] or [0])

    def worker_memory(self):
        """What they hold now."""
        return max([memory(p, "VmRSS") for p in self.workers()] or [0])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    # --- the API ---

    def call(self, method, path, body=None):
        """The answer's bytes. One connection, kept; the hub closes those that are idle for long."""
        if time.monotonic() - self.asked > 10:
            self.connection.close()
        headers = {"Authorization": f"Bearer {self.token}"}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        self.connection.request(method, "/api/v1" + path, data, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        self.asked = time.monotonic()
        if answer.status >= 400:
            raise BenchError(f"{method} {path}: {answer.status} {content[:300].decode(errors='replace')}")
        return content

    def ask(self, method, path, body=None):
        return json.loads(self.call(method, path, body) or b"{}")

    def add(self, name, folder):
        """Registers a folder and what is in it."""
        known = [r for r in self.ask("GET", "/repositories")["repositories"] if r["name"] == name]
        repository = known[0] if known else self.ask("POST", "/repositories", {"name": name, "type": "local", "location": folder})
        found = self.ask("POST", f"/repositories/{repository['id']}/scan")
        if found["orphans"]:
            raise BenchError(f"the scan of {folder} left over {found['orphans'][:3]}")
        return found

    def mount(self, backup):
        return self.ask("POST", "/restore/mount", {"backup_id": backup, "disk_index": 0})["mount_id"]

    def unmount(self, *mounts):
        """And waits until the workers have ended: the next run's figures should not have the end of this one's in them. They are noted
        before: the list of children may pass over one while another leaves it."""
        ending = set(self.workers())
        for mount in mounts:
            self.call("DELETE", f"/restore/{mount}")
        until = time.monotonic() + ENDING
        while ending := {pid for pid in ending.union(self.workers()) if lives_below(pid, self.pid)}:
            if time.monotonic() > until:
                raise BenchError(f"processes {sorted(ending)} of the hub stay after their mounts were closed")
            time.sleep(0.002)

    def url(self, mount, what, path, **query):
        more = "".join(f"&{k}={v}" for k, v in query.items())
        return f"http://{self.host}:{self.port}/api/v1/restore/{mount}/{what}?path={path}{more}"

    def curl(self, url, out="/dev/null"):
        """What a script does: fails where the status is bad or the body breaks off."""
        return ["curl", "-sSf", "-H", f"Authorization: Bearer {self.token}", "-o", out, "-w", "%{size_download}", url]


class Mounted:
    """with Mounted(hub, backup) as mount_id."""

    def __init__(self, hub, backup):
        self.hub, self.backup = hub, backup

    def __enter__(self):
        self.id = self.hub.mount(self.backup)
        return self.id

    def __exit__(self, *_):
        self.hub.unmount(self.id)
