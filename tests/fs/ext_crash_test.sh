#!/bin/bash
# ext3 and ext4 cut off at any moment: we must show what the kernel shows after its own recovery. See crash.sh.
# Mounts of our own: whoever copies the namespace while one is there would hold it, and what is behind it unwritten.
[ -n "${OWN_MOUNTS:-}" ] || ! unshare -m true 2>/dev/null || OWN_MOUNTS=1 exec unshare -m "$0" "$@"
. "$SENDENSE_SRC/tests/tap.sh"
. "$SENDENSE_SRC/tests/fs/crash.sh"
why=$(crash_cannot mke2fs)
[ -z "$why" ] || { skip "ext after crashes" "$why"; done_testing; exit; }

# Recovery of fast commits leaves traces of its own: times and links of directories, blocks of files (it forgets that of their
# attributes and does not know of clusters).
fast_commits='--drop dir:time --drop dir:ctime --drop dir:nlink --drop allocated'

while IFS='|' read -r opts mopts; do
	flags='' kind=''
	case $opts in *fast_commit*) flags=$fast_commits kind=fast-commits ;; esac
	rm -f s.img; truncate -s 48M s.img
	# shellcheck disable=SC2086
	mke2fs -qF $opts s.img >mkfs.log 2>&1 || { skip "mke2fs $opts" "$(head -1 mkfs.log)"; continue; }
	crash_test "mke2fs $opts mount $mopts" s.img "commit=1000$mopts" 16 "$flags" python3 "$here/churn" mnt "$crash_seed" 60 100 $kind
done <<'OPTS'
-t ext4|
-t ext4 -b 1024 -J size=1|
-t ext4 -b 1024 -J size=1|,data=journal
-t ext4 -O ^metadata_csum,^64bit|,journal_checksum
-t ext4 -O ^metadata_csum,^64bit|,data=writeback,journal_async_commit
-t ext4 -b 4096|,data=writeback,journal_async_commit
-t ext4 -b 4096 -O bigalloc -C 16384|
-t ext4 -b 4096 -O inline_data,orphan_file,ea_inode -I 512|,data=journal
-t ext4 -b 1024 -O sparse_super2,meta_bg,^resize_inode,^extent,^64bit|
-t ext3 -b 1024|
-t ext4 -b 4096 -O fast_commit|
-t ext4 -b 1024 -O fast_commit,inline_data -J size=4|
-t ext4 -b 4096 -O fast_commit,^metadata_csum|
-t ext4 -b 2048 -O fast_commit,bigalloc|
OPTS
# The number of a deleted file is given to a new one before the next transaction: the new one's holes are holes.
reuse() {
	python3 - "$1" <<-'CODE'
	import os, sys
	def sync(name):
	    fd = os.open(name, os.O_RDONLY)
	    os.fsync(fd)
	def change(name, at, data):
	    with open(name, 'r+b' if os.path.exists(name) else 'wb') as f:
	        f.seek(at)
	        f.write(data)
	    sync(name)
	os.chdir('mnt')
	change('first', 0, b'1')
	sync('.') # what follows goes into fast commits
	change('other', 0, b'22')
	number = os.stat('old').st_ino
	os.unlink('old')
	if sys.argv[1] == 'apart':
	    change('other', 0, b'333')
	change('new', 81920, bytes(4096))
	assert os.stat('new').st_ino == number
	change('other', 0, b'4444')
	CODE
}
for how in together apart; do
	rm -f s.img; mkdir tree; head -c 200000 /dev/zero | tr '\0' o >tree/old; truncate -s 48M s.img
	echo >tree/other; mke2fs -qF -t ext4 -b 4096 -O fast_commit -d tree s.img
	rm -r tree
	SENDENSE_CRASH_STATES=flushes crash_test "a number used again, $how" s.img commit=1000 flushes "$fast_commits" reuse $how
done
done_testing
