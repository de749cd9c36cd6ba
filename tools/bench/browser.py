"""What is measured: a large directory in the web page, in Chromium (web/bench/large.js)."""
import json
import os
import subprocess

from hub import Mounted
from measure import BenchError, Meter, preread

WEB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "web")
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")


class Browser:
    """One, kept for all runs."""

    def __init__(self, ctx):
        self.errors = open(f"{ctx.work}/page.log", "w+", encoding="utf-8")
        more = {"HUB_URL": f"http://{ctx.hub.host}:{ctx.hub.port}", "HUB_TOKEN": ctx.hub.token, "HOME": ctx.work, "TMPDIR": ctx.work,
                "SHOTS": ctx.work}
        self.process = subprocess.Popen(["node", "bench/large.js"], cwd=WEB, text=True, env=os.environ | more, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.errors)

    def ask(self, **what):
        """A broken pipe is told apart from an answer by what node wrote."""
        try:
            self.process.stdin.write(json.dumps(what) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (OSError, ValueError) as e:
            self.process.wait(60)
            self.errors.seek(0)
            raise BenchError(f"the page: {self.errors.read()[-800:].strip()}") from e

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
            self.errors.close()


def missing():
    for path, what in ((CHROMIUM, "Chromium is not installed (tools/install-deps web-test)"),
                       (f"{WEB}/node_modules/playwright-core", "the page's packages are not installed (make web)"),
                       (f"{WEB}/dist/index.html", "the page is not built (make web)")):
        if not os.path.exists(path):
            return what
    return None


def large_folder(ctx, fs):
    key = "page/directory/warm"
    if fs != ctx.results.filesystems[0] or not ctx.results.wanted(key):
        return
    if why := missing():
        ctx.log(f"{key}: not measured: {why}\n")
        return
    image = ctx.fixtures.image(fs)
    preread(image.path)
    chromium = Browser(ctx)

    def click(entries):
        """The wall time is that to the first rows; processor time and memory are the hub's and the worker's."""
        def go():
            with Mounted(ctx.hub, image.backup) as mount, Meter(ctx.hub.pids) as meter:
                got = chromium.ask(mount=mount, path="/many", folder=str(entries), entries=entries)
            sample = meter.sample
            sample.update(got, wall=got["first_rows"])
            return sample
        return go
    try:
        ctx.measure(key, "the page: from the click to the first rows of a directory, by its entries",
                    {str(n): click(n) for n in ctx.scale.many})
    finally:
        chromium.close()
