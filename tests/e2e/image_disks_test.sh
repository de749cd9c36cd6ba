#!/bin/bash
# `sendense image` with several disks: what lies on more than one of them.
. "$SENDENSE_SRC/tests/e2e/lib.sh"
. "$SENDENSE_SRC/tests/e2e/whole_images.sh"
for tool in mke2fs sfdisk jq python3 qemu-img; do
	command -v $tool >/dev/null || { echo "1..0 # SKIP $tool is not installed"; exit 0; }
done
cd "${T:?}" || exit 1
machine_images . || { echo "Bail out! the images were not made"; exit 1; }
volumes() { sendense image info --json "$@" | jq -c '[.volumes[]|[.volume,.disk_index,.name // .label,.supported]]'; }

is "a volume group over two disks" "$(volumes --disk vg-0 --disk vg-1)" '[[1,0,"",false],[2,1,"",false],[3,0,"vg/wide",true],[4,0,"vg/narrow",true]]'
ok "a file that lies on both" cmp -s wide/big <(sendense image cat --disk vg-0 --disk vg-1 /big)
ok "in the other order" cmp -s wide/big <(sendense image cat --disk vg-1 --disk vg-0 /big)
ok "the first disk as IMAGE" cmp -s wide/big <(sendense image cat --disk vg-1 vg-0 /big)
is "ls" "$(sendense image ls --disk vg-0 --disk vg-1 --volume 4 / | sort | tr '\n' ' ')" "lost+found name "
is "manifest without a path" "$(sendense image manifest --disk vg-0 --disk vg-1 --volume 4 | grep -c ' type=file')" 1
ok "tar" bash -c 'sendense image tar --disk vg-0 --disk vg-1 /big | tar xO --wildcards "*big" | cmp -s - wide/big'
is "stat" "$(sendense image stat --json --disk vg-0 --disk vg-1 /big | jq .size)" 5000000
like "one disk of it alone names the other" "$(sendense image info --json vg-0 | jq -r '.volumes[]|select(.name=="vg/wide").reason')" 'physical volume .*last seen as /dev/disk1.* is missing'

is "a mirror of two" "$(sendense image cat --disk mirror-0 --disk mirror-1 /name 2>err; cat err)" narrow
is "half of it" "$(sendense image cat mirror-1 /name 2>err)" narrow
ok "and a word on it" grep -q 'degraded: 1 of 2' err
ok "stripes over two" cmp -s wide/big <(sendense image cat --disk stripe-0 --disk stripe-1 /big)
like "half of them" "$(sendense image info --json stripe-1 | jq -r '.volumes[1].reason')" '1 of 2 members are missing'

if btrfs_images .; then
	is "btrfs over two disks" "$(volumes --disk btrfs-0 --disk btrfs-1)" '[[1,0,"striped",true],[2,1,"striped",false]]'
	is "ls of it" "$(sendense image ls --disk btrfs-0 --disk btrfs-1 / 2>err | sort | tr '\n' ' '; cat err)" "big etc name usr "
	ok "a file that is striped" cmp -s wide/big <(sendense image cat --disk btrfs-0 --disk btrfs-1 /big)
	ok "striped, in the other order" cmp -s wide/big <(sendense image cat --disk btrfs-1 --disk btrfs-0 /big)
	is "the second says whose part it is" "$(sendense image info --json --disk btrfs-0 --disk btrfs-1 | jq -c '.volumes[1]|[.container,.reason]')" '[true,"it is a part of the btrfs filesystem of volume 1"]'
	like "and is not read alone" "$(sendense image ls --disk btrfs-0 --disk btrfs-1 --volume 2 / 2>&1)" 'volume 2 is a part of the btrfs filesystem of volume 1'
	sendense image cat btrfs-1 /big >out 2>err
	like "alone: what is missing" "$(cat err)" 'device 1 \(UUID [-0-9a-f]{36}\) of this btrfs, which is missing'
	is "alone: what is there" "$(sendense image cat btrfs-1 /name 2>err; grep -c 'warning: 1 of the 2 devices' err)" "$(printf 'striped\n1')"
else
	skip "btrfs over two disks" "$(head -1 btrfs.log 2>/dev/null || echo 'no mkfs.btrfs')"
fi

is "disks with filesystems of their own" "$(volumes --disk gpt-0 --disk data-1)" '[[1,0,"system",true],[2,0,"small",true],[3,1,"data",true]]'
is "the second disk's file" "$(sendense image cat --disk gpt-0 --disk data-1 --volume 3 /name)" data
is "the list names the disk" "$(sendense image info --disk gpt-0 --disk data-1 | awk '$1 == 3 {print $2, $3}')" "1 disk"
is "and shows both images" "$(sendense image info --disk gpt-0 --disk data-1 | grep -c '^disk:')" 2
is "one disk is shown as ever" "$(sendense image info gpt-0 | grep -c '^disk:')" 0
is "the document's disks" "$(sendense image info --json --disk gpt-0 --disk data-1 | jq -c '[.format,.virtual_size,.layer_count,[.disks[]|[.disk_index,.virtual_size,.layers[0].format]]]')" '["raw",20971520,1,[[0,20971520,"raw"],[1,4194304,"raw"]]]'

# Each disk may be the newest layer of a chain.
for d in 0 1; do
	qemu-img convert -O qcow2 vg-$d base-$d.qcow2 && qemu-img create -q -f qcow2 -b base-$d.qcow2 -F qcow2 tip-$d.qcow2
done
ok "two chains" cmp -s wide/big <(sendense image cat --disk tip-0.qcow2 --disk tip-1.qcow2 /big)
mkdir other && mv base-1.qcow2 other/ && qemu-img rebase -u -b other/base-1.qcow2 -F qcow2 tip-1.qcow2
ok "each beneath its own folder" cmp -s wide/big <(sendense image cat --disk tip-0.qcow2 --disk tip-1.qcow2 /big)

# What was named and cannot be read is an error; nothing goes without it silently.
sendense image info --disk vg-0 --disk gone >out 2>err; is "a file that is not there: status" $? 4
ok "a file that is not there: its name" grep -q gone err
head -c 100 tip-0.qcow2 >cut.qcow2
sendense image ls --disk vg-0 --disk cut.qcow2 / >out 2>err; is "a damaged one: status" $? 4
ok "a damaged one: its name" grep -q cut.qcow2 err
sendense image ls --disk vg-0 --disk vg-1 >out 2>&1; is "no path: status" $? 2
sendense image info --disk vg-0 vg-1 too-many >out 2>&1; is "too many operands: status" $? 2
sendense image info >out 2>&1; is "no image: status" $? 2
sendense image info $(for i in $(seq 65); do echo --disk vg-0; done) >out 2>&1; is "65 disks: status" $? 2
is "64 disks, the same again and again" "$(sendense image info --json $(for i in $(seq 64); do echo --disk data-1; done) | jq '.volumes|length')" 64
done_testing
