#!/bin/bash
# Moments at which a machine could have stopped: a volume is changed while its log is forced, shut down, and then its log is cut off
# at many places, between the steps of what takes more than one transaction. Each must show what the kernel shows of it
# after its recovery; version 4 what an older kernel shows. CUTS=N: places of each volume; ROUNDS=N and SEED=N: more and others.
set -u
# Mounts of our own: whoever copies the namespace while one is there would hold it, and what is behind it unwritten.
[ -n "${OWN_MOUNTS:-}" ] || ! unshare -m true 2>/dev/null || OWN_MOUNTS=1 exec unshare -m "$0" "$@"
. "$SENDENSE_SRC/tests/tap.sh"
. "$SENDENSE_SRC/tests/uml.sh"
. "$SENDENSE_SRC/tests/fs/xfs.sh"
cuts=${CUTS:-6}
declare -A reached=()
valid=0 want=0 version4_states=0 old=
trap 'clean_up; [ -z "$old" ] || rm -rf "$old"' EXIT

# sums DIR: of each directory in it one line
sums() { for d in w0 w1; do (cd "$1/$d" && echo "$d $(sha256sum ./* | cut -c-64 | tr '\n' ' ')"); done; }
our_sums() { for d in w0 w1; do echo "$d $("$fsdump" "$1" /$d | sed -n 's/.* sha256=//p' | tr '\n' ' ')"; done; }

# worked IMAGE OLD SEED STEPS FLAGS SWAP: after the time the volume is gone; OLD is what it was before, all of it in its place
worked() {
	local status=1
	coproc worker { exec "$here/xfs_intents" "$tmp/live" "$3" "$4" "$6"; }
	local pid=$worker_PID out=${worker[0]} in=${worker[1]} word
	if read -r word <&"$out" && xfs_freeze -f "$tmp/live" && cp --sparse=always "$1" "$2"; then
		status=0
	fi
	xfs_freeze -u "$tmp/live"
	sums "$tmp/live" >"$tmp/before"
	echo go >&"$in"
	wait "$pid"
	sums "$tmp/live" >"$tmp/after"
	# shellcheck disable=SC2086
	xfs_io -x -c "shutdown $5" "$tmp/live"
	umount "$tmp/live"
	return $status
}

# A state that the log alone makes may be none that was ever on a disk: bytes written since over blocks that were freed behind the cut.
# Then the kernel finds the damage, too, and there is nothing to be held against.
is_damaged() {
	"$here/xfslog" incompat "$1" -0x40 && ! xfs_repair -n "$1" >"$tmp/repair" 2>&1 && ! grep -q 'unknown' "$tmp/repair"
}

# counted KINDS…
counted() {
	local kind
	valid=$((valid + 1))
	for kind; do reached[${kind%=*}]=$((${reached[${kind%=*}]:-0} + 1)); done
}

# state NAME IMAGE KINDS…
state() {
	local name=$1 image=$2
	shift 2
	ours "$image" --damaged >"$tmp/ours"
	warnings "$image" >"$tmp/warnings"
	attach nouuid,noatime "$image" "$tmp/kernel" 2>/dev/null || { skip "$name" 'the kernel finds the state damaged'; return; }
	referee --damaged >"$tmp/theirs" 2>"$tmp/error"
	umount "$tmp/kernel"
	[ ! -s "$tmp/error" ] || { skip "$name" "no valid state: $(tail -1 "$tmp/error")"; return; }
	# What the kernel finishes of these changes the number of blocks, too; a changed attribute is one of now.
	case $* in
	*ATTRI*) sed -Ei 's/ (allocated|ctime)=[0-9.]*//g' "$tmp/ours" "$tmp/theirs" ;;
	*XMI*) sed -i 's/ allocated=[0-9]*//' "$tmp/ours" "$tmp/theirs" ;;
	esac
	if as_theirs >"$tmp/difference" && [ ! -s "$tmp/warnings" ]; then
		pass "$name"
	elif is_damaged "$image"; then
		skip "$name" "no valid state: $(grep -v geometry "$tmp/repair" | head -1)"
		return
	else
		flunk "$name" "$(cat "$tmp/warnings" "$tmp/difference")"
	fi
	counted "$@"
}

# volume NAME SEED INCOMPAT FLAGS SWAP MOUNT-OPTIONS MKFS-OPTIONS…
volume() {
	local name=$1 s=$2 bits=$3 flags=$4 swap=$5 options=$6 block end kinds
	shift 6
	make "$tmp/img" 1200M --unsupported "$@" && "$here/xfslog" incompat "$tmp/img" "$bits" && attach "nouuid$options" "$tmp/img" "$tmp/live" ||
		{ skip "$name" 'cannot be made or mounted here'; return; }
	worked "$tmp/img" "$tmp/old" "$s" 150 "$flags" "$swap" || { flunk "$name: the work could not be done"; return; }
	want=$((want + cuts / 2))
	"$here/xfslog" rewind "$tmp/img" "$tmp/old"
	while read -r block end kinds; do
		cp --sparse=always "$tmp/img" "$tmp/copy"
		"$here/xfslog" cut "$tmp/copy" "$tmp/old" "$block" "$end"
		# shellcheck disable=SC2086
		state "$name, ends at block $block ($kinds)" "$tmp/copy" $kinds
	done < <("$here/xfslog" cuts "$tmp/img" "$tmp/old" "$cuts")
}

# An exchange that changes sizes, which the kernel's recovery does by halves: at each moment all of it is there, or nothing.
sizes() {
	local block end kinds begun=0 torn='' d
	make "$tmp/img" 1200M --unsupported -l size=200m && "$here/xfslog" incompat "$tmp/img" $exchange && attach nouuid "$tmp/img" "$tmp/live" 2>/dev/null ||
		{ skip 'an exchange of sizes' 'cannot be made or mounted here'; return; }
	worked "$tmp/img" "$tmp/old" 1 15 -f sizes || { flunk 'an exchange of sizes: the work could not be done'; return; }
	is 'an exchange of sizes: it is one' "$(cat "$tmp/before" "$tmp/after" | sort -u | wc -l)" 4
	is 'an exchange of sizes: in the end it is done' "$(our_sums "$tmp/img")" "$(cat "$tmp/after")"
	"$here/xfslog" rewind "$tmp/img" "$tmp/old"
	while read -r block end kinds; do
		cp --sparse=always "$tmp/img" "$tmp/copy"
		"$here/xfslog" cut "$tmp/copy" "$tmp/old" "$block" "$end"
		case $kinds in *XMI*) begun=$((begun + 1)) ;; esac
		torn+=$(our_sums "$tmp/copy" | grep -vxFf "$tmp/before" -f "$tmp/after" | sed "s/^/$block: /")
	done < <("$here/xfslog" cuts "$tmp/img" "$tmp/old" $((cuts * 2)))
	is "an exchange of sizes: at none of its moments a part is there ($begun are in its middle)" "$torn" ''
}

version4() {
	command -v linux.uml >/dev/null || { skip 'version 4' 'no linux.uml (user-mode-linux)'; return; }
	old=$(mktemp -d) # not below /dev
	local block end kinds n=0 i devices=()
	mkdir "$old/mnt" "$old/nocase"
	make "$old/img" 600M --unsupported -m crc=0 -l size=100m && make "$old/ci" 300M -m crc=0 -n version=ci || { skip 'version 4' 'mkfs.xfs here cannot make it'; return; }
	old_kernel "$old" "$old/img" "$old/ci" <<-END || { flunk 'version 4: the work could not be done' "$(cat "$old/said" "$old/console")"; return; }
		mount -t xfs /dev/ubdb nocase && mkdir nocase/dir && touch nocase/dir/größe{1..40} nocase/dir/\$'\304\326' && umount nocase
		mount -t xfs -o nouuid /dev/ubda mnt && mkfifo go ready
		$(printf %q "$here/xfs_intents") mnt $seed 60 <go >ready &
		exec 3>go 4<ready
		read -r word <&4
		xfs_freeze -f mnt; cp --sparse=always img old; xfs_freeze -u mnt
		echo go >&3
		wait
		xfs_io -x -c 'shutdown -f' mnt; umount mnt && touch done
	END
	is 'version 4, no case: names that are not ASCII are found' \
		"$(for name in größe7 GRößE40 $'\304\326' $'\344\366'; do "$fsdump" "$old/ci" "/dir/$name" | cut -d' ' -f2; done)" \
		"$(yes type=file | head -4)"
	"$here/xfslog" rewind "$old/img" "$old/old"
	while read -r block end kinds; do
		cp --sparse=always "$old/img" "$old/state$n"
		"$here/xfslog" cut "$old/state$n" "$old/old" "$block" "$end"
		ours "$old/state$n" --damaged >"$old/ours$n"
		devices+=("$old/state$n")
		n=$((n + 1))
	done < <("$here/xfslog" cuts "$old/img" "$old/old" "$((cuts < 12 ? cuts : 12))")
	rm -f "$old/done"
	old_kernel "$old" "${devices[@]}" <<-END || { flunk 'version 4: nothing was recovered' "$(cat "$old/said" "$old/console")"; return; }
		n=0
		for d in /dev/ubd?; do
			mount -t xfs -o nouuid,noatime \$d mnt && python3 $(printf %q "$here/referee-manifest") --all --damaged mnt >theirs\$n && umount mnt || rm -f theirs\$n
			n=\$((n + 1))
		done
		touch done
	END
	for i in $(seq 0 $((n - 1))); do
		[ -e "$old/theirs$i" ] || { skip "version 4, moment $i" 'the kernel finds the state damaged'; continue; }
		is "version 4, moment $i" "$(diff "$old/theirs$i" "$old/ours$i" | cut -c -400)" ''
		version4_states=$((version4_states + 1))
	done
	ok 'version 4: enough states are valid' test "$version4_states" -ge $((n / 2))
}

# attribute NAME INODE OP SPACE NAME VALUE
attribute() {
	cp --sparse=always "$tmp/img" "$tmp/copy"
	"$here/xfslog" attr "$tmp/copy" "${@:2}"
	local before=$valid
	state "an attribute $1" "$tmp/copy" ATTRI=1
	# Not one of these states may be left out: they are made, and have to be right.
	[ "$valid" -gt "$before" ] || flunk "an attribute $1: it is a valid state"
	ok "an attribute $1: it is something" test "$(cat "$tmp/ours")" != "$plain"
}

attributes() {
	make "$tmp/img" 320M && attach nouuid "$tmp/img" "$tmp/live" || return
	local few=$tmp/live/few many=$tmp/live/many i plain
	: >"$few" >"$many"
	setfattr -n user.a -v first "$few" && setfattr -n trusted.a -v second "$few"
	for i in $(seq 60); do setfattr -n "user.$i" -v "$(printf "v%.0s" $(seq $((i * 20))))" "$many"; done
	setfattr -n user.large -v "$(printf 'w%.0s' $(seq 9000))" "$many"
	# The superblock, which says from the first attribute on that there are some, is not to be in the log: the announcement needs a feature of it.
	umount "$tmp/live" && attach nouuid "$tmp/img" "$tmp/live" && : >"$tmp/live/other" || return
	few=$(stat -c %i "$few") many=$(stat -c %i "$many")
	xfs_io -x -c 'shutdown -f' "$tmp/live"
	umount "$tmp/live"
	plain=$(ours "$tmp/img" --damaged)
	attribute 'to be set' "$few" 1 0 b new
	attribute 'to be set, its value in blocks of its own' "$few" 1 4 b "$(printf 'x%.0s' $(seq 7000))"
	attribute 'to be removed' "$few" 2 0 a ''
	attribute 'to be removed, not its namesake' "$few" 2 2 a ''
	attribute 'to be replaced' "$few" 3 0 a other
	attribute 'of many to be set' "$many" 1 0 new "$(printf 'y%.0s' $(seq 300))"
	attribute 'of many to be removed' "$many" 2 0 large ''
	attribute 'of many to be replaced' "$many" 3 0 40 short
}

if ! command -v mkfs.xfs >/dev/null || ! make "$tmp/img" 320M || ! attach nouuid "$tmp/img" "$tmp/live" 2>/dev/null; then
	skip 'cut logs' 'XFS cannot be mounted here'
	done_testing
	exit
fi
umount "$tmp/live"
# The exchange of extents and parent pointers are newer than mkfs.xfs.
exchange=0x40 parent=0x80
for i in $(seq 0 "$rounds"); do
	s=$((seed + 100 * i))
	volume "shared, reverse maps $s" $s $exchange -f swap '' -m rmapbt=1 -l size=200m
	volume "plain $s" $((s + 1)) 0 '' no '' -m reflink=0,rmapbt=0 -l size=200m
	volume "small blocks, large counters $s" $((s + 2)) $exchange '' swap '' -b size=1024 -i nrext64=1 -m rmapbt=1 -l size=200m
	volume "stripes in the log $s" $((s + 3)) 0 -f no ,logbsize=256k -l size=200m,su=32k
	volume "parent pointers $s" $((s + 4)) $((exchange | parent)) -f no '' -l size=200m
done
sizes
attributes
version4
echo "# $valid states; of these with something unfinished: $(for k in "${!reached[@]}"; do echo -n "$k ${reached[$k]} "; done)"
ok 'enough states are valid' test "$valid" -gt "$want"
done_testing
