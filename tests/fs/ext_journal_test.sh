#!/bin/bash
# Filesystems copied while they are mounted and full of transactions: what we read in the copy must be what the kernel
# reads in it after its own recovery. SENDENSE_EXT_SEED=N makes other histories.
# Mounts of our own: whoever copies the namespace while one is there would hold it, and what is behind it unwritten.
[ -n "${OWN_MOUNTS:-}" ] || ! unshare -m true 2>/dev/null || OWN_MOUNTS=1 exec unshare -m "$0" "$@"
. "$SENDENSE_SRC/tests/tap.sh"
here=$SENDENSE_SRC/tests/fs dump=$SENDENSE_BUILD/tests/fs/fsdump check=$SENDENSE_BUILD/tests/fs/fscheck
PATH=$PATH:/sbin:/usr/sbin
seed=${SENDENSE_EXT_SEED:-1}
tmp=$(memory_dir)
mounted=
cleanup() { [ -z "$mounted" ] || umount "$tmp/mnt"; rm -rf "$tmp"; }
trap cleanup EXIT
cd "$tmp" || exit 1
mkdir mnt
for tool in mke2fs debugfs e2fsck python3; do
	command -v $tool >/dev/null || { skip "ext journals" "no $tool"; done_testing; exit; }
done

# Transactions written by debugfs, which needs no rights: blocks of a file, some revoked; e2fsck replays a copy.
head -c 40960 /dev/zero | tr '\0' a >a; head -c 40960 /dev/zero | tr '\0' b >b
for csum in '' '-c' '-c -v 2'; do
	for opts in '-O ^64bit' '-O 64bit'; do
		rm -f d.img; truncate -s 16M d.img
		# shellcheck disable=SC2086
		mke2fs -qF -t ext4 -b 1024 $opts d.img
		debugfs -w -R 'write a a' d.img >/dev/null 2>&1
		blks=$(debugfs -R 'blocks /a' d.img 2>/dev/null)
		# shellcheck disable=SC2086
		set -- $blks
		[ $# -ge 40 ] || { flunk "journal of debugfs" "the file has $# blocks"; continue; }
		printf '\300\073\071\230' | cat - b >esc
		debugfs -w d.img >/dev/null 2>&1 <<-CMDS
			jo $csum
			jw -b $3,$4,$5,$6,$7 b
			jw -r $4,$7
			jw -b $9,${10},$7 esc
			jc
		CMDS
		cp d.img k.img
		e2fsck -fy k.img >/dev/null 2>&1
		debugfs -R 'dump /a want' k.img 2>/dev/null
		is "written by debugfs, checksums '$csum' $opts: as after e2fsck" \
			"$("$dump" d.img /a | sed -n 's/.*sha256=\([0-9a-f]*\).*/\1/p')" "$(sha256sum <want | cut -d' ' -f1)"
		ok "and it was something to replay" sh -c '! cmp -s a want'
		[ -n "$csum" ] || continue
		# The first sector of the last commit got to the disk, the rest of the block is as it was before.
		last=$(debugfs -R 'logdump -a' d.img 2>/dev/null | sed -n 's/.*commit block) at block \([0-9]*\).*/\1/p' | tail -1)
		at=$(debugfs -R "bmap <8> $last" d.img 2>/dev/null)
		tr '\0' x </dev/zero | dd of=d.img bs=512 seek=$((2 * at + 1)) count=1 conv=notrunc iflag=fullblock 2>/dev/null
		is "half a commit block, checksums '$csum' $opts" \
			"$("$dump" d.img /a | sed -n 's/.*sha256=\([0-9a-f]*\).*/\1/p')" "$(sha256sum <want | cut -d' ' -f1)"
		is "and no word of damage" "$("$dump" --ident d.img | grep '^# warning')" ""
	done
done

# A superblock that is gone, and a journal that has none: the one warning is that of the copy.
dd if=/dev/zero of=k.img bs=1024 count=1 status=none
rm -f d.img; truncate -s 32M d.img; mke2fs -qF -t ext4 -b 1024 d.img
printf 'jo\njw -b 9000 k.img\njc\n' | debugfs -w d.img >/dev/null 2>&1
dd if=k.img of=d.img bs=1024 seek=1 conv=notrunc status=none
is "superblock gone, the journal has none" "$("$dump" --ident d.img / | grep '^# warning')" \
	"# warning there is no superblock; its copy in block group 1 was used"

# Tables of blocks without end, in a fast commit: the replay gives up.
rm -rf f.img maps; mkdir maps; touch maps/{0..9}; truncate -s 16M f.img
mke2fs -qF -t ext4 -b 1024 -O ^64bit,^metadata_csum,^extent,^resize_inode,fast_commit -J size=4 -d maps f.img
"$here/ext-endless-maps" f.img
like "maps without end" "$("$dump" --ident f.img | grep '^# warning')" 'fast commits of the journal change more than can be held'

if [ "$(id -u)" -ne 0 ] || ! { truncate -s 8M p.img && mke2fs -qF p.img && mount -o loop p.img mnt 2>/dev/null; }; then
	skip "journals the kernel writes" "no loop mounts here"
	done_testing
	exit
fi
umount mnt

# history OPTIONS-OF-MKE2FS MOUNT-OPTIONS FLAGS: makes c.img and, by the kernel's recovery of a copy, the list `want`.
history() {
	rm -f s.img; truncate -s 48M s.img
	# shellcheck disable=SC2086
	mke2fs -qF $1 s.img 2>/dev/null && mount -o "loop,commit=1000$2" s.img mnt 2>/dev/null || return 1
	mounted=1
	local kind=
	case $1 in *fast_commit*) kind=fast-commits ;; esac
	python3 "$here/churn" mnt "$seed" 200 40 $kind >churn.log 2>&1 || flunk "churn $seed" "$(tail -3 churn.log)"
	# The last changes are in the journal only: nothing is written between the last fsync and the end of this copy.
	copy_of_a_moment s.img c.img
	local copied=$?
	umount mnt; mounted=
	[ $copied -eq 0 ] || return 1
	rm -f k.img; cp c.img k.img # a file of its own: a loop device may linger on the former one
	mount -o loop k.img mnt || return 1
	mounted=1
	# shellcheck disable=SC2086
	python3 "$here/referee-manifest" $3 mnt >want
	umount mnt; mounted=
}

while IFS='|' read -r opts mopts flags; do
	if ! history "$opts" "$mopts" "$flags"; then
		skip "mke2fs $opts, mount $mopts" "not possible here"
		continue
	fi
	# shellcheck disable=SC2086
	is "mke2fs $opts, mount $mopts" \
		"$("$dump" c.img | python3 "$here/referee-manifest" $flags --filter | diff want - | cut -c1-200)" ""
	mount -o loop,ro,noload c.img mnt 2>/dev/null && {
		mounted=1
		# shellcheck disable=SC2086
		python3 "$here/referee-manifest" $flags mnt >stale 2>/dev/null
		umount mnt; mounted=
	}
	ok "and it was something to replay" sh -c '! cmp -s want stale'
	ok "conformance" "$check" c.img
done <<'OPTS'
-t ext3 -b 4096||
-t ext3 -b 1024||
-t ext4 -b 4096||
-t ext4 -b 1024 -J size=1||
-t ext4 -b 4096|,data=journal|
-t ext4 -b 1024|,data=journal|
-t ext4 -b 4096 -O ^64bit,^metadata_csum|,journal_checksum|
-t ext4 -b 4096 -O inline_data||
-t ext4 -b 4096 -O fast_commit||--no-dir-time --no-dir-nlink
-t ext4 -b 1024 -O fast_commit,inline_data||--no-dir-time --no-dir-nlink
-t ext4 -b 4096 -O fast_commit,^metadata_csum||--no-dir-time --no-dir-nlink
OPTS
ok "torture of a replay" "$check" --torture c.img
done_testing
