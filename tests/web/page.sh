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
	"$SENDENSE_SRC/tests/web/make-repository" "$T/repo" >>"$T/make.log" 2>&1 ||
	{ flunk "the repository is made" "$(tail -5 "$T/make.log")"; done_testing; exit 1; }
# One more, with an image that belongs to nothing.
mkdir -p "$T/extra"
cp -r "$T/repo/files01" "$T/extra/"
mkdir -p "$T/extra/lost/disk-0"
qemu-img create -q -f qcow2 -b gone.qcow2 -F qcow2 -u "$T/extra/lost/disk-0/orphan.qcow2" 1M

hub_start --web-dir "$web/dist" || { flunk "the hub starts" "$(cat "$T/hub.log")"; done_testing; exit 1; }
R=$(add_repository demo "$T/repo")
api "/repositories/$R/scan" -X POST >/dev/null
cd "$web" || exit 1
HUB_URL=${URL%/api/v1} HUB_TOKEN=$TOKEN EXTRA_REPOSITORY=$T/extra SHOTS=$SENDENSE_BUILD/page-screenshots HOME=$T node test/page.js
