#!/bin/bash
# LUKS inside QCOW2: images and chains by qemu-img, opened by passphrase through qemu-nbd over the command line and over HTTP; wrong
# keys, keys that lead to nothing, hostile headers, what is left of a key, and the end of the processes.
. "$SENDENSE_SRC/tests/e2e/lib.sh"
for tool in qemu-img qemu-io qemu-nbd mke2fs python3 jq curl cmp; do
	command -v $tool >/dev/null || { echo "1..0 # SKIP $tool is not installed"; exit 0; }
done
cd "${T:?}" || exit 1
export TMPDIR=$T/tmp
SECRET="stapled battery $(nonce)"
mkdir tmp tree tree/etc tree/usr repo repo/vm repo/vm/disk-0 repo/vm/disk-1
printf '%s' "$SECRET" >pw.raw
printf '%s\n' "$SECRET" >pw
echo 'wrong 5520' >bad
printf 'no\377text' >bad.bin
echo hello >tree/hello.txt
head -c 3000000 /dev/urandom >tree/random.bin
mke2fs -q -F -t ext4 -d tree plain.raw 16M >/dev/null 2>&1
sendense image manifest plain.raw >want 2>/dev/null

# qemu-img measures the processor time of its key stretching, which comes out as zero now and then: it is asked again.
create() {
	for _ in $(seq 100); do
		qemu-img create -q -f qcow2 --object secret,id=s,file=pw.raw "$@" >create.err 2>&1 && return 0
		grep -q 'accurate CPU usage' create.err || break
	done
	cat create.err >&2
	return 1
}
LUKS=encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=30
fill() {
	qemu-img convert -n --object secret,id=s,file=pw.raw --image-opts --target-image-opts driver=raw,file.filename=plain.raw \
		"driver=qcow2,file.filename=$1,encrypt.key-secret=s"
}
ok 'an encrypted image is made' create -o $LUKS base.qcow2 16M
fill base.qcow2 || flunk 'it is filled'
qemu-img convert -f raw -O qcow2 plain.raw plain.qcow2
# An encrypted layer on top, below, or both.
create -o $LUKS -u -b plain.qcow2 -F qcow2 over-plain.qcow2 16M
create -o $LUKS,encrypt.cipher-alg=aes-128,cluster_size=4096 -u -b base.qcow2 -F qcow2 over-luks.qcow2 16M
create -o $LUKS -u -b plain.raw -F raw over-raw.qcow2 16M
qemu-img create -q -f qcow2 -u -b base.qcow2 -F qcow2 plain-over.qcow2 16M
qemu-img create -q -f qcow2 -u -b over-luks.qcow2 -F qcow2 three.qcow2 16M
for i in base over-plain over-luks over-raw plain-over three; do
	before=$(md5sum "$i.qcow2")
	sendense image manifest --passphrase-file pw $i.qcow2 >got 2>err
	ok "$i: every file as in the raw image" cmp want got
	is "$i: not changed" "$(md5sum "$i.qcow2")" "$before"
done
# Other bytes in the overlay than below it, and zeroes written over data.
qemu-io --object secret,id=s,file=pw.raw --image-opts -c 'write -P 0x5a 1M 300k' -c 'write -z 2M 64k' \
	driver=qcow2,file.filename=over-luks.qcow2,encrypt.key-secret=s,backing.driver=qcow2,backing.file.filename=base.qcow2,backing.encrypt.key-secret=s >/dev/null
qemu-img convert --object secret,id=s,file=pw.raw --image-opts -O raw \
	driver=qcow2,file.filename=over-luks.qcow2,encrypt.key-secret=s,backing.driver=qcow2,backing.file.filename=base.qcow2,backing.encrypt.key-secret=s ref.raw
ok 'the overlay differs from what is below' sh -c '! cmp -s plain.raw ref.raw'
sendense image dump --volume 2 --passphrase-file pw over-luks.qcow2 >dump.raw 2>err
truncate -s "$(stat -c %s ref.raw)" dump.raw
ok 'every byte of the chain as QEMU reads it' cmp ref.raw dump.raw

# What is missing of the file QEMU takes for zeroes and decrypts to noise.
for i in base plain-over; do
	cp base.qcow2 whole.part
	truncate -s -400000 base.qcow2
	sendense image manifest --passphrase-file pw $i.qcow2 >got 2>err
	like "$i is cut off: what is lost" "$(grep '^# ' got)" './random.bin: IMAGE_CORRUPT: .* lies beyond the end of the file'
	is "$i is cut off: all else is there" "$(grep -v '^# ' got)" "$(grep -v random.bin want)"
	mv whole.part base.qcow2
done
is 'locked without a key' "$(sendense image info --json three.qcow2 | jq -c '[.virtual_size,[.layers[].encrypted],[.volumes[]|[.filesystem_type,.kind,.locked,.size]]]')" \
	'[16777216,[false,true,true],[["crypto_LUKS","disk",true,16777216]]]'
like 'it says what opens it' "$(sendense image info base.qcow2)" 'encrypted \(LUKS inside QCOW2\): its passphrase opens it'
like 'its bytes' "$(sendense image dump base.qcow2 2>&1)" VOLUME_LOCKED
is 'the key from standard input' "$(sendense image cat --passphrase-file - base.qcow2 /hello.txt <pw)" hello
is 'the key as a key file' "$(sendense image cat --key-file pw.raw base.qcow2 /hello.txt)" hello
is 'a wrong key, then the right one' "$(sendense image cat --passphrase-file bad --key-file pw.raw base.qcow2 /hello.txt)" hello
for key in '--passphrase-file bad' '--key-file bad.bin' '--key-file pw' '--recovery-key-file bad'; do
	like "the wrong key: $key" "$(sendense image ls $key base.qcow2 / 2>&1)" 'volume 1 stays locked: .*KEY_WRONG'
done
printf 'another passphrase' >pw2.raw
cp pw.raw pw.keep; cp pw2.raw pw.raw; create -o $LUKS -u -b base.qcow2 -F qcow2 other-key.qcow2 16M; cp pw.keep pw.raw
like 'layers with different passphrases' "$(sendense image ls --passphrase-file pw other-key.qcow2 / 2>&1)" 'each of its encrypted layers.*KEY_WRONG'
is 'two disks of one machine, one of them encrypted' \
	"$(sendense image cat --passphrase-file pw --disk plain.raw --disk base.qcow2 --volume 3 /hello.txt 2>&1)" hello

# --- a machine on it: partitions, and a LUKS volume inside the encrypted image
if command -v sfdisk >/dev/null; then
	truncate -s 20M parts.raw
	echo '2048,16384,L' | sfdisk -q parts.raw >/dev/null 2>&1
	mke2fs -q -F -t ext4 -d tree small.raw 8M >/dev/null 2>&1
	dd if=small.raw of=parts.raw bs=512 seek=2048 conv=notrunc status=none
	create -o $LUKS parts.qcow2 20M
	qemu-img convert -n --object secret,id=s,file=pw.raw --image-opts --target-image-opts driver=raw,file.filename=parts.raw \
		driver=qcow2,file.filename=parts.qcow2,encrypt.key-secret=s
	is 'what is inside is looked at like a disk' "$(sendense image info --json --passphrase-file pw parts.qcow2 | jq -c '[.volumes[]|[.volume,.parent,.kind,.locked]]')" \
		'[[1,0,"disk",false],[2,1,"crypt",false],[3,2,"partition",false]]'
	is 'a file of a partition' "$(sendense image cat --passphrase-file pw parts.qcow2 /hello.txt)" hello
fi

# --- headers that are not what they should be
patch() { cp base.qcow2 "$1"; printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }
patch aes.qcow2 32 '\0\0\0\1'
like 'the legacy AES method' "$(sendense image info aes.qcow2 2>&1)" 'legacy AES.*IMAGE_ENCRYPTED'
patch three.method.qcow2 32 '\0\0\0\3'
like 'an unknown method' "$(sendense image info three.method.qcow2 2>&1)" 'unknown method.*IMAGE_ENCRYPTED'
# The extension that names the header: offset and length at 8 and 16 behind its type, the first one behind the QCOW2 header.
AT=$(python3 -c "d=open('base.qcow2','rb').read(4096); print(d.index(bytes.fromhex('0537be77')))")
patch gone.qcow2 "$AT" '\xff'
like 'no LUKS header is named' "$(sendense image info gone.qcow2 2>&1)" IMAGE_CORRUPT
patch far.qcow2 $((AT + 8)) '\0\0\1'
like 'the LUKS header lies outside' "$(sendense image info far.qcow2 2>&1)" IMAGE_UNREADABLE
patch noise.qcow2 $((0x40000)) 'XXXX'
like 'the LUKS header is damaged' "$(sendense image ls --passphrase-file pw noise.qcow2 / 2>&1)" 'qemu-nbd cannot open the qcow2 image.*IMAGE_UNREADABLE'
is 'no message names a descriptor' "$(sendense image ls --passphrase-file pw noise.qcow2 / 2>&1 | grep -c /proc/)" 0
head -c 200000 base.qcow2 >cut.qcow2
like 'an image that is cut off' "$(sendense image info cut.qcow2 2>&1)" 'IMAGE_UNREADABLE|IMAGE_CORRUPT'
echo 'root:secret' >secret; truncate -s 16M secret; mkdir elsewhere
create -o $LUKS -u -b "$T/secret" -F raw elsewhere/out.qcow2 16M
like 'a backing file elsewhere is not followed' "$(sendense image ls --passphrase-file pw elsewhere/out.qcow2 / 2>&1)" IMAGE_BACKING_REFUSED

# --- in the hub
cp base.qcow2 repo/vm/disk-0/full.qcow2
create -o $LUKS -u -b full.qcow2 -F qcow2 repo/vm/disk-0/incr.qcow2 16M
cp plain.raw repo/vm/disk-1/incr.raw
(while :; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; sleep 0.02; done >seen) &
SAMPLER=$!
hub_start
R=$(add_repository r "$T/repo")
api "/repositories/$R/scan" -X POST >scan.json
is 'the scan knows the encrypted images' "$(jq -c '(.orphans|length)' scan.json)" 0
M=$(mount incr)
is 'mounted, locked' "$(api "/restore/$M" | jq -c '[.volumes[]|[.volume,.kind,.filesystem_type,.locked,.supported]]')" '[[1,"disk","crypto_LUKS",true,false]]'
helper() { pgrep -P "$HUB" -f sendense-imagehelper; }
is 'nothing of QEMU runs for it' "$(helper)" ''
expect 'a file of what is locked' 422 VOLUME_LOCKED "/restore/$M/files?volume=1&path=/"
expect 'a volume inside what is locked' 422 VOLUME_LOCKED "/restore/$M/files?volume=2&path=/"
expect 'a wrong passphrase' 422 KEY_WRONG "/restore/$M/unlock" -d '{"volume":1,"passphrase":"wrong 5520"}'
expect 'a recovery key' 422 KEY_WRONG "/restore/$M/unlock" -d '{"volume":1,"recovery_key":"1"}'
expect 'no such volume' 404 VOLUME_NOT_FOUND "/restore/$M/unlock" -d '{"volume":9,"passphrase":"x"}'
is 'a wrong passphrase leaves no process' "$(helper)" ''
is 'and the mount as it was' "$(api "/restore/$M" | jq -c '[.volumes[]|.locked]')" '[true]'
printf '{"volume":1,"passphrase":"%s"}' "$SECRET" >body.json
is 'unlocked' "$(api "/restore/$M/unlock" -d @body.json | jq -c '[.volumes[]|[.volume,.kind,.locked,.default]]')" '[[1,"disk",false,false],[2,"crypt",false,true]]'
is 'a file' "$(api "/restore/$M/download?path=/hello.txt")" hello
ok 'a large file' cmp <(api "/restore/$M/download?path=/random.bin") tree/random.bin
HELPER=$(helper); QEMU=$(pgrep -P "$HELPER")
is 'one helper and one qemu-nbd' "$(echo "$HELPER $QEMU" | wc -w)" 2
is 'unlocked twice: the same volumes' "$(api "/restore/$M/unlock" -d @body.json | jq -c '[.volumes[]|.volume]')" '[1,2]'
expect 'unlocked already, a wrong passphrase' 422 KEY_WRONG "/restore/$M/unlock" -d '{"volume":1,"passphrase":"wrong 5520"}'
is 'unlocked twice: the qemu-nbd it had' "$(helper) $(pgrep -P "$(helper)")" "$HELPER $QEMU"
is 'and reads on' "$(api "/restore/$M/download?path=/hello.txt")" hello
walls() { grep -E "^$1:" "/proc/$QEMU/status" | tr -s '\t ' ' ' | cut -d' ' -f2; }
case $SENDENSE_BUILD in *asan | *tsan) ;; *)
	is 'qemu-nbd: filtered system calls' "$(walls Seccomp)" 2
	is 'qemu-nbd: no new privileges' "$(walls NoNewPrivs)" 1 ;;
esac
is 'qemu-nbd: its arguments name no file of the repository' "$(tr '\0' '\n' <"/proc/$QEMU/cmdline" | grep -c "$T")" 0
ok 'qemu-nbd: nothing is left in the pipe of the passphrase' python3 - "$QEMU" <<'P'
import os, stat, sys
found = 0
for fd in os.listdir(f'/proc/{sys.argv[1]}/fd'):
    path = f'/proc/{sys.argv[1]}/fd/{fd}'
    if not stat.S_ISFIFO(os.stat(path).st_mode) or int(fd) < 5:
        continue
    p = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    found += 1
    try:
        left = os.read(p, 100)
    except BlockingIOError:
        left = b''
    assert left == b'', left
assert found == 1, found
P
kill -9 "$QEMU"
eventually gone "$HELPER"
expect 'qemu-nbd killed: locked again' 422 VOLUME_LOCKED "/restore/$M/files?volume=2&path=/"
ok 'it says to unlock it again' grep -q 'unlock it, again' "$T/body"
is 'sendense unlock' "$(sendense unlock --data-dir "$T/hub" --volume 1 --passphrase-file pw "$M" 2>&1 | grep -c 'is unlocked')" 1
is 'and its file' "$(api "/restore/$M/download?path=/hello.txt")" hello
W=$(ps -o pid=,comm= --ppid "$HUB" | awk '$2 ~ /sendense-worker/ {print $1; exit}')
kill -9 "$W"
eventually none helper
is 'its worker killed: no helper is left' "$(helper)" ''
unlocks() { api "/restore/$M/unlock" -d @body.json >/dev/null && [ "$(status)" = 200 ]; }
eventually unlocks
is 'and it opens again' "$(api "/restore/$M/download?path=/hello.txt")" hello
# Two at a time.
PIDS=
for i in 1 2 3; do
	curl -s --max-time 100 -o /dev/null -w '%{http_code}\n' -H "Authorization: Bearer $TOKEN" -d @body.json "$URL/restore/$M/unlock" >code.$i &
	PIDS="$PIDS $!"
done
wait $PIDS
is 'unlocked by three at once' "$(cat code.1 code.2 code.3 | sort -u)" 200
is 'by one qemu-nbd' "$(helper | wc -l)" 1
api "/restore/$M" -X DELETE >/dev/null
eventually none helper
is 'unmounted: no helper is left' "$(helper)" ''

# The whole machine: its other disk is not encrypted.
M=$(api /restore/mount -d '{"backup_id":"incr","disks":"all"}' | jq -r .mount_id)
is 'all disks of a machine, one of them locked' "$(api "/restore/$M" | jq -c '[.volumes[]|[.disk_index,.locked]]')" '[[0,true],[1,false]]'
is 'unlocked beside the other' "$(api "/restore/$M/unlock" -d @body.json | jq -c '[.volumes[]|[.volume,.disk_index,.locked]]')" '[[1,0,false],[2,1,false],[3,0,false]]'
is 'a file of it' "$(api "/restore/$M/download?volume=3&path=/hello.txt")" hello
HELPER=$(helper); QEMU=$(pgrep -P "$HELPER")
kill -9 "$HUB"; wait "$HUB" 2>/dev/null; HUB=
ok 'the hub killed: the helper is gone' eventually gone "${HELPER:?}"
ok 'qemu-nbd, too' eventually gone "${QEMU:?}"

kill $SAMPLER; wait $SAMPLER 2>/dev/null
ok 'command lines were looked at' grep -qa 'qemu-nbd' seen
ok 'no secret in any of them' bash -c '! grep -qaFf pw seen'
ok 'no secret in the log' bash -c '! grep -qFf pw -e "wrong 5520" hub.log'
ok 'no secret in the catalog' bash -c '! grep -rqFf pw hub/'
is 'nothing is left in the temporary folder' "$(ls tmp)" ''

# --- without QEMU
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	out=$(unshare -m sh -c "mount --bind /dev/null $(readlink -f "$(command -v qemu-nbd)") && sendense image ls --passphrase-file pw base.qcow2 / 2>&1")
	like 'QEMU is not installed: which package' "$out" 'install the package qemu-utils'
else
	skip 'QEMU is not installed: which package' 'mounting over it needs root'
fi
done_testing
