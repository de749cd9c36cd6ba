#!/bin/bash
# The page's sources: types of the API fresh, strict TypeScript, linter, formatter, unit tests.
. "$SENDENSE_SRC/tests/tap.sh"
cd "$SENDENSE_SRC/web" || exit 1
why=
command -v node >/dev/null || why="Node.js is not installed"
[ -n "$why" ] || [ -d node_modules/typescript ] || why="the page's packages are not installed (make web)"
if [ -n "$why" ]; then skip "the page's sources" "$why"; done_testing; exit 0; fi
bin=node_modules/.bin
ok "the types are those of openapi.json" $bin/openapi-typescript ../src/api/openapi.json -o src/api/schema.d.ts --check
ok "strict TypeScript" $bin/tsc -p tsconfig.json --noEmit
ok "the linter finds nothing" $bin/eslint --max-warnings 0 .
ok "the formatter changes nothing" $bin/prettier --check .
ok "unit tests" $bin/vitest run
ok "the lock file names no host" bash -c '! grep -q "\"resolved\"" package-lock.json'
done_testing
