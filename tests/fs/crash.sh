# shellcheck shell=bash
# Disks as crashes leave them, for shell tests: source it behind tap.sh. It goes into a directory of its own, with mnt to mount on, and takes
# all away at the end.
#
# QEMU's blklogwrites driver keeps every write and every flush in their order (the format of dm-log-writes); a FUSE export of it is
# mounted through a loop device. From the image as it was before and this log, crash-states makes the disk of any moment at which the
# machine may have stopped. SENDENSE_CRASH_STATES=N (or all) such states of each filesystem, SENDENSE_CRASH_SEED=N other histories;
# SENDENSE_CRASH_KEEP=DIR keeps those that differ, and those that the
# kernel does not mount.
crash_seed=${SENDENSE_CRASH_SEED:-1}
crash_recorder=
here=$SENDENSE_SRC/tests/fs dump=$SENDENSE_BUILD/tests/fs/fsdump
PATH=$PATH:/sbin:/usr/sbin
tmp=$(memory_dir)
trap 'crash_record_end; mountpoint -q "$tmp/mnt" && umount "$tmp/mnt"; rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
mkdir mnt

# Prints why it cannot be done here, if so.
crash_cannot() {
	[ "$(id -u)" -eq 0 ] || { echo "not root"; return; }
	[ -w /dev/fuse ] && [ -w /dev/loop-control ] || { echo "no FUSE or no loop devices"; return; }
	for tool in qemu-storage-daemon setpriv python3 "$@"; do
		command -v "$tool" >/dev/null || { echo "no $tool"; return; }
	done
	qemu-storage-daemon --help | grep -q 'fuse,id' || { echo "no FUSE exports in qemu-storage-daemon"; return; }
	truncate -s 8M try.img && mke2fs -qF try.img && mount -o loop try.img mnt 2>/dev/null && umount mnt || echo "no loop mounts here"
	rm -f try.img
}

# crash_record IMAGE LOG MOUNT-OPTIONS COMMAND…: the command works on mnt. IMAGE stays as it is. 1: the kernel does not mount it; 2 and
# more: something went wrong.
crash_record() {
	local image=$1 log=$2 options=$3 monitor greeting status=0
	shift 3
	rm -f run.img; cp --sparse=always "$image" run.img; : >"$log"; : >run.export
	# It ends with this shell, whatever happens to the shell. Its monitor greets when the export is there.
	exec {monitor}< <(exec setpriv --pdeathsig KILL qemu-storage-daemon \
		--blockdev driver=file,node-name=disk,filename=run.img --blockdev driver=file,node-name=log,filename="$log" \
		--blockdev driver=blklogwrites,node-name=recorder,file=disk,log=log \
		--export type=fuse,id=export,node-name=recorder,mountpoint=run.export,writable=on \
		--chardev stdio,id=monitor --monitor chardev=monitor </dev/null 2>&1)
	crash_recorder=$!
	read -r -u "$monitor" greeting
	if [[ $greeting != *QMP* ]]; then
		echo "qemu-storage-daemon: $greeting"
		status=4
	elif ! mount -o "loop,$options" run.export mnt 2>/dev/null; then
		status=1
	else
		"$@" || status=2
		umount mnt || status=3
	fi
	crash_record_end
	exec {monitor}<&-
	rm -f run.img run.export
	return $status
}

crash_record_end() {
	[ -n "$crash_recorder" ] || return 0
	kill "$crash_recorder" 2>/dev/null
	wait "$crash_recorder" 2>/dev/null
	crash_recorder=
}

# crash_test NAME IMAGE MOUNT-OPTIONS STATES 'OPTIONS of crash-states' COMMAND…: the command works on mnt.
crash_test() {
	local name=$1 image=$2 options=$3 count=${SENDENSE_CRASH_STATES:-$4} flags=$5 out counts
	shift 5
	crash_record "$image" crash.log "$options" "$@" >command.log 2>&1
	case $? in
	0) ;;
	1) skip "$name" "this kernel does not mount it"; return ;;
	*) flunk "$name" "$(tail -3 command.log)"; return ;;
	esac
	# shellcheck disable=SC2086
	out=$(python3 "$here/crash-states" --count "$count" --seed "$crash_seed" --keep "${SENDENSE_CRASH_KEEP:-}" $flags \
		"$dump" "$image" crash.log mnt 2>&1)
	counts=${out##*$'\n'}
	is "$name: $counts" "$(grep -v '^states=' <<<"$out" | head -20)" ""
	# Of states that the kernel mounts, and of different things to be seen in them, there must be enough.
	ok "$name: they are worth something" awk '{
		for (i = 1; i <= NF; i++) { split($i, a, "="); n[a[1]] = a[2] }
		exit !(n["states"] >= 5 && n["refused"] < n["states"] / 2 && n["recovered"] >= n["states"] / 8 && n["distinct"] >= 4)
	}' <<<"$counts"
}
