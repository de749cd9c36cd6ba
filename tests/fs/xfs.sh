# What the shell tests of XFS share. Sourced after tap.sh; makes $tmp with directories to mount on, and takes all away at the end.
export TZ=UTC LC_ALL=C.UTF-8
PATH=$PATH:/usr/sbin:/sbin
here=$SENDENSE_SRC/tests/fs fsdump=$SENDENSE_BUILD/tests/fs/fsdump fscheck=$SENDENSE_BUILD/tests/fs/fscheck
seed=${SEED:-1} rounds=${ROUNDS:-0}
# In memory where there is enough: the kernel writes hundreds of megabytes when it unmounts.
shm=/dev/shm
[ "$(df -m --output=avail $shm 2>/dev/null | tail -1)" -ge 3000 ] 2>/dev/null || shm=${TMPDIR:-/tmp}
tmp=$(mktemp -d -p "$shm")
clean_up() {
	for dir in kernel live host; do umount -q "$tmp/$dir" 2>/dev/null; done
	rm -rf "$tmp"
}
trap clean_up EXIT
mkdir "$tmp/kernel" "$tmp/live" "$tmp/host"

# attach OPTIONS IMAGE DIR: mounts it. Anybody who looks at the fresh device at that moment makes the kernel say it is busy.
attach() {
	local dev i ro=
	case $1 in *ro*) ro=-r ;; esac
	dev=$(losetup $ro --find --show "$2") || return
	for i in $(seq 20); do
		mount -t xfs -o "$1" "$dev" "$3" 2>"$tmp/mount-error" && { losetup -d "$dev"; return 0; }
		grep -q busy "$tmp/mount-error" || break
		sleep 0.3
	done
	losetup -d "$dev"
	cat "$tmp/mount-error" >&2
	return 1
}

# The kernel shows access control lists a second time, as they lie on the disk.
referee() { python3 "$here/referee-manifest" --all "$@" "$tmp/kernel" | sed -E 's/ xattr:trusted\.SGI_ACL_(FILE|DEFAULT)=[0-9a-f]*//g'; }
ours() { local image=$1; shift; "$fsdump" --all "$image" | python3 "$here/referee-manifest" --all --filter "$@"; }

# as_theirs: says how ours and theirs differ
as_theirs() {
	diff "$tmp/theirs" "$tmp/ours" | cut -c -400 | head -20
	cmp -s "$tmp/theirs" "$tmp/ours"
}

warnings() { "$fsdump" --ident "$1" / 2>/dev/null | sed -n 's/^# warning //p'; }
make() { rm -f "$1"; truncate -s "$2" "$1"; mkfs.xfs -q -f "${@:3}" "$1" >/dev/null 2>&1; }
