# A kernel that is a process of its own (Debian's user-mode-linux; of 2022: it still knows version 4 of XFS), with its own modules: what
# the machine's kernel may lack or may not do for a test. Sourced by shell tests, like tap.sh.
# old_kernel DIR DEVICE…: runs the commands of standard input in DIR under it, with the host's files (not those below /dev) and the
# devices as /dev/ubda … They say that all went well by `touch done`; `modules NAME…` loads drivers.
old_kernel() {
	local dir=$1 devices=() letter=a d
	shift
	for d; do
		devices+=("ubd$letter=$d")
		letter=$(printf '%s' "$letter" | tr a-y b-z)
	done
	{
		printf '#!/bin/bash\nexec >%q/said 2>&1\ncd %q\nexport PATH=%q LC_ALL=C.UTF-8 TZ=UTC\n' "$dir" "$dir" "$PATH"
		printf 'mount -t proc proc /proc; mkdir /dev/shm; mount -t tmpfs tmpfs /dev/shm\n'
		printf 'mkdir -p /dev/shm/root/lib; ln -s /usr/lib/uml/modules /dev/shm/root/lib/modules\n'
		printf 'modules() { modprobe -d /dev/shm/root -a "$@"; }\n'
		cat
		printf '\necho o >/proc/sysrq-trigger; sleep 60\n'
	} >"$dir/init"
	chmod +x "$dir/init"
	timeout 300 linux.uml mem=600M rootfstype=hostfs rw init="$dir/init" con=null con0=null quiet "${devices[@]}" </dev/null >"$dir/console" 2>&1
	[ -e "$dir/done" ]
}
