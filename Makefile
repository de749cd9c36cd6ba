# make            builds into build/, programs in build/bin/
# make demo       installs what is missing, builds, makes a repository of real backups, starts the hub
# make test       installs what the tests need, builds, runs all; ends with "N passed, N failed"
# make install    DESTDIR= PREFIX=/usr/local
# make test-asan, test-tsan    the same tests under sanitizers
# make differential ROUNDS=5    readers against the kernel, ntfs-3g, mtools, qemu-img on random data
# make fuzz       every fuzz target for FUZZ_SECONDS (60) each
# make clean

PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 60
ROUNDS ?= 5
SEED ?=
PROGRAMS = sendense sendense-hub sendense-worker sendense-client

.PHONY: all build demo test test-asan test-tsan fuzz differential install clean deps-build

all: build

build: build/build.ninja
	@ninja -C build
	@mkdir -p build/bin
	@for p in $(PROGRAMS); do [ ! -e build/src/cmd/$$p ] || ln -sfn ../src/cmd/$$p build/bin/$$p; done

build/build.ninja:
	@command -v meson >/dev/null || { echo "meson is missing: run tools/install-deps build, or make demo"; exit 1; }
	@meson setup build --prefix=$(PREFIX) >/dev/null || { tail -5 build/meson-logs/meson-log.txt; \
		echo "something the build needs is missing: run tools/install-deps build"; rm -rf build; exit 1; }

demo:
	@tools/install-deps build demo
	@$(MAKE) --no-print-directory build
	@tools/demo

test:
	@tools/install-deps build demo test
	@$(MAKE) --no-print-directory build
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

fuzz:
	@tools/install-deps build fuzz
	@tools/fuzz $(FUZZ_SECONDS)

install: build
	@meson configure build -Dprefix=$(PREFIX)
	@DESTDIR="$(DESTDIR)" meson install -C build --quiet

clean:
	@rm -rf build build-asan build-tsan build-fuzz
