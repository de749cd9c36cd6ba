#!/bin/bash
# Snapshots of a btrfs in use, with fsynced files, against what the kernel shows of a copy after its own recovery.
# ROUNDS=N and SEED=N make more and others.
# Mounts of our own: whoever copies the namespace while one is there would hold it, and what is behind it unwritten.
[ -n "$OWN_MOUNTS" ] || ! unshare -m true 2>/dev/null || OWN_MOUNTS=1 exec unshare -m "$0" "$@"
. "$SENDENSE_SRC/tests/tap.sh"
here=$SENDENSE_SRC/tests/fs dump=$SENDENSE_BUILD/tests/fs/fsdump check=$SENDENSE_BUILD/tests/fs/fscheck
for tool in mkfs.btrfs btrfs python3 fallocate; do
	command -v $tool >/dev/null || PATH=$PATH:/sbin:/usr/sbin
	command -v $tool >/dev/null || { skip "btrfs log" "no $tool"; done_testing; exit; }
done
tmp=$(memory_dir)
mounted=
cleanup() { [ -z "$mounted" ] || umount "$tmp/mnt"; rm -rf "$tmp"; }
trap cleanup EXIT
cd "$tmp" || exit 1
mkdir mnt
attach() { mount -o "loop,$2" "$1" mnt 2>mount.log && mounted=1; }
detach() { umount mnt && mounted=; }

# Recovery itself removes names, and so sets times of directories to now: these are left out.
manifest() { python3 "$here/referee-manifest" "$@" | sed -E '/ type=dir /s/ (time|ctime|atime)=[^ ]*//g; s/ (atime|ctime)=[^ ]*//g'; }

options=('|' '-n 4096|' '-O ^no-holes -d single -m single|,compress=zstd' '-M --csum sha256|,compress=lzo' '--csum xxhash|,nodatasum')
logs=0 mattered=0
for ((i = 0; i < ${ROUNDS:-10}; i++)); do
	seed=$((${SEED:-1} + i)) o=${options[i % ${#options[@]}]}
	rm -f l.img k.img; truncate -s 200M l.img
	# shellcheck disable=SC2086
	mkfs.btrfs -q ${o%%|*} l.img >mkfs.log 2>&1 && attach l.img "rw,commit=300${o#*|}" ||
		{ skip "round $seed" "$(cat mkfs.log mount.log | tail -1)"; continue; }
	python3 "$here/churn" mnt $seed 120 $((3 + seed * 7 % 37)) >churn.log 2>&1 || flunk "churn $seed" "$(tail -3 churn.log)"
	copy_of_a_moment l.img k.img || { detach; continue; }
	detach
	cp --sparse=always k.img l.img
	btrfs inspect-internal dump-super l.img | grep -qE '^log_root[[:space:]]+0$' || logs=$((logs + 1))
	stale=; attach l.img ro,rescue=nologreplay && { manifest --all mnt >stale; stale=1; detach; }
	attach k.img rw || { skip "round $seed" "the kernel does not mount it"; continue; }
	manifest --all mnt >want
	detach
	[ -z "$stale" ] || cmp -s stale want || mattered=$((mattered + 1))
	"$dump" --ident --all l.img >raw
	grep -v '^# ident' raw | manifest --filter --all >got
	is "round $seed (mkfs ${o%%|*} mount ${o#*|})" "$(diff want got | cut -c1-300)" ""
	[ "$i" -gt 2 ] || ok "conformance $seed" "$check" l.img
done
[ "$logs" -gt 0 ] && pass "$logs rounds left a log, in $mattered it matters" || skip "logs" "no round left a log"
done_testing
