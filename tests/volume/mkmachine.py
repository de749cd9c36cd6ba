#!/usr/bin/env python3
"""Disks of a machine whose volumes lie on several of them, written by lvm_test.py and md_test.py:

    mkmachine.py vg WIDE NARROW OUT0 OUT1     volume group vg: vg/wide is WIDE, its halves on both disks; vg/narrow is NARROW, on
                                              the first alone
    mkmachine.py raid1 IMAGE OUT0 OUT1        an array "data", a copy on each disk
    mkmachine.py raid0 IMAGE OUT0 OUT1        the same, striped
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lvm_test
import md_test
import volimg


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Files:
    """Where lvm_test.Builder writes its disks."""
    def __init__(self, outs):
        self.outs = dict(zip(("disk0", "disk1"), outs))

    def write(self, name, data):
        with open(self.outs[name], "wb") as f:
            f.write(data)
        return self.outs[name]


def vg(wide, narrow, *outs):
    b = lvm_test.Builder(Files(outs), 2)
    half = len(wide) // 2 // lvm_test.EXTENT * lvm_test.EXTENT
    segments = []
    for i, part in enumerate((wide[:half], wide[half:])):
        segments.append(lvm_test.linear((len(part) + lvm_test.EXTENT - 1) // lvm_test.EXTENT, "pv%d" % i, b.place(i, part)))
    b.lvs["wide"] = (True, segments)
    b.lvs["narrow"] = (True, [lvm_test.linear((len(narrow) + lvm_test.EXTENT - 1) // lvm_test.EXTENT, "pv0", b.place(0, narrow))])
    b.files()


def array(level, members, outs):
    for i, (data, out) in enumerate(zip(members, outs)):
        with open(out, "wb") as f:
            f.write(md_test.v1(data, i, len(members), level=level))


def main(kind, *files):
    if kind == "vg":
        vg(read(files[0]), read(files[1]), *files[2:])
    elif kind == "raid1":
        array(1, [read(files[0])] * 2, files[1:])
    elif kind == "raid0":
        array(0, volimg.stripe_members(read(files[0]), 2, md_test.CHUNK), files[1:])


main(*sys.argv[1:])
