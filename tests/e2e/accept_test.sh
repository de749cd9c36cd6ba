#!/bin/bash
# What acceptance found broken, on images that no other test has.
. "$SENDENSE_SRC/tests/e2e/lib.sh"
mkdir -p "$T/repo/vm" "$T/in/etc"
echo hello >"$T/in/etc/hostname"
truncate -s 16M "$T/flat"
mke2fs -q -t ext4 -d "$T/in" "$T/flat" >/dev/null 2>&1
qemu-img convert -O qcow2 "$T/flat" "$T/repo/vm/good.qcow2"
head -c 1M /dev/urandom >"$T/repo/vm/noise.qcow2"
echo short >"$T/repo/vm/short.QCOW2"
qemu-img convert -O qcow2 "$T/flat" "$T/repo/vm/lost.qcow2"
# A raw disk whose first bytes the guest made a QCOW2 header of, to be read as another image.
qemu-img create -q -f qcow2 -u -b good.qcow2 -F qcow2 "$T/repo/vm/guest.raw" 16M

# --- a QCOW2 file that is none is no raw disk full of noise ---
sendense image info "$T/repo/vm/noise.qcow2" >/dev/null 2>"$T/err"; is "image info: not one" $? 4
like "… and says so" "$(cat "$T/err")" 'not a QCOW2 image'
is "a raw one needs no suffix" "$(sendense image cat "$T/flat" /etc/hostname)" hello
if [ -n "${SENDENSE_NO_SANDBOX:-}" ]; then
	skip "a tighter memory limit of the user's stays" "a sanitizer reserves terabytes"
else
	is "a tighter memory limit of the user's stays" "$(ulimit -v 1500000; sendense image cat "$T/flat" /etc/hostname 2>&1)" hello
fi

hub_start || { flunk "the hub starts" "$(cat "$T/hub.log")"; done_testing; exit 1; }
R=$(add_repository odd "$T/repo")
api "/repositories/$R/scan" -X POST >"$T/scan"
is "they are no restore points" "$(jq -c '[.found[].backup_id] | sort' "$T/scan")" '["good","guest","lost"]'
is "but orphans" "$(jq -c '[.orphans[].path] | sort' "$T/scan")" '["vm/noise.qcow2","vm/short.QCOW2"]'
is "a raw disk stands on nothing, whatever its guest wrote" "$(api /backup/guest | jq -c '[.backup_type, .parent_backup_id]')" '["full",null]'
head -c 1M /dev/urandom >"$T/repo/vm/lost.qcow2"
expect "an image overwritten since the scan" 422 IMAGE_UNREADABLE /restore/mount -d '{"backup_id":"lost"}'

# --- names in any bytes ---
qemu-img convert -O qcow2 "$T/flat" "$T/repo/vm/"$'na\xefve\nday.qcow2'
api "/repositories/$R/scan" -X POST >"$T/scan"
B=$(jq -r '.found[].backup_id | select(startswith("na"))' "$T/scan")
jq -n --arg id "$B" '{backup_id: $id}' >"$T/request"
M=$(api /restore/mount -d @"$T/request" | jq -r .mount_id)
is "a backup whose file has a name that is not UTF-8 can be mounted" "$(api "/restore/$M/download?path=/etc/hostname")" hello
is "… and is found by its name" "$(api "/backups/$(jq -rn --arg id "$B" '$id | @uri')" | jq -r .backup_id)" "$B"
hub_stop

# --- under valgrind, which knows neither openat2 nor pidfds ---
if ! command -v valgrind >/dev/null; then
	skip "no leak" "there is no valgrind"
elif [ -n "${SENDENSE_NO_SANDBOX:-}" ]; then
	skip "no leak" "sanitizers and valgrind do not go together"
else
	sendense_hub=$(command -v sendense-hub)
	sendense-hub() { valgrind -q --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite --error-exitcode=9 "$sendense_hub" "$@"; }
	rm -rf "$T/hub"
	hub_start || flunk "the hub starts under valgrind" "$(tail -5 "$T/hub.log")"
	R=$(add_repository again "$T/repo")
	is "a scan under valgrind" "$(api "/repositories/$R/scan" -X POST | jq '.found | length')" 3
	M=$(mount good)
	is "a download under valgrind" "$(api "/restore/$M/download?path=/etc/hostname")" hello
	api "/restore/$M" -X DELETE >/dev/null
	pid=$(pgrep -P "$HUB" -f "$T/hub" || echo "$HUB")
	kill "$pid"; wait "$HUB"; is "no invalid access, no definite leak" $? 0
	HUB=
	unset -f sendense-hub
fi

# --- settings ---
sendense-hub --config "$T" --data-dir "$T/hub2" --listen 127.0.0.1:0 >/dev/null 2>"$T/err"; is "a configuration that cannot be read" $? 2
like "… is named" "$(cat "$T/err")" 'cannot read the configuration file'
done_testing
