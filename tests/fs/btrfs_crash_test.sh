#!/bin/bash
# btrfs cut off at any moment, between its commits and in its log trees: we must show what the kernel shows after its own recovery. See
# crash.sh.
# Mounts of our own: whoever copies the namespace while one is there would hold it, and what is behind it unwritten.
[ -n "${OWN_MOUNTS:-}" ] || ! unshare -m true 2>/dev/null || OWN_MOUNTS=1 exec unshare -m "$0" "$@"
. "$SENDENSE_SRC/tests/tap.sh"
. "$SENDENSE_SRC/tests/fs/crash.sh"
why=$(crash_cannot mkfs.btrfs mke2fs)
[ -z "$why" ] || { skip "btrfs after crashes" "$why"; done_testing; exit; }

while IFS='|' read -r opts mopts; do
	rm -f s.img; truncate -s 200M s.img
	# shellcheck disable=SC2086
	mkfs.btrfs -q $opts s.img >mkfs.log 2>&1 || { skip "mkfs.btrfs $opts" "$(tail -1 mkfs.log)"; continue; }
	# Recovery itself removes names, and so sets times of directories to now.
	crash_test "mkfs.btrfs $opts mount $mopts" s.img "commit=1000$mopts" 16 '--drop dir:time --drop ctime --drop atime' \
		python3 "$here/churn" mnt "$crash_seed" 60 90
done <<'OPTS'
|
-n 4096|
-O ^no-holes -d single -m single|,compress=zstd
-M --csum sha256|,compress=lzo
--csum xxhash|,nodatasum
OPTS

# The machine stopped between the superblock and its copy, and the copy got there first.
rm -f a.img b.img; truncate -s 200M a.img
if mkfs.btrfs -q a.img >mkfs.log 2>&1 && cp --sparse=always a.img b.img && mount -o loop b.img mnt; then
	touch mnt/later
	umount mnt
	dd if=b.img of=a.img bs=4K skip=16K seek=16K count=1 conv=notrunc 2>/dev/null
	rm b.img
	ok "a copy of the superblock is newer" sh -c '! cmp -s -n 4096 -i 65536:67108864 a.img a.img'
	"$dump" --ident a.img >ours
	mount -o loop a.img mnt
	is "and the first one counts, as in the kernel" "$(grep -v '^# ident' ours | cut -d' ' -f1)" "$(cd mnt && find .)"
	umount mnt
else
	skip "a newer copy of the superblock" "no btrfs here"
fi
done_testing
