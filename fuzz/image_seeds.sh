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
pair() { { printf '%08x' "$(stat -c %s "$1")" | sed 's/\(..\)\(..\)\(..\)\(..\)/\\x\4\\x\3\\x\2\\x\1/' | xargs -0 printf; cat "$1" "$2"; } >"$two/$3"; }

for compat in 0.10 1.1; do
	qemu-img create -q -f qcow2 -o cluster_size=512,compat=$compat a 70k
	io a -c 'write -P 1 0 1k' -c 'write -P 2 3k 512' -c 'write -z 2k 512' -c 'write -P 9 69k 512'
	cp a "$one/plain-$compat"
done
seq 1 700 >in
for type in zlib zstd; do
	qemu-img convert -f raw -c -O qcow2 -o cluster_size=1k,compression_type=$type in "$one/compressed-$type"
done
qemu-img create -q -f qcow2 -o cluster_size=16k,extended_l2=on x 64k
io x -c 'write -P 5 512 1k' -c 'write -z 2k 1k'
head -c 82500 x >"$one/extended-l2"
qemu-img create -q -f qcow2 -o cluster_size=512 snap 8k
qemu-img snapshot -c s snap
cp snap "$one/snapshot"
printf 'conectix%01016d' 0 >"$one/foreign"
# LUKS inside: qemu-img's own is 2 MiB of key slots, none of which is read here.
python3 - "$one/plain-1.1" "$one/luks" <<'P'
import struct, sys
d = bytearray(open(sys.argv[1], 'rb').read())
struct.pack_into('>I', d, 32, 2)
struct.pack_into('>IIQQII', d, struct.unpack_from('>I', d, 100)[0], 0x0537be77, 16, 512, 512, 0, 0)
open(sys.argv[2], 'wb').write(d)
P
head -c 1000 in >base
head -c 777 in >"$one/raw"

qemu-img create -q -f qcow2 -o cluster_size=512 -b base -F raw o 3k
io o -c 'write -P 3 512 512' -c 'write -z 1k 512'
pair o base over-short-raw
qemu-img create -q -f qcow2 -o cluster_size=1k m 6k
io m -c 'write -P 7 0 3k'
qemu-img create -q -f qcow2 -o cluster_size=512 -b m -F qcow2 t 4k
io t -c 'write -P 8 1k 512'
pair t m over-qcow2
qemu-img create -q -f qcow2 -o cluster_size=512,data_file=d d.qcow2 3k
io d.qcow2 -c 'write -P 6 0 1k'
pair d.qcow2 d data-file
