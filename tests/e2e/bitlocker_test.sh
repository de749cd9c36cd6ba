#!/bin/bash
# BitLocker end to end: volumes of the tests' own writer, unlocked over the command line and over HTTP with each kind of key; and
# that no secret is left lying about.
. "$SENDENSE_SRC/tests/e2e/lib.sh"
for tool in mkntfs ntfscp jq curl python3; do
	command -v $tool >/dev/null || { echo "1..0 # SKIP $tool is not installed"; exit 0; }
done
IMG=$SENDENSE_SRC/tests/volume/bitlocker_img.py
cd "${T:?}" || exit 1

SECRET="battery staple $(nonce)"
RECOVERY=$(python3 -c 'import sys; sys.path.insert(0, sys.argv[1]); import bitlocker_img; print(bitlocker_img.recovery_key(sys.argv[2]))' "$SENDENSE_SRC/tests/volume" "$(nonce)")
printf '%s\n' "$SECRET" >pw
echo 'wrong 5520' >bad
printf '%s\n' "$RECOVERY" >recovery
tr -d - <recovery >digits
head -c 300000 /dev/urandom >random.bin
echo hello >hello.txt
truncate -s 8M plain.img
mkntfs -q -F -Q -L inside plain.img 2>/dev/null && ntfscp -q plain.img hello.txt hello.txt && ntfscp -q plain.img random.bin random.bin
ok 'a filesystem to encrypt' [ $? = 0 ]
mkdir -p repo/vm1
python3 "$IMG" plain.img repo/vm1/disk.raw xts128 "$SECRET" "$RECOVERY" key.bek
ok 'encrypted' [ $? = 0 ]
D=repo/vm1/disk.raw

(while :; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; sleep 0.02; done >seen) &
SAMPLER=$!
is 'locked without a key' "$(sendense image info --json $D | jq -c '[.volumes[]|[.filesystem_type,.locked]]')" '[["BitLocker",true]]'
ok 'which keys it takes is said' bash -c 'sendense image info '$D' | grep -q "it opens with its password, the recovery key [0-9A-F-]* or the start-up key"'
is 'a file, by password' "$(sendense image cat --passphrase-file pw $D /hello.txt)" hello
ok 'a large file, by start-up key' cmp -s random.bin <(sendense image cat --key-file key.bek $D /random.bin)
ok 'by recovery key' cmp -s random.bin <(sendense image cat --recovery-key-file recovery $D /random.bin)
is 'by its digits, from standard input' "$(sendense image cat --recovery-key-file - $D /hello.txt <digits)" hello
is 'what is inside' "$(sendense image info --passphrase-file pw --json $D | jq -c '.volumes[1]|[.kind,.filesystem_type,.label]')" '["crypt","ntfs","inside"]'
is 'the wrong password' "$(sendense image ls --passphrase-file bad $D / 2>&1 | grep -c 'opens with its password.*KEY_WRONG')" 1
is 'no .BEK file' "$(sendense image ls --key-file bad $D / 2>&1 | grep -c 'not a start-up key')" 1
awk -F- -v OFS=- '{$7 = sprintf("%06d", $7 + 1); print}' recovery >typo
is 'a mistyped recovery key' "$(sendense image ls --recovery-key-file typo $D / 2>&1 | grep -c 'group 7 of the recovery key is mistyped')" 1

# Protection suspended: its key lies on the disk. The volume opens by itself.
python3 - "$SENDENSE_SRC/tests/volume" plain.img suspended.raw <<-'END'
	import sys
	sys.path.insert(0, sys.argv[1])
	import bitlocker_img as img
	plain = open(sys.argv[2], "rb").read()
	n = len(plain)
	v = img.Volume(plain, "cbc128-elephant", [img.Protector(img.STARTUP, "s"), img.Protector(img.CLEAR, "c")],
	               copies=(n - 0xa0000, n - 0x80000, n - 0x60000), moved=n - 0x40000)
	open(sys.argv[3], "wb").write(v.image)
	END
is 'suspended: a file without a key' "$(sendense image cat suspended.raw /hello.txt)" hello
ok 'and a large one' cmp -s random.bin <(sendense image cat suspended.raw /random.bin)
is 'nothing is locked' "$(sendense image info --json suspended.raw | jq -c '[.volumes[]|[.kind,.locked,.filesystem_type]]')" '[["disk",false,"BitLocker"],["crypt",false,"ntfs"]]'

# --- over HTTP ---
hub_start
REPO=$(add_repository main "$T/repo")
api "/repositories/$REPO/scan" -d '{}' >/dev/null
B=$(api /backups | jq -r '.backups[0].backup_id // .backups[0].id')
MOUNT=$(mount "$B")
is 'mounted, locked' "$(api "/restore/$MOUNT" | jq -c '[.volumes[]|.locked]')" '[true]'
is 'the reason names the keys' "$(api "/restore/$MOUNT" | jq -r '.volumes[0].reason' | grep -c 'the recovery key')" 1
U=/restore/$MOUNT/unlock
expect 'wrong password' 422 KEY_WRONG "$U" -d '{"volume":1,"passphrase":"wrong 5520"}'
expect 'mistyped recovery key' 400 INVALID_ARGUMENT "$U" -d "{\"volume\":1,\"recovery_key\":\"$(cat typo)\"}"
ok 'it says which group' grep -q 'group 7 of the recovery key' body
expect 'another recovery key' 422 KEY_WRONG "$U" -d '{"volume":1,"recovery_key":"000000-000000-000000-000000-000000-000000-000000-000000"}'
expect 'no start-up key' 422 KEY_WRONG "$U" -d '{"volume":1,"key_file":"AAAA"}'
expect 'an empty recovery key' 400 INVALID_ARGUMENT "$U" -d '{"volume":1,"recovery_key":""}'
printf '{"volume":1,"recovery_key":"%s"}' "$RECOVERY" >body.json
is 'unlocked by recovery key' "$(api "$U" -d @body.json | jq -c '[.volumes[]|[.volume,.kind,.locked,.default]]')" '[[1,"disk",false,false],[2,"crypt",false,true]]'
ok 'a download' cmp -s random.bin <(api "/restore/$MOUNT/download?path=/random.bin")

# again KIND FILE: the client, on a new mount
export SENDENSE_DATA_DIR=$T/hub
again() {
	api "/restore/$MOUNT" -X DELETE >/dev/null
	MOUNT=$(mount "$B")
	is "sendense unlock $1" "$(sendense unlock --volume 1 "$1" "$2" "$MOUNT" 2>&1 | grep -c 'is unlocked')" 1
	is "and a file" "$(api "/restore/$MOUNT/download?path=/hello.txt")" hello
}
again --recovery-key-file recovery
again --key-file key.bek
again --passphrase-file pw

# A recovery key without its dashes is looked for too. What is wrong stood in curl's arguments.
for secret in "$SECRET" "$RECOVERY" "$(cat digits)" "$(base64 -w0 key.bek | cut -c60-120)"; do printf '%s\n' "$secret"; done >patterns
ok 'no secret in the log' bash -c '! grep -qFf patterns -e "wrong 5520" hub.log'
ok 'no secret in the catalog' bash -c '! grep -rqFf patterns hub/'
kill $SAMPLER; wait $SAMPLER 2>/dev/null
ok 'command lines were looked at' grep -q sendense-keyhelper seen
ok 'no secret in any of them' bash -c '! grep -qaFf patterns seen'
hub_stop
done_testing
