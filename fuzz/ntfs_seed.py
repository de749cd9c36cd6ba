"""What make-ntfs-seeds and make-ntfs-log-seeds share: small volumes, filled through ntfs-3g (FUSE), and what of them is kept."""
import os, struct, subprocess, tempfile

here = os.path.dirname(os.path.abspath(__file__))
NONE = b'e'                                             # contents of files that are left out: clusters of nothing else
MFTMIRR, LOGFILE, ATTRDEF, UPCASE, FIRST_USER = 1, 2, 4, 10, 24


def run(*args):
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make(raw, cluster, *options, size=1536 << 10):
    with open(raw, 'wb') as f:
        f.truncate(size)
    run('mkntfs', '-F', '-Q', '-q', '-c', str(cluster), '-L', 'seed', *options, raw)


def change(raw, fill, *options):
    with tempfile.TemporaryDirectory() as m:
        run('ntfs-3g', *options, raw, m)
        try:
            fill(m)
        finally:
            run('fusermount', '-u', m)


class Volume:
    def __init__(self, raw):
        with open(raw, 'rb') as f:
            self.data = bytearray(f.read())
        boot = self.data[:512] if any(self.data[:512]) else self.data[-512:]
        self.cluster = struct.unpack_from('<H', boot, 11)[0] * boot[13]
        self.mft = struct.unpack_from('<Q', boot, 48)[0] * self.cluster

    def record(self, number):
        return self.mft + number * 1024

    def clusters(self, number):
        """(offset, bytes) of the first run of each of the record's own non-resident $DATA."""
        at = self.record(number)
        at += struct.unpack_from('<H', self.data, at + 20)[0]
        while self.data[at:at + 4] != b'\xff' * 4:
            if self.data[at:at + 4] == b'\x80\0\0\0' and self.data[at + 8]:
                pairs = at + self.data[at + 32]
                n, width = self.data[pairs] & 15, self.data[pairs] >> 4
                count = int.from_bytes(self.data[pairs + 1:pairs + 1 + n], 'little')
                yield int.from_bytes(self.data[pairs + 1 + n:][:width], 'little') * self.cluster, count * self.cluster
            at += struct.unpack_from('<I', self.data, at + 4)[0]

    def blank(self, off, end):
        self.data[off:end] = bytes(end - off)

    def seed(self, log=False, upcase=0, mirror=False):
        """Boot code, $AttrDef, free records are left out; $LogFile unless `log`, then its unused pages; $UpCase but for so many
        bytes, the whole record for none; $MFTMirr unless `mirror`."""
        end = len(self.data)
        for off, n in list(self.clusters(LOGFILE)):
            for page in range(off, off + n, 1024):
                if not log or self.data[page:page + 4] == b'\xff' * 4:
                    self.blank(page, page + 1024)
        for number, keep in [(ATTRDEF, 0), (UPCASE, upcase)] + [(MFTMIRR, 0)] * (not mirror):
            for off, n in list(self.clusters(number)):
                self.blank(off + keep, off + n)
        if not upcase:
            self.data[self.record(UPCASE)] = 0
        for off, n in list(self.clusters(0)):
            for at in range(off + FIRST_USER * 1024, off + n, 1024):
                if not self.data[at + 22] & 1:
                    self.blank(at, at + 1024)
        for at in range(0, end, self.cluster):
            if self.data[at:at + self.cluster] == NONE * self.cluster:
                self.blank(at, at + self.cluster)
        self.blank(84, 510)
        self.blank(512, min(8192, self.mft))
        with tempfile.NamedTemporaryFile() as f:
            f.write(self.data)
            f.flush()
            return subprocess.run([here + '/make-seed', f.name, '64'], check=True, capture_output=True).stdout


def save(target, name, data):
    os.makedirs(f'{here}/corpus/{target}', exist_ok=True)
    with open(f'{here}/corpus/{target}/{name}', 'wb') as f:
        f.write(data)
