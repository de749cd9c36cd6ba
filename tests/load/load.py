"""A hub, and a mixed load on it, for tests that kill processes under it (tests/load/kill.py) and that watch it for an hour
(tools/soak).

Every answer is judged: it must be what an idle hub gave before, or fail in one of the ways the disturbance of the moment allows,
and what was cut must say so: a body that looks complete is complete.
"""
import base64
import collections
import ctypes
import hashlib
import http.client
import json
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
import urllib.parse

TIMEOUT = 120  # seconds; a bound on a failure, not a measurement
ENDING = 60    # … that what a hub left behind gets to notice
REVIVAL = 90   # … that a mount gets whose worker kept dying: the pause before it is started again grows
BLOCK = 1 << 16
DATA_FILES = {"catalog.db", "catalog.db-wal", "catalog.db-shm", "admin.token", "hub.url", "hub.lock"}
PR_SET_CHILD_SUBREAPER = 36

CUTS = (http.client.IncompleteRead, http.client.RemoteDisconnected, http.client.BadStatusLine, ConnectionError, BrokenPipeError)


def become_subreaper():
    """Whatever the hub leaves behind when it is killed becomes our child: so nothing it started can hide, and nothing of anybody
    else's is ever taken for its."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def processes():
    """pid -> (parent, state, name) of all there are."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as f:
                    text = f.read()
            except OSError:
                continue
            name = text[text.index("(") + 1:text.rindex(")")]
            rest = text[text.rindex(")") + 2:].split()
            found[int(entry)] = (int(rest[1]), rest[0], name)
    return found


def descendants(root):
    table, got, todo = processes(), {}, [root]
    while todo:
        parent = todo.pop()
        for pid, (ppid, state, name) in table.items():
            if ppid == parent and pid not in got:
                got[pid] = (state, name)
                todo.append(pid)
    return got


def reap(but=None):
    """Reaps the orphans that have ended (`but`: the hub, which is waited for by name)."""
    for pid, (state, _) in descendants(os.getpid()).items():
        if state == "Z" and pid != but:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass


class Answer:
    def __init__(self, status, headers, body, digest, length, complete):
        self.status, self.headers, self.body, self.digest = status, headers, body, digest
        self.length, self.complete = length, complete

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            return {}


class Client:
    """One connection, kept as long as it serves."""

    def __init__(self, hub):
        self.hub, self.conn = hub, None

    def close(self):
        if self.conn:
            self.conn.close()
            self.conn = None

    def ask(self, method, path, body=None, headers=None, keep=True, pause=0.0, stop_after=None):
        """Raises one of CUTS where no answer came. `complete` is what the framing of HTTP says of the body. keep: the body's bytes, not
        only their digest; pause: seconds between blocks; stop_after: walks away after so many bytes."""
        if not self.conn:
            self.conn = http.client.HTTPConnection("127.0.0.1", self.hub.port, timeout=TIMEOUT)
        send = {"Authorization": "Bearer " + self.hub.token, **(headers or {})}
        try:
            self.conn.request(method, "/api/v1" + path, json.dumps(body) if body is not None else None, send)
            resp = self.conn.getresponse()
        except CUTS:
            self.close()
            raise
        digest, parts, length, complete = hashlib.sha256(), [], 0, True
        try:
            while stop_after is None or length < stop_after:
                block = resp.read(BLOCK)
                if not block:
                    break
                digest.update(block)
                length += len(block)
                if keep or resp.status >= 400:
                    parts.append(block)
                if pause:
                    time.sleep(pause)
            else:
                complete = False
        except CUTS as e:
            length += len(getattr(e, "partial", b""))
            complete = False
        promised = resp.getheader("Content-Length")
        if method != "HEAD" and promised is not None and length != int(promised):
            complete = False
        if promised is None and not resp.chunked and resp.status not in (204, 304):
            complete = False  # an end that cannot be told from a cut
        if not complete or resp.will_close:
            self.close()
        return Answer(resp.status, resp.headers, b"".join(parts), digest.hexdigest(), length, complete)


class Hub:
    """A hub with its data in a folder, its log beside it."""

    def __init__(self, program, data, options=(), env=None):
        self.program, self.data, self.options = program, data, list(options)
        self.env = {**os.environ, **(env or {})}
        self.log_path = data + ".log"
        self.process, self.port, self.token = None, None, None

    def start(self):
        url = os.path.join(self.data, "hub.url")
        if os.path.exists(url):
            os.remove(url)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([self.program, "--data-dir", self.data, "--listen", "127.0.0.1:0", *self.options],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, env=self.env)
        until = time.monotonic() + TIMEOUT
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(f"the hub ended with status {self.process.returncode}: {self.log()}")
            try:
                with open(url, encoding="ascii") as f:
                    self.port = int(f.read().strip().rsplit(":", 1)[1])
                with open(os.path.join(self.data, "admin.token"), encoding="ascii") as f:
                    self.token = f.read().strip()
                if Client(self).ask("GET", "/healthz").status == 200:
                    return
            except (OSError, ValueError, IndexError, *CUTS):
                pass
            time.sleep(0.02)
        raise RuntimeError("the hub does not answer")

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with open(self.log_path, "rb") as f:
            return f.read()[-2000:].decode("utf-8", "replace")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.terminate()
        return self.process.wait(TIMEOUT)

    def children(self, name=""):
        return [pid for pid, (state, its) in descendants(self.pid).items() if state != "Z" and name in its]


class Target:
    """A disk that stays mounted, and what an idle hub said of it."""

    def __init__(self, mount_id, backup_id, body):
        self.mount, self.backup, self.body = mount_id, backup_id, body
        self.dirs, self.files, self.archives = {}, {}, {}


def path_query(path, **more):
    return urllib.parse.urlencode({"path": path, **more})


class Load:
    """Threads that ask, at random, until told to end."""

    FORMATS = ("tar", "zip", "tar.gz", "tar.zst")

    def __init__(self, hub, seed):
        self.hub, self.seed = hub, seed
        self.targets, self.churn, self.repositories, self.locked = [], [], [], []
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.bad = []
        self.ending = threading.Event()
        self.threads = []
        self.kills = False       # processes are killed: answers may break off, or be 502, 503, 504
        self.pause = 0.0
        self.weights = dict(self.WEIGHTS)

    # --- what is right ---------------------------------------------------------------------------

    def learn(self, target, dirs, archives):
        """Asks the idle hub for what is to be compared later."""
        client = Client(self.hub)
        for d in dirs:
            answer = client.ask("GET", f"/restore/{target.mount}/files?{path_query(d)}")
            assert answer.status == 200, (d, answer.status, answer.body[:300])
            listing = answer.json()
            target.dirs[d] = (listing["total_count"], sorted(f["name"] for f in listing["files"]))
            for f in listing["files"]:
                if f["type"] == "file" and len(target.files) < 150:
                    got = client.ask("GET", f"/restore/{target.mount}/download?{path_query(f['path'])}", keep=False)
                    assert got.status == 200 and got.complete and got.length == f["size"], (f, got.status)
                    target.files[f["path"]] = (got.length, got.digest)
        for d in archives:
            for form in self.FORMATS:
                got = client.ask("GET", f"/restore/{target.mount}/download-directory?{path_query(d, format=form)}", keep=False)
                assert got.status == 200 and got.complete, (d, form, got.status)
                target.archives[d, form] = (got.length, got.digest)
        client.close()
        self.targets.append(target)

    # --- judging ---------------------------------------------------------------------------------

    def wrong(self, text):
        with self.lock:
            if len(self.bad) < 50:
                self.bad.append(text)

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def judge(self, what, answer, good=(200,), also=(), may_be_cut=False):
        """True if it is an answer to compare. A cut body of a good status, and errors the moment allows, are only counted."""
        if answer.status in good:
            if answer.complete:
                self.count("whole")
                return True
            self.count("cut")
            if not self.kills and not may_be_cut:
                self.wrong(f"{what}: cut after {answer.length} bytes, though nothing was killed")
            return False
        code = answer.json().get("code") if answer.complete else None
        if not answer.complete:
            self.count("cut")
        elif answer.status in also or self.excused(answer):
            self.count(f"{answer.status} {code}")
        else:
            self.wrong(f"{what}: {answer.status} {answer.body[:300]!r}")
        return False

    def excused(self, answer):
        """While processes are killed: what the hub says of a worker, or of the qemu-nbd behind one, that was."""
        return self.kills and answer.json().get("code") == "WORKER_DIED"

    # --- what is asked ---------------------------------------------------------------------------

    def do_list(self, c, rng):
        t = rng.choice(self.targets)
        d = rng.choice(list(t.dirs))
        query = path_query(d, sort=rng.choice(("name", "size", "modified")), order=rng.choice(("asc", "desc")))
        a = c.ask("GET", f"/restore/{t.mount}/files?{query}")
        if self.judge(f"list {d}", a):
            got = a.json()
            if (got["total_count"], sorted(f["name"] for f in got["files"])) != t.dirs[d]:
                self.wrong(f"list {d}: another listing than before: {a.length} bytes")

    def do_info(self, c, rng):
        t = rng.choice(self.targets)
        f = rng.choice(list(t.files))
        a = c.ask("GET", f"/restore/{t.mount}/file-info?{path_query(f)}")
        if self.judge(f"info {f}", a) and a.json()["size"] != t.files[f][0]:
            self.wrong(f"info {f}: {a.body!r}")

    def do_search(self, c, rng):
        t = rng.choice(self.targets)
        f = rng.choice(list(t.files))
        a = c.ask("GET", f"/restore/{t.mount}/search?{urllib.parse.urlencode({'q': os.path.basename(f), 'limit': 1000})}")
        if self.judge(f"search {f}", a):
            got = a.json()
            if len(got["files"]) < 1000 and f not in [hit["path"] for hit in got["files"]]:
                self.wrong(f"search {f}: not found")

    def download(self, c, rng, pause=0.0):
        t = rng.choice(self.targets)
        f = rng.choice(list(t.files) + 3 * [max(t.files, key=lambda name: t.files[name][0])])
        a = c.ask("GET", f"/restore/{t.mount}/download?{path_query(f)}", keep=False, pause=pause)
        if self.judge(f"download {f}", a) and (a.length, a.digest) != t.files[f]:
            self.wrong(f"download {f}: looks complete and is not: {a.length} of {t.files[f][0]} bytes")

    def do_download(self, c, rng):
        self.download(c, rng)

    def do_slow_download(self, c, rng):
        self.download(c, rng, 0.002)

    def do_range(self, c, rng):
        t = rng.choice(self.targets)
        f = rng.choice([name for name in t.files if t.files[name][0] > 0])
        first = rng.randrange(t.files[f][0])
        last = min(t.files[f][0] - 1, first + rng.randrange(1 << 20))
        a = c.ask("GET", f"/restore/{t.mount}/download?{path_query(f)}", headers={"Range": f"bytes={first}-{last}"}, keep=False)
        if self.judge(f"range of {f}", a, (206,)) and a.length != last - first + 1:
            self.wrong(f"range of {f}: {a.length} bytes of {last - first + 1}")

    def do_archive(self, c, rng):
        t = rng.choice(self.targets)
        what = rng.choice(list(t.archives))
        a = c.ask("GET", f"/restore/{t.mount}/download-directory?{path_query(what[0], format=what[1])}", keep=False,
                  pause=rng.choice((0, 0, 0.002)))
        if self.judge(f"archive {what}", a) and (a.length, a.digest) != t.archives[what]:
            self.wrong(f"archive {what}: looks complete and is not: {a.length} of {t.archives[what][0]} bytes")

    def do_walk_away(self, c, rng):
        t = rng.choice(self.targets)
        what = rng.choice(list(t.archives))
        c.ask("GET", f"/restore/{t.mount}/download-directory?{path_query(what[0], format=what[1])}", keep=False,
              stop_after=rng.randrange(1, 1 << 18))
        c.close()
        self.count("walked away")

    def do_cancel(self, c, rng):
        """A tracked download that somebody else breaks off."""
        t = rng.choice(self.targets)
        f = max(t.files, key=lambda name: t.files[name][0])
        key = f"load-{rng.randrange(1 << 40):010x}"
        other = Client(self.hub)
        timer = threading.Timer(rng.uniform(0, 0.05), lambda: self.quietly(other, "DELETE", f"/restore/downloads/{key}"))
        timer.start()
        try:
            a = c.ask("GET", f"/restore/{t.mount}/download?{path_query(f, track=key)}", keep=False, pause=0.001)
        finally:
            timer.join()
            other.close()
        if a.complete and a.status == 200 and (a.length, a.digest) != t.files[f]:
            self.wrong(f"cancelled download {f}: looks complete and is not")
        if a.complete and a.status not in (200, 409) and not self.excused(a):
            self.wrong(f"cancelled download {f}: {a.status} {a.body[:300]!r}")
        self.count("cancelled")

    def quietly(self, client, *what):
        try:
            client.ask(*what)
        except (OSError, *CUTS):
            pass

    def do_selection(self, c, rng):
        t = rng.choice(self.targets)
        paths = rng.sample(list(t.files), min(len(t.files), rng.randrange(1, 9)))
        a = c.ask("POST", f"/restore/{t.mount}/archives", {"paths": paths, "format": rng.choice(self.FORMATS)})
        if not self.judge("selection", a, (201,)):
            return
        its = a.json()
        if its["entries"] != len(paths):
            self.wrong(f"selection of {len(paths)}: {its['entries']} entries")
        got = c.ask("GET", its["url"].removeprefix("/api/v1"), keep=False)
        if self.judge("selection's bytes", got, also=(404,) if self.kills else ()):
            state = c.ask("GET", f"/restore/archives/{its['archive_id']}")
            if self.judge("selection's state", state) and state.json()["state"] != "complete":
                self.wrong(f"selection: {state.body!r}")

    def do_churn(self, c, rng):
        """Mounts a disk, lists it, unmounts it, in the way of others that do the same."""
        if not self.churn:
            return
        a = c.ask("POST", "/restore/mount", {**rng.choice(self.churn), "reuse": True})
        if not self.judge("mount", a, (200, 201), also=(404, 409)):
            return
        mount = a.json()["mount_id"]
        if rng.random() < 0.8:
            self.judge("list a mount that may go", c.ask("GET", f"/restore/{mount}/files?path=/"), also=(404, 409, 502),
                       may_be_cut=True)
        if rng.random() < 0.9:
            self.judge("unmount", c.ask("DELETE", f"/restore/{mount}"), (200, 204), also=(404, 409))

    def do_unlock(self, c, rng):
        if not self.locked:
            return
        disk, secret = rng.choice(self.locked)
        a = c.ask("POST", "/restore/mount", {**disk, "reuse": True})
        if not self.judge("mount an encrypted disk", a, (200, 201), also=(404, 409)):
            return
        mount = a.json()["mount_id"]
        right = rng.random() < 0.7
        key = {"passphrase": secret} if rng.random() < 0.5 else {"key_file": base64.b64encode(secret.encode()).decode()}
        if not right:
            key = {"passphrase": "not this one"}
        # 400: another thread was quicker and it is open already.
        self.judge("unlock", c.ask("POST", f"/restore/{mount}/unlock", {"volume": 1, **key}), also=(400, 404, 409, 422))
        if rng.random() < 0.7:
            self.judge("unmount", c.ask("DELETE", f"/restore/{mount}"), (200, 204), also=(404, 409))

    def do_scan(self, c, rng):
        repository = rng.choice(self.repositories)
        a = c.ask("POST", f"/repositories/{repository}/scan")
        # Two at once are refused.
        if self.judge("scan", a, also=(409,)) and a.json()["created"] != 0:
            self.wrong(f"scan: {a.body[:300]!r}")

    def do_look(self, c, rng):
        path = rng.choice(("/restore/mounts", "/backups?limit=100", "/metrics", "/restore/resources", "/vm-contexts", "/repositories",
                           "/restore/cleanup-status"))
        self.judge(path, c.ask("GET", path))

    def do_nonsense(self, c, rng):
        path, status = rng.choice((("/restore/nope/files?path=/", 404), ("/nope", 404), ("/backup/nope", 404),
                                   (f"/restore/{self.targets[0].mount}/download?path=/../etc/passwd", 400)))
        self.judge(path, c.ask("GET", path), (status,))

    WEIGHTS = {"list": 20, "info": 10, "search": 3, "download": 14, "slow_download": 3, "range": 8, "archive": 8, "walk_away": 6,
               "cancel": 3, "selection": 6, "churn": 10, "unlock": 3, "scan": 2, "look": 8, "nonsense": 3}

    # --- threads ---------------------------------------------------------------------------------

    def run(self, number):
        rng = random.Random(f"{self.seed}/{number}")
        client = Client(self.hub)
        names, weights = list(self.weights), list(self.weights.values())
        while not self.ending.is_set():
            name = rng.choices(names, weights)[0]
            try:
                getattr(self, "do_" + name)(client, rng)
                self.count(name)
            except CUTS as e:
                self.count("no answer")
                if not self.kills:
                    self.wrong(f"{name}: no answer: {e!r}")
                if self.ending.wait(0.01):
                    break
            except Exception as e:  # pylint: disable=broad-except
                self.wrong(f"{name}: {e!r}")
            if self.pause and self.ending.wait(rng.uniform(0, 2 * self.pause)):
                break
        client.close()

    def start(self, count):
        self.ending.clear()
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in range(count)]
        for t in self.threads:
            t.start()

    def end(self):
        self.ending.set()
        for t in self.threads:
            t.join()
        self.threads = []


def files_below(folder):
    return sorted(os.path.relpath(os.path.join(d, f), folder) for d, dirs, names in os.walk(folder) for f in names + dirs)


def left_over():
    """What a hub that was killed left running, once it had the time to notice."""
    until = time.monotonic() + ENDING
    while True:
        reap()
        left = {pid: what for pid, what in descendants(os.getpid()).items() if what[0] != "Z"}
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.02)


def catalog_trouble(path):
    db = sqlite3.connect(path)
    try:
        trouble = [row for row in db.execute("PRAGMA integrity_check") if row != ("ok",)]
        trouble += list(db.execute("PRAGMA foreign_key_check"))
        return trouble
    finally:
        db.close()


def answers_again(client, target):
    """Every listing and file as before; a worker that has just died is waited for."""
    until = time.monotonic() + REVIVAL
    path, (length, digest) = max(target.files.items(), key=lambda item: item[1][0])
    while True:
        wrong = None
        try:
            for d, (total, _) in target.dirs.items():
                a = client.ask("GET", f"/restore/{target.mount}/files?{path_query(d)}")
                if a.status != 200 or a.json()["total_count"] != total:
                    wrong = f"{d}: {a.status} {a.body[:300]!r}"
            a = client.ask("GET", f"/restore/{target.mount}/download?{path_query(path)}", keep=False)
            if (a.status, a.complete, a.length, a.digest) != (200, True, length, digest):
                wrong = f"{path}: {a.status}, {a.length} bytes"
        except CUTS as e:
            wrong = repr(e)
        if not wrong or time.monotonic() > until:
            return wrong
        time.sleep(0.1)


def mount(client, **what):
    a = client.ask("POST", "/restore/mount", {**what, "reuse": True})
    assert a.status in (200, 201), a.body
    return a.json()
