#!/bin/bash
# A volume group that lvm makes and a kernel writes to (user-mode-linux: the machines of the tests have no device-mapper), as its disks
# are while it is in use: each volume holds what the kernel shows of it.
set -u
. "$SENDENSE_SRC/tests/tap.sh"
. "$SENDENSE_SRC/tests/uml.sh"
export PATH=$PATH:/usr/sbin:/sbin
dump=$SENDENSE_BUILD/tests/volume/voldump
for tool in linux.uml lvm losetup modprobe thin_check cache_check; do
	command -v $tool >/dev/null || { skip 'LVM by a kernel' "no $tool"; done_testing; exit; }
done
dir=$(mktemp -d) # not below /dev
trap 'rm -rf "$dir"' EXIT
truncate -s 80M "$dir"/disk{0,1,2,3}
mkdir "$dir"/{used,merging,want}

# Writes go to places that share chunks with nothing, begin and end within one, and lie side by side.
old_kernel "$dir" <<-'END' || { flunk 'the group could not be made' "$(cat "$dir/said" "$dir/console")"; done_testing; exit; }
	set -e
	mount -t sysfs sysfs /sys; mount -t tmpfs tmpfs /run
	modules loop dm-snapshot dm-thin-pool dm-raid dm-mirror dm-cache-smq raid1 raid456
	config='devices { use_devicesfile=0 scan_lvs=0 obtain_device_list_from_udev=0 filter=["a|/dev/loop|","r|.*|"] }
		activation { udev_sync=0 udev_rules=0 monitoring=0 } backup { backup=0 archive=0 }
		global { event_activation=0 use_lvmpolld=0 locking_dir="/run/lock" }'
	do_lvm() { lvm "$@" --config "$config"; }
	create() { do_lvm lvcreate -y "$@"; }
	fill() { dd if=/dev/urandom of=/dev/vg/$1 bs=1M iflag=fullblock count=$2 status=none; }
	write() { for at in $3; do dd if=/dev/urandom of=/dev/vg/$1 bs=$2 count=1 seek=$at oflag=seek_bytes status=none; done; }
	for disk in disk?; do losetup -f --show $disk; done >loops
	do_lvm pvcreate -y $(cat loops); do_lvm vgcreate -s 512k vg $(cat loops)
	create -Wn -n origin -L 4m vg; fill origin 4
	create -s -c 4k -n snap -L 3m vg/origin
	write origin 6000 '0 12288 20480 40000 700000 705000 4000000'
	write snap 9000 '28672 299999 2000000'
	create -s -c 16k -n later -L 3m vg/origin
	write origin 30000 '5000 90000 1000000'
	create -T -c 64k -L 8m -n pool vg
	create -V 16m -T vg/pool -n thin
	write thin 100000 '0 300000 6000000 16000000'
	create -s -n thin2 vg/thin; do_lvm lvchange -ay -K vg/thin2
	write thin2 70000 '50000 8000000'; write thin 70000 '290000'
	create -Wn --type raid1 -m 1 -n one -L 2m vg; fill one 2
	create -Wn --type raid5 -i 3 -I 16k -n five -L 3m vg; fill five 3
	create -Wn --type mirror --mirrorlog core -m 1 -n mirror -L 2m vg; fill mirror 2
	create -Wn -n cached -L 4m vg; fill cached 4
	create --type cache-pool -L 8m -n fast vg; do_lvm lvconvert -y --type cache --cachemode writethrough --cachepool vg/fast vg/cached
	write cached 100000 '5000 900000'
	create --type cache-pool -L 8m -n spare vg
	sync
	for name in origin snap later thin thin2 one five mirror cached; do cat /dev/vg/$name >want/$name; done
	sync; cp --sparse=always disk? used
	# The origin is in use, so that the snapshot cannot merge before the group is next activated.
	exec 5</dev/vg/origin
	do_lvm lvconvert -y --merge vg/snap
	sync; cp --sparse=always disk? merging
	touch done
END

holds() { "$dump" --cat "vg/$1" "${@:2}" | cmp - "$dir/want/$1"; }
names() { "$dump" "$@" | sed -n 's/^name=vg.//p' | sort | tr '\n' ' '; }
is 'the volumes that are listed' "$(names "$dir"/used/*)" 'cached five later mirror one origin snap thin thin2 '
is 'no warning' "$("$dump" "$dir"/used/* | grep ^warning=)" ''
for name in origin snap later thin thin2 one five mirror cached; do ok "$name" holds $name "$dir"/used/*; done
for gone in 0 1 2 3; do
	mv "$dir/used/disk$gone" "$dir/gone"
	ok "RAID 5 without disk $gone" holds five "$dir"/used/*
	ok "RAID 1 without disk $gone" holds one "$dir"/used/*
	mv "$dir/gone" "$dir/used/disk$gone"
done
is 'a snapshot that merges is no volume of its own' "$(names "$dir"/merging/*)" 'cached five later mirror one origin thin thin2 '
cp "$dir/want/snap" "$dir/want/origin"
ok '… but what its origin holds' holds origin "$dir"/merging/*
done_testing
