#!/bin/bash
# Whole-machine mounts: all disks of a restore point opened as one.
. "$SENDENSE_SRC/tests/e2e/lib.sh"
. "$SENDENSE_SRC/tests/e2e/whole_images.sh"
for tool in mke2fs sfdisk jq curl python3 qemu-img; do
	command -v $tool >/dev/null || { echo "1..0 # SKIP $tool is not installed"; exit 0; }
done
ENC=$SENDENSE_BUILD/tests/encryptsectors
[ -x "$ENC" ] || ENC=$SENDENSE_BUILD/tests/volume/encryptsectors
cd "${T:?}" || exit 1
mkdir img && machine_images img || { echo "Bail out! the images were not made"; exit 1; }

# point VM BACKUP PARENT|"" FILE…: a restore point whose disks are copies of the files, or of a parent's images with nothing new.
point() {
	local vm=$1 id=$2 parent=$3 f i=0 disks='' target size pf=null; shift 3
	for f; do
		mkdir -p "repo/$vm/disk-$i"
		target=repo/$vm/disk-$i/$id.qcow2
		if [ -z "$parent" ]; then qemu-img convert -f raw -O qcow2 "$f" "$target"
		else qemu-img create -q -f qcow2 -b "$parent.qcow2" -F qcow2 "$target"; pf="\"disk-$i/$parent.qcow2\""; fi
		size=$(qemu-img info --output json "$target" | jq '."virtual-size"')
		disks+="${disks:+,}{\"disk_index\":$i,\"vmware_disk_key\":$((2000 + i)),\"size_bytes\":$size,\"file\":\"disk-$i/$id.qcow2\",\"format\":\"qcow2\",\"disk_change_id\":null,\"parent_file\":$pf}"
		i=$((i + 1))
	done
	printf '{"format":"sendense-backup","version":1,"backup_id":"%s","vm_name":"%s","vm_context_id":"ctx-%s","backup_type":"%s","parent_backup_id":%s,"created_at":"2023-11-14T22:13:20Z","completed_at":"2023-11-14T22:13:20Z","disks":[%s]}\n' \
		"$id" "$vm" "$vm" "$([ -z "$parent" ] && echo full || echo incremental)" "$([ -z "$parent" ] && echo null || echo "\"$parent\"")" "$disks" >"repo/$vm/$id.json"
}
point vg vg-full "" img/vg-0 img/vg-1
point vg vg-inc vg-full img/vg-0 img/vg-1
point hurt hurt "" img/vg-0 img/vg-1
point mirror mirror "" img/mirror-0 img/mirror-1
point stripe stripe "" img/stripe-0 img/stripe-1
point mixed mixed "" img/gpt-0 img/data-1
point alone alone "" img/data.img
LUKS= PIDS=
if command -v cryptsetup >/dev/null && [ -x "$ENC" ]; then
	echo 'open sesame 4471' >pw; printf 'open sesame 4471' >pw.raw
	truncate -s $((16 * 1024 * 1024 + $(stat -c %s img/vg-1))) img/luks-1
	cryptsetup luksFormat -q --type luks2 --cipher aes-xts-plain64 --key-size 512 --sector-size 512 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
		--key-file pw.raw img/luks-1 2>luks.err &&
		cryptsetup luksDump -q --dump-volume-key --volume-key-file vk --key-file pw.raw img/luks-1 >/dev/null 2>>luks.err &&
		"$ENC" aes-xts-plain64 vk 512 $((16 * 1024 * 1024)) img/vg-1 img/luks-1 && LUKS=1 && point crypt crypt "" img/vg-0 img/luks-1
fi

BTRFS=
btrfs_images img && BTRFS=1 && point btrfs btrfs "" img/btrfs-0 img/btrfs-1
if [ -n "$BTRFS" ] && [ -n "$LUKS" ]; then
	truncate -s $((16 * 1024 * 1024 + $(stat -c %s img/btrfs-1))) img/luks-b
	cryptsetup luksFormat -q --type luks2 --cipher aes-xts-plain64 --key-size 512 --sector-size 512 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
		--key-file pw.raw img/luks-b 2>luks.err &&
		cryptsetup luksDump -q --dump-volume-key --volume-key-file vkb --key-file pw.raw img/luks-b >/dev/null 2>>luks.err &&
		"$ENC" aes-xts-plain64 vkb 512 $((16 * 1024 * 1024)) img/btrfs-1 img/luks-b && BTRFS=2 && point halves halves "" img/btrfs-0 img/luks-b
fi

hub_start || { flunk "the hub starts" "$(cat hub.log)"; done_testing; exit 1; }
REPO=$(add_repository main "$T/repo")
api "/repositories/$REPO/scan" -d '{}' >scan
is "all restore points are known" "$(jq -r '.restore_points' scan)" "$((7 + ${LUKS:-0} + ${BTRFS:-0}))"

whole() { api /restore/mount -d "{\"backup_id\":\"$1\",\"disks\":\"all\"}"; }
file() { api "/restore/$1/download?path=$3&volume=$2"; }
ids() { api "/backups/$1/disks" | jq -c '[.disks[].id]'; }
volumes() { api "/restore/$1" | jq -c '[.volumes[]|[.volume,.disk_index,.name // .label,.supported]]'; }
no_workers() { [ "$(workers)" = 0 ]; }

# --- a volume group over two disks ---
whole vg-full >m; VG=$(jq -r .mount_id m)
is "mounted" "$(status)" 201
is "its volumes" "$(jq -c '[.volumes[]|[.volume,.disk_index,.name // .label,.supported,.default]]' m)" '[[1,0,"",false,false],[2,1,"",false,false],[3,0,"vg/wide",true,true],[4,0,"vg/narrow",true,false]]'
is "its disks" "$(jq -c '[.disks[]|[.id,.disk_index,.status,.reason]]' m)" "$(ids vg-full | jq -c '[[.[0],0,"open",null],[.[1],1,"open",null]]')"
is "the volumes' disks by id" "$(jq -c '[.volumes[].disk_id]' m)" "$(ids vg-full | jq -c '[.[0],.[1],.[0],.[0]]')"
is "the first disk stands for it where one is asked for" "$(jq -c '[.backup_disk_id,.disk_index,.filesystem_type,.status]' m)" "$(ids vg-full | jq -c '[.[0],0,"ext4","mounted"]')"
ok "a file that lies on both disks" cmp -s img/wide/big <(file "$VG" 3 /big)
is "default volume" "$(file "$VG" 0 /name)" wide
is "no warnings" "$(jq -c .warnings m)" '[]'
expect "the same again" 409 ALREADY_MOUNTED /restore/mount -d '{"backup_id":"vg-full","disks":"all"}'
is "it says which mount" "$(jq -r .details.mount_id body)" "$VG"
is "reused" "$(api /restore/mount -d '{"backup_id":"vg-full","disks":"all","reuse":true}' | jq -r .mount_id) $(status)" "$VG 200"
expect "the same by ids, backwards, one twice" 409 ALREADY_MOUNTED /restore/mount -d "{\"backup_id\":\"vg-full\",\"disks\":$(ids vg-full | jq -c '[.[1],.[0],.[1]]')}"
is "one worker for all disks" "$(workers)" 1

# A disk of it by itself, beside it.
api /restore/mount -d '{"backup_id":"vg-full","disk_index":1}' >s; S1=$(jq -r .mount_id s)
is "its second disk alone: mounted" "$(status)" 201
is "its second disk alone: the volume's disk" "$(jq -c '[.disk_index,.volumes[0].disk_index,.volumes[0].disk_id == .backup_disk_id,(.disks|length)]' s)" '[1,1,true,1]'
like "its second disk alone: what is missing" "$(jq -r '.volumes[]|select(.name=="vg/wide").reason' s)" 'physical volume .* of volume group vg is missing$'
expect "the single one again" 409 ALREADY_MOUNTED /restore/mount -d '{"backup_id":"vg-full","disk_index":1}'
expect "the single one by its id" 409 ALREADY_MOUNTED /restore/mount -d "{\"backup_id\":\"vg-full\",\"disks\":$(ids vg-full | jq -c '[.[1]]')}"
is "each is one slot" "$(api /restore/resources | jq .active_mounts)" 2
is "the list has both" "$(api /restore/mounts | jq -c '[.mounts[]|[.mount_id,(.disks|length)]]')" "[[\"$VG\",2],[\"$S1\",1]]"
is "unmounting the single one" "$(api "/restore/$S1" -X DELETE | jq -r .message)" unmounted
is "leaves the other" "$(file "$VG" 4 /name)" narrow

whole vg-inc >m
ok "an incremental" cmp -s img/wide/big <(file "$(jq -r .mount_id m)" 3 /big)
is "a machine of one disk is that disk's mount" "$(whole alone | jq -c '[(.disks|length),.disk_index,.volumes[0].label]')" '[1,0,"data"]'
expect "and no second one" 409 ALREADY_MOUNTED /restore/mount -d '{"backup_id":"alone","disk_index":0}'

# --- what cannot be asked for ---
for body in '"disks":"some"' '"disks":[]' '"disks":[1.5]' '"disks":["1"]' '"disks":{}' '"disks":true' '"disks":"all","disk_index":0' "\"disks\":[$(seq -s, 65)]"; do
	expect "$body" 400 INVALID_ARGUMENT /restore/mount -d "{\"backup_id\":\"mixed\",$body}"
done
expect "a disk of another backup" 404 DISK_NOT_FOUND /restore/mount -d "{\"backup_id\":\"mixed\",\"disks\":$(ids vg-full)}"
expect "a disk there is not" 404 DISK_NOT_FOUND /restore/mount -d '{"backup_id":"mixed","disks":[999999]}'
expect "a backup there is not" 404 BACKUP_NOT_FOUND /restore/mount -d '{"backup_id":"nope","disks":"all"}'

# --- disks with filesystems of their own ---
whole mixed >m; MIXED=$(jq -r .mount_id m)
WANT='[[1,0,"system",true],[2,0,"small",true],[3,1,"data",true]]'
is "volumes of two disks" "$(jq -c '[.volumes[]|[.volume,.disk_index,.name // .label,.supported]]' m)" "$WANT"
is "a file of the second" "$(file "$MIXED" 3 /name)" data
is "a file of the first" "$(file "$MIXED" 2 /name)" narrow

# --- btrfs over two disks ---
if [ -n "$BTRFS" ]; then
	whole btrfs >m; M=$(jq -r .mount_id m)
	is "btrfs: one filesystem" "$(jq -c '[.filesystem_type,.warnings,[.volumes[]|[.volume,.disk_index,.supported,.container,.default]]]' m)" '["btrfs",[],[[1,0,true,false,true],[2,1,false,true,false]]]'
	ok "btrfs: a file on both" cmp -s img/wide/big <(file "$M" 1 /big)
	is "btrfs: the part says whose" "$(jq -r '.volumes[1].reason' m)" "it is a part of the btrfs filesystem of volume 1"
	expect "btrfs: the part has no files" 422 VOLUME_UNSUPPORTED "/restore/$M/files?path=/&volume=2"
	api "/restore/$M" -X DELETE >/dev/null
else
	skip "btrfs over two disks" "$(head -1 img/btrfs.log 2>/dev/null || echo 'no mkfs.btrfs')"
fi

# --- disks that are missing ---
mv repo/mirror/disk-1/mirror.qcow2 kept.mirror
whole mirror >m; MIRROR=$(jq -r .mount_id m)
is "half a mirror: mounted" "$(status)" 201
is "half a mirror: its disks" "$(jq -c '[.disks[]|.status]' m)" '["open","missing"]'
like "half a mirror: why" "$(jq -r '.disks[1].reason' m)" 'mirror/disk-1/mirror.qcow2'
like "half a mirror: a warning names the disk and the file" "$(jq -r '.warnings[]' m)" 'disk 1 is missing: .*mirror/disk-1/mirror.qcow2'
like "half a mirror: a warning names the array" "$(jq -r '.warnings|join(" ")' m)" 'array data is degraded: 1 of 2'
is "half a mirror: the disk is in the list of volumes" "$(jq -c '[.volumes[]|[.volume,.disk_index,.kind,.supported]]' m)" '[[1,0,"disk",false],[2,1,"disk",false],[3,0,"md",true]]'
is "half a mirror: a file" "$(file "$MIRROR" 3 /name)" narrow
ok "half a mirror: no path of this machine" bash -c '! grep -qF "$1" m' - "$T"

mv repo/stripe/disk-0/stripe.qcow2 kept.stripe
whole stripe >m
like "half of stripes: clear words" "$(jq -r '.volumes[]|select(.kind=="md").reason' m)" '1 of 2 members are missing.*; disk 0 is missing: .*stripe/disk-0/stripe.qcow2'
is "half of stripes: there is nothing to read" "$(jq -c '[.filesystem_type,[.volumes[].supported]]' m)" '[null,[false,false,false]]'
head -c 100 repo/hurt/disk-1/hurt.qcow2 >cut && mv cut repo/hurt/disk-1/hurt.qcow2
whole hurt >m
like "a damaged image: the volume names the PV and the disk" "$(jq -r '.volumes[]|select(.name=="vg/wide").reason' m)" 'physical volume [-A-Za-z0-9]{38} .*of volume group vg is missing; disk 1 is missing: hurt/disk-1/hurt.qcow2'
is "a damaged image: what does not need it" "$(file "$(jq -r .mount_id m)" 4 /name)" narrow
rm repo/hurt/disk-0/hurt.qcow2; api "/restore/$(jq -r .mount_id m)" -X DELETE >/dev/null
expect "no disk opens at all" 422 IMAGE_LAYER_MISSING /restore/mount -d '{"backup_id":"hurt","disks":"all"}'
is "that leaves no mount" "$(api /restore/mounts | jq '[.mounts[]|select(.backup_id=="hurt")]|length')" 0

# --- encryption inside ---
if [ -n "$LUKS" ]; then
	whole crypt >m; CRYPT=$(jq -r .mount_id m)
	is "one PV in LUKS: locked" "$(jq -c '[.volumes[]|[.volume,.disk_index,.filesystem_type,.locked,.supported]]' m)" '[[1,0,"LVM2_member",false,false],[2,1,"crypto_LUKS",true,false],[3,0,null,false,false],[4,0,"ext4",false,true]]'
	printf '{"volume":2,"passphrase":"%s"}' "$(cat pw)" >key.json
	api "/restore/$CRYPT/unlock" -d @key.json >m
	is "unlocked: the group is whole, the numbers stay" "$(jq -c '[.volumes[]|[.volume,.disk_index,.name,.filesystem_type,.supported]]' m)" '[[1,0,null,"LVM2_member",false],[2,1,null,"crypto_LUKS",false],[3,0,"vg/wide","ext4",true],[4,0,"vg/narrow","ext4",true],[5,1,null,"LVM2_member",false]]'
	ok "a file across both" cmp -s img/wide/big <(file "$CRYPT" 3 /big)
	ok "the same on the command line" cmp -s img/wide/big <(sendense image cat --passphrase-file pw --disk img/vg-0 --disk img/luks-1 --volume 3 /big)
	if [ "$BTRFS" = 2 ]; then
		whole halves >m; M=$(jq -r .mount_id m)
		is "btrfs, half of it in LUKS: locked" "$(jq -c '[.volumes[]|[.volume,.disk_index,.filesystem_type,.locked,.supported]]' m)" '[[1,0,"btrfs",false,true],[2,1,"crypto_LUKS",true,false]]'
		like "what is missing is a warning" "$(jq -r '.warnings|join(" ")' m)" '1 of the 2 devices of this btrfs is missing .device 2, UUID'
		is "what is there" "$(file "$M" 1 /name)" striped
		expect "what is not" 422 VOLUME_INCOMPLETE "/restore/$M/download?path=/big&volume=1"
		api "/restore/$M/unlock" -d @key.json >m
		is "unlocked: whole, without a warning" "$(jq -c '[.warnings,[.volumes[]|[.volume,.filesystem_type,.supported,.container]]]' m)" '[[],[[1,"btrfs",true,false],[2,"crypto_LUKS",false,true],[3,"btrfs",false,true]]]'
		ok "a file on both halves" cmp -s img/wide/big <(file "$M" 1 /big)
		api "/restore/$M" -X DELETE >/dev/null
	fi
else
	skip "one PV in LUKS" "$(head -1 luks.err 2>/dev/null || echo 'no cryptsetup')"
fi

# --- the client ---
export SENDENSE_DATA_DIR=$T/hub
ok "sendense get --disk all" cmp -s img/wide/big <(sendense get --disk all -o - vg-full:/big)
sendense mount --disk 0 --disk 1 --reuse mixed >out 2>&1
ok "sendense mount with both disks is that mount" grep -qF "$MIXED" out
like "it names the disks" "$(cat out)" 'disks 0,1 of mixed'
like "and each volume's" "$(grep -E '^ +3 ' out)" '^ +3 +1 +disk +ext2 .* data '
like "sendense mounts" "$(sendense mounts | grep -F "$MIXED")" ' 0,1 '

# --- many at once ---
api "/restore/$VG" -X DELETE >/dev/null
for i in $(seq 8); do
	curl -s --max-time 60 -H "Authorization: Bearer $TOKEN" -d '{"backup_id":"vg-full","disks":"all","reuse":true}' "$URL/restore/mount" >"once.$i" &
	PIDS="$PIDS $!"
done
wait $PIDS
is "eight who ask for the same get the same" "$(jq -r .mount_id once.* | sort -u | wc -l)" 1
VG=$(jq -r .mount_id once.1)

# --- the worker's life ---
W=$(ps -o pid=,comm= --ppid "$HUB" | awk '/sendense-worker/ {print $1}' | head -1)
kill -9 "$W"; eventually gone "$W"
is "after the death of a worker" "$(file "$VG" 4 /name)$(file "$MIXED" 3 /name)" narrowdata
hub_stop; hub_start
is "after a restart: nothing runs" "$(workers)" 0
is "after a restart: the list" "$(api /restore/mounts | jq -c --arg m "$MIXED" '[.mounts[]|select(.mount_id==$m)|(.disks|length),(.volumes|length)]')" '[2,0]'
is "after a restart: the volumes" "$(volumes "$MIXED")" "$WANT"
ok "after a restart: a file" cmp -s img/wide/big <(file "$VG" 3 /big)
kill -9 "$HUB"; wait "$HUB" 2>/dev/null
printf 'worker_idle_seconds = 1\ncleanup_interval_seconds = 1\n' >hub.conf
hub_start --config hub.conf
is "after the hub was killed" "$(volumes "$MIXED")" "$WANT"
ok "an idle worker sleeps" eventually no_workers
is "and wakes" "$(file "$MIXED" 3 /name)" data

# What was missing stays so, what was there must be: or the numbers would mean other volumes.
ok "asleep again" eventually no_workers
cp kept.mirror repo/mirror/disk-1/mirror.qcow2
is "a disk that came back is missing from its old mount" "$(api "/restore/$MIRROR" | jq -c '[[.disks[].status],[.volumes[]|.volume]]')" '[["open","missing"],[1,2,3]]'
mv repo/mixed/disk-0/mixed.qcow2 kept.mixed
ok "asleep once more" eventually no_workers
expect "a disk that went away since" 422 IMAGE_LAYER_MISSING "/restore/$MIXED/files?path=/&volume=3"
like "it says which" "$(jq -r .error body)" 'disk 0: .*mixed/disk-0/mixed.qcow2'
mv kept.mixed repo/mixed/disk-0/mixed.qcow2
is_back() { [ "$(file "$MIXED" 3 /name)" = data ]; }
ok "and back again" eventually is_back
api "/restore/$MIRROR" -X DELETE >/dev/null
is "mounted anew it is there" "$(whole mirror | jq -c '[[.disks[].status],.warnings]')" '[["open","open"],[]]'
hub_stop

# --- expiry ---
printf 'idle_timeout_seconds = 2\ncleanup_interval_seconds = 1\n' >hub.conf
hub_start --config hub.conf
for m in $(api /restore/mounts | jq -r '.mounts[].mount_id'); do api "/restore/$m" -X DELETE >/dev/null; done
MIXED=$(whole mixed | jq -r .mount_id)
is "mounted for two seconds" "$(api /restore/resources | jq .active_mounts)" 1
no_mounts() { [ "$(api /restore/resources | jq .active_mounts)" = 0 ]; }
ok "it expires" eventually no_mounts
expect "an expired one" 404 MOUNT_NOT_FOUND "/restore/$MIXED"
AGAIN=$(jq -c '.details|{backup_id,disks,reuse:true}' body)
is "says what to mount again" "$(jq -c .disks <<<"$AGAIN")" "$(ids mixed)"
is "which is then the same volumes" "$(api /restore/mount -d "$AGAIN" | jq -c '[.volumes[]|[.volume,.disk_index,.name // .label,.supported]]')" "$WANT"
is "as another mount" "$(status)" 201
hub_stop
printf 'max_mounts = 1\n' >hub.conf; rm -rf hub
hub_start --config hub.conf
api "/repositories/$(add_repository main "$T/repo")/scan" -d '{}' >/dev/null
is "one slot takes two disks" "$(whole vg-full | jq '.disks|length')" 2
expect "and no more" 503 NO_SLOT /restore/mount -d '{"backup_id":"mixed","disks":"all"}'
expect "what is mounted says so all the same" 409 ALREADY_MOUNTED /restore/mount -d '{"backup_id":"vg-full","disks":"all"}'
hub_stop
ok "no secret and no crash in the log" bash -c '! grep -qE "open sesame|Sanitizer|SIGSEGV" hub.log'
done_testing
