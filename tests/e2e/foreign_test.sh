#!/bin/bash
# VMDK, VHD, VHDX, VDI, QED and QCOW version 1, read through qemu-nbd: images by qemu-img, held against the tree they were made
# from; hostile ones; and that the processes behind them end with what they serve.
. "$SENDENSE_SRC/tests/e2e/lib.sh"
for tool in qemu-img qemu-nbd mke2fs jq curl cmp; do
	command -v $tool >/dev/null || { echo "1..0 # SKIP $tool is not installed"; exit 0; }
done
cd "${T:?}" || exit 1
export TMPDIR=$T/tmp
mkdir tmp tree tree/etc tree/usr repo repo/vm repo/vm/disk-0
echo hello >tree/hello.txt
head -c 5000000 /dev/urandom >tree/random.bin
head -c 3000000 /dev/urandom >tree/usr/noise
truncate -s 3M tree/hole.bin && printf end >>tree/hole.bin
mke2fs -q -F -t ext4 -d tree plain.raw 48M >/dev/null 2>&1
sendense image manifest plain.raw >want 2>/dev/null

convert() { qemu-img convert -f raw -O "$1" ${3:+-o "$3"} plain.raw "$2"; }
convert vmdk sparse.vmdk subformat=monolithicSparse
convert vmdk stream.vmdk subformat=streamOptimized
convert vmdk multi.vmdk subformat=twoGbMaxExtentSparse
convert vmdk two.vmdk subformat=twoGbMaxExtentFlat
convert vmdk mono.vmdk subformat=monolithicFlat
convert vpc dynamic.vhd subformat=dynamic,force_size=on
convert vpc fixed.vhd subformat=fixed,force_size=on
# as VirtualBox writes them: its own name, and a geometry that counts less than the disk has
for i in dynamic fixed; do
	cp $i.vhd $i-vbox.vhd
	python3 -c "
import struct, sys
f = open(sys.argv[1], 'r+b')
end = f.seek(-512, 2)
for at in {0, end}:
    f.seek(at)
    b = bytearray(f.read(512))
    if b[:8] != b'conectix':
        continue
    b[28:32] = b'vbox'
    b[56:60] = struct.pack('>HBB', struct.unpack('>Q', b[48:56])[0] // 512 // (6 * 17), 6, 17)
    b[64:68] = bytes(4)
    b[64:68] = struct.pack('>I', ~sum(b) & 0xffffffff)
    f.seek(at)
    f.write(b)" $i-vbox.vhd
	ok "the geometry of $i-vbox.vhd counts less than the disk has" \
		[ "$(qemu-img info -f vpc --output=json $i-vbox.vhd | jq '."virtual-size"')" -lt "$(stat -c %s plain.raw)" ]
done
convert vhdx dynamic.vhdx subformat=dynamic
convert vhdx fixed.vhdx subformat=fixed
convert vdi plain.vdi
convert vdi static.vdi static=on
convert qed plain.qed
convert qcow one.qcow
for i in sparse.vmdk stream.vmdk multi.vmdk two.vmdk mono.vmdk dynamic.vhd fixed.vhd dynamic-vbox.vhd fixed-vbox.vhd \
	dynamic.vhdx fixed.vhdx plain.vdi static.vdi plain.qed one.qcow; do
	before=$(cat ./*.vmdk "$i" | md5sum)
	sendense image manifest "$i" >got 2>err
	ok "$i: every file as in the raw image" cmp want got
	is "$i: not changed" "$(cat ./*.vmdk "$i" | md5sum)" "$before"
	f=${i##*.}
	is "$i: its format and size" "$(sendense image info --json "$i" | jq -c '[.format,.virtual_size]')" "[\"$f\",$(stat -c %s plain.raw)]"
done
if command -v qemu-io >/dev/null && "$SENDENSE_SRC/tests/e2e/dirty-vhdx" dynamic.vhdx dirty.vhdx; then
	like 'a VHDX with a log to replay: QEMU does not read it as it is' "$(qemu-io -r -f vhdx -c 'read 0 512' dirty.vhdx 2>&1)" 'needs to be replayed'
	before=$(md5sum <dirty.vhdx)
	sendense image manifest dirty.vhdx >got 2>err
	ok 'every file as after the replay' cmp want got
	is 'the file itself stays as it is' "$(md5sum <dirty.vhdx)" "$before"
else
	skip 'a VHDX with a log to replay' 'no qemu-io'
fi
is 'holes of the image are known' "$(sendense image tar --format tar sparse.vmdk /hole.bin | tar -xO | cmp - tree/hole.bin && echo same)" same
is 'nothing is left in the temporary folder' "$(ls tmp)" ''
is 'two disks of one machine, of different formats' \
	"$(sendense image ls --disk plain.raw --disk sparse.vmdk / --volume 2 2>/dev/null | grep -c hello)" 1

# --- images whose names promise what they are not, or lead elsewhere
head -c 100000 /dev/zero >none.vmdk
like 'a VMDK without header or descriptor' "$(sendense image ls none.vmdk / 2>&1)" IMAGE_UNREADABLE
like 'the parts of a VMDK by themselves' "$(sendense image ls mono-flat.vmdk / 2>&1)" IMAGE_UNREADABLE
descriptor() { printf '# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=%s\ncreateType="monolithicFlat"\n%s\n' "$1" "$2"; }
echo 'root:secret' >"$T/secret"; truncate -s 1M "$T/secret"
mkdir evil
for name in "$T/secret" ../secret /etc/shadow ..; do
	descriptor ffffffff "RW 2048 FLAT \"$name\" 0" >evil/d.vmdk
	like "a descriptor that names $name" "$(sendense image info evil/d.vmdk 2>&1)" 'IMAGE_BACKING_REFUSED|IMAGE_CORRUPT'
done
ln -s "$T/secret" evil/link.vmdk
descriptor ffffffff 'RW 2048 FLAT "link.vmdk" 0' >evil/d.vmdk
like 'a descriptor that names a link out of its folder' "$(sendense image info evil/d.vmdk 2>&1)" IMAGE_BACKING_REFUSED
descriptor ffffffff 'RW 2048 FLAT "gone.vmdk" 0' >evil/d.vmdk
like 'a part is missing' "$(sendense image info evil/d.vmdk 2>&1)" 'gone.vmdk.*IMAGE_LAYER_MISSING'
descriptor 11112222 'RW 2048 FLAT "link.vmdk" 0' >evil/d.vmdk
like 'a snapshot' "$(sendense image info evil/d.vmdk 2>&1)" 'snapshot.*IMAGE_UNSUPPORTED'
cp evil/d.vmdk evil/d.img
like 'a descriptor under another name' "$(sendense image info evil/d.img 2>&1)" IMAGE_UNSUPPORTED
# What QEMU itself would follow: the embedded descriptor of a sparse extent whose header has no capacity names other files.
python3 - "$T/secret" <<'P'
import struct, sys
desc = f'# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 2048 FLAT "{sys.argv[1]}" 0\n'.encode()
head = struct.pack('<4sIIQQQQIQQQ', b'KDMV', 1, 3, 0, 128, 1, 20, 512, 0, 0, 128)
open('evil/inner-s001.vmdk', 'wb').write(head.ljust(512, b'\0') + desc.ljust(20 * 512, b'\0') + bytes(1 << 20))
# a VHDX or QED with a backing file is refused before QEMU sees it; of QCOW version 1:
open('evil/backed.qcow', 'wb').write(struct.pack('>4sIQIIQBBHIQ', b'QFI\xfb', 1, 72, len(sys.argv[1]), 0, 1 << 20, 12, 9, 0, 0, 4096) +
                                     bytes(24) + sys.argv[1].encode().ljust(8192, b'\0'))
P
like 'a header that leads to a file of the host' "$(sendense image info evil/inner-s001.vmdk 2>&1)" 'IMAGE_BACKING_REFUSED'
descriptor ffffffff 'RW 2048 SPARSE "inner-s001.vmdk"' >evil/d.vmdk
out=$(sendense image info evil/d.vmdk 2>&1)
like 'the same as a part of a disk: QEMU may not open it' "$out" 'IMAGE_UNREADABLE'
like 'a QCOW with a backing file' "$(sendense image info evil/backed.qcow 2>&1)" 'parent.*IMAGE_UNSUPPORTED'
head -c 200000 dynamic.vhdx >cut.vhdx
like 'a VHDX that is cut off' "$(sendense image info cut.vhdx 2>&1)" 'qemu-nbd cannot open the vhdx image: .*IMAGE_UNREADABLE'
# where QEMU itself would read zeroes
for i in mono.vmdk:mono-flat.vmdk two.vmdk:two-f001.vmdk plain.vdi:plain.vdi static.vdi:static.vdi; do
	part=${i#*:} whole=$(stat -c %s "${i#*:}")
	cp "$part" whole.part
	truncate -s $((whole - 512)) "$part"
	like "$part is cut off" "$(sendense image info "${i%:*}" 2>&1)" 'the image is truncated: .*IMAGE_UNREADABLE'
	mv whole.part "$part"
done
# a place that cannot be read is told of the file that lies there, and qemu-nbd goes on
python3 -c "
image, noise = bytearray(open('stream.vmdk', 'rb').read()), open('tree/random.bin', 'rb').read()
at = max(image.find(noise[i:i + 32]) for i in range(2000000, 3000000, 100000))
assert at > 0
image[at] ^= 1
open('bad.vmdk', 'wb').write(image)"
sendense image manifest bad.vmdk >got 2>err
like 'a damaged piece of a streamOptimized VMDK' "$(grep '^# ' got)" './random.bin: IO_ERROR: the image cannot be read'
is 'every other file is there' "$(grep -v -e '^# ' got)" "$(grep -v random.bin want)"
is 'no message names a descriptor' "$(sendense image info cut.vhdx 2>&1 | grep -c /proc/)" 0

# --- in the hub
cp sparse.vmdk repo/vm/disk-0/one.vmdk
cp plain.vdi repo/vm/disk-0/three.vdi
mkdir repo/vm/disk-1
cp mono.vmdk mono-flat.vmdk repo/vm/disk-1/
cp dynamic.vhdx repo/vm/disk-1/four.vhdx
printf '# Disk DescriptorFile\nparentCID=ffffffff\nRW 1 FLAT "../../../secret" 0\n' >repo/vm/evil.vmdk
hub_start
R=$(add_repository r "$T/repo")
api "/repositories/$R/scan" -X POST >scan.json
is 'the scan finds the disks, not their parts' "$(jq -c '[.created,(.orphans|length)]' scan.json)" '[4,1]'
like 'the orphan is the descriptor that leads out' "$(jq -r '.orphans[0].path + " " + .orphans[0].reason' scan.json)" 'evil.vmdk .*secret'
for at in one/0 three/0 mono/1 four/1; do
	id=${at%/*}
	M=$(mount "$id" "${at#*/}")
	is "$id: a file" "$(api "/restore/$M/download?path=/hello.txt")" hello
	ok "$id: a large file" cmp <(api "/restore/$M/download?path=/random.bin") tree/random.bin
	api "/restore/$M" -X DELETE >/dev/null
done
helper() { pgrep -P "$HUB" -f sendense-imagehelper; }
M=$(mount one)
api "/restore/$M/download?path=/random.bin" >/dev/null
HELPER=$(helper)
QEMU=$(pgrep -P "$HELPER")
is 'a mount has one helper and one qemu-nbd' "$(echo "$HELPER $QEMU" | wc -w)" 2
walls() { grep -E "^$1:" "/proc/$QEMU/status" | tr -s '\t ' ' ' | cut -d' ' -f2; }
is 'qemu-nbd: filtered system calls' "$(walls Seccomp)" 2
is 'qemu-nbd: no new privileges' "$(walls NoNewPrivs)" 1
if [ "$(id -u)" = 0 ]; then
	is 'qemu-nbd: not root' "$(walls Uid)" 65534
	is 'qemu-nbd: may read any file, as far as Landlock goes, and nothing more' "$(walls CapEff)" 0000000000000004
fi
is 'qemu-nbd: nobody else can connect to it' "$(python3 - "$(readlink "/proc/$QEMU/fd/3" | tr -dc 0-9)" <<'P'
import socket, sys
name = [l.split()[7] for l in open('/proc/net/unix') if l.split()[6:7] == [sys.argv[1]] and len(l.split()) > 7][0]
try:
    socket.socket(socket.AF_UNIX).connect(name.replace('@', '\0', 1))
    print('connected')
except ConnectionRefusedError:
    print('refused')
P
)" refused
is 'qemu-nbd: its arguments name no file of the repository' "$(tr '\0' '\n' <"/proc/$QEMU/cmdline" | grep -c "$T")" 0
kill -9 "$QEMU"
eventually gone "$HELPER"
ok 'qemu-nbd killed: the mount goes on with another' eventually downloads "$M" /hello.txt hello
QEMU2=$(pgrep -P "$(helper)")
ok 'it is another' [ "$QEMU2" != "$QEMU" ]
# Killed in the middle of a download: that one fails, and is not taken for whole.
(curl -s --max-time 60 --limit-rate 300k -H "Authorization: Bearer $TOKEN" "$URL/restore/$M/download?path=/random.bin" >part; echo $? >rc) &
C=$!
sleep 1; kill -9 "$QEMU2"; wait $C
ok 'a download under way fails or is whole' sh -c '[ "$(cat rc)" != 0 ] || cmp part tree/random.bin'
# Killed, and the hub has not heard of it when the worker has.
eventually downloads "$M" /hello.txt hello
HELPER4=$(helper)
kill -STOP "$HELPER4"; kill -9 "$(pgrep -P "$HELPER4")"
is 'an archive that cannot begin: whose fault it was' \
	"$(curl -s --max-time 60 -w ' %{http_code}' -H "Authorization: Bearer $TOKEN" "$URL/restore/$M/download-directory?format=zip&path=/usr" |
		sed 's/.*"code":"\([A-Z_]*\)".*} /\1 /')" 'WORKER_DIED 502'
kill -CONT "$HELPER4"
# With many requests at once: the others are broken off with the one that finds out, but nobody cancelled them.
eventually downloads "$M" /hello.txt hello
HELPER5=$(helper); QEMU5=$(pgrep -P "$HELPER5")
kill -STOP "$QEMU5" "$HELPER5"
ASKED=()
for i in $(seq 8); do
	(curl -s --max-time 100 -o "many.$i" -H "Authorization: Bearer $TOKEN" "$URL/restore/$M/search?q=nothing-has-this-name-$i" ||
		echo '{"code":"cut"}' >"many.$i") & ASKED+=($!)
done
sleep 0.5; kill -9 "$QEMU5"; wait "${ASKED[@]}"
is 'eight searches, and qemu-nbd killed' "$(jq -r .code many.? | grep -v '^cut$' | sort -u)" WORKER_DIED
kill -CONT "$HELPER5"
# One that hangs. (A worker that ended several times in a row is not started again for some seconds.)
ok 'again' eventually downloads "$M" /hello.txt hello
QEMU3=$(pgrep -P "$(helper)")
kill -STOP "$QEMU3"
start=$SECONDS
curl -s --max-time 100 -o body -w '%{http_code}' -H "Authorization: Bearer $TOKEN" "$URL/restore/$M/download?path=/random.bin" >status.txt
ok 'qemu-nbd stopped: the request ends in time' [ $((SECONDS - start)) -lt 90 ]
ok 'and does not look whole' sh -c '! cmp -s body tree/random.bin'
ok 'the mount goes on with another' eventually downloads "$M" /hello.txt hello
kill -CONT "$QEMU3" 2>/dev/null
api "/restore/$M" -X DELETE >/dev/null
ok 'unmounted: no helper is left' eventually none helper
M=$(mount three); api "/restore/$M/files?path=/" >/dev/null
HELPER=$(helper); QEMU=$(pgrep -P "$HELPER")
kill -9 "$HUB"; wait "$HUB" 2>/dev/null; HUB=
ok 'the hub killed: the helper is gone' eventually gone "${HELPER:?}"
ok 'qemu-nbd, too' eventually gone "${QEMU:?}"
is 'nothing is left in the temporary folder of the hub' "$(ls tmp)" ''

# --- without QEMU
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	out=$(unshare -m sh -c "mount --bind /dev/null $(readlink -f "$(command -v qemu-nbd)") && sendense image ls sparse.vmdk / 2>&1")
	like 'QEMU is not installed: which package' "$out" 'install the package qemu-utils'
else
	skip 'QEMU is not installed: which package' 'mounting over it needs root'
fi

# --- images made by others
for i in log2timeline+dfvfs/test_data/ext2.vhd log2timeline+dfvfs/test_data/ext2.vmdk sleuthkit+sleuthkit/test/data/image.vhd \
	sleuthkit+sleuthkit/test/data/image.qcow; do
	f=$SENDENSE_CORPUS/$i
	[ -e "$f" ] || { skip "$i" 'no corpus'; continue; }
	qemu-img convert -O raw "$f" ref.raw && sendense image manifest ref.raw >want2 2>/dev/null
	sendense image manifest "$f" >got 2>err
	ok "$i: as qemu-img converts it" cmp want2 got
done
f=$SENDENSE_CORPUS/log2timeline+dfvfs/test_data/image-differential.vhd
if [ -e "$f" ]; then like 'a differencing VHD' "$(sendense image info "$f" 2>&1)" 'parent.*IMAGE_UNSUPPORTED'; else skip 'a differencing VHD' 'no corpus'; fi
done_testing
