"""What the command line's test cases share: a fake hub, an empty folder, and the client run in it."""
import os
import pty
import select
import shutil
import subprocess
import tempfile
import unittest

from fake_hub import TOKEN, Hub

CLIENT = os.environ["SENDENSE_CLIENT"]


class Case(unittest.TestCase):
    def setUp(self):
        self.hub = Hub()
        self.addCleanup(self.hub.close)
        self.dir = tempfile.mkdtemp(prefix="sendense-client.")
        self.addCleanup(shutil.rmtree, self.dir)
        self.env = {"PATH": os.environ["PATH"], "HOME": self.dir + "/home", "TZ": "UTC", "LC_ALL": "C.UTF-8",
                    "SENDENSE_URL": self.hub.url, "SENDENSE_TOKEN": TOKEN}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]

    def run_client(self, *args, status=0):
        r = subprocess.run(["sendense", *args], executable=CLIENT, cwd=self.dir, env=self.env, stdin=subprocess.DEVNULL,
                           capture_output=True, timeout=60)
        self.out, self.err = r.stdout, r.stderr.decode(errors="replace")
        self.assertEqual(r.returncode, status, "%s\nstdout: %r\nstderr: %s" % (args, self.out[:2000], self.err))
        return self.out.decode(errors="surrogateescape")

    def run_on_terminal(self, *args):
        """Standard output and error on a terminal; gives (status, bytes)."""
        master, slave = pty.openpty()
        p = subprocess.Popen(["sendense", *args], executable=CLIENT, cwd=self.dir, env=self.env, stdin=subprocess.DEVNULL,
                             stdout=slave, stderr=slave)
        os.close(slave)
        data = b""
        while select.select([master], [], [], 60)[0]:
            try:
                got = os.read(master, 65536)
            except OSError:  # EIO: the other side has closed
                break
            if not got:
                break
            data += got
        os.close(master)
        return p.wait(60), data

    def path(self, name):
        return os.path.join(self.dir, name)

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def write(self, name, data):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as f:
            f.write(data)

    def files(self):
        return sorted(n for n in os.listdir(self.dir) if n != "home")

    def last(self):
        return self.hub.asked[-1]
