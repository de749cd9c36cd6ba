#!/usr/bin/env python3
"""BitLocker volumes written by bitlocker_img.py, opened with the key helper; dislocker and libbde read them too, where they are
installed, so that the writer is not only right to this project's reader. With the corpus: volumes made by Windows."""
import csv
import hashlib
import os
import shutil
import subprocess
import tarfile
import unittest

import bitlocker_img as img
import volimg
import tap

OPENDUMP = os.path.join(volimg.BUILD, "tests", "volume", "opendump")
HELPER = os.path.join(volimg.BUILD, "src", "cmd", "sendense-keyhelper")
CORPUS = os.environ.get("SENDENSE_CORPUS", "")
SIZE = 0xe0000
try:
    import pybde
except ImportError:
    pybde = None


class Bitlocker(volimg.VolumeCase):
    @classmethod
    def setUpClass(cls):
        # libbde wants to see a filesystem's first sector.
        cls.plain = bytearray(volimg.rnd(SIZE, "plain"))
        cls.plain[0:14] = b"\xeb\x52\x90NTFS    \0\2\x08"
        cls.plain[14:40] = bytes(26)
        cls.plain[40:48] = (SIZE // 512).to_bytes(8, "little")
        cls.plain = bytes(cls.plain)
        cls.recovery = img.recovery_key("r")
        cls.startup = img.Protector(img.STARTUP, "s")

    def open(self, volume, kind, secret=b""):
        """(bytes, what was said) of the opened volume; bytes None where it stays closed."""
        path = volume if isinstance(volume, str) else self.write("image", volume.image)
        if isinstance(secret, str):
            secret = secret.encode()
        r = subprocess.run([OPENDUMP, HELPER, kind, self.write("secret", secret), path], capture_output=True)
        return (r.stdout if r.returncode == 0 else None), r.stderr.decode()

    def assertOpens(self, volume, kind, secret=b"", note=""):
        got, said = self.open(volume, kind, secret)
        self.assertTrue(got is not None, note + said)
        self.assertBytes(got, bytes(volume.expected), note)
        return said

    def assertClosed(self, volume, kind, secret, *words):
        got, said = self.open(volume, kind, secret)
        self.assertTrue(got is None)
        for w in words:
            self.assertIn(w, said)

    def assertRefereesAgree(self, volume, password=None, bek=None, libbde=True):
        path, out = self.write("image", volume.image), self.path("out")
        if shutil.which("dislocker-file"):
            key = ["-u" + password] if password else ["-f", self.write("key.bek", bek)]
            r = subprocess.run(["dislocker-file", "-r", "-V", path, *key, "--", out], capture_output=True, text=True)
            self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
            with open(out, "rb") as f:
                got = f.read()[:SIZE]
            os.remove(out)
            # It ends where the encryption ends.
            self.assertGreaterEqual(len(got), volume.plain_from)
            self.assertBytes(got, bytes(volume.expected)[:len(got)], "dislocker")
        if pybde and libbde:
            v = pybde.volume()
            if password:
                v.set_password(password)
            else:
                v.read_startup_key(self.write("key.bek", bek))
            v.open(path)
            self.assertBytes(v.read_buffer(SIZE), bytes(volume.expected), "libbde")

    def test_each_cipher(self):
        for method in img.METHODS:
            v = img.Volume(self.plain, method, [self.startup])
            self.assertOpens(v, "file", self.startup.bek(), method)
            # This libbde does not know XTS with 256 bits.
            self.assertRefereesAgree(v, bek=self.startup.bek(), libbde=method != "xts256")

    def test_sectors_of_4096_bytes(self):
        for method in ("cbc256", "xts256", "cbc128-elephant"):
            v = img.Volume(self.plain, method, [self.startup], sector=4096)
            self.assertOpens(v, "file", self.startup.bek(), method)

    def test_password_and_recovery_key(self):
        password = "pässwörd \U0001f511 7391"
        protectors = [img.Protector(img.RECOVERY, self.recovery), img.Protector(img.PASSWORD, password)]
        v = img.Volume(self.plain, "xts128", protectors)
        self.assertOpens(v, "passphrase", password)
        self.assertOpens(v, "recovery", self.recovery)
        self.assertOpens(v, "recovery", self.recovery.replace("-", "") + "\n")
        self.assertOpens(v, "recovery", self.recovery.replace("-", " "))
        name = "the recovery key " + img.guid_text(protectors[0].guid)
        self.assertClosed(v, "passphrase", password.upper(), "KEY_WRONG", "its password or " + name)
        self.assertClosed(v, "passphrase", b"\xff\xfe", "KEY_WRONG", "UTF-8")
        self.assertClosed(v, "recovery", img.recovery_key("other"), "KEY_WRONG", name)
        volumes, _ = self.dump(self.path("image"))
        self.assertEqual(volumes["disk0"]["reason"], "it is encrypted; it opens with its password or " + name)
        self.assertEqual(volumes["disk0"]["locked"], "1")
        ascii_too = img.Volume(self.plain, "cbc256", [img.Protector(img.PASSWORD, "correct horse 7391")])
        self.assertRefereesAgree(ascii_too, password="correct horse 7391")

    def test_mistyped_recovery_key(self):
        v = img.Volume(self.plain, "cbc128", [img.Protector(img.RECOVERY, self.recovery)])
        groups = self.recovery.split("-")
        for i in (0, 3, 7):
            for bad in ("%06d" % (int(groups[i]) + 1), "720896", groups[i][:5]):
                typed = "-".join(groups[:i] + [bad] + groups[i + 1:])
                if i < 7 or len(bad) == 6:
                    self.assertClosed(v, "recovery", typed, "INVALID", "group %d of the recovery key is mistyped" % (i + 1))
        self.assertClosed(v, "recovery", self.recovery[:-1], "INVALID", "has 48 digits, this one 47")
        self.assertClosed(v, "recovery", self.recovery + "1", "INVALID", "48 digits")
        self.assertClosed(v, "recovery", self.recovery.replace("-", "x"), "INVALID", "48 digits")

    def test_startup_key(self):
        other = img.Protector(img.STARTUP, "s", seed=2)
        v = img.Volume(self.plain, "cbc256", [img.Protector(img.TPM, "t"), other, self.startup])
        self.assertOpens(v, "file", self.startup.bek())
        self.assertOpens(v, "file", other.bek())
        stranger = img.Protector(img.STARTUP, "s", seed=3)
        self.assertClosed(v, "file", stranger.bek(), "KEY_WRONG", img.guid_text(stranger.guid), img.guid_text(other.guid))
        for n in (0, 10, 48, 60, 150):
            self.assertClosed(v, "file", self.startup.bek()[:n], "KEY_WRONG", "not a start-up key")
        tpm = img.Volume(self.plain, "cbc256", [img.Protector(img.TPM, "t")])
        self.assertClosed(tpm, "passphrase", "x", "KEY_WRONG", "nothing but the TPM")

    def test_hash_that_is_not_known(self):
        v = img.Volume(self.plain, "xts256", [img.Protector(img.RECOVERY, self.recovery, pbkdf2=True)])
        self.assertClosed(v, "recovery", self.recovery, "VOLUME_UNSUPPORTED", "PBKDF2")

    def test_to_go(self):
        v = img.Volume(self.plain, "cbc128", [self.startup], togo=True, moved_len=0x9000)
        self.assertOpens(v, "file", self.startup.bek())
        self.assertRefereesAgree(v, bek=self.startup.bek())

    def test_vista(self):
        v = img.Volume(self.plain, "cbc128-elephant", [self.startup], vista=True)
        self.assertOpens(v, "file", self.startup.bek())
        self.assertEqual(v.expected[56:64], self.plain[56:64])

    def test_suspended(self):
        password = img.Protector(img.PASSWORD, "x")
        v = img.Volume(self.plain, "xts128", [password, img.Protector(img.CLEAR, "c")])
        self.assertOpens(v, "-")
        volumes, warnings = self.dump(self.path("image"))
        self.assertEqual((volumes["disk0"]["locked"], warnings), ("0", []))
        # A clear key that does not fit is damage, and is said.
        clear = img.Protector(img.CLEAR, "c")
        v = img.Volume(self.plain, "xts128", [password, clear])
        wrong = v.image.replace(clear.kek, bytes(32))
        self.assertNotEqual(wrong, v.image)
        volumes, _ = self.dump(self.write("image", wrong))
        self.assertIn("clear key does not fit", volumes["disk0"]["reason"])

    def test_conversion_that_was_interrupted(self):
        for plain_from in (0, 0x50000, 0xb0000, 0xd0000):
            v = img.Volume(self.plain, "cbc128", [self.startup], state=5, plain_from=plain_from)
            self.assertOpens(v, "file", self.startup.bek(), "%#x" % plain_from)
            if plain_from:
                self.assertRefereesAgree(v, bek=self.startup.bek(), libbde=False)
        v = img.Volume(self.plain, "cbc128", [self.startup], state=2, plain_from=0x50000, between=0x4000)
        self.assertIn("16384 bytes at 327680", self.assertOpens(v, "file", self.startup.bek()))

    def test_decrypted(self):
        v = img.Volume(self.plain, "cbc128", [], state=1)
        self.assertOpens(v, "-")

    def eow(self, **more):
        return dict(dict(chunk=0x4000, at=(0xd0000, 0xd1000), maps=(0xd2000, 0xd3000, 0xd4000), regions=(
            (0x2000, 0x5e000, {1, 2, 5, 20}), (0x60000, 0x60000, {4, 23}), (0xc0000, 0x2000, {}))), **more)

    def test_used_space_being_encrypted(self):
        v = img.Volume(self.plain, "xts128", [self.startup], eow=self.eow())
        self.assertIn("encrypting it when the backup was taken", self.assertOpens(v, "file", self.startup.bek()))
        # The moved sectors may be plain still.
        regions = self.eow()["regions"][:2] + ((0xc0000, 0x2000, {0}),)
        v = img.Volume(self.plain, "xts128", [self.startup], eow=self.eow(regions=regions))
        self.assertOpens(v, "file", self.startup.bek())

    def test_damaged_maps(self):
        def damaged(*places):
            v = img.Volume(self.plain, "xts128", [self.startup], eow=self.eow())
            for at in places:
                v.image[at] ^= 1
            return v
        self.assertOpens(damaged(0xd0000 + 20), "file", self.startup.bek())          # the first descriptor
        self.assertClosed(damaged(0xd0000 + 20, 0xd1000 + 20), "file", self.startup.bek(), "VOLUME_CORRUPT", "maps")
        self.assertClosed(damaged(0xd2000 + 30), "file", self.startup.bek(), "VOLUME_CORRUPT", "maps")
        self.assertClosed(damaged(0xd3000 + 512 + 20, 0xd3000 + 1024 + 20), "file", self.startup.bek(), "VOLUME_CORRUPT")
        # One record of a map: the other, older one counts. Region 1 is then all encrypted.
        v = damaged(0xd3000 + 1024 + 20)
        got, said = self.open(v, "file", self.startup.bek())
        self.assertTrue(got is not None, said)
        self.assertBytes(got[0x2000:0x60000], bytes(v.expected[0x2000:0x60000]))
        self.assertTrue(got[0xb0000:0xc0000] != bytes(v.expected[0xb0000:0xc0000]))

    def test_copies_of_the_metadata(self):
        key = self.startup.bek()
        for broken in ((0,), (1,), (0, 1), (0, 2)):
            v = img.Volume(self.plain, "xts128", [self.startup])
            for i in broken:
                v.image[v.copies[i] + 300] ^= 0xff
            self.assertIn("%d of the 3 copies" % len(broken), self.assertOpens(v, "file", key, str(broken)))
        v = img.Volume(self.plain, "xts128", [self.startup])
        for c in v.copies:
            v.image[c:c + 8] = bytes(8)
        self.assertClosed(v, "file", key, "VOLUME_CORRUPT", "none of its copies")
        # A copy that an interrupted change left behind has an older count of nonces.
        v = img.Volume(self.plain, "xts128", [self.startup], nonce=9)
        older = img.Volume(self.plain, "xts128", [img.Protector(img.STARTUP, "old", seed=7)], nonce=8)
        v.put(v.copies[0], older.block() + bytes(300))
        self.assertOpens(v, "file", key)
        # No copy has a good checksum: better than nothing, and said.
        v = img.Volume(self.plain, "xts128", [self.startup])
        for c in v.copies:
            v.image[c + 64 + 40] ^= 1            # the time it was made
        self.assertIn("good checksum", self.assertOpens(v, "file", key))

    def test_image_cut_off(self):
        v = img.Volume(self.plain, "xts128", [self.startup])
        for size, word in ((0x50000, "cut off"), (0xc0000, "cut off"), (512, "cut off"), (100, "nothing is")):
            path = self.write("image", v.image[:size])
            got, said = self.open(path, "file", self.startup.bek())
            self.assertTrue(got is None)
            if size > 512:
                self.assertIn(word, said)
        # Behind the last of it the rest reads.
        v.image, v.expected = v.image[:0xd0000], v.expected[:0xd0000]
        self.assertOpens(v, "file", self.startup.bek())

    def test_places_that_are_none(self):
        for value in (0, 3, 256, 8192):
            v = img.Volume(self.plain, "xts128", [self.startup])
            v.image[11:13] = value.to_bytes(2, "little")
            self.assertClosed(v, "file", self.startup.bek(), "sector size")
        # One wrong place does no harm: the others are there, and the metadata knows them all.
        for value in (0, 7, 512, 1 << 63, 1 << 64 - 1):
            v = img.Volume(self.plain, "xts128", [self.startup])
            v.image[176:184] = (value & (1 << 64) - 1).to_bytes(8, "little")
            self.assertOpens(v, "file", self.startup.bek(), "%#x" % value)
            v.image[184:192] = v.image[176:184]
            v.image[192:200] = v.image[176:184]
            self.assertClosed(v, "file", self.startup.bek(), "VOLUME_CORRUPT")

    # --- volumes made by Windows ---

    def corpus(self, *path):
        p = os.path.join(CORPUS, *path)
        if not os.path.exists(p):
            self.skipTest("no corpus")
        return p

    def test_windows_volumes(self):
        with tarfile.open(self.corpus("_derived", "cryptsetup-bitlk-fixture.tar.xz")) as t:
            t.extractall(self.dir)
        base = self.path("bitlk-fixture")
        with open(self.corpus("expected", "cryptsetup.bitlk.tsv"), newline="") as f:
            rows = list(csv.DictReader(f, delimiter="\t"))
        self.assertEqual(len(rows), 6)
        for row in rows:
            image = os.path.join(base, row["image"] + ".img")
            keys = [("recovery", row["recovery"].encode())]
            if row["password"]:
                keys.append(("passphrase", row["password"].encode()))
            if row["bek_guid"]:
                with open(os.path.join(base, row["bek_guid"].upper() + ".BEK"), "rb") as f:
                    keys.append(("file", f.read()))
            for kind, secret in keys:
                got, said = self.open(image, kind, secret)
                if not row["sha256_of_decrypted_volume"]:
                    # Its makers left out the maps that say what is encrypted.
                    self.assertTrue(got is None)
                    self.assertIn("its encryption was under way", said)
                    continue
                self.assertTrue(got is not None, row["image"] + said)
                self.assertEqual(hashlib.sha256(got).hexdigest(), row["sha256_of_decrypted_volume"], row["image"] + kind)

    def test_windows_volume_cut_off(self):
        image = self.corpus("log2timeline+dfvfs", "test_data", "hist-0560e1a7", "bdetogo.raw")
        volumes, _ = self.dump(image)
        self.assertEqual(volumes["disk0"]["TYPE"], "BitLocker")
        self.assertIn("the image is cut off", volumes["disk0"]["reason"])


if __name__ == "__main__":
    tap.main(__name__)
