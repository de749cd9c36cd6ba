#!/bin/bash
# What goes wrong in real life: images that are damaged or lie, clients that go away, workers that die or hang, a hub that is
# killed under load.
. "$SENDENSE_SRC/tests/e2e/lib.sh"
mkdir -p "$T/tree"/{etc,usr,data,many} "$T/repo"
echo host >"$T/tree/etc/hostname"
head -c 80000000 /dev/urandom >"$T/tree/data/big"
(cd "$T/tree/many" && seq 1500 | split -l 1 -a 3 -)
mke2fs -q -t ext4 -d "$T/tree" "$T/disk.raw" 192M >/dev/null 2>&1 && qemu-img convert -O qcow2 "$T/disk.raw" "$T/repo/good.qcow2" && rm "$T/disk.raw"
WANT=$(sha256sum <"$T/tree/data/big")
cd "$T/repo" || exit 1
cp --reflink=auto good.qcow2 other.qcow2
for n in gone short link outside climbs; do qemu-img create -q -f qcow2 "$n.qcow2" 16M; done
qemu-img create -q -f qcow2 -b good.qcow2 -F qcow2 over.qcow2
qemu-img create -q -f qcow2 -u -b nowhere.qcow2 -F qcow2 orphan.qcow2 16M
printf 'worker_timeout_seconds = 2\n' >"$T/hub.conf"
hub_start --config "$T/hub.conf" || { flunk "the hub starts" "$(cat "$T/hub.log")"; done_testing; exit 1; }
api "/repositories/$(add_repository r "$T/repo")/scan" -X POST >"$T/scan"
is "an image on a missing one is an orphan" "$(jq -r '[.orphans[].file // .orphans[].path] | join(",")' "$T/scan")" orphan.qcow2

# by_file NAME: the restore point whose disk is that file.
by_file() {
	local id
	for id in $(api '/backups?limit=100' | jq -r '.backups[].backup_id'); do
		if [ "$(api "/backups/$id/disks" | jq -r '.disks[0].qcow2_path')" = "$1" ]; then echo "$id"; return; fi
	done
}
for n in gone short link outside climbs good other over; do declare "ID_$n=$(by_file "$n.qcow2")"; done
like "restore points are found by file" "$ID_good" .

# --- images that changed after the scan ---
mount_error() { # NAME CODE BACKUP
	expect "$1" "$2" "$3" /restore/mount -d "{\"backup_id\":\"$4\"}"
}
rm gone.qcow2; head -c 70 good.qcow2 >short.qcow2; ln -sf /etc/passwd link.qcow2
qemu-img create -q -f qcow2 -u -b /etc/passwd -F raw outside.qcow2 16M
ln -s /etc outwards; qemu-img create -q -f qcow2 -u -b outwards/passwd -F raw climbs.qcow2 16M
api /restore/mount -d "{\"backup_id\":\"$ID_gone\"}" >/dev/null; like "a missing layer" "$(status) $(code)" '^(409|422|424|502|503|500) IMAGE_LAYER_MISSING'
api /restore/mount -d "{\"backup_id\":\"$ID_short\"}" >/dev/null; like "a truncated layer" "$(status) $(code)" ' IMAGE_UNREADABLE'
for n in link outside climbs; do
	v=ID_$n
	api /restore/mount -d "{\"backup_id\":\"${!v}\"}" >/dev/null
	like "$n: nothing outside is opened" "$(status) $(code)" '^[45].* (IMAGE_|PATH_INVALID|REPOSITORY)'
	is "$n: and nothing of it is told" "$(grep -c "root:\|$T" "$T/body")" 0
done
is "no failed mount holds a slot" "$(api /restore/resources | jq .active_mounts)" 0
is "no worker is left of them" "$(workers)" 0

# --- clients ---
M=$(mount "$ID_good"); O=$(mount "$ID_other")
BIG="/restore/$M/download?path=/data/big" TAR="/restore/$M/download-directory?path=/data&format=tar"
api "/restore/$M/files?path=/" >/dev/null
worker_of() { # the worker that has this file open
	local p
	for p in $(ps -o pid= --ppid "$HUB"); do
		if ls -l "/proc/$p/fd" 2>/dev/null | grep -q "$1"; then echo "$p"; return; fi
	done
}
fds() { ls "/proc/$1/fd" 2>/dev/null | wc -l; }
settled() { [ "$(fds "$1")" -le "$2" ]; }
settle() { # PID WANT: descriptors return to what they were
	eventually settled "$@" || { fds "$1"; ls -l "/proc/$1/fd"; return 1; }
}
W=$(worker_of good.qcow2)
FDS_W=$(fds "$W"); sleep 0.5; FDS_H=$(fds "$HUB")
for _ in 1 2 3; do
	timeout 1 curl -s --limit-rate 1M -H "Authorization: Bearer $TOKEN" -o /dev/null "$URL$TAR"
	timeout 1 curl -s --limit-rate 1M -H "Authorization: Bearer $TOKEN" -o /dev/null "$URL$BIG"
done
ok "a client that goes away: its stream ends in the worker" settle "$W" "$FDS_W"
is "… the worker goes on" "$(worker_of good.qcow2)" "$W"
curl -s --limit-rate 30M -H "Authorization: Bearer $TOKEN" -o "$T/slow" "$URL$BIG" & C=$!
is "a slow client holds up nobody" "$(api "/restore/$M/files?path=/many" | jq .total_count)" 1500
wait $C; is "… and gets every byte" "$(sha256sum <"$T/slow")" "$WANT"

# --- a worker that dies, one that hangs ---
answers() { [ "$(api "/restore/$1/files?path=$2" | jq .total_count)" = "$3" ]; }
for what in "$BIG" "$TAR"; do
	rm -f "$T/part"
	curl -s --limit-rate 10M -H "Authorization: Bearer $TOKEN" -o "$T/part" "$URL$what" & C=$!
	eventually test -s "$T/part"
	kill -9 "$(worker_of good.qcow2)"
	wait $C; like "killed in the middle: curl sees it (${what##*/})" "$?" '^(18|56|92)$'
	ok "… what came is not the whole" test "$(stat -c %s "$T/part")" -lt 80000000
	# A second death in a row is answered with a pause of some seconds.
	ok "… and then a new worker" eventually answers "$M" /etc 1
done
W=$(worker_of good.qcow2); kill -STOP "$W"
curl -s --max-time 30 -H "Authorization: Bearer $TOKEN" -o /dev/null "$URL/restore/$M/file-info?path=/etc/hostname" & C=$!
is "a worker that hangs: others are not held up" "$(api "/restore/$O/files?path=/many" | jq .total_count)" 1500
wait $C; is "… who asked it has an answer, long before the time that is usual" $? 0
ok "… and the worker is gone" eventually gone "$W"
ok "… and then there is a new one" eventually answers "$M" /etc 1
W=$(worker_of good.qcow2)
kill -STOP "$W"
expect "… answered with a time-out" 504 WORKER_TIMEOUT "/restore/$M/file-info?path=/etc/hostname"
ok "nothing leaked in the hub" settle "$HUB" "$((FDS_H + 4))"

# --- the hub killed at random points, under load ---
for round in 1 2 3; do
	for _ in 1 2 3; do
		(while api "/restore/$O/files?path=/many" -o /dev/null; do :; done) >/dev/null 2>&1 &
		(while curl -sf -H "Authorization: Bearer $TOKEN" -o /dev/null "$URL/restore/$O/download?path=/data/big"; do :; done) &
	done
	(while api /restore/mount -d "{\"backup_id\":\"$ID_over\",\"reuse\":true}" -o "$T/m"; do
		curl -s -X DELETE -H "Authorization: Bearer $TOKEN" "$URL/restore/$(jq -r .mount_id "$T/m")"; done) >/dev/null 2>&1 &
	sleep "0.$((RANDOM % 9 + 1))"
	PIDS=$(ps -o pid= --ppid "$HUB")
	# One that has been taken over does not care about its hub's end.
	if [ "$(id -u)" = 0 ]; then
		HELD=$(worker_of other.qcow2)
		"$SENDENSE_SRC/tests/e2e/hold" "$HELD" &
		ok "round $round: a worker does nothing more" eventually grep -q 'State:.t' "/proc/$HELD/status"
	else
		skip "round $round: a worker does nothing more" 'only root may trace it'
	fi
	kill -9 "$HUB"; wait "$HUB" 2>/dev/null
	all_gone() { for p in $PIDS; do gone "$p" || return 1; done; }
	ok "round $round: no worker outlives the hub" eventually all_gone
	is "round $round: the catalog is sound" "$(sqlite3 "$T/hub/catalog.db" 'PRAGMA integrity_check')" ok
	kill $(jobs -p) 2>/dev/null; wait 2>/dev/null
	hub_start --config "$T/hub.conf" || flunk "round $round: the hub starts again" "$(tail -3 "$T/hub.log")"
	# Not by the first try: a busy machine may need longer to start a worker than its two seconds.
	ok "round $round: its mounts answer" eventually answers "$O" /many 1500
	is "round $round: nothing is in between" "$(api /restore/mounts | jq '[.mounts[] | select(.status != "mounted")] | length')" 0
done
hub_stop; is "and it stops cleanly" $? 0
done_testing
