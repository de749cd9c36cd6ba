#!/bin/bash
# SIGKILL of the hub, its workers and its helpers at random points under load: tests/load/kill.py. ROUNDS (15) and SEED are taken from the
# environment; a failure names the seed.
. "$SENDENSE_SRC/tests/e2e/lib.sh"
for tool in python3 qemu-img mke2fs cryptsetup; do
	command -v $tool >/dev/null || { echo "1..0 # SKIP $tool is not installed"; exit 0; }
done
ROUNDS=${ROUNDS:-15} SEED=${SEED:-$RANDOM$RANDOM}
ENC=$SENDENSE_BUILD/tests/volume/encryptsectors
[ -x "$ENC" ] || ENC=$SENDENSE_BUILD/tests/encryptsectors
cd "${T:?}" || exit 1
mkdir -p tree/{etc,usr,data,many} repo
echo host >tree/etc/hostname
head -c 24000000 /dev/urandom >tree/data/big
seq 1 200000 >tree/data/text
truncate -s 5000000 tree/data/hole; echo end >>tree/data/hole
(cd tree/many && seq 100 | split -l 1 -a 3 -)
(cd tree && find . -type f -printf '%P\n' | while read -r f; do echo "$(sha256sum <"$f" | cut -d' ' -f1)  /$f"; done) >sums
mke2fs -q -F -t ext4 -d tree disk.raw 64M >/dev/null 2>&1 && qemu-img convert -O qcow2 disk.raw repo/plain.qcow2 &&
	qemu-img create -q -f qcow2 -b plain.qcow2 -F qcow2 repo/over.qcow2 || { flunk "images are made"; done_testing; exit 1; }
command -v qemu-nbd >/dev/null && [ -z "${SENDENSE_NO_SANDBOX:-}" ] && qemu-img convert -O vmdk disk.raw repo/foreign.vmdk

# A passphrase that takes the key helper a while, so that there is one to be killed.
"$SENDENSE_SRC/tests/load/make-vault" "$T" "$ENC" --pbkdf argon2id --pbkdf-force-iterations 6 --pbkdf-memory 65536 --pbkdf-parallel 1 &&
	mv vault.raw repo/ || { flunk "an encrypted disk is made"; done_testing; exit 1; }
rm -f disk.raw
python3 -B "$SENDENSE_SRC/tests/load/kill.py" "$T" "$ROUNDS" "$SEED"
status=$?
[ $status = 0 ] || echo "# again with: SEED=$SEED ROUNDS=$ROUNDS"
exit $status
