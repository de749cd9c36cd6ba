#!/usr/bin/env python3
"""Which hub is asked, and who is told the token."""
import os
import shutil
import subprocess

import tap
from case import Case
from fake_hub import TOKEN, Hub


class Place(Case):
    def setUp(self):
        super().setUp()
        self.hub.on("GET", "/restore/mounts", (200, {"mounts": [], "count": 0}))
        del self.env["SENDENSE_URL"], self.env["SENDENSE_TOKEN"]

    def data_dir(self, name, url=None, token=TOKEN):
        self.write(name + "/hub.url", (url or self.hub.url).encode() + b"\n")
        if token:
            self.write(name + "/admin.token", token.encode() + b"\n")
        return self.path(name)

    def test_data_dir_option_and_environment(self):
        place = self.data_dir("data")
        self.run_client("mounts", "--data-dir", place)
        self.env["SENDENSE_DATA_DIR"] = place
        self.run_client("mounts")
        self.assertEqual(len(self.hub.asked), 2)

    def test_default_data_dirs(self):
        self.data_dir("home/.local/share/sendense")
        self.run_client("mounts")
        self.data_dir("xdg/sendense", token="another")
        self.env["XDG_DATA_HOME"] = self.path("xdg")
        self.run_client("mounts", status=4)
        self.assertEqual(self.last().headers["Authorization"], "Bearer another")
        self.assertIn("xdg/sendense/admin.token", self.err)

    def test_url_with_a_slash_and_a_prefix(self):
        self.env["SENDENSE_TOKEN"] = TOKEN
        self.run_client("mounts", "--url", self.hub.url + "/")
        self.hub.routes["GET", "/behind/proxy/api/v1/restore/mounts"] = (200, {"mounts": []})
        self.run_client("mounts", "--url", self.hub.url + "/behind/proxy/")

    def test_token_file(self):
        self.write("token", TOKEN.encode())
        self.run_client("mounts", "--url", self.hub.url, "--token-file", self.path("token"))
        self.run_client("mounts", "--url", self.hub.url, "--token-file", self.path("absent"), status=3)
        self.write("token", b"two words\n")
        self.run_client("mounts", "--url", self.hub.url, "--token-file", self.path("token"), status=2)
        self.write("token", b"x\r\nInjected: 1\n")
        self.run_client("mounts", "--url", self.hub.url, "--token-file", self.path("token"), status=2)
        self.write("token", b"")
        self.run_client("mounts", "--url", self.hub.url, "--token-file", self.path("token"), status=2)
        self.assertEqual(len(self.hub.asked), 1)

    def test_no_token(self):
        self.run_client("mounts", "--url", self.hub.url, status=4)
        self.assertIn("--token-file", self.err)
        self.assertNotIn("Authorization", self.last().headers)

    def test_a_token_that_may_not_be_read(self):
        if os.geteuid() == 0:
            self.skipTest("root may read everything")
        place = self.data_dir("data")
        os.chmod(place + "/admin.token", 0)
        self.run_client("mounts", "--data-dir", place, status=4)
        self.assertIn("hub's user", self.err)

    def test_plain_http_is_for_this_machine(self):
        self.env["SENDENSE_TOKEN"] = TOKEN
        for url in ("http://hub.example:8082", "http://10.0.0.1", "http://127.0.0.1.example/", "http://[fe80::1]:80",
                    "http://localhost.example", "http://0.0.0.0:8082"):
            self.run_client("mounts", "--url", url, status=2)
            self.assertIn("https://", self.err)
        self.assertEqual(self.hub.asked, [])
        self.run_client("mounts", "--url", self.hub.url.replace("127.0.0.1", "localhost"))

    def test_addresses_that_are_none(self):
        for url in ("ftp://127.0.0.1", "127.0.0.1:8082", "http://", "file:///etc/passwd", "http://user:secret@127.0.0.1/",
                    "http://127.0.0.1/?x", "http://127.0.0.1/#x", "x" * 2000, ""):
            self.run_client("mounts", "--url", url, status=2)

    def test_the_local_token_stays_on_this_machine(self):
        self.data_dir("home/.local/share/sendense")
        self.run_client("mounts", "--url", "https://hub.invalid", status=4)
        # It would be a 401 that says so; what matters is that no other machine is told. A loopback hub is.
        self.run_client("mounts", "--url", self.hub.url)
        self.assertEqual(self.last().headers["Authorization"], "Bearer " + TOKEN)

    def test_a_redirection_is_not_followed(self):
        other = Hub()
        self.addCleanup(other.close)
        self.hub.on("GET", "/restore/mounts", lambda h: h.bytes(307, b"", {"Location": other.url + "/api/v1/restore/mounts"}))
        self.data_dir("home/.local/share/sendense")
        self.run_client("mounts", status=4)
        self.assertIn("redirection", self.err)
        self.assertEqual(other.asked, [])

    def test_a_proxy_is_not_told(self):
        proxy = Hub()
        self.addCleanup(proxy.close)
        self.data_dir("home/.local/share/sendense")
        self.env.update(http_proxy=proxy.url, ALL_PROXY=proxy.url)
        self.run_client("mounts")
        self.assertEqual(proxy.asked, [])

    def test_netrc_is_not_read(self):
        self.write("home/.netrc", b"machine 127.0.0.1 login a password b\n")
        self.run_client("mounts", "--url", self.hub.url, status=4)
        self.assertNotIn("Authorization", self.last().headers)

    def test_tls(self):
        if not shutil.which("openssl"):
            self.skipTest("no openssl")
        cert, key = self.path("cert.pem"), self.path("key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=hub",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], check=True,
                       stderr=subprocess.DEVNULL)
        hub = Hub(cert, key)
        self.addCleanup(hub.close)
        hub.on("GET", "/restore/mounts", (200, {"mounts": [], "count": 0}))
        self.env["SENDENSE_TOKEN"] = TOKEN
        self.run_client("mounts", "--url", hub.url, status=4)
        self.assertIn("--cacert", self.err)
        self.assertEqual(hub.asked, [])
        self.run_client("mounts", "--url", hub.url, "--cacert", cert)
        self.run_client("mounts", "--url", hub.url.replace("127.0.0.1", "localhost"), "--cacert", cert, status=4)
        self.assertEqual(len(hub.asked), 1)
        self.write("junk.pem", b"no certificate")
        self.run_client("mounts", "--url", hub.url, "--cacert", self.path("junk.pem"), status=2)

    def test_certificates_that_are_not_there(self):
        self.run_client("mounts", "--url", "https://127.0.0.1:1", "--cacert", self.path("absent.pem"), status=2)


if __name__ == "__main__":
    tap.main(__name__)
