#!/bin/bash
# Makes the seeds in corpus/image and corpus/image-chain: the smallest images of each kind qemu-img can make.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
one=$here/corpus/image two=$here/corpus/image-chain
mkdir -p "$one" "$two"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
io() { qemu-io "${@:2}" "$1" >/dev/null; }
qcow2() { qemu-img create -q -f qcow2 "$@"; }
# What is left of an image without its zeroes, where that is less.
small() {
	"$here/make-seed" "$1" 64 >small
	[ "$(stat -c %s small)" -lt "$(stat -c %s "$1")" ] || cp "$1" small
}
seed() { small "$1"; cp small "$one/$2"; }
le32() { printf '%08x' "$1" | sed 's/\(..\)\(..\)\(..\)\(..\)/\\x\4\\x\3\\x\2\\x\1/' | xargs -0 printf; }
# chain NAME FORMAT FILE…: the number of the format in enum image_format; "again" is the first file once more.
chain() {
	{
		le32 "$2" | head -c 1
		for f in "${@:3}"; do
			if [ "$f" = again ]; then
				le32 $((0xffffffff))
			else
				small "$f"
				le32 "$(stat -c %s small)"
				cat small
			fi
		done
	} >"$two/$1"
}
AUTO=0 QCOW2=2 VMDK=3

# --- one file ---
for compat in 0.10 1.1; do
	qcow2 -o cluster_size=512,compat=$compat a 70k
	io a -c 'write -P 1 0 1k' -c 'write -P 2 3k 512' -c 'write -z 2k 512' -c 'write -P 9 69k 512'
	seed a plain-$compat
done
seq 1 700 >in
for type in zlib zstd; do
	qemu-img convert -f raw -c -O qcow2 -o cluster_size=1k,compression_type=$type in compressed-$type
	seed compressed-$type compressed-$type
done
qcow2 -o cluster_size=16k,extended_l2=on extended 64k
io extended -c 'write -P 5 512 1k' -c 'write -z 2k 1k' -c 'write -P 6 20k 512' -c 'write -z 48k 16k'
seed extended extended-l2
qcow2 -o cluster_size=512 snap 8k
qemu-img snapshot -c s snap
seed snap snapshot
head -c 777 in >"$one/raw"
# LUKS inside: qemu-img's own is 2 MiB of key slots, none of which is read here. And an image whose L2 entries are wrong, each in
# a way of its own; one whose compressed clusters are.
python3 - a luks damaged compressed-zlib compressed-zstd <<'P'
import struct, sys
plain, luks, damaged, *compressed = sys.argv[1:]
d = bytearray(open(plain, 'rb').read())
l1, = struct.unpack_from('>Q', d, 40)
l2 = struct.unpack_from('>Q', d, l1)[0] & 0xfffffffffffe00
bad = bytearray(d)
COPIED = 1 << 63
for i, entry in enumerate((COPIED | 2 << 1, COPIED | 700, COPIED | 1 << 40, 1 << 57 | COPIED | l2, 3, 1 << 62 | 1 << 50, 1 << 62 | 777,
                           COPIED | len(d) - 100 & -512)):
    struct.pack_into('>Q', bad, l2 + 8 * (10 + i), entry)
struct.pack_into('>QQ', bad, l1 + 8, COPIED | 1 << 40, COPIED | 3 << 56 | l1)
open(damaged, 'wb').write(bad)
struct.pack_into('>I', d, 32, 2)
struct.pack_into('>IIQQII', d, struct.unpack_from('>I', d, 100)[0], 0x0537be77, 16, 512, 512, 0, 0)
open(luks, 'wb').write(d)
for name in compressed:
    d = bytearray(open(name, 'rb').read())
    l2 = struct.unpack_from('>Q', d, struct.unpack_from('>Q', d, 40)[0])[0] & 0xfffffffffffe00
    at = struct.unpack_from('>Q', d, l2 + 8)[0] & (1 << 60) - 1
    d[at:at + 40] = bytes(40)
    open(name + '-bad', 'wb').write(d)
P
seed luks luks
seed damaged damaged
for type in zlib zstd; do seed compressed-$type-bad compressed-$type-bad; done
for format in vmdk vpc vhdx vdi qed qcow; do
	qemu-img create -q -f $format foreign.$format 64k
	seed foreign.$format foreign-$format
done

head -c 1000 in >base
# Headers, each wrong or uncommon in a way of its own: all are this one, changed; where it is.
qcow2 -o cluster_size=512 -b base -F raw -u header 512
python3 - header <<'P'
import struct, sys
plain = open(sys.argv[1], 'rb').read()
INCOMPATIBLE, REFCOUNT_ORDER, LENGTH, EXTENSIONS = 72, 96, 100, 112
name, = struct.unpack_from('>Q', plain, 8)
def extension(kind, data):
    return struct.pack('>II', kind, len(data)) + data + bytes(-len(data) % 8)
features = extension(0x6803f857, bytes([0, 9]) + b'warp\x01drive'.ljust(46, b'\0'))
for what, *changes in (
        ('corrupt', (INCOMPATIBLE, '>Q', 2)), ('unknown', (INCOMPATIBLE, '>Q', 1 << 9), (EXTENSIONS, None, features)),
        ('compression', (INCOMPATIBLE, '>Q', 8)), ('compression-lzma', (104, '>B', 7)), ('extended', (INCOMPATIBLE, '>Q', 16)),
        ('dirty-data-file', (INCOMPATIBLE, '>Q', 5), (EXTENSIONS, None, extension(0x44415441, b'data.raw'))),
        ('data-file-nul', (INCOMPATIBLE, '>Q', 4), (EXTENSIONS, None, extension(0x44415441, b'da\0a.raw'))),
        ('version', (4, '>I', 4)), ('clusters', (20, '>I', 22)), ('length', (LENGTH, '>I', 108)), ('length-cluster', (LENGTH, '>I', 520)),
        ('order', (REFCOUNT_ORDER, '>I', 7)), ('size', (24, '>Q', 1 << 63)), ('snapshots', (60, '>I', 65537)), ('aes', (32, '>I', 1)),
        ('crypt', (32, '>I', 3)), ('luks-nowhere', (32, '>I', 2)), ('luks-outside', (32, '>I', 2), (EXTENSIONS, None, extension(0x0537be77, struct.pack('>QQ', 512, 1 << 40)))),
        ('luks-length', (EXTENSIONS, None, extension(0x0537be77, b'12345678'))), ('extension', (EXTENSIONS + 4, '>I', 5000)),
        ('l1-huge', (36, '>I', 1 << 23)), ('l1-few', (36, '>I', 0)), ('l1-align', (40, '>Q', 700)), ('l1-first', (40, '>Q', 0)),
        ('l1-outside', (40, '>Q', 1 << 40)), ('refcounts-align', (48, '>Q', 700)), ('refcounts-outside', (48, '>Q', 1 << 40)),
        ('backing-outside', (8, '>Q', 510)), ('backing-nul', (name, None, b'b\0se')), ('backing-long', (16, '>I', 1024)),
        ('format', (EXTENSIONS, None, extension(0xe2792aca, b'vmdk'))), ('format-long', (EXTENSIONS, None, extension(0xe2792aca, b'x' * 40))),
        ('format-nbd', (EXTENSIONS, None, extension(0xe2792aca, b'nbd')))):
    d = bytearray(plain)
    for at, how, value in changes:
        if how:
            struct.pack_into(how, d, at, value)
        else:
            d[at:at + len(value)] = value
    open('header-' + what, 'wb').write(d)
for n in (3, 71, 200):
    open('header-cut-%d' % n, 'wb').write(plain[:n])
# Foreign images that need another one.
for kind, at, how, value in (('vpc', 60, '>I', 4), ('vdi', 76, '<I', 4), ('qed', 16, '<Q', 1), ('qcow', 8, '>Q', 100), ('qcow', 36, '>I', 1)):
    d = bytearray(open('foreign.' + kind, 'rb').read())
    struct.pack_into(how, d, at, value)
    if kind == 'vpc':
        struct.pack_into(how, d, len(d) - 512 + at, value)
    open('foreign.%s-%d' % (kind, at), 'wb').write(d)
open('foreign.parallels', 'wb').write(b'WithoutFreeSpace'.ljust(600, b'\0'))
open('foreign.cowd', 'wb').write(b'COWD'.ljust(600, b'\0'))
open('foreign.text', 'wb').write(b'# Disk DescriptorFile\nparentCID=1\nparentFileNameHint="x"\nRW 1 FLAT "x" 0\n')
P
for f in header-*; do seed "$f" "$f"; done
for f in foreign.*-* foreign.parallels foreign.cowd foreign.text; do seed "$f" "${f/./-}"; done

# --- chains ---
head -c 2048 in >source
qcow2 -o cluster_size=512 -b base -F raw o 3k
io o -c 'write -P 3 512 512' -c 'write -z 1k 512'
chain over-short-raw $AUTO o base
chain base-missing $QCOW2 o
chain itself $QCOW2 o again
qcow2 -o cluster_size=1k m 6k
io m -c 'write -P 7 0 3k'
qcow2 -o cluster_size=512 -b m -F qcow2 t 4k
io t -c 'write -P 8 1k 512'
chain over-qcow2 $QCOW2 t m
# Shorter in the middle; longer on top; of both versions and three cluster sizes.
qcow2 -o cluster_size=2k,compat=0.10 -b base -F raw l3 5k
qcow2 -o cluster_size=512 -b l3 -F qcow2 l2 1536
io l2 -c 'write -P 4 1k 512'
qcow2 -o cluster_size=1k -b l2 -F qcow2 l1 9k
io l1 -c 'write -z 0 1k' -c 'write -P 5 8k 1k'
qcow2 -o cluster_size=512 -b l1 -F qcow2 l0 12k
chain resized $QCOW2 l0 l1 l2 l3 base
chain too-few $QCOW2 l0 l1 l2
for type in zlib zstd; do
	qcow2 -o cluster_size=512 -b compressed-$type -F qcow2 c 4k
	io c -c 'write -P 5 1k 512'
	chain over-$type $QCOW2 c compressed-$type
	chain over-$type-bad $QCOW2 c compressed-$type-bad
done
qcow2 -o cluster_size=16k,extended_l2=on -b base -F raw e 64k
io e -c 'write -P 5 512 512' -c 'write -z 2k 1k' -c 'write -P 6 40k 512'
chain extended-over-raw $QCOW2 e base
qcow2 -o cluster_size=512 -b extended -F qcow2 n 64k
io n -c 'write -P 6 512 512' -c 'write -P 8 17k 512'
chain over-extended $QCOW2 n extended
qemu-img convert -f raw -c -O qcow2 -o cluster_size=16k,extended_l2=on,compression_type=zstd in ec
chain extended-zstd $AUTO ec
qcow2 -o cluster_size=512,data_file=d d.qcow2 3k
io d.qcow2 -c 'write -P 6 0 1k'
chain data-file $QCOW2 d.qcow2 d
chain data-file-missing $QCOW2 d.qcow2
head -c 700 d >short
chain data-file-short $QCOW2 d.qcow2 short
qcow2 -o cluster_size=512,data_file=r,data_file_raw=on r.qcow2 3k
io r.qcow2 -c 'write -P 6 1k 1k'
chain data-file-raw $QCOW2 r.qcow2 r
qcow2 -o cluster_size=512,data_file=db -b base -F raw db.qcow2 3k
io db.qcow2 -c 'write -P 6 1k 1k'
chain data-file-over-raw $QCOW2 db.qcow2 db base
qcow2 -o cluster_size=512 -b luks -F qcow2 -u s 70k
chain over-luks $QCOW2 s luks
chain over-damaged $QCOW2 s damaged
chain raw $AUTO base
for format in vmdk vhdx vdi; do chain foreign-$format $AUTO foreign.$format source; done
chain foreign-no-source $AUTO foreign.vdi
qemu-img create -q -f vmdk -o subformat=twoGbMaxExtentFlat flat.vmdk 64k
chain vmdk-descriptor $VMDK flat.vmdk source
chain vmdk-snapshot $VMDK foreign.text
chain vmdk-part $VMDK foreign.cowd
chain vmdk-nothing $VMDK base
