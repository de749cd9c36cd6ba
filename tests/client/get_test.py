#!/usr/bin/env python3
"""get: what lands on the disk is whole, or is not there."""
import json
import os
import subprocess
import time
import urllib.parse

import tap
from case import CLIENT, Case

DATA = bytes(range(256)) * 4096
ETAG = '"0123-abc"'


def info(name="f.bin", kind="file", size=len(DATA), **more):
    return (200, {"name": name, "path": "/d/" + name, "type": kind, "size": size, "mode": "0640",
                  "modified_time": "2021-05-08T09:14:41.5Z", **more})


def whole(h, data=DATA, etag=ETAG):
    """Answers Range with If-Range as the hub does."""
    asked = h.headers.get("Range")
    if asked and h.headers.get("If-Range") == etag:
        first = int(asked.split("=")[1].rstrip("-"))
        if first >= len(data):
            return h.bytes(416, b"", {"Content-Range": "bytes */%d" % len(data)})
        return h.bytes(206, data[first:], {"ETag": etag, "Content-Range": "bytes %d-%d/%d" % (first, len(data) - 1, len(data))})
    return h.bytes(200, data, {"ETag": etag})


def broken(at, etag=ETAG):
    return lambda h: h.bytes(200, DATA[:at], {"ETag": etag}, length=len(DATA))


class OneFile(Case):
    def setUp(self):
        super().setUp()
        os.umask(0o022)
        self.hub.on("GET", "/restore/m/file-info", info())
        self.hub.on("GET", "/restore/m/download", whole)

    def downloads(self):
        return [r for r in self.hub.asked if r.path.endswith("/download")]

    def test_name_bytes_mode_time(self):
        self.assertEqual(self.run_client("get", "--volume", "3", "m", "/d/f.bin"), "f.bin  1.0 MiB\n")
        self.assertEqual(self.read("f.bin"), DATA)
        st = os.stat(self.path("f.bin"))
        self.assertEqual(st.st_mode & 0o7777, 0o640)
        self.assertEqual(st.st_mtime_ns, 1620465281500000000)
        self.assertEqual(self.files(), ["f.bin"])
        self.assertEqual(self.last().query, {"path": "/d/f.bin", "volume": "3"})

    def test_no_set_id_bits(self):
        self.hub.on("GET", "/restore/m/file-info", info(mode="6777"))
        self.run_client("get", "m", "/d/f.bin")
        self.assertEqual(os.stat(self.path("f.bin")).st_mode & 0o7777, 0o755)

    def test_output_file_folder_stdout(self):
        self.run_client("get", "-o", "other", "m", "/d/f.bin")
        os.mkdir(self.path("folder"))
        self.run_client("get", "-o", "folder", "m", "/d/f.bin")
        self.run_client("get", "-o", "-", "m", "/d/f.bin")
        self.assertEqual(self.out, DATA)
        self.assertEqual(self.read("other"), DATA)
        self.assertEqual(self.read("folder/f.bin"), DATA)
        self.run_client("get", "-o", "absent/", "m", "/d/f.bin", status=4)

    def test_what_is_there_is_not_replaced_unasked(self):
        self.write("f.bin", b"mine")
        self.run_client("get", "m", "/d/f.bin", status=4)
        self.assertIn("--force", self.err)
        self.assertEqual(self.read("f.bin"), b"mine")
        self.assertEqual(self.files(), ["f.bin"])
        self.run_client("get", "-o", "f.bin", "m", "/d/f.bin")
        self.write("f.bin", b"mine")
        self.run_client("get", "--force", "m", "/d/f.bin")
        self.assertEqual(self.read("f.bin"), DATA)

    def test_an_empty_file(self):
        self.hub.on("GET", "/restore/m/file-info", info(size=0))
        self.hub.on("GET", "/restore/m/download", lambda h: h.bytes(200, b""))
        self.run_client("get", "m", "/d/f.bin")
        self.assertEqual(self.read("f.bin"), b"")

    def test_json(self):
        self.assertEqual(json.loads(self.run_client("get", "--json", "m", "/d/f.bin"))["mode"], "0640")

    def test_a_name_of_bytes(self):
        self.run_client("get", "m", b"/d/caf\xe9\n")
        self.assertEqual(os.listdir(os.fsencode(self.dir)), [b"caf\xe9\n"])

    def test_a_name_of_255_bytes(self):
        name = "n" * 255
        self.hub.on("GET", "/restore/m/download", broken(1000))
        self.run_client("get", "m", "/d/" + name, status=4)
        self.hub.on("GET", "/restore/m/download", whole)
        self.run_client("get", "--continue", "m", "/d/" + name)
        self.assertEqual(self.files(), [name])

    def test_names_that_lead_elsewhere(self):
        for path in ("/d/..", "/d/."):
            self.run_client("get", "m", path, status=2)
        self.assertEqual(self.files(), [])

    def test_a_symlink_in_place_of_the_part_is_not_followed(self):
        self.write("victim", b"precious")
        os.symlink("victim", self.path("f.bin.part"))
        self.run_client("get", "m", "/d/f.bin", status=4)
        self.assertEqual(self.read("victim"), b"precious")

    def test_a_link_to_a_directory_says_so(self):
        self.hub.on("GET", "/restore/m/file-info", info(kind="symlink", link_target="/real"))
        self.hub.on("GET", "/restore/m/download", (400, {"error": "this is a directory", "code": "IS_A_DIRECTORY"}))
        self.run_client("get", "m", "/d/link", status=1)
        self.assertIn("/real", self.err)
        self.assertEqual(self.files(), [])

    def test_a_damaged_file(self):
        self.hub.on("GET", "/restore/m/download", (422, {"error": "a cluster is bad", "code": "FILE_CORRUPT"}))
        self.run_client("get", "m", "/d/f.bin", status=1)
        self.assertEqual(self.files(), [])

    def test_progress_is_for_terminals(self):
        def slow(h):
            h.send_response(200)
            h.send_header("Content-Length", str(len(DATA)))
            h.end_headers()
            half = len(DATA) // 2
            h.wfile.write(DATA[:half])
            time.sleep(0.7)
            h.wfile.write(DATA[half:])
        self.hub.on("GET", "/restore/m/download", slow)
        status, text = self.run_on_terminal("get", "-o", "a", "m", "/d/f.bin")
        self.assertEqual(status, 0)
        self.assertIn(b" of 1.0 MiB", text)
        self.run_client("get", "-o", "b", "m", "/d/f.bin")
        self.assertEqual(self.err, "")


class Broken(Case):
    def setUp(self):
        super().setUp()
        self.hub.on("GET", "/restore/m/file-info", info())

    def resume(self, *extra, status=0):
        self.hub.on("GET", "/restore/m/download", whole)
        self.run_client("get", "--continue", "m", "/d/f.bin", *extra, status=status)

    def test_a_body_shorter_than_its_length(self):
        self.hub.on("GET", "/restore/m/download", broken(300000))
        self.run_client("get", "m", "/d/f.bin", status=4)
        self.assertEqual(self.files(), ["f.bin.part", "f.bin.part.etag"])
        self.assertIn("--continue", self.err)
        self.resume()
        self.assertEqual(self.last().headers["Range"], "bytes=299999-")
        self.assertEqual(self.last().headers["If-Range"], ETAG)
        self.assertEqual(self.read("f.bin"), DATA)
        self.assertEqual(self.files(), ["f.bin"])

    def test_a_chunked_body_without_its_end(self):
        self.hub.on("GET", "/restore/m/download", lambda h: h.chunked(200, [DATA[:5000]], complete=False))
        self.run_client("get", "m", "/d/f.bin", status=4)
        self.assertEqual(self.files(), [])  # no entity tag: nothing to continue
        self.run_client("get", "-o", "-", "m", "/d/f.bin", status=4)
        self.assertIn("incomplete", self.err)

    def test_a_complete_body_of_another_size(self):
        self.hub.on("GET", "/restore/m/download", lambda h: h.bytes(200, DATA[:5000], {"ETag": ETAG}))
        self.run_client("get", "m", "/d/f.bin", status=4)
        self.assertNotIn("f.bin", self.files())
        self.assertIn("of which 5000 came", self.err)

    def test_without_continue_it_begins_anew(self):
        self.hub.on("GET", "/restore/m/download", broken(300000))
        self.run_client("get", "m", "/d/f.bin", status=4)
        self.hub.on("GET", "/restore/m/download", whole)
        self.run_client("get", "m", "/d/f.bin")
        self.assertNotIn("Range", self.last().headers)
        self.assertEqual(self.read("f.bin"), DATA)

    def test_another_entity_begins_anew(self):
        self.hub.on("GET", "/restore/m/download", broken(300000, '"old"'))
        self.run_client("get", "m", "/d/f.bin", status=4)
        self.resume()
        self.assertEqual(self.last().headers["If-Range"], '"old"')
        self.assertEqual(self.read("f.bin"), DATA)

    def test_all_bytes_were_there_already(self):
        self.write("f.bin.part", DATA)
        self.write("f.bin.part.etag", ETAG.encode())
        self.resume()
        self.assertEqual(self.last().headers["Range"], "bytes=%d-" % (len(DATA) - 1))
        self.assertEqual(self.read("f.bin"), DATA)

    def test_a_part_without_its_tag_is_not_trusted(self):
        for tag in (None, b"", b"W/\"weak\"", b"\"a\r\nX: y\"", b"\"" + b"x" * 400 + b"\""):
            self.write("f.bin.part", b"?" * 1000)
            if tag is not None:
                self.write("f.bin.part.etag", tag)
            self.resume()
            self.assertNotIn("Range", self.last().headers)
            self.assertEqual(self.read("f.bin"), DATA)
            os.unlink(self.path("f.bin"))

    def test_it_breaks_off_again_and_again(self):
        def some(h):
            first = int(h.headers.get("Range", "bytes=0-").split("=")[1].rstrip("-"))
            head = {"ETag": ETAG}
            if first:
                head["Content-Range"] = "bytes %d-%d/%d" % (first, len(DATA) - 1, len(DATA))
            end = min(len(DATA), first + 400000)
            h.bytes(206 if first else 200, DATA[first:end], head, length=len(DATA) - first)
        self.hub.on("GET", "/restore/m/download", some)
        for status in (4, 4, 0):
            self.run_client("get", "--continue", "m", "/d/f.bin", status=status)
        self.assertEqual(self.read("f.bin"), DATA)

    def test_a_range_that_was_not_asked_for(self):
        self.write("f.bin.part", DATA[:1000])
        self.write("f.bin.part.etag", ETAG.encode())
        # As many bytes as would make the file whole, but of another place.
        self.hub.on("GET", "/restore/m/download",
                    lambda h: h.bytes(206, DATA[500:-499], {"Content-Range": "bytes 500-%d/%d" % (len(DATA) - 500, len(DATA))}))
        self.run_client("get", "--continue", "m", "/d/f.bin", status=4)
        self.assertNotIn("f.bin", self.files())

    def test_two_at_once(self):
        def slow(h):
            time.sleep(1)
            whole(h)
        self.hub.on("GET", "/restore/m/download", slow)
        first = subprocess.Popen([CLIENT, "get", "m", "/d/f.bin"], cwd=self.dir, env=self.env, stdout=subprocess.DEVNULL)
        while not os.path.exists(self.path("f.bin.part")):
            time.sleep(0.01)
        time.sleep(0.1)
        self.run_client("get", "m", "/d/f.bin", status=4)
        self.assertIn("another download", self.err)
        self.assertEqual(first.wait(30), 0)
        self.assertEqual(self.read("f.bin"), DATA)

    def test_killed(self):
        def hang(h):
            h.send_response(200)
            h.send_header("Content-Length", str(len(DATA)))
            h.send_header("ETag", ETAG)
            h.end_headers()
            h.wfile.write(DATA[:100000])
            time.sleep(3)
            h.close_connection = True
        self.hub.on("GET", "/restore/m/download", hang)
        p = subprocess.Popen([CLIENT, "get", "m", "/d/f.bin"], cwd=self.dir, env=self.env)
        while not os.path.exists(self.path("f.bin.part")) or os.path.getsize(self.path("f.bin.part")) < 100000:
            time.sleep(0.01)
        p.kill()
        p.wait()
        self.assertNotIn("f.bin", self.files())
        self.resume()
        self.assertIn("Range", self.last().headers)
        self.assertEqual(self.read("f.bin"), DATA)


class Archives(Case):
    ZIP = b"PK\x03\x04" + b"x" * 100000

    def setUp(self):
        super().setUp()
        self.hub.on("GET", "/restore/m/file-info", info("d", "directory", size=0))
        self.account("complete")
        self.hub.on("POST", "/restore/m/archives", (201, {"archive_id": "a-1", "entries": 3, "bytes": 100000,
                                                          "url": "/api/v1/restore/archives/a-1/download"}))
        self.hub.on("GET", "/restore/archives/a-1/download", lambda h: h.chunked(200, [self.ZIP]))

    def account(self, state, errors=0, error=None, entries=()):
        self.hub.on("GET", "/restore/archives/a-1", (200, {"archive_id": "a-1", "state": state, "errors": errors, "entries": 3,
                                                           "error": error, "error_entries": list(entries)}))

    def made(self):
        return json.loads([r for r in self.hub.asked if r.method == "POST"][-1].body)

    def test_a_directory(self):
        self.assertIn("d.zip", self.run_client("get", "m", "/x/d/"))
        self.assertEqual(self.made(), {"paths": ["/x/d/"], "format": "zip"})
        self.assertEqual(self.read("d.zip"), self.ZIP)
        self.assertEqual(os.stat(self.path("d.zip")).st_mode & 0o777, 0o600)
        self.assertEqual(self.files(), ["d.zip"])

    def test_the_root(self):
        self.run_client("get", "--format", "tar.zst", "--volume", "2", "m", "/")
        self.assertEqual(self.made(), {"paths": ["/"], "format": "tar.zst", "volume": 2})
        self.assertEqual(self.files(), ["volume.tar.zst"])

    def test_several_paths(self):
        self.run_client("get", "--format", "tar", "m", "/a", b"/b\xff")
        self.assertEqual(self.made(), {"paths": ["/a", "/b\uefff"], "format": "tar"})
        self.assertEqual(self.files(), ["restore.tar"])

    def test_the_format_of_the_name_given(self):
        self.run_client("get", "-o", "x.tgz", "m", "/x/d")
        self.assertEqual(self.made()["format"], "tar.gz")
        self.assertEqual(self.files(), ["x.tgz"])

    def test_stdout(self):
        self.run_client("get", "-o", "-", "m", "/x/d")
        self.assertEqual(self.out, self.ZIP)
        status, data = self.run_on_terminal("get", "-o", "-", "m", "/x/d")
        self.assertEqual(status, 2)
        self.assertNotIn(b"PK\x03", data)

    def test_entries_that_failed(self):
        self.account("complete", errors=2)
        self.run_client("get", "m", "/x/d", status=1)
        self.assertIn("2 of 3 entries could not be read; RESTORE-ERRORS.txt", self.err)
        self.assertEqual(self.files(), ["d.zip"])

    def test_they_are_named(self):
        self.account("complete", errors=3, entries=[{"path": "/x/a\x1b", "code": "FILE_CORRUPT", "message": "bad block"},
                                                    {"path": "/x/b", "code": "IO_ERROR", "message": "no answer"}])
        self.run_client("get", "m", "/x/d", status=1)
        self.assertIn("/x/a\\x1b: bad block\n", self.err)
        self.assertIn("/x/b: no answer\n", self.err)
        self.assertIn("… and 1 more\n", self.err)

    def test_more_paths_than_one_request_takes(self):
        self.hub.on("POST", "/restore/archives/a-1/paths", (200, {"archive_id": "a-1", "entries": 3, "bytes": 100000,
                                                                  "url": "/api/v1/restore/archives/a-1/download"}))
        paths = ["/%06d%s" % (i, "x" * 1000) for i in range(1200)]
        self.run_client("get", "m", *paths)
        sent = [json.loads(r.body)["paths"] for r in self.hub.asked if r.method == "POST"]
        self.assertEqual(sum(sent, []), paths)
        self.assertTrue(1 < len(sent) <= 4)

    def test_the_account_may_close_late(self):
        states = ["running", "running", "complete"]
        self.hub.on("GET", "/restore/archives/a-1", lambda h: h.json(200, {"state": states.pop(0), "errors": 0}))
        self.run_client("get", "m", "/x/d")
        self.assertEqual(states, [])

    def test_broken_off(self):
        self.hub.on("GET", "/restore/archives/a-1/download", lambda h: h.chunked(200, [self.ZIP], complete=False))
        self.run_client("get", "m", "/x/d", status=4)
        self.assertEqual(self.files(), [])
        self.run_client("get", "-o", "-", "m", "/x/d", status=4)
        self.assertIn("incomplete", self.err)

    def test_the_hub_says_it_failed(self):
        self.account("failed", error="the worker died")
        self.run_client("get", "m", "/x/d", status=4)
        self.assertIn("the worker died", self.err)
        self.assertEqual(self.files(), [])

    def test_an_address_elsewhere_is_not_asked(self):
        for url in ("http://evil.example/api/v1/restore/archives/a-1/download", "@evil.example/", "", "//evil/x"):
            self.hub.on("POST", "/restore/m/archives", (201, {"archive_id": "a-1", "url": url}))
            self.run_client("get", "m", "/x/d", status=4)
        self.assertEqual(self.files(), [])

    def test_nothing_to_continue(self):
        self.run_client("get", "--continue", "m", "/x/d", status=2)

    def test_what_is_there_is_not_replaced_unasked(self):
        self.write("d.zip", b"mine")
        self.run_client("get", "m", "/x/d", status=4)
        self.assertEqual(self.read("d.zip"), b"mine")


class FromBackup(Case):
    def setUp(self):
        super().setUp()
        self.hub.on("POST", "/restore/mount", (200, {"mount_id": "m"}))
        self.hub.on("GET", "/restore/m/file-info", info())
        self.hub.on("GET", "/restore/m/download", whole)

    def test_backup_and_path(self):
        self.run_client("get", "--disk", "1", "backup-x-1:/d/f.bin")
        mount = [json.loads(r.body) for r in self.hub.asked if r.method == "POST"]
        self.assertEqual(mount, [{"backup_id": "backup-x-1", "disk_index": 1, "reuse": True}])
        self.assertEqual(self.read("f.bin"), DATA)
        self.assertEqual(urllib.parse.unquote(self.last().query["path"]), "/d/f.bin")

    def test_several_of_one_backup(self):
        self.hub.on("POST", "/restore/m/archives", (404, {"error": "no", "code": "NOT_FOUND"}))
        self.run_client("get", "b:/a", "b:/c", "/d:/e", status=3)
        self.assertEqual(json.loads(self.last().body)["paths"], ["/a", "/c", "/d:/e"])
        self.run_client("get", "b:/a", "other:/c", status=2)

    def test_no_such_backup(self):
        self.hub.on("POST", "/restore/mount", (404, {"error": "no such backup", "code": "BACKUP_NOT_FOUND"}))
        self.run_client("get", "b:/a", status=3)


if __name__ == "__main__":
    tap.main(__name__)
