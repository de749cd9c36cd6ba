# make            builds into build/, programs in build/bin/
# make demo       installs what is missing, builds, makes a repository of real backups, starts the hub
# make test       installs what the tests need, builds, runs all; ends with "N passed, N failed"
# make web        builds the web page into web/dist (Node.js 18 or newer)
# make install    DESTDIR= PREFIX=/usr/local
# make test-asan, test-tsan    the same tests under sanitizers
# make differential ROUNDS=5    readers against the kernel, ntfs-3g, mtools, qemu-img on random data
# make bench      measures us and our peers, writes docs/benchmarks.md; ONLY=list,tar/ext4 ROUNDS=5 FS=ext4,ntfs QUICK=1 BENCH_DIR=
# make fuzz       every fuzz target for FUZZ_SECONDS (60) each; ENGINE=afl takes AFL++ in place of libFuzzer
# make fuzz-coverage   what of the sources the inputs of each fuzz target reach
# make soak       mixed load for SOAK_SECONDS (3600): memory, descriptors, processes flat, every answer right
# make clean

PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 3600
ROUNDS ?= 5
SEED ?=
PROGRAMS = sendense sendense-hub sendense-worker sendense-client

.PHONY: all build web web-if-possible demo test test-asan test-tsan bench fuzz fuzz-coverage soak lint differential install clean deps-build

all: build

build: build/build.ninja
	@ninja -C build
	@mkdir -p build/bin
	@for p in $(PROGRAMS); do [ ! -e build/src/cmd/$$p ] || ln -sfn ../src/cmd/$$p build/bin/$$p; done

build/build.ninja:
	@command -v meson >/dev/null || { echo "meson is missing: run tools/install-deps build, or make demo"; exit 1; }
	@meson setup build --prefix=$(PREFIX) >/dev/null || { tail -5 build/meson-logs/meson-log.txt; \
		echo "something the build needs is missing: run tools/install-deps build"; rm -rf build; exit 1; }

WEB_SOURCES := $(shell find web/src web/public web/*.* -type f 2>/dev/null) src/api/openapi.json

web: web/dist/index.html

web/node_modules/.package-lock.json: web/package-lock.json
	@tools/install-deps web
	@cd web && npm ci --ignore-scripts --no-progress --loglevel=error

web/dist/index.html: $(WEB_SOURCES) web/node_modules/.package-lock.json
	@cd web && npm run --silent build -- --logLevel warn
	@touch $@

# Without the page the hub serves its API all the same.
web-if-possible:
	@tools/install-deps web || true
	@$(MAKE) --no-print-directory web || echo "the web page could not be built; everything else works without it"

demo:
	@tools/install-deps build demo
	@$(MAKE) --no-print-directory build
	@$(MAKE) --no-print-directory web-if-possible
	@tools/demo

test:
	@tools/install-deps build demo test
	@tools/install-deps web-test || true
	@$(MAKE) --no-print-directory build
	@$(MAKE) --no-print-directory web-if-possible
	@tools/run-tests build

test-asan:
	@tools/install-deps build demo test
	@[ -e build-asan/build.ninja ] || meson setup build-asan -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
	@ninja -C build-asan
	@tools/run-tests build-asan

test-tsan:
	@tools/install-deps build demo test
	@[ -e build-tsan/build.ninja ] || meson setup build-tsan -Db_sanitize=thread -Db_lundef=false >/dev/null
	@ninja -C build-tsan
	@tools/run-tests build-tsan

differential: build
	@tools/install-deps test
	@tools/differential $(ROUNDS) $(SEED)

# QUICK only shows that the harness works; its figures are nobody's business and change no page.
bench:
	@tools/install-deps build demo bench
	@tools/install-deps web-test || true
	@$(MAKE) --no-print-directory web-if-possible
	@[ -e build-bench/build.ninja ] || meson setup build-bench --buildtype=debugoptimized >/dev/null
	@ninja -C build-bench --quiet $(addprefix src/cmd/,$(PROGRAMS)) tests/bench/bench-load tests/bench/bench-run
	@python3 -B tools/bench --build "$(CURDIR)/build-bench" --rounds $(ROUNDS) $(if $(ONLY),--only $(ONLY)) $(if $(FS),--fs $(FS)) \
		$(if $(BENCH_DIR),--folder "$(BENCH_DIR)") \
		$(if $(QUICK),--quick,--page docs/benchmarks.md --json docs/benchmarks.json)

# clang-tidy and cppcheck over src/.
lint: build
	@tools/install-deps lint
	@tools/lint $(or $(BUILD),build)

fuzz:
	@tools/install-deps build fuzz
	@ENGINE=$(or $(ENGINE),libfuzzer) tools/fuzz $(FUZZ_SECONDS)

fuzz-coverage:
	@tools/install-deps build fuzz
	@tools/fuzz-coverage

soak: build
	@tools/install-deps demo test
	@tools/soak --seconds $(SOAK_SECONDS) $(if $(SEED),--seed $(SEED))

install: build
	@meson configure build -Dprefix=$(PREFIX)
	@DESTDIR="$(DESTDIR)" meson install -C build --quiet
	@[ ! -e web/dist/index.html ] || { install -d "$(DESTDIR)$(PREFIX)/share/sendense/web" && \
		cp -R web/dist/. "$(DESTDIR)$(PREFIX)/share/sendense/web/"; }

clean:
	@rm -rf build build-asan build-tsan build-fuzz build-afl build-cov build-bench
