#!/bin/bash
# LUKS end to end: containers made by cryptsetup, their data encrypted by a program of its own, unlocked over the command line
# and over HTTP; and that no secret is left lying about.
. "$SENDENSE_SRC/tests/e2e/lib.sh"
for tool in cryptsetup mke2fs jq curl; do
	command -v $tool >/dev/null || { echo "1..0 # SKIP $tool is not installed"; exit 0; }
done
ENC=$SENDENSE_BUILD/tests/encryptsectors
[ -x "$ENC" ] || ENC=$SENDENSE_BUILD/tests/volume/encryptsectors
cd "${T:?}" || exit 1

# On no command line of this test: all that run meanwhile are looked at for it.
SECRET="correct horse $(nonce)"
printf '%s\n' "$SECRET" >pw
printf '%s' "$SECRET" >pw.raw
echo 'wrong 5520' >bad
head -c 512 /dev/urandom >key.bin
mkdir tree tree/etc tree/usr && echo hello >tree/hello.txt && head -c 300000 /dev/urandom >tree/random.bin
mke2fs -q -F -t ext4 -b 1024 -d tree plain.img 6M >/dev/null 2>&1

# make NAME CIPHER KEY-BITS SECTOR OFFSET [luksFormat argument…]
make() {
	local name=$1 cipher=$2 bits=$3 sector=$4 offset=$5; shift 5
	truncate -s $((offset + 6 * 1024 * 1024)) "$name"
	cryptsetup luksFormat -q --cipher "$cipher" --key-size "$bits" --key-file pw.raw "$@" "$name" 2>"$name.err" &&
		cryptsetup luksAddKey -q --key-file pw.raw $KDF "$name" key.bin 2>>"$name.err" &&
		rm -f vk && cryptsetup luksDump -q --dump-volume-key --volume-key-file vk --key-file pw.raw "$name" >/dev/null 2>>"$name.err" &&
		"$ENC" "$cipher" vk "$sector" "$offset" plain.img "$name"
}
check() {
	local name=$1
	ok "$name: made" [ $? = 0 ]
	is "$name: locked without a key" "$(sendense image info --json "$name" | jq -c '[.volumes[]|[.filesystem_type,.locked]]')" '[["crypto_LUKS",true]]'
	is "$name: a file, by passphrase" "$(sendense image cat --passphrase-file pw "$name" /hello.txt)" hello
	ok "$name: a large file, by key file" cmp -s tree/random.bin <(sendense image cat --key-file key.bin "$name" /random.bin)
	is "$name: the wrong passphrase" "$(sendense image ls --passphrase-file bad "$name" / 2>&1 | grep -c KEY_WRONG)" 1
}
(while :; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; sleep 0.02; done >seen) &
SAMPLER=$!
M=$((1024 * 1024))
KDF='--pbkdf pbkdf2 --pbkdf-force-iterations 1000'
make l1-xts.raw aes-xts-plain64 512 512 $((2 * M)) --type luks1 $KDF; check l1-xts.raw
make l1-essiv.raw aes-cbc-essiv:sha256 256 512 $((2 * M)) --type luks1 $KDF; check l1-essiv.raw
make l1-cbc.raw aes-cbc-plain64 128 512 $M --type luks1 $KDF; check l1-cbc.raw
make l2-pbkdf2.raw aes-xts-plain64 256 512 $((16 * M)) --type luks2 --sector-size 512 $KDF; check l2-pbkdf2.raw
# More room for key slots than the key helper is given: what counts is those in use.
make l2-room.raw aes-xts-plain64 512 512 $((72 * M)) --type luks2 --sector-size 512 --luks2-metadata-size 4m --luks2-keyslots-size 64m $KDF
check l2-room.raw
KDF='--pbkdf argon2id --pbkdf-force-iterations 4 --pbkdf-memory 32768 --pbkdf-parallel 2'
make l2-argon.raw aes-xts-plain64 512 4096 $((16 * M)) --type luks2 --sector-size 4096 $KDF; check l2-argon.raw

is 'the key from standard input' "$(sendense image cat --passphrase-file - l2-argon.raw /hello.txt <pw)" hello
is 'a wrong key, then the right one' "$(sendense image cat --passphrase-file bad --key-file key.bin l2-argon.raw /hello.txt)" hello
is 'a key for what is not locked' "$(sendense image ls --passphrase-file pw plain.img / 2>&1 | grep -c 'no volume of this image is locked')" 1

# The first copy of the header destroyed: the second one serves.
cp l2-argon.raw l2-second.raw
dd if=/dev/zero of=l2-second.raw bs=4096 count=1 conv=notrunc status=none
is 'LUKS2 with its first header gone' "$(sendense image cat --passphrase-file pw l2-second.raw /hello.txt)" hello
cp l2-argon.raw l2-dead.raw
dd if=/dev/urandom of=l2-dead.raw bs=1024 seek=8 count=24 conv=notrunc status=none
is 'LUKS2 with both headers damaged' "$(sendense image ls --passphrase-file pw l2-dead.raw / 2>&1 | grep -c VOLUME_CORRUPT)" 1
truncate -s 24M serpent.raw
if cryptsetup luksFormat -q --type luks2 --cipher serpent-xts-plain64 --key-file pw.raw $KDF serpent.raw 2>/dev/null; then
	is 'another cipher is named' "$(sendense image ls --passphrase-file pw serpent.raw / 2>&1 | grep -c 'serpent-xts-plain64; AES')" 1
fi

# Said in words: what is not a matter of the key.
truncate -s 40M moving.raw
if cryptsetup luksFormat -q --type luks2 --key-file pw.raw $KDF moving.raw 2>/dev/null &&
	cryptsetup reencrypt -q --init-only --key-file pw.raw $KDF moving.raw 2>/dev/null; then
	is 'a reencryption under way' "$(sendense image ls --passphrase-file pw moving.raw / 2>&1 | grep -c 'change of its encryption was under way.*VOLUME_UNSUPPORTED')" 1
else
	skip 'a reencryption under way' 'cryptsetup cannot begin one here'
fi
truncate -s 20M elsewhere
for type in luks1 luks2; do
	cryptsetup luksFormat -q --type $type --key-file pw.raw --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --header header$type.raw elsewhere 2>/dev/null
	truncate -s 20M header$type.raw
	is "a detached header, $type" "$(sendense image ls --passphrase-file pw header$type.raw / 2>&1 | grep -c 'detached.*VOLUME_UNSUPPORTED')" 1
done

# --- over HTTP ---
mkdir -p repo/vm1 && cp l2-argon.raw repo/vm1/disk.raw
hub_start
REPO=$(add_repository main "$T/repo")
api "/repositories/$REPO/scan" -d '{}' >/dev/null
B=$(api /backups | jq -r '.backups[0].backup_id // .backups[0].id')
MOUNT=$(mount "$B")
is 'mounted, locked' "$(api "/restore/$MOUNT" | jq -c '[.volumes[]|.locked]')" '[true]'
expect 'a file of what is locked' 422 VOLUME_LOCKED "/restore/$MOUNT/files?volume=1&path=/"
expect 'a volume inside what is locked' 422 VOLUME_LOCKED "/restore/$MOUNT/files?volume=2&path=/"
expect 'wrong passphrase' 422 KEY_WRONG "/restore/$MOUNT/unlock" -d '{"volume":1,"passphrase":"wrong 5520"}'
expect 'no key at all' 400 INVALID_ARGUMENT "/restore/$MOUNT/unlock" -d '{"volume":1}'
expect 'key file that is not base64' 400 INVALID_ARGUMENT "/restore/$MOUNT/unlock" -d '{"volume":1,"key_file":"a=b!"}'
expect 'two keys' 400 INVALID_ARGUMENT "/restore/$MOUNT/unlock" -d '{"volume":1,"passphrase":"x","recovery_key":"1"}'
expect 'LUKS knows no recovery keys' 422 KEY_WRONG "/restore/$MOUNT/unlock" -d '{"volume":1,"recovery_key":"1"}'
expect 'no such volume' 404 VOLUME_NOT_FOUND "/restore/$MOUNT/unlock" -d '{"volume":9,"passphrase":"x"}'
printf '{"volume":1,"passphrase":"%s"}' "$SECRET" >body.json
is 'unlocked' "$(api "/restore/$MOUNT/unlock" -d @body.json | jq -c '[.volumes[]|[.volume,.kind,.locked,.default]]')" '[[1,"disk",false,false],[2,"crypt",false,true]]'
is 'status 200' "$(status)" 200
is 'its files, in the default volume' "$(api "/restore/$MOUNT/files?path=/" | jq -r '[.files[].name]|contains(["hello.txt"])')" true
ok 'a download' cmp -s tree/random.bin <(api "/restore/$MOUNT/download?path=/random.bin")
expect 'the inside is not locked' 400 INVALID_ARGUMENT "/restore/$MOUNT/unlock" -d '{"volume":2,"passphrase":"x"}'
W=$(ps -o pid=,comm= --ppid "$HUB" | awk '$2 ~ /sendense-worker/ {print $1; exit}')
kill -9 "$W"; eventually gone "$W"
expect 'locked again after its worker ended' 422 VOLUME_LOCKED "/restore/$MOUNT/files?volume=2&path=/"
is 'it says to unlock it again' "$(jq -r .error "$T/body" | grep -c 'unlock it, again')" 1
export SENDENSE_DATA_DIR=$T/hub
is 'sendense unlock' "$(sendense unlock --data-dir "$T/hub" --volume 1 --key-file key.bin "$MOUNT" 2>&1 | grep -c 'is unlocked')" 1
is 'and its file' "$(api "/restore/$MOUNT/download?path=/hello.txt")" hello
is 'sendense unlock without a key' "$(sendense unlock --data-dir "$T/hub" --volume 1 "$MOUNT" >/dev/null 2>&1; echo $?)" 2
is "sendense unlock with two keys" "$(sendense unlock --data-dir "$T/hub" --volume 1 --key-file key.bin --passphrase-file pw "$MOUNT" >/dev/null 2>&1; echo $?)" 2
is "sendense unlock, with a passphrase" "$(sendense unlock --data-dir "$T/hub" --volume 1 --passphrase-file pw "$MOUNT" 2>&1 | grep -c "is unlocked")" 1

ok 'no secret in the log' bash -c '! grep -qF -f pw.raw -e "wrong 5520" hub.log'
ok 'no secret in the catalog' bash -c '! grep -rqFf pw.raw hub/'
kill $SAMPLER; wait $SAMPLER 2>/dev/null
ok 'command lines were looked at' grep -q sendense-keyhelper seen
ok 'no secret in any of them' bash -c '! grep -qaFf pw.raw seen'
ok 'no key helper is left' bash -c '! ps -o comm= --ppid '"$HUB"' | grep -q keyhelper'
hub_stop

# A key helper that hangs: the answer comes, and says so; nothing of it is left.
mkdir bin && cp "$SENDENSE_BUILD"/src/cmd/sendense-{hub,worker} bin/
printf '#!/bin/sh\nexec sleep 987\n' >bin/sendense-keyhelper && chmod +x bin/sendense-keyhelper
echo 'worker_timeout_seconds = 5' >hub.conf
OLD_PATH=$PATH; PATH=$T/bin:$PATH; rm -rf hub
hub_start --config "$T/hub.conf"
REPO=$(add_repository main "$T/repo")
api "/repositories/$REPO/scan" -d '{}' >/dev/null
MOUNT=$(mount "$(api /backups | jq -r '.backups[0].backup_id // .backups[0].id')")
expect 'a key helper that hangs' 504 WORKER_TIMEOUT "/restore/$MOUNT/unlock" -d '{"volume":1,"passphrase":"x"}'
ok 'it says what took too long' grep -q 'looks for the key took too long' body
ok 'the helper is gone' bash -c '! ps -o args= --ppid '"$HUB"' | grep -q "sleep 987"'
is 'the mount is as it was' "$(api "/restore/$MOUNT" | jq -c '[.volumes[]|.locked]')" '[true]'
hub_stop
PATH=$OLD_PATH
done_testing
