#!/usr/bin/env python3
"""LUKS images of the corpus, made by others: sound ones against a decryption of the tests' own with the key cryptsetup gives; damaged
ones are named and harm nobody."""
import hashlib
import lzma
import os
import shutil
import struct
import subprocess
import tarfile

import bitlocker_img as img
import volimg
import tap

OPENDUMP = os.path.join(volimg.BUILD, "tests", "volume", "opendump")
HELPER = os.path.join(volimg.BUILD, "src", "cmd", "sendense-keyhelper")
CORPUS = os.path.join(os.environ.get("SENDENSE_CORPUS", ""), "mbroz+cryptsetup", "tests")


class LuksCorpus(volimg.VolumeCase):
    def image(self, name):
        packed = os.path.join(CORPUS, name + ".xz")
        if not os.path.exists(packed):
            self.skipTest("no corpus")
        with lzma.open(packed) as f:
            return self.write(name, f.read())

    def open(self, path, secret=b"compatkey"):
        r = subprocess.run([OPENDUMP, HELPER, "passphrase", self.write("secret", secret), path], capture_output=True)
        self.assertIn(r.returncode, (0, 1), r.stderr)
        return (r.stdout if r.returncode == 0 else None), r.stderr.decode()

    def test_luks1_of_old(self):
        for name, essiv in (("compatimage.img", True), ("compatv10image.img", False)):
            path = self.image(name)
            got, said = self.open(path)
            self.assertTrue(got is not None, said)
            self.assertEqual(self.open(path, b"compatkez")[0], None)
            if not shutil.which("cryptsetup"):
                continue
            subprocess.run(["cryptsetup", "luksDump", "-q", "--dump-volume-key", "--volume-key-file", self.path("vk"),
                            "--key-file", self.write("secret", b"compatkey"), path], check=True, capture_output=True)
            with open(self.path("vk"), "rb") as f:
                key = f.read()
            os.remove(self.path("vk"))
            with open(path, "rb") as f:
                data = f.read()
            off = struct.unpack(">I", data[104:108])[0] * 512
            want = bytearray()
            for at in range(off, len(data), 512):
                iv = struct.pack("<QQ", (at - off) // 512, 0)
                if essiv:
                    iv = img.evp("aes-256-ecb", hashlib.sha256(key).digest(), None, iv)
                want += img.evp("aes-%d-cbc" % (8 * len(key)), key, iv, data[at:at + 512], encrypt=False)
            self.assertBytes(got, bytes(want), name)

    def test_what_cannot_be_opened_is_named(self):
        for name, code, words in (
                ("luks2_invalid_cipher.img", "VOLUME_UNSUPPORTED", "capi:xts(ecb(aes-generic))-plain64"),
                ("luks2_valid_hdr.img", "VOLUME_CORRUPT", "key slots"),
                ("evil_hdr-keyslot_overlap", "VOLUME_CORRUPT", "header"),
                ("evil_hdr-luks_hdr_damage", "VOLUME_CORRUPT", "header"),
                ("evil_hdr-payload_overwrite", "VOLUME_CORRUPT", "header"),
                ("evil_hdr-small_luks_device", "VOLUME_CORRUPT", "header"),
                ("evil_hdr-stripes_payload_dmg", "VOLUME_CORRUPT", "header"),
                ("valid_header_file", "VOLUME_CORRUPT", "behind the end of the volume")):
            got, said = self.open(self.image(name))
            self.assertTrue(got is None, name)
            self.assertIn(code, said, name)
            self.assertIn(words, said, name)

    def test_damaged_headers_on_a_large_disk(self):
        """Where there is room behind the header, it is the key slots that are found damaged."""
        for name in ("evil_hdr-keyslot_overlap", "evil_hdr-luks_hdr_damage", "evil_hdr-payload_overwrite",
                     "evil_hdr-small_luks_device", "evil_hdr-stripes_payload_dmg", "valid_header_file"):
            path = self.image(name)
            os.truncate(path, 64 << 20)
            got, said = self.open(path)
            self.assertTrue(got is None, name)
            self.assertRegex(said, "^(VOLUME_CORRUPT|VOLUME_UNSUPPORTED|KEY_WRONG): ", name)

    def test_requirements(self):
        packed = os.path.join(CORPUS, "luks2_header_requirements.tar.xz")
        if not os.path.exists(packed):
            self.skipTest("no corpus")
        with tarfile.open(packed) as t:
            t.extractall(self.dir)
        got, said = self.open(self.path("luks2_header_requirements"))
        self.assertTrue(got is None)
        self.assertIn('VOLUME_UNSUPPORTED: this LUKS2 volume needs "req0", which is not known here', said)

    def test_a_pv_behind_the_remains_of_luks(self):
        volumes, _ = self.dump(self.image("blkid-luks2-pv.img"))
        self.assertEqual(volumes["disk0"]["TYPE"], "LVM2_member")


if __name__ == "__main__":
    tap.main(__name__)
