#!/bin/bash
# The page in Debian's Chromium on a real hub with the demo repository. Screenshots stay in BUILD/page-screenshots.
. "$SENDENSE_SRC/tests/e2e/lib.sh"
web=$SENDENSE_SRC/web
why=
command -v node >/dev/null || why="Node.js is not installed"
[ -n "$why" ] || [ -x "${CHROMIUM:-/usr/bin/chromium}" ] || why="Chromium is not installed"
[ -n "$why" ] || [ -e "$web/dist/index.html" ] || why="the page is not built (make web)"
[ -n "$why" ] || [ -d "$web/node_modules/playwright-core" ] || why="the page's packages are not installed (make web)"
if [ -n "$why" ]; then skip "the page in a browser" "$why"; done_testing; exit 0; fi

export TMPDIR=$T
"$SENDENSE_SRC/tools/make-demo-repository" "$T/repo" >"$T/make.log" 2>&1 &&
	ENCRYPTSECTORS=$SENDENSE_BUILD/tests/volume/encryptsectors "$SENDENSE_SRC/tests/web/make-repository" "$T/repo" >>"$T/make.log" 2>&1 ||
	{ flunk "the repository is made" "$(tail -5 "$T/make.log")"; done_testing; exit 1; }
# One more, whose only backup can be damaged, with an image that belongs to nothing.
mkdir -p "$T/extra/cut01/disk-0" "$T/extra/lost/disk-0"
cp "$T/repo/web01/disk-0/backup-web01-1700000000.qcow2" "$T/extra/cut01/disk-0/backup-cut01-1700000000.qcow2"
sed 's/web01/cut01/g' "$T/repo/web01/backup-web01-1700000000.json" >"$T/extra/cut01/backup-cut01-1700000000.json"
qemu-img create -q -f qcow2 -b gone.qcow2 -F qcow2 -u "$T/extra/lost/disk-0/orphan.qcow2" 1M

hub_start --web-dir "$web/dist" --max-mounts 9 || { flunk "the hub starts" "$(cat "$T/hub.log")"; done_testing; exit 1; }
R=$(add_repository demo "$T/repo")
api "/repositories/$R/scan" -X POST >/dev/null
export RECOVERY_KEY_FILE=$T/recovery
[ ! -e "$T/key.bin" ] || export SECRET_KEY_FILE=$T/key.bin

# A second hub: TLS, and mounts that live three seconds.
HUB2=
if command -v openssl >/dev/null; then
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$T/key.pem" -out "$T/cert.pem" -days 2 -subj /CN=localhost 2>/dev/null
	printf 'idle_timeout_seconds = 3\ncleanup_interval_seconds = 1\n' >"$T/hub2.conf"
	sendense-hub --config "$T/hub2.conf" --data-dir "$T/hub2" --listen 127.0.0.1:0 --tls-cert "$T/cert.pem" --tls-key "$T/key.pem" \
		--web-dir "$web/dist" 2>"$T/hub2.log" &
	HUB2=$!
	trap 'kill $HUB2 2>/dev/null; cleanup' EXIT
	listens() { TLS_URL=$(cat "$T/hub2/hub.url" 2>/dev/null) && [ -n "$TLS_URL" ]; }
	eventually listens
	TLS_TOKEN=$(cat "$T/hub2/admin.token")
	export TLS_URL TLS_TOKEN
	R=$(curl -sk -H "Authorization: Bearer $TLS_TOKEN" "$TLS_URL/api/v1/repositories" -d "{\"name\":\"demo\",\"location\":\"$T/repo\"}" | jq -r .id)
	curl -sk -o "$T/scan2" -H "Authorization: Bearer $TLS_TOKEN" -X POST "$TLS_URL/api/v1/repositories/$R/scan"
fi
cd "$web" || exit 1
HUB_URL=${URL%/api/v1} HUB_TOKEN=$TOKEN HUB_PID=$HUB EXTRA_REPOSITORY=$T/extra \
	EXTRA_IMAGE=$T/extra/cut01/disk-0/backup-cut01-1700000000.qcow2 SHOTS=$SENDENSE_BUILD/page-screenshots HOME=$T node test/page.js
