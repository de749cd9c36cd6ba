# What the NTFS tests share: source it after tests/tap.sh.
export TZ=UTC LC_ALL=C.UTF-8
PATH=$PATH:/usr/sbin:/sbin
here=$SENDENSE_SRC/tests/fs fsdump=$SENDENSE_BUILD/tests/fs/fsdump fscheck=$SENDENSE_BUILD/tests/fs/fscheck
fsattrs=$SENDENSE_BUILD/tests/fs/fsattrs
tmp=$(mktemp -d) mnt=
cleanup() { [ -z "$mnt" ] || unmount; rm -rf "$tmp"; }
trap cleanup EXIT

# Why ntfs-3g cannot be the referee here; nothing when it can.
lacking() {
	for tool in mkntfs ntfs-3g fusermount; do command -v "$tool" >/dev/null || { echo "no $tool"; return; }; done
	[ -w /dev/fuse ] || { echo 'no /dev/fuse'; return; }
	truncate -s 2M "$tmp/try" && mkntfs -F -Q "$tmp/try" >/dev/null 2>&1 && mount_ntfs "$tmp/try" ro 2>/dev/null && unmount ||
		echo 'ntfs-3g cannot mount here'
	rm -f "$tmp/try"
}

# make IMAGE SIZE MKNTFS-OPTIONS…
make() { local img=$1 size=$2; shift 2; rm -f "$img"; truncate -s "$size" "$img" && mkntfs -F -Q "$@" "$img" >/dev/null 2>&1; }
# mount_ntfs IMAGE OPTIONS: on $tmp/mnt
mount_ntfs() { mkdir -p "$tmp/mnt"; ntfs-3g -o "$2" "$1" "$tmp/mnt" >/dev/null && mnt=$tmp/mnt; }
unmount() {
	local i
	for i in 1 2 3 4 5; do fusermount -u "$mnt" 2>/dev/null && break; sleep 0.2; done
	mnt=
}
ino() { stat -c %i "$mnt/$1"; }
