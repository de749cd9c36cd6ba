#!/bin/bash
# btrfs on several devices against the kernel's own mount: profiles, missing devices, damaged and stale mirrors, seeds.
# btrfs_multi_test.sh ROUNDS [SEED]: random ones instead. Needs root and loop devices.
[ -n "$OWN_MOUNTS" ] || ! unshare -m true 2>/dev/null || OWN_MOUNTS=1 exec unshare -m "$0" "$@"
. "$SENDENSE_SRC/tests/tap.sh"
here=$SENDENSE_SRC/tests/fs dump=$SENDENSE_BUILD/tests/fs/fsdump check=$SENDENSE_BUILD/tests/fs/fscheck
PATH=$PATH:/sbin:/usr/sbin
for tool in mkfs.btrfs btrfs btrfstune python3 fallocate losetup; do
	command -v $tool >/dev/null || { skip "btrfs on several devices" "no $tool"; done_testing; exit; }
done
tmp=$(mktemp -d)
mounted= loops=()
release() {
	[ -z "$mounted" ] || umount mnt || return 1
	mounted=
	local l
	for l in "${loops[@]}"; do
		btrfs device scan --forget "$l" >/dev/null 2>&1
		losetup -d "$l"
	done
	loops=()
}
trap 'cd "$tmp" && release; rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
mkdir mnt

# attach FILE…: loops; bring OPTIONS: mounts them.
attach() {
	local f l
	for f; do l=$(losetup -f --show "$f") || return 1; loops+=("$l"); done
}
bring() {
	local o=$1 l
	for l in "${loops[@]}"; do o+=,device=$l; done
	mount -t btrfs -o "noatime,$o" "${loops[-1]}" mnt 2>mount.log && mounted=1
}
# make COUNT MKFS-OPTIONS…: m1 … of different sizes, attached.
make() {
	local i n=$1; shift
	rm -f m[0-9]
	for i in $(seq "$n"); do truncate -s $((280 + 24 * i))M "m$i"; done
	attach $(seq -f m%g "$n") && mkfs.btrfs -qf "$@" "${loops[@]}" >mkfs.log 2>&1
}
# Nothing tells whether bytes without checksums are damaged: away with them.
unverified() { rm mnt/extents/nocow; }
fill() { python3 "$here/mkexttree" mnt "$seed" && python3 "$here/mkbtrfstree" mnt "$seed" "${1:-60}"; }
manifest() { python3 "$here/referee-manifest" --all --exclude snap/inner --exclude snaps/two/inner mnt >want; }
# ours FILE…: what we show of the last one with the others, against the manifest.
ours() {
	local with=() f
	for f in "${@:1:$#-1}"; do with+=(--with "$f"); done
	"$dump" --all "${with[@]}" "${!#}" >dump.out
	python3 "$here/referee-manifest" --filter --exclude snap/inner --exclude snaps/two/inner <dump.out >got
	diff want got | cut -c1-250 | head -4
}
warnings() {
	local with=() f
	for f in "${@:1:$#-1}"; do with+=(--with "$f"); done
	"$dump" --ident "${with[@]}" "${!#}" | grep '^# warning'
}
# Each file's SHA-256 or that it cannot be read: of the kernel's mount; of fsdump's output.
readable() {
	python3 - mnt <<'PY'
import hashlib, os, sys
root = os.fsencode(sys.argv[1])
def name(p):
    return ''.join(chr(b) if 0x21 <= b <= 0x7e and b not in b'\\#' else '\\%03o' % b for b in b'.' + p[len(root):])
for at, dirs, files in os.walk(root):
    for f in files:
        p = os.path.join(at, f)
        if os.path.islink(p) or not os.path.isfile(p):
            continue
        try:
            h = hashlib.sha256()
            with open(p, 'rb') as s:
                while b := s.read(65536):
                    h.update(b)
            print(name(p), h.hexdigest())
        except OSError:
            print(name(p), 'unreadable')
PY
}
readable_ours() { sed -nE 's/^# (\.\/[^ ]*): (VOLUME_INCOMPLETE|FILE_CORRUPT|IO).*/\1 unreadable/p; s/^(\.[^ ]*) .* sha256=([0-9a-f]+).*/\1 \2/p' dump.out; }
# without N: the kernel degraded, and we, of all but mN.
without() {
	local rest
	rest=$(ls m[0-9] | grep -vx "m$1")
	# shellcheck disable=SC2086
	{ attach $rest && bring ro,degraded; } || { release; echo "kernel: $(tail -1 mount.log)"; return; }
	readable | sort >want.read
	release
	# shellcheck disable=SC2086
	ours $rest >/dev/null
	readable_ours | sort >got.read
	diff want.read got.read | head -4
}
# Garbage over all of a device but its superblocks.
damage() {
	python3 - "$1" <<'PY'
import os, random, sys
size, piece = os.path.getsize(sys.argv[1]), random.Random(5).randbytes(1 << 20)
with open(sys.argv[1], 'r+b') as f:
    for at in range(1 << 20, size, 1 << 20):
        if at != 64 << 20:
            f.seek(at)
            f.write(piece[:size - at])
PY
}
# super FILE BACK: the superblocks of a device say a generation that is BACK lower.
super() {
	python3 - "$1" "$2" <<'PY'
import sys
table = []
for i in range(256):
    for _ in range(8):
        i = i >> 1 ^ (0x82f63b78 if i & 1 else 0)
    table.append(i)
with open(sys.argv[1], 'r+b') as f:
    for at in (64 << 10, 64 << 20):
        f.seek(at)
        s = bytearray(f.read(4096))
        gen = int.from_bytes(s[0x48:0x50], 'little') - int(sys.argv[2])
        s[0x48:0x50] = gen.to_bytes(8, 'little')
        crc = 0xffffffff
        for b in s[32:]:
            crc = crc >> 8 ^ table[(crc ^ b) & 255]
        s[:4] = (crc ^ 0xffffffff).to_bytes(4, 'little')
        f.seek(at)
        f.write(s)
PY
}

seed=${SENDENSE_BTRFS_SEED:-1}
make 2 && bring rw || { skip "btrfs on several devices" "$(tail -1 mkfs.log)$(tail -1 mount.log)"; release; done_testing; exit; }
release

# --- random -------------------------------------------------------------------------------------------
pick() { local a=("$@"); echo "${a[RANDOM % $#]}"; }
profiles() {
	local p="single raid0 raid1"
	[ "$1" -ge 3 ] && p+=" raid1c3 raid5"
	[ "$1" -ge 4 ] && p+=" raid1c4 raid10 raid6"
	echo "$p"
}
round() {
	RANDOM=$1 seed=$1
	local n all d m what opts
	n=$((2 + RANDOM % 4)); all=$(profiles $n); d=$(pick $all); m=$(pick $all)
	opts=",compress-force=$(pick none zlib zstd lzo),max_inline=$(pick 0 2048)"
	what="$n devices, -d $d -m $m --csum $(pick crc32c xxhash sha256 blake2) -n $(pick 4096 16384 65536)"
	# shellcheck disable=SC2086
	{ make $n ${what#*, } && bring "rw$opts"; } || { release; skip "$what" "$(tail -1 mkfs.log)$(tail -1 mount.log)"; return; }
	what+=$opts
	fill $((RANDOM % 3000)) >/dev/null 2>&1
	case $((RANDOM % 4)) in
	1)
		local d2 m2; d2=$(pick $all) m2=$(pick $all)
		btrfs balance start -f "-dconvert=$d2,limit=$((1 + RANDOM % 3))" "-mconvert=$m2" -sconvert=$m2 mnt >/dev/null 2>&1 && what+=", then $d2 and $m2"
		case " $m $m2 " in *single*|*raid0*) m=raid0 ;; esac ;;
	2)
		truncate -s 600M m9; local l; l=$(losetup -f --show m9); loops+=("$l")
		btrfs replace start -B -f 1 "$l" mnt >/dev/null 2>&1 && what+=", 1 replaced" && rm m1 ;;
	3) btrfs balance start mnt >/dev/null 2>&1; what+=", balanced" ;;
	esac
	manifest; release
	# shellcheck disable=SC2046
	is "$what" "$(ours $(ls m[0-9] | shuf --random-source=<(yes "$seed")))" ""
	local gone; gone=$(pick $(ls m[0-9] | tr -d m))
	case $m in
	single|raid0) ;;
	*)
		is "$what: without $gone" "$(without "$gone")" ""
		[ "$d" = single ] || [ "$d" = raid0 ] || [[ $what == *then* ]] && return
		attach m[0-9]; bring rw && unverified && manifest; release
		damage "m$gone"
		# shellcheck disable=SC2046
		is "$what: $gone damaged" "$(ours $(ls m[0-9]))" "" ;;
	esac
}
if [ $# -gt 0 ]; then
	for i in $(seq "$1"); do round $((${2:-$RANDOM} + i - 1)); done
	done_testing
	exit
fi

# --- profiles -----------------------------------------------------------------------------------------
while IFS='|' read -r n profile opts; do
	# shellcheck disable=SC2086
	make "$n" $profile && bring "rw$opts" || { skip "$profile" "$(tail -1 mkfs.log)$(tail -1 mount.log)"; release; continue; }
	fill >/dev/null; manifest; release
	# shellcheck disable=SC2046
	is "$n devices, $profile" "$(ours $(seq -f m%g "$n"))" ""
	# shellcheck disable=SC2046
	is "$n devices, $profile, from another one" "$(ours $(seq -f m%g "$n" -1 1))" ""
	is "$n devices, $profile, one missing" "$(without $((1 + n / 2)))" ""
	case $profile in *"-d raid0"*) continue ;; esac
	ok "conformance: $profile, one missing" "$check" --with "m$n" $(for i in $(seq 3 $((n - 1))); do echo --with "m$i"; done) m1
	# shellcheck disable=SC2046
	{ attach $(seq -f m%g "$n") && bring rw && unverified; } && { manifest; release; }
	damage m1
	# shellcheck disable=SC2046
	{ attach $(seq -f m%g "$n") && bring ro; } && { manifest; release; }
	# shellcheck disable=SC2046
	is "$n devices, $profile, one damaged" "$(ours $(seq -f m%g "$n"))" ""
done <<'PROFILES'
2|-d raid0 -m raid1|,compress=zstd
3|-d raid5 -m raid1c3|
4|-d raid10 -m raid10|,max_inline=0
4|-d raid6 -m raid1c4|,compress=lzo
5|-d raid1c3 -m raid6 -n 4096|,compress=zlib
PROFILES

# raid6 with two devices missing, and with one missing and bytes damaged on another one.
make 4 -d raid6 -m raid6 && bring rw && fill >/dev/null && unverified && manifest; release
for two in "1 2" "2 4" "3 1"; do
	is "raid6: only $two" "$(ours $(printf 'm%s ' $two))" ""
done
damage m3
is "raid6: one missing, one damaged" "$(ours m2 m3 m4)" ""
is "raid6: another one missing, one damaged" "$(ours m4 m1 m3)" ""
is "raid6: two missing, one damaged: nothing wrong is shown" "$(ours m3 m4 | grep -c '^>')" 0

# Chunks of many profiles side by side; a device replaced, one removed.
make 5 -d single -m raid1 && bring rw,compress=zstd && fill >/dev/null
btrfs balance start -f -dconvert=raid10,limit=1 -mconvert=raid1c4 mnt >/dev/null 2>balance.log
cp -r mnt/packed mnt/again; sync
btrfs balance start -f -dconvert=raid5,limit=1 mnt >/dev/null 2>>balance.log
truncate -s 450M m6; attach m6; btrfs replace start -B -f 2 "${loops[-1]}" mnt >/dev/null 2>>balance.log
btrfs device remove "${loops[0]}" mnt 2>>balance.log
manifest; release
is "converted, replaced, removed" "$(grep ERROR balance.log)$(ours m3 m4 m5 m6)" ""
is "what was replaced or removed is no part of it" "$(ours m1 m2 m3 m4 m5 m6)" ""

# --- devices of different age ----------------------------------------------------------------------------
make 2 -d raid1 -m raid1 && bring rw && fill >/dev/null
touch mnt/inplace; chattr +C mnt/inplace; head -c 300000 /dev/zero | tr '\0' a >mnt/inplace
release; cp --sparse=always m2 old; attach m1 m2; bring rw
for i in 1 2 3; do
	head -c 300000 /dev/zero | tr '\0' "$i" | dd of=mnt/inplace conv=notrunc status=none; echo $i >mnt/new$i; rm -f mnt/packed/text1$i; sync
done
manifest; release
is "a stale mirror" "$(ours m1 old)" ""
like "a stale mirror is said" "$(warnings old m1)" 'device 2 of this btrfs is older than the others .generation [0-9]+, not [0-9]+.: it is read only where a checksum'
is "two states of a device" "$(ours old m1 m2)" ""
like "two states of a device are said" "$(warnings old m2 m1)" 'device 2 of this btrfs is there twice, in generations [0-9]+ and [0-9]+: the newer one counts'
cp --sparse=always m1 m3; damage m3
is "a stale mirror where nothing else is" "$(ours m3 old | grep -E '^> ' | grep -c inplace)" 0
make 2 -d raid0 -m raid1 && bring rw && fill >/dev/null; touch mnt/inplace; chattr +C mnt/inplace; head -c 3000000 /dev/urandom >mnt/inplace; unverified
manifest; release
super m2 1
is "a crash between two superblocks" "$(ours m1 m2)$(ours m2 m1)" ""
like "a crash between two superblocks is said" "$(warnings m1 m2)" 'device 2 of this btrfs is older .*it is read after them'
super m2 3
ours m1 m2 >/dev/null
is "bytes without checksum on a stale device" "$(grep -E '^#' dump.out | sed -E 's/UUID [-0-9a-f]{36}/UUID/')" \
	"# ./inplace: VOLUME_INCOMPLETE the bytes lie on device 2 (UUID) of this btrfs, which is older than the others, and nothing tells whether they are good"

# --- seeds -------------------------------------------------------------------------------------------------
make 1 && bring rw && fill >/dev/null && manifest && cp want want.seed; release
btrfstune -S 1 m1
truncate -s 400M m2; attach m1; bring ro; attach m2
btrfs device add "${loops[1]}" mnt >/dev/null 2>&1; mount -o remount,rw mnt
rm -r mnt/packed; head -c 500000 /dev/urandom >mnt/grown; manifest; release
is "a filesystem that grew out of a seed" "$(ours m1 m2)" ""
like "the seed is missing" "$("$dump" --ident m2)" '(1 of the 2 devices of this btrfs is missing .device 1|VOLUME_INCOMPLETE .*device 1) '
cp want.seed want
is "the seed itself" "$(ours m2 m1)" ""
done_testing
