#!/bin/bash
# The whole way: a repository is scanned, disks are mounted, files come out, byte for byte, and bad input is answered well.
. "$SENDENSE_SRC/tests/e2e/lib.sh"
TMPDIR=$T "$SENDENSE_SRC/tools/make-demo-repository" "$T/repo" >"$T/make.log" 2>&1 || { flunk "the demo repository is made" "$(tail -5 "$T/make.log")"; done_testing; exit 1; }
hub_start || { flunk "the hub starts" "$(cat "$T/hub.log")"; done_testing; exit 1; }

# --- closed by default ---
is "health needs no token" "$(curl -s -o /dev/null -w '%{http_code}' "$URL/healthz")" 200
is "everything else does" "$(curl -s -o /dev/null -w '%{http_code}' "$URL/backups")" 401
is "a wrong token is refused" "$(curl -s -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer wrong' "$URL/backups")" 401
is "the token is for its user alone" "$(stat -c %a "$T/hub/admin.token")" 600
like "another address needs TLS" "$(sendense-hub --data-dir "$T/other" --listen 0.0.0.0:0 2>&1)" 'loopback'
# A socket that somebody else has opened, as systemd does.
SAID=$(timeout 20 python3 - sendense-hub --data-dir "$T/other" 2>&1 <<'END'
import os, socket, sys
s = socket.create_server(("0.0.0.0", 0))
if s.fileno() != 3:
    os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execvp(sys.argv[1], sys.argv[1:])
END
)
like "… one of a socket handed over, too" "$SAID" 'not a loopback address'
like "a setting without its value is not passed over" "$(sendense-hub --data-dir "" --listen 127.0.0.1:0 2>&1)" 'data_dir has no value'
like "… nor a configuration without its name" "$(sendense-hub --config "" --data-dir "$T/hub" 2>&1)" 'needs the name of a file'
like "one data directory, one hub" "$(sendense-hub --data-dir "$T/hub" --listen 127.0.0.1:0 2>&1)" 'another sendense-hub'

# --- repository and catalog ---
R=$(add_repository demo "$T/repo")
like "a repository has an id" "$R" .
expect "the same name twice" 409 ALREADY_EXISTS /repositories -d "{\"name\":\"demo\",\"location\":\"$T/repo\"}"
expect "a folder that is not there" 503 REPOSITORY_UNREACHABLE /repositories -d '{"name":"x","location":"/nonexistent-folder"}'
expect "no name" 400 INVALID_ARGUMENT /repositories -d '{"location":"/tmp"}'
expect "not JSON" 400 INVALID_ARGUMENT /repositories -d '{"name":'
api "/repositories/$R/scan" -X POST >"$T/scan"
is "six restore points are found" "$(jq .restore_points "$T/scan")" 6
is "nine images" "$(jq .images "$T/scan")" 9
is "no orphans" "$(jq '.orphans | length' "$T/scan")" 0
api "/repositories/$R/scan" -X POST >"$T/scan"
is "a second scan makes nothing new" "$(jq .created "$T/scan")" 0
is "backups by VM" "$(api '/backup/list?vm_name=web01' | jq .total)" 3
is "backups by type" "$(api '/backups?backup_type=full' | jq .total)" 2
is "backups by status" "$(api '/backup/list?status=running' | jq .total)" 0
is "an empty filter is none" "$(api '/backup/list?vm_name=&vm_context_id=&repository_id=&status=&backup_type=' | jq .total)" 6
is "newest first" "$(api '/backup/list?vm_name=web01' | jq -r '.backups[0].backup_id')" backup-web01-1700172800
expect "an unknown status" 400 INVALID_ARGUMENT '/backup/list?status=nice'
is "one backup" "$(api /backup/backup-web01-1700086400 | jq -r .parent_backup_id)" backup-web01-1700000000
expect "an unknown backup" 404 BACKUP_NOT_FOUND /backup/nope
is "its disks" "$(api /backups/backup-winsrv01-1700003600/disks | jq .count)" 2
C=$(api '/vm-contexts?vm_name=winsrv01' | jq -r '.vm_contexts[0].vm_context_id')
is "the chain" "$(api "/backup/chain?vm_context_id=$C&disk_id=1" | jq -r '[.full_backup.backup_id, (.incrementals | length), .count] | @csv')" '"backup-winsrv01-1700003600",2,3'
expect "a chain of no VM" 404 VM_NOT_FOUND '/backup/chain?vm_context_id=nope'
ok "the API describes itself" jq -e '.openapi | startswith("3.1")' <(api /openapi.json)

# --- mounting ---
expect "an unknown backup cannot be mounted" 404 BACKUP_NOT_FOUND /restore/mount -d '{"backup_id":"nope"}'
expect "nor an unknown disk" 404 DISK_NOT_FOUND /restore/mount -d '{"backup_id":"backup-web01-1700000000","disk_index":7}'
expect "nor nothing" 400 INVALID_ARGUMENT /restore/mount -d '{}'
expect "nor a number for a name" 400 INVALID_ARGUMENT /restore/mount -d '{"backup_id":5}'
M=$(mount backup-web01-1700172800)
is "a mount is 201" "$(status)" 201
is "its volumes" "$(jq -c '[.volumes[] | [.volume, .filesystem_type, .default]]' "$T/body")" '[[1,"vfat",false],[2,"ext4",true]]'
expect "a second mount of the disk" 409 ALREADY_MOUNTED /restore/mount -d '{"backup_id":"backup-web01-1700172800"}'
is "… names the first" "$(jq -r .details.mount_id "$T/body")" "$M"
is "… and is it, with reuse" "$(api /restore/mount -d '{"backup_id":"backup-web01-1700172800","reuse":true}' | jq -r .mount_id)" "$M"
is "… 200" "$(status)" 200
M0=$(mount backup-web01-1700000000)
is "two mounts" "$(api /restore/mounts | jq .count)" 2
is "resources" "$(api /restore/resources | jq -c '[.active_mounts, .max_mounts, .available_slots]')" '[2,1000,998]'
is "cleanup" "$(api /restore/cleanup-status | jq -c '[.running, .interval_seconds, .idle_timeout_seconds]')" '[false,60,3600]'

# --- files ---
is "the default volume is the one with the system" "$(api "/restore/$M/files?path=/" | jq .volume)" 2
is "directories first, then by name" "$(api "/restore/$M/files?path=/home/anna" | jq -r '[.files[].name] | join(",")')" documents
is "the deleted file is gone from the newest" "$(api "/restore/$M/files?path=/home/anna/documents" | jq -r '[.files[].name] | join(",")')" 'Grüße.txt,report.txt'
is "… and is in the first" "$(api "/restore/$M0/download?path=/home/anna/documents/important.txt")" "to be deleted by mistake"
is "the newest version of a file" "$(api "/restore/$M/download?path=/home/anna/documents/report.txt" | tail -1)" "Revenue is up. Costs are down."
is "… and the oldest" "$(api "/restore/$M0/download?path=/home/anna/documents/report.txt")" "Quarterly report, draft 1"
is "another volume" "$(api "/restore/$M/files?path=/EFI/debian&volume=1" | jq -r '.files[0].name')" grubx64.efi
is "through a symlink" "$(api "/restore/$M/files?path=/home/ben/shared" | jq .total_count)" 2
is "pages" "$(api "/restore/$M/files?path=/usr/share/common-licenses&limit=2" | jq -c '[(.files | length), (.total_count > 2), (.next_cursor != null)]')" '[2,true,true]'
N=$(api "/restore/$M/files?path=/etc" | jq -r '[.files[].name] | join(",")')
P= cursor=
while :; do
	api "/restore/$M/files?path=/etc&limit=1&cursor=$cursor" >"$T/page"
	P=$P,$(jq -r '.files[0].name' "$T/page"); cursor=$(jq -r '.next_cursor // empty' "$T/page")
	[ -n "$cursor" ] || break
done
is "pages make the whole" "${P#,}" "$N"
is "by size, descending" "$(api "/restore/$M/files?path=/etc&sort=size&order=desc" | jq '[.files[] | select(.type == "file") | .size] | . == (sort | reverse)')" true
is "by mode" "$(api "/restore/$M/files?path=/etc&sort=mode" | jq '[.files[] | select(.type == "file") | .mode] | . == sort and length > 2')" true
is "by owner, descending" "$(api "/restore/$M/files?path=/home&sort=owner&order=desc" | jq '[.files[] | .uid] | . == (sort | reverse) and length > 1')" true
expect "a cursor of another listing" 400 INVALID_ARGUMENT "/restore/$M/files?path=/etc&sort=size&cursor=name.asc.1"
is "file-info knows the inode's story" "$(api "/restore/$M/file-info?path=/home/ben/photo-copy.raw" | jq -c '[.type, .size, .links]')" '["file",3000000,2]'
is "file-info shows the link" "$(api "/restore/$M/file-info?path=/home/ben/shared" | jq -r .link_target)" ../anna/documents
is "search" "$(api "/restore/$M/search?q=GR%C3%BC" | jq -r '.files[].path')" /home/anna/documents/Grüße.txt

# --- downloads ---
D="/restore/$M/download?path=/home/ben/photo.raw"
api "$D" >"$T/photo"
is "as many bytes as announced" "$(stat -c %s "$T/photo")" 3000000
like "resumable" "$(api "$D" -I)" 'Accept-Ranges: bytes'
E=$(curl -sI -H "Authorization: Bearer $TOKEN" "$URL$D" | tr -d '\r' | sed -n 's/^ETag: //p')
is "a range" "$(api "$D" -r 1000000-1000099 | cmp - <(dd if="$T/photo" bs=1 skip=1000000 count=100 status=none) && status)" 206
is "the end" "$(api "$D" -r -100 | cmp - <(tail -c 100 "$T/photo") && status)" 206
is "resumed with If-Range" "$(api "$D" -r 2999990- -H "If-Range: $E" | wc -c)" 10
is "not resumed when it is another" "$(api "$D" -r 2999990- -H 'If-Range: "other"' | wc -c)" 3000000
api "$D" -H "If-None-Match: $E" >/dev/null; is "not modified" "$(status)" 304
api "$D" -r 4000000- >/dev/null; is "no such range" "$(status)" 416
api "$D" -r 4000000- -i >"$T/head"; is "… an error that is not named as the file" "$(grep -ci '^content-disposition' "$T/head")" 0
is "HEAD has no body" "$(curl -sI -o /dev/null -w '%{http_code} %{size_download}' -H "Authorization: Bearer $TOKEN" "$URL$D")" "200 0"
like "names are RFC 6266" "$(api "/restore/$M/download?path=/home/anna/documents/Gr%C3%BC%C3%9Fe.txt" -I)" "filename\*=UTF-8''Gr%C3%BC%C3%9Fe.txt"
is "an empty hole of 64 MiB" "$(api "/restore/$M/download?path=/home/ben/sparse.img" | cmp - <(head -c 67108864 /dev/zero) && echo same)" same
expect "a directory is no file" 400 IS_A_DIRECTORY "/restore/$M/download?path=/etc"
expect "a file is no directory" 400 NOT_A_DIRECTORY "/restore/$M/files?path=/etc/hostname"
expect "a missing file" 404 NOT_FOUND "/restore/$M/download?path=/etc/nope"
expect "two paths are none" 400 INVALID_ARGUMENT "/restore/$M/download?path=/etc/hostname&path=/etc/passwd"
expect "a missing volume" 404 VOLUME_NOT_FOUND "/restore/$M/files?path=/&volume=9"
api "/restore/$M/download-directory?path=/home" -I >"$T/head"
is "HEAD of what has no length yet tells none" "$(status) $(grep -ci '^content-length' "$T/head")" "200 0"
for f in zip tar tar.gz tar.zst; do
	api "/restore/$M/download-directory?path=/home&format=$f" >"$T/a.$f"
	is "archive $f" "$(status)" 200
done
ok "zip is whole" unzip -tq "$T/a.zip"
is "tar has the link" "$(tar tvf "$T/a.tar" | grep -c 'photo.*link to')" 1
mkdir "$T/x" && tar xzf "$T/a.tar.gz" -C "$T/x"
ok "tar.gz gives the bytes, by both names" cmp "$T/x/home/ben/photo.raw" "$T/photo"
is "… of one file" "$(stat -c %h "$T/x/home/ben/photo-copy.raw")" 2
is "tar.zst as well" "$(zstd -dc "$T/a.tar.zst" | tar xO home/anna/documents/report.txt | head -1)" "Quarterly report, final"
expect "an unknown format" 400 INVALID_ARGUMENT "/restore/$M/download-directory?path=/home&format=rar"
A=$(api "/restore/$M/archives" -d '{"paths":["/etc/hostname","/home/anna"],"format":"tar"}')
is "a selection is counted" "$(jq -c '[.entries, .state]' <<<"$A")" '[5,"ready"]'
like "… fetched by a plain GET" "$(curl -s -H "Authorization: Bearer $TOKEN" "${URL%/api/v1}$(jq -r .url <<<"$A")" | tar t | sort | tr '\n' ' ')" 'anna/ .*hostname'
is "… and is complete" "$(api "/restore/archives/$(jq -r .archive_id <<<"$A")" | jq -r .state)" complete
expect "… which takes no further paths" 409 CONFLICT "/restore/archives/$(jq -r .archive_id <<<"$A")/paths" -d '{"paths":["/etc"]}'
A=$(api "/restore/$M/archives" -d '{"paths":["/etc/hostname"],"format":"tar"}')
is "a selection grows before it is fetched" "$(api "/restore/archives/$(jq -r .archive_id <<<"$A")/paths" -d '{"paths":["/home/anna"]}' | jq -c '[.entries, .state, .error_entries]')" '[5,"ready",[]]'
like "… and holds all" "$(curl -s -H "Authorization: Bearer $TOKEN" "${URL%/api/v1}$(jq -r .url <<<"$A")" | tar t | sort | tr '\n' ' ')" 'anna/ .*hostname'
expect "further paths for an unknown archive" 404 ARCHIVE_NOT_FOUND /restore/archives/nope/paths -d '{"paths":["/etc"]}'

# --- downloads whose progress is asked for ---
K=track-0001-me
expect "not begun" 404 NOT_FOUND "/restore/downloads/$K"
api "$D&track=$K" -r 0-999999 >/dev/null
is "a part of it" "$(api "/restore/downloads/$K" | jq -c '[.state, .bytes, .bytes_done]')" '["interrupted",3000000,1000000]'
api "$D&track=$K" -r 1000000- >/dev/null
is "the rest" "$(api "/restore/downloads/$K" | jq -c '[.state, .bytes_done, .error]')" '["complete",3000000,null]'
is "cancelled before it begins" "$(api /restore/downloads/track-0002 -X DELETE | jq -r .state)" cancelled
expect "… it is refused" 409 CANCELLED "$D&track=track-0002"
api "/restore/$M/download?path=/etc/nope&track=track-0003" >/dev/null
is "one that cannot begin" "$(api /restore/downloads/track-0003 | jq -c '[.state, (.error | length > 10)]')" '["failed",true]'
api "$D&track=track-0003" >/dev/null
is "… and then can" "$(api /restore/downloads/track-0003 | jq -c '[.state, .error]')" '["complete",null]'
curl -s --limit-rate 20M --max-time 60 -o "$T/slow" -H "Authorization: Bearer $TOKEN" "$URL/restore/$M/download?path=/home/ben/sparse.img&track=track-0004" &
slow=$!
runs() { [ "$(api /restore/downloads/track-0004 | jq -r .state)" = running ]; }
ok "it runs" eventually runs
api /restore/downloads/track-0004 -X DELETE >/dev/null
wait $slow; is "cancelled, the transfer breaks off" $? 18
expect "an id that is none" 400 INVALID_ARGUMENT "$D&track=a/b"

expect "an unknown archive" 404 ARCHIVE_NOT_FOUND /restore/archives/nope

# --- paths that mean harm ---
for p in '..' '/..' '/../etc/passwd' '/etc/../../x' '/etc/%2e%2e/x' '/etc/%2E%2E%2f%2e%2e' '%2f..' 'etc' '' '/etc/..%2f' '/a%00b' '/%00' '/./etc'; do
	expect "path $p" 400 PATH_INVALID "/restore/$M/download?path=$p"
done
expect "a backslash is a name like any other" 404 NOT_FOUND "/restore/$M/files?path=/..%5C..%5Cetc"
expect "a twice encoded dot is no dot" 404 NOT_FOUND "/restore/$M/files?path=/%252e%252e"
LONG=$(printf 'a%.0s' $(seq 300))
expect "a name no filesystem has" 404 NOT_FOUND "/restore/$M/files?path=/$LONG"
is "a path beyond all limits" "$(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $TOKEN" "$URL/restore/$M/files?path=/$(printf 'a%.0s' $(seq 20000))")" 414
expect "an unknown mount" 404 MOUNT_NOT_FOUND "/restore/00000000-0000-4000-8000-000000000000/files?path=/"
expect "a mount id that is none" 404 MOUNT_NOT_FOUND "/restore/..%2f..%2fx/files?path=/"

# --- Windows ---
W=$(mount backup-winsrv01-1700176400)
is "the 16 MiB recovery volume is not the default" "$(jq -c '[.volumes[] | [.volume, .label, .default]]' "$T/body")" '[[1,"Recovery",false],[2,"SYSTEM",false],[3,"Windows",true],[4,"Data",false]]'
is "it opens on C:" "$(api "/restore/$W/files?path=/" | jq -r '[.files[].name] | join(",")')" 'Program Files,Users,Windows'
is "the newest invoices" "$(api "/restore/$W/download?path=/Users/maria/Documents/invoices.csv" | wc -l)" 3
is "case is Windows' own" "$(api "/restore/$W/download?path=/users/MARIA/documents/Invoices.CSV" | wc -l)" 3
W1=$(mount backup-winsrv01-1700176400 1)
is "the second disk" "$(api "/restore/$W1/files?path=/SQLData" | jq -r '[.files[].name] | join(",")')" 'log-1.ldf,log-2.ldf,master.mdf'

# --- a scan that cannot read an image it knows: nothing is forgotten, no mount ends ---
F=$T/repo/winsrv01/disk-1/backup-winsrv01-1700176400.qcow2
mv "$F" "$T/aside" && head -c 100000 /dev/urandom >"$F"
is "a scan finds a damaged image" "$(api "/repositories/$R/scan" -X POST | jq '.orphans | length')" 1
is "its disk is kept" "$(api /backups/backup-winsrv01-1700176400/disks | jq .count)" 2
is "and its mount, too" "$(api "/restore/$W1" >/dev/null; status)" 200
mv "$T/aside" "$F"
is "as if nothing had been" "$(api "/repositories/$R/scan" -X POST | jq -c '[.created, (.orphans | length)]')" '[0,0]'
# … but a disk that is gone takes its mount with it, worker and all.
mv "$F" "$T/aside"
api "/repositories/$R/scan" -X POST >/dev/null
expect "the mount of a disk that is gone has ended" 404 MOUNT_NOT_FOUND "/restore/$W1/files?path=/"
mv "$T/aside" "$F"
api "/repositories/$R/scan" -X POST >/dev/null
W1=$(mount backup-winsrv01-1700176400 1)
is "it is back with its file" "$(status)" 201

# --- a repository with what the catalog cannot take, with names that are not UTF-8, and with an image cut off while it is open ---
mkdir -p "$T/repo2/a/disk-0" "$T/repo2/m/disk-0" "$T/repo2/m/disk-1" "$T/repo2/web01/disk-0" "$T/repo2"/$'z\xe4/disk-0'
I=$T/repo/web01/disk-0/backup-web01-1700000000.qcow2
cp "$I" "$T/repo2/a/disk-0/first.qcow2"; cp "$I" "$T/repo2/web01/disk-0/moved.qcow2"; cp "$I" "$T/repo2"/$'z\xe4/disk-0/last\xff.qcow2'
sed 's/backup-web01-1700000000/moved/g' "$T/repo/web01/backup-web01-1700000000.json" >"$T/repo2/web01/moved.json"
# Two restore points each of which is based on the other, by another disk.
(cd "$T/repo2/m" && qemu-img create -q -f qcow2 disk-0/x.qcow2 1M && qemu-img create -q -f qcow2 -b x.qcow2 -F qcow2 disk-0/y.qcow2 1M &&
	qemu-img create -q -f qcow2 disk-1/y.qcow2 1M && qemu-img create -q -f qcow2 -b y.qcow2 -F qcow2 disk-1/x.qcow2 1M)
O=$(add_repository other "$T/repo2")
api "/repositories/$O/scan" -X POST >"$T/scan2"
is "what is whole is registered" "$(jq -c '[.restore_points, .created, (.found | length)]' "$T/scan2")" '[3,3,3]'
is "… and what is not is named, with the reason" "$(jq -r '[.orphans[] | select(.reason | length > 10) | .path] | join(",")' "$T/scan2")" \
	'm/disk-0/x.qcow2,m/disk-1/x.qcow2,m/disk-0/y.qcow2,m/disk-1/y.qcow2'
is "a VM of another repository is one of its own here" "$(api '/vm-contexts?vm_name=web01' | jq -c '[.total, ([.vm_contexts[].repository_id] | unique | length)]')" '[2,2]'
is "… and stays the same" "$(api "/repositories/$O/scan" -X POST | jq .created) $(api '/vm-contexts?vm_name=web01' | jq .total)" '0 2'
B=$(api "/backups?repository_id=$O" | jq -r '.backups[].backup_id | select(startswith("last"))')
X=$(mount "$B")
is "a mount shows its file as the backup does" "$(jq -c '[.disks[].qcow2_path]' "$T/body")" "$(api "/backups/$B/disks" | jq -c '[.disks[].qcow2_path]')"
truncate -s 65536 "$T/repo2"/$'z\xe4/disk-0/last\xff.qcow2'
expect "an image cut off cannot be read" 422 IO_ERROR "/restore/$X/download?path=/home/ben/photo.raw"
api "/restore/$X" -X DELETE >/dev/null
api "/repositories/$O?backups=forget" -X DELETE >/dev/null

# --- restart, kill -9, unmount ---
hub_stop; is "SIGTERM stops cleanly" $? 0
hub_start
is "mounts survive a restart" "$(api /restore/mounts | jq .count)" 4
is "… and answer" "$(api "/restore/$M/files?path=/home" | jq .total_count)" 2
kill -9 "$HUB"; wait "$HUB" 2>/dev/null
hub_start
is "mounts survive kill -9" "$(api "/restore/$M/files?path=/home" | jq .total_count)" 2
is "one worker runs" "$(workers)" 1
# A copy of the host's mounts would keep each of them busy after the host has unmounted it.
PID=$(ps -o pid=,comm= --ppid "$HUB" | awk '$2 ~ /sendense-worker/ { print $1 }')
if NS=$(readlink "/proc/$PID/ns/mnt") && [ -n "$NS" ]; then
	is "a worker keeps no mount of the host" "$NS" "$(readlink /proc/self/ns/mnt)"
else
	skip "a worker keeps no mount of the host" "this user may not see its namespaces"
fi
kill -9 "$(ps -o pid=,comm= --ppid "$HUB" | awk '$2 ~ /sendense-worker/ {print $1; exit}')"
is "a killed worker is replaced" "$(api "/restore/$M/files?path=/home" | jq .total_count)" 2
for m in "$M" "$M0" "$W" "$W1"; do api "/restore/$m" -X DELETE >/dev/null; done
is "unmounted" "$(api /restore/mounts | jq .count)" 0
no_workers() { [ "$(workers)" = 0 ]; }
ok "no worker is left" eventually no_workers
expect "an unmounted mount is gone" 404 MOUNT_NOT_FOUND "/restore/$M/files?path=/"
expect "… twice" 404 MOUNT_NOT_FOUND "/restore/$M" -X DELETE
is "a repository in use stays" "$(api "/repositories/$R" -X DELETE >/dev/null; status)" 409
expect "only backups can be forgotten with it" 400 INVALID_ARGUMENT "/repositories/$R?backups=keep" -X DELETE
N=$(api /backups | jq .total)
M=$(mount "$(api /backups | jq -r '.backups[0].backup_id')")
expect "nor are those forgotten of which a disk is mounted" 409 CONFLICT "/repositories/$R?backups=forget" -X DELETE
api "/restore/$M" -X DELETE >/dev/null
is "forgotten with its backups" "$(api "/repositories/$R?backups=forget" -X DELETE >/dev/null; status)" 200
is "none is left" "$(api /backups | jq .total) $(api /vm-contexts | jq .total)" "0 0"
R=$(add_repository again "$T/repo")
api "/repositories/$R/scan" -X POST >/dev/null
is "adding the folder again brings them back" "$(api /backups | jq .total)" "$N"
is "the backups were not touched" "$(cd "$T/repo" && find . -name '*.qcow2' -newer "$T/scan" | wc -l)" 0
ok "the catalog is sound" test "$(sqlite3 "$T/hub/catalog.db" 'PRAGMA integrity_check')" = ok
done_testing
