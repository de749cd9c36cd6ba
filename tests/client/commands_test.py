#!/usr/bin/env python3
"""Each command: what it asks the hub, what it prints, how it ends."""
import json
import os

import tap
from case import Case
from fake_hub import TOKEN

BACKUP = {
    "backup_id": "backup-pgtest1-1759947871", "vm_context_id": "ctx-1", "vm_name": "pgtest1", "repository_id": "repo-1",
    "backup_type": "full", "status": "completed", "parent_backup_id": None, "change_id": None, "total_bytes": 0,
    "created_at": "2025-10-08T18:24:31Z", "started_at": None, "completed_at": "2025-10-08T19:00:00Z",
    "disks": [{"id": 44, "disk_index": 0, "size_bytes": 109521666048, "stored_bytes": 1536, "status": "completed",
               "qcow2_path": "pgtest1/disk-0/a.qcow2"}],
}
MOUNT = {
    "mount_id": "m-1", "backup_id": BACKUP["backup_id"], "disk_index": 0, "vm_name": "pgtest1", "filesystem_type": "ntfs",
    "status": "mounted", "expires_at": "2025-10-08T20:00:00Z", "warnings": ["the journal was replayed"],
    "volumes": [
        {"volume": 1, "kind": "partition", "label": "Recovery", "filesystem_type": "ntfs", "size": 1610612736, "supported": True,
         "default": False},
        {"volume": 4, "kind": "partition", "label": "", "filesystem_type": "ReFS", "size": 1024, "supported": False,
         "default": False, "reason": "there is no reader for ReFS"}],
}


def entry(name, kind="file", **more):
    return {"name": name, "path": "/" + name, "type": kind, "size": 2048, "mode": "0644", "uid": 1000, "gid": 100,
            "modified_time": "2021-05-08T09:14:41Z", "is_symlink": kind == "symlink", **more}


class Backups(Case):
    def test_list(self):
        self.hub.on("GET", "/backup/list", (200, {"backups": [BACKUP], "total": 1}))
        lines = self.run_client("backup", "list").splitlines()
        self.assertEqual(lines[0].split(), ["BACKUP", "VM", "TYPE", "STATUS", "DISKS", "STORED", "CREATED"])
        self.assertEqual(lines[1].split(), [BACKUP["backup_id"], "pgtest1", "full", "completed", "1", "1.5", "KiB",
                                            "2025-10-08", "18:24"])
        self.assertEqual(lines[0].index("STATUS"), lines[1].index("completed"))
        self.assertEqual(self.last().query, {})
        self.assertNotIn(b"\x1b", self.out)

    def test_filters(self):
        self.hub.on("GET", "/backup/list", (200, {"backups": [], "total": 0}))
        self.run_client("backup", "list", "--vm", "a b&c", "--repo", "r", "--status", "failed", "--type", "incremental")
        self.assertEqual(self.last().query, {"vm_name": "a b&c", "repository_id": "r", "status": "failed",
                                             "backup_type": "incremental"})
        self.assertEqual(self.out, b"")
        self.assertIn("no backups", self.err)

    def test_show_and_disks(self):
        self.hub.on("GET", "/backups/b%2F1", (200, BACKUP))
        text = self.run_client("backup", "show", "b/1")
        self.assertRegex(text, r"(?m)^vm +pgtest1$")
        self.assertRegex(text, r"(?m)^ +0 +102\.0 GiB +1\.5 KiB +completed +pgtest1/disk-0/a\.qcow2$")
        self.hub.on("GET", "/backups/b/disks", (200, {"backup_id": "b", "count": 1, "disks": BACKUP["disks"]}))
        self.assertIn("102.0 GiB", self.run_client("backup", "disks", "b"))

    def test_chain_by_id(self):
        self.hub.on("GET", "/vm-contexts/ctx-1", (200, {"vm_context_id": "ctx-1"}))
        self.hub.on("GET", "/backup/chain", (200, {"disk_id": 1, "full_backup": BACKUP, "incrementals": [BACKUP], "count": 2,
                                                   "total_size_bytes": 3072}))
        text = self.run_client("backup", "chain", "ctx-1", "1")
        self.assertEqual(self.last().query, {"vm_context_id": "ctx-1", "disk_id": "1"})
        self.assertIn("disk 1: 2 restore point(s), 3.0 KiB in all", text)

    def test_chain_by_name(self):
        self.hub.on("GET", "/vm-contexts/pgtest1", (404, {"error": "no such VM", "code": "VM_NOT_FOUND"}))
        self.hub.on("GET", "/vm-contexts", (200, {"vm_contexts": [{"vm_context_id": "ctx-1"}]}))
        self.hub.on("GET", "/backup/chain", (200, {"disk_id": 0, "full_backup": BACKUP, "incrementals": [], "count": 1}))
        self.run_client("backup", "chain", "pgtest1")
        self.assertEqual(self.last().query["vm_context_id"], "ctx-1")

    def test_chain_of_an_ambiguous_or_unknown_name(self):
        self.hub.on("GET", "/vm-contexts", (200, {"vm_contexts": [{"vm_context_id": "1"}, {"vm_context_id": "2"}]}))
        self.run_client("backup", "chain", "twin", status=2)
        self.hub.on("GET", "/vm-contexts", (200, {"vm_contexts": []}))
        self.run_client("backup", "chain", "nobody", status=3)

    def test_vm_list(self):
        self.hub.on("GET", "/vm-contexts", (200, {"vm_contexts": [{"vm_context_id": "ctx-1", "vm_name": "pgtest1",
                                                                   "repository_id": "r", "backup_count": 3}]}))
        self.assertEqual(self.run_client("vm", "list").splitlines()[1].split(), ["pgtest1", "ctx-1", "r", "3", "-"])


class Mounts(Case):
    def test_mount(self):
        self.hub.on("POST", "/restore/mount", (201, MOUNT))
        text = self.run_client("mount", "--disk", "1", "--reuse", BACKUP["backup_id"])
        self.assertEqual(json.loads(self.last().body), {"backup_id": BACKUP["backup_id"], "disk_index": 1, "reuse": True})
        self.assertEqual(self.last().headers["Content-Type"], "application/json")
        self.assertTrue(text.startswith("mount    m-1\n"))
        self.assertRegex(text, r"(?m)^ +1 +partition +ntfs +1\.5 GiB +Recovery")
        self.assertIn("there is no reader for ReFS", text)
        self.assertIn("warning: the journal was replayed", self.err)

    def test_mount_sends_no_more_than_asked(self):
        self.hub.on("POST", "/restore/mount", (201, MOUNT))
        self.run_client("mount", "b")
        self.assertEqual(json.loads(self.last().body), {"backup_id": "b"})

    def test_mount_of_several_disks(self):
        volumes = [{"volume": n + 1, "disk_index": n, "kind": "disk", "label": "l%d" % n, "filesystem_type": "ext4", "size": 1024,
                    "supported": True, "default": n == 0} for n in (0, 1)]
        mount = dict(MOUNT, disks=[{"id": 44, "disk_index": 0}, {"id": 45, "disk_index": 1}], volumes=volumes,
                     warnings=["disk 1 is missing: no"])
        self.hub.on("POST", "/restore/mount", (201, mount))
        text = self.run_client("mount", "--disk", "all", "b")
        self.assertEqual(json.loads(self.last().body), {"backup_id": "b", "disks": "all"})
        self.assertIn(", disks 0,1 of pgtest1", text)
        self.assertRegex(text, r"(?m)^VOLUME +DISK +KIND")
        self.assertRegex(text, r"(?m)^ +2 +1 +disk +ext4 +1\.0 KiB +l1 +readable$")
        self.assertIn("warning: disk 1 is missing: no", self.err)
        disks = [{"id": 44, "disk_index": 0}, {"id": 45, "disk_index": 1}, {"id": 47, "disk_index": 2}]
        self.hub.on("GET", "/backups/b/disks", (200, {"backup_id": "b", "count": 3, "disks": disks}))
        self.run_client("mount", "--disk", "0", "--disk", "2", "--reuse", "b")
        self.assertEqual(json.loads(self.last().body), {"backup_id": "b", "disks": [44, 47], "reuse": True})
        self.run_client("mount", "--disk", "0", "--disk", "3", "b", status=3)
        self.assertIn("this backup has no disk 3", self.err)
        self.hub.on("GET", "/restore/mounts", (200, {"mounts": [mount], "count": 1}))
        self.assertRegex(self.run_client("mounts"), r"(?m)^m-1 +pgtest1 .* 0,1 +ntfs")
        for bad in (["--disk", "all", "--disk", "1"], ["--disk", "some"], ["--disk", "1"] * 65):
            self.run_client("mount", *bad, "b", status=2)

    def test_already_mounted(self):
        self.hub.on("POST", "/restore/mount", (409, {"error": "that disk is mounted", "code": "ALREADY_MOUNTED",
                                                     "details": {"mount_id": "m-7"}}))
        self.run_client("mount", "b", status=4)
        self.assertIn("sendense: that disk is mounted [ALREADY_MOUNTED]\n", self.err)
        self.assertIn("m-7", self.err)
        self.assertIn("--reuse", self.err)

    def test_no_slot(self):
        self.hub.on("POST", "/restore/mount", (503, {"error": "all 8 slots are taken", "code": "NO_SLOT", "details": {}}))
        self.run_client("mount", "b", status=4)
        self.assertIn("unmount", self.err)

    def test_mounts_unmount_volumes(self):
        self.hub.on("GET", "/restore/mounts", (200, {"mounts": [MOUNT], "count": 1}))
        self.assertEqual(self.run_client("mounts").splitlines()[1].split()[:4], ["m-1", "pgtest1", BACKUP["backup_id"], "0"])
        self.hub.on("DELETE", "/restore/m-1", (200, {"message": "unmounted", "mount_id": "m-1"}))
        self.assertEqual(self.run_client("unmount", "m-1"), "unmounted m-1\n")
        self.hub.on("GET", "/restore/m-1/volumes", (200, {"volumes": MOUNT["volumes"]}))
        self.assertEqual(len(self.run_client("volumes", "m-1").splitlines()), 3)

    def test_status(self):
        self.hub.on("GET", "/healthz", (200, {"status": "ok", "version": "9", "started_at": "2025-10-08T18:00:00Z"}))
        self.hub.on("GET", "/restore/resources", (200, {"active_mounts": 2, "max_mounts": 1000, "available_slots": 998}))
        self.hub.on("GET", "/restore/cleanup-status", (200, {"running": True, "idle_timeout_seconds": 3600,
                                                             "last_error": "disk full"}))
        text = self.run_client("status")
        self.assertIn("2 of 1000", text)
        self.assertIn(self.hub.url, text)
        self.assertIn("disk full", self.err)
        both = json.loads(self.run_client("status", "--json"))
        self.assertEqual(both["resources"]["available_slots"], 998)
        self.assertEqual(sorted(both), ["cleanup", "healthz", "resources"])


class Names(Case):
    """VMs and backups may have the names of folders and files: bytes. On the command line they are that, or as the hub shows them."""

    def test_bytes_and_what_the_hub_shows_are_the_same(self):
        self.hub.on("GET", "/backup/list", (200, {"backups": [], "total": 0}))
        self.hub.on("GET", "/backups/b%EE%BF%BF/disks", (200, {"backup_id": "b\uefff", "disks": [], "count": 0}))
        self.hub.on("POST", "/restore/mount", (201, {"mount_id": "m", "volumes": []}))
        for vm, backup in ((b"v\xe4m", b"b\xff"), ("v\uefe4m", "b\uefff")):
            self.run_client("backup", "list", "--vm", vm)
            self.assertEqual(self.last().query["vm_name"], "v\uefe4m")
            self.run_client("backup", "disks", backup)
            self.run_client("mount", backup)
            self.assertEqual(json.loads(self.last().body)["backup_id"], "b\uefff")


class Repositories(Case):
    LIST = {"repositories": [{"id": "r-1", "name": "r-2", "type": "nfs", "location": "/a"},
                             {"id": "r-2", "name": "main", "type": "local", "location": "/b c"}], "count": 2}
    SCAN = {"repository_id": "r-2", "images": 3, "restore_points": 2, "created": 1, "updated": 1,
            "found": [{"backup_id": "b", "vm_name": "v", "backup_type": "full", "disks": 1, "created_at": None}],
            "orphans": [{"path": "x.qcow2", "reason": "its backing file is missing"}], "skipped": []}

    def test_list(self):
        self.hub.on("GET", "/repositories", (200, self.LIST))
        self.assertRegex(self.run_client("repo", "list"), r"(?m)^main +local +r-2 +/b c$")

    def test_add(self):
        self.hub.on("POST", "/repositories", (201, self.LIST["repositories"][1]))
        self.assertEqual(self.run_client("repo", "add", "main", "/b c", "--type", "local"), "added main, id r-2\n")
        self.assertEqual(json.loads(self.last().body), {"name": "main", "location": "/b c", "type": "local"})

    def test_add_and_scan(self):
        self.hub.on("POST", "/repositories", (201, self.LIST["repositories"][1]))
        self.hub.on("POST", "/repositories/r-2/scan", (200, self.SCAN))
        text = self.run_client("repo", "add", "--scan", "main", "/b c")
        self.assertIn("3 images, 2 restore points: 1 new", text)
        self.assertIn("orphan: x.qcow2: its backing file is missing", self.err)

    def test_an_id_goes_before_a_name(self):
        self.hub.on("GET", "/repositories", (200, self.LIST))
        self.hub.on("POST", "/repositories/r-2/scan", (200, self.SCAN))
        self.run_client("repo", "scan", "r-2")
        self.run_client("repo", "scan", "main")
        self.hub.on("DELETE", "/repositories/r-1", (200, {"message": "removed"}))
        self.run_client("repo", "remove", "r-1")
        self.run_client("repo", "remove", "nothing", status=3)

    def test_backups_are_forgotten_when_asked_for(self):
        self.hub.on("GET", "/repositories", (200, self.LIST))
        self.hub.on("DELETE", "/repositories/r-1", (200, {"message": "removed"}))
        self.run_client("repo", "remove", "r-1")
        self.assertEqual(self.last().query, {})
        self.run_client("repo", "remove", "--forget", "r-1")
        self.assertEqual(self.last().query, {"backups": "forget"})
        self.run_client("repo", "scan", "--forget", "r-1", status=2)

    def test_refusals_need_no_hub(self):
        for args in (["repo", "add", "x", "relative"], ["repo", "add", "x", "/y", "--type", "ftp"], ["repo", "add", "x"]):
            self.run_client(*args, status=2)
        self.assertEqual(self.hub.asked, [])


class Files(Case):
    def test_ls(self):
        self.hub.on("GET", "/restore/m/files", (200, {"files": [entry("dir", "directory"), entry("a b")], "next_cursor": None}))
        self.assertEqual(self.run_client("ls", "m", "/x y", "--volume", "4"), "dir/\na b\n")
        self.assertEqual(self.last().query["path"], "/x y")
        self.assertEqual(self.last().query["volume"], "4")

    def test_ls_long(self):
        self.hub.on("GET", "/restore/m/files", (200, {"files": [
            entry("s", "symlink", link_target="to"), entry("f", mode="4755"),
            {"name": "bad", "path": "/bad", "type": "file", "size": None, "error": {"code": "FILE_CORRUPT", "message": "broken"}}]}))
        lines = self.run_client("ls", "-l", "m", "/", status=1).splitlines()
        self.assertEqual(lines[0].split(), ["lrw-r--r--", "1000", "100", "2.0", "KiB", "2021-05-08", "09:14", "s", "->", "to"])
        self.assertTrue(lines[1].startswith("-rwsr-xr-x"))
        self.assertEqual(lines[0].index("2021"), lines[1].index("2021"))
        self.assertIn("bad: broken [FILE_CORRUPT]", self.err)

    def test_ls_takes_page_after_page(self):
        def page(h):
            at = int(h.request_seen.query.get("cursor", "name.asc.0").rsplit(".")[-1])
            h.json(200, {"files": [entry("f%d" % at)], "next_cursor": "name.asc.%d" % (at + 1) if at < 3 else None})
        self.hub.on("GET", "/restore/m/files", page)
        self.assertEqual(self.run_client("ls", "m", "/"), "f0\nf1\nf2\nf3\n")
        self.assertTrue(all("limit" in r.query for r in self.hub.asked))

    def test_ls_of_a_file(self):
        self.hub.on("GET", "/restore/m/files", (400, {"error": "not a directory", "code": "NOT_A_DIRECTORY"}))
        self.hub.on("GET", "/restore/m/file-info", (200, entry("f")))
        self.assertEqual(self.run_client("ls", "m", "/f"), "f\n")

    def test_names_that_are_not_utf8(self):
        # U+EFE9 stands for the byte 0xe9 (base/utf8.h).
        self.hub.on("GET", "/restore/m/files", (200, {"files": [entry("caf\uefe9")]}))
        self.run_client("ls", "m", b"/caf\xe9")
        self.assertEqual(self.out, b"caf\xe9\n")
        self.assertEqual(self.last().query["path"], "/caf\uefe9")
        self.run_client("ls", "m", "/caf\uefe9")
        self.assertEqual(self.last().query["path"], "/caf\uefe9")

    def test_a_terminal_gets_no_control_characters(self):
        name = "a\x1b]0;owned\x07b\u009b2Jc\u202ed\uefe9\x7f"
        self.hub.on("GET", "/restore/m/files", (200, {"files": [entry(name), entry("grün")]}))
        status, data = self.run_on_terminal("ls", "m", "/")
        self.assertEqual(status, 0)
        self.assertEqual(data, "a\\x1b]0;owned\\x07b\\u{009b}2Jc\\u{202e}d\\xe9\\x7f\r\ngrün\r\n".encode())
        status, data = self.run_on_terminal("ls", "--json", "m", "/")
        self.assertEqual(status, 0)
        for bad in (b"\x1b", b"\x07", b"\x7f", "\u009b".encode()):
            self.assertNotIn(bad, data)
        self.hub.on("GET", "/restore/m/files", (404, {"error": "no \x1b[31m here", "code": "NOT_FOUND"}))
        status, data = self.run_on_terminal("ls", "m", "/")
        self.assertEqual(status, 3)
        self.assertNotIn(b"\x1b", data)

    def test_stat(self):
        self.hub.on("GET", "/restore/m/file-info", (200, entry("f", volume=4, inode=12, links=1, allocated_size=4096, xattrs=[
            {"name": "user.a", "size": 1, "text": "x", "hex": "78"}], streams=[{"name": "Zone", "size": 26}])))
        text = self.run_client("stat", "m", "/f")
        self.assertIn("2.0 KiB (2048 bytes), 4.0 KiB on disk", text)
        self.assertIn('user.a = "x"', text)
        self.assertIn("Zone, 26 B", text)

    def test_search(self):
        self.hub.on("GET", "/restore/m/search", (200, {"limit": 2, "count": 2, "files": [entry("a"), entry("d", "directory")]}))
        self.assertEqual(self.run_client("search", "m", "needle?", "/etc"), "/a\n/d/\n")
        self.assertEqual(self.last().query, {"path": "/etc", "q": "needle?"})
        self.assertIn("only the first 2", self.err)


class Json(Case):
    def test_the_answer_comes_unchanged(self):
        raw = b'{ "mounts" : [ ],"unknown":1.50, "count":0}'
        for args, method, path in ((["mounts"], "GET", "/restore/mounts"), (["backup", "list"], "GET", "/backup/list"),
                                   (["ls", "m", "/"], "GET", "/restore/m/files"), (["unmount", "m"], "DELETE", "/restore/m"),
                                   (["mount", "b"], "POST", "/restore/mount"), (["vm", "list"], "GET", "/vm-contexts"),
                                   (["search", "m", "x"], "GET", "/restore/m/search"),
                                   (["repo", "list"], "GET", "/repositories")):
            self.hub.on(method, path, lambda h: h.bytes(200, raw))
            self.run_client("--json", *args)
            self.assertEqual(self.out, raw + b"\n")

    def test_a_listing_that_breaks_off_is_an_error(self):
        self.hub.on("GET", "/restore/m/files", lambda h: h.chunked(200, [b'{"files":['], complete=False))
        self.run_client("ls", "--json", "m", "/", status=4)
        self.run_client("ls", "m", "/", status=4)
        self.assertEqual(self.out, b"")


class Errors(Case):
    def test_codes_and_exit_statuses(self):
        for code, http, status in (("PATH_INVALID", 400, 2), ("NOT_FOUND", 404, 3), ("MOUNT_NOT_FOUND", 404, 3),
                                   ("VOLUME_NOT_FOUND", 404, 3), ("FILE_CORRUPT", 422, 1), ("IMAGE_CORRUPT", 422, 4),
                                   ("WORKER_DIED", 502, 4), ("INTERNAL", 500, 4)):
            self.hub.on("GET", "/restore/m/file-info", (http, {"error": "It is so.", "code": code, "details": {}}))
            self.run_client("stat", "m", "/f", status=status)
            self.assertEqual(self.err.splitlines()[0], "sendense: It is so. [%s]" % code)

    def test_a_code_of_a_later_hub(self):
        self.hub.on("GET", "/restore/mounts", (404, {"error": "Something new.", "code": "BRAND_NEW"}))
        self.run_client("mounts", status=3)
        self.assertIn("Something new. (BRAND_NEW)", self.err)

    def test_no_hub(self):
        self.hub.close()
        self.hub.close = lambda: None
        self.run_client("mounts", status=4)
        self.assertIn("no hub answers at %s; start sendense-hub or name it with --url" % self.hub.url, self.err)

    def test_what_is_no_hub(self):
        self.hub.on("GET", "/restore/mounts", lambda h: h.bytes(200, b"<html>hello</html>"))
        self.run_client("mounts", status=4)
        self.hub.on("GET", "/restore/mounts", lambda h: h.bytes(502, b"<html>bad gateway</html>"))
        self.run_client("mounts", status=4)
        self.assertIn("502", self.err)

    def test_an_answer_without_a_marked_end(self):
        def bare(h):
            h.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"mounts\":[]}")
            h.close_connection = True
        self.hub.on("GET", "/restore/mounts", bare)
        self.run_client("mounts", status=4)

    def test_usage(self):
        for args in ([], ["nothing"], ["backup"], ["backup", "eat"], ["ls", "m"], ["ls", "m", "relative"], ["mounts", "x"],
                     ["mounts", "--reuse"], ["--nonsense", "mounts"], ["mount", "--disk", "x", "b"], ["ls", "--volume", "0", "m", "/"],
                     ["get", "m"], ["get", "m", "relative"], ["get", "--format", "rar", "m", "/"], ["mount", "b", "--disk"],
                     ["backup", "list", "--type", "half"], ["backup", "chain", "x", "y"], ["get", "--disk", "1", "m", "/"],
                     ["unmount", ""]):
            self.run_client(*args, status=2)
            self.assertNotEqual(self.err, "")
        self.assertEqual(self.hub.asked, [])

    def test_a_group_names_its_commands(self):
        self.run_client("backup", status=2)
        self.assertEqual(self.err.splitlines()[0], 'sendense: "backup" is one of several commands:')
        self.run_client("backup", "eat", status=2)
        self.assertEqual(self.err.splitlines()[0], 'sendense: there is no command "backup eat"; see sendense --help')
        self.assertIn("sendense backup chain", self.err)
        self.assertNotIn("sendense repo", self.err)
        self.run_client("nothing", status=2)
        self.assertEqual(self.err, 'sendense: there is no command "nothing"; see sendense --help\n')

    def test_what_to_do_is_said(self):
        for code, http, hint in (("MOUNT_NOT_FOUND", 404, "sendense mounts"), ("BACKUP_NOT_FOUND", 404, "sendense backup list"),
                                 ("VOLUME_LOCKED", 422, "sendense unlock --volume N")):
            self.hub.on("GET", "/restore/m/files", (http, {"error": "no", "code": code}))
            self.run_client("ls", "m", "/", status=4 if http == 422 else 3)
            self.assertIn(hint, self.err)

    def test_help_and_version(self):
        self.assertIn("sendense backup list", self.run_client("--help"))
        self.assertIn("usage: sendense get", self.run_client("get", "--help"))
        self.assertTrue(self.run_client("--version").startswith("sendense "))

    def test_a_full_disk_is_an_error(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        self.hub.on("GET", "/restore/mounts", (200, {"mounts": [MOUNT], "count": 1}))
        import subprocess
        from case import CLIENT
        for args in (["mounts"], ["mounts", "--json"]):
            with open("/dev/full", "wb") as full:
                r = subprocess.run([CLIENT, *args], env=self.env, stdout=full, stderr=subprocess.PIPE)
            self.assertEqual(r.returncode, 4)


if __name__ == "__main__":
    tap.main(__name__)
