# hps: one Makefile. `make help` lists the targets.
#
#   V=1                     show the commands
#   SAN=address,undefined   build and test with sanitizers (own build folder)
#   CC=clang WERROR=1       other compiler, warnings are errors (CI sets WERROR)

PREFIX ?= /usr/local
DESTDIR ?=
CC = gcc
SAN ?=
WERROR ?= $(if $(CI),1,)
comma := ,
B := build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)),)

PROGRAMS := hps-record hps-ledger hps-search hps-replay hps-audit
FOLDER_hps-record := recorder
FOLDER_hps-ledger := ledger
FOLDER_hps-search := search
FOLDER_hps-replay := replay
FOLDER_hps-audit := audit

# What is linked, and the Debian package that has it: one table for the check, the installation and the link line.
LIBRARIES := libseccomp:libseccomp-dev libelf:libelf-dev sqlite3:libsqlite3-dev openssl:libssl-dev jansson:libjansson-dev \
	yaml-0.1:libyaml-dev zlib:zlib1g-dev libcurl:libcurl4-openssl-dev libzstd:libzstd-dev libarchive:libarchive-dev libpng:libpng-dev hdf5-serial:libhdf5-dev libmicrohttpd:libmicrohttpd-dev
PACKAGES_BUILD := gcc make libc6-dev pkg-config $(foreach l,$(LIBRARIES),$(lastword $(subst :, ,$(l))))
PACKAGES_DEMO := $(PACKAGES_BUILD) python3 python3-sklearn
PACKAGES_CHECK := $(PACKAGES_DEMO) g++ python3-optuna git perl strace reprozip mandoc openssl libcmocka-dev golang-go golang-golang-x-mod-dev r-base-core rpm chromium softhsm2 openssh-client curl \
	$(if $(and $(shell command -v node),$(shell command -v npm)),,nodejs npm)
PACKAGES_CHECK += python3-torch python3-joblib python3-xgboost python3-h5py python3-pil python3-onnx python3-snappy python3-zstandard # real writers of the formats of outputs
PACKAGES_CHECK += sqlite3 zstd gdb btrfs-progs
PACKAGES_FULL := $(PACKAGES_CHECK) rsync cpio zip unzip cmake jq bc m4 file xz-utils bzip2 python3-pandas # tests/e2e/everyday.txt
PACKAGES_BENCH := $(PACKAGES_CHECK) python3-torch python3-xgboost cde proot reprounzip
PACKAGES_FRESH := mmdebstrap
PACKAGES_FUZZ := $(PACKAGES_BUILD) clang libclang-rt-14-dev

HDF5_CFLAGS = $(patsubst -I%,-isystem %,$(shell pkg-config --cflags-only-I hdf5-serial 2>/dev/null))
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wformat=2 -Wcast-qual -Wcast-align -Wwrite-strings \
	-Wmissing-prototypes -Wstrict-prototypes -Wold-style-definition -Wundef -Wvla -Wimplicit-fallthrough \
	-Wpointer-arith -Wnull-dereference $(if $(findstring gcc,$(CC)),-Wlogical-op -Wduplicated-cond,) $(if $(WERROR),-Werror,)
HARDEN := -fstack-protector-strong -fPIE -fno-common $(if $(SAN),,-D_FORTIFY_SOURCE=2)
CFLAGS ?= -O2 -g
# -ffp-contract=off: search decisions are the same on every CPU (docs/FORMATS.md).
ALL_CFLAGS = -std=gnu17 -D_GNU_SOURCE $(WARNINGS) $(HARDEN) -ffp-contract=off -ffile-prefix-map=$(CURDIR)/= -pthread -Iinclude -I. $(HDF5_CFLAGS) \
	$(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=undefined -fno-omit-frame-pointer,) $(CFLAGS)
# --as-needed: hps-record must not load what only hps-replay reads formats with.
ALL_LDFLAGS = -pie -Wl,--as-needed,-z,relro,-z,now -pthread $(if $(SAN),-fsanitize=$(SAN),) $(LDFLAGS)
PC = $(foreach l,$(LIBRARIES),$(firstword $(subst :, ,$(l))))
LDLIBS = $(shell pkg-config --libs $(PC) 2>/dev/null) -lm

Q := $(if $(V),,@)
say = @$(if $(V),:,printf '  %-7s %s\n' $(1) $(2))

LEDGER_TOOL := ledger/main.c $(wildcard ledger/cmd_*.c)
LIB_SOURCES := $(wildcard core/*.c) $(filter-out $(LEDGER_TOOL),$(wildcard ledger/*.c))
# The C files of a folder and of the folders in it; the auditor decides as the search does.
files = $(wildcard $(1)/*.c $(1)/*/*.c) $(if $(filter audit,$(1)),$(wildcard search/decide/*.c))
TOOL_SOURCES := $(sort $(foreach f,recorder search replay audit,$(call files,$f))) $(LEDGER_TOOL)
OBJECTS := $(patsubst %.c,$B/%.o,$(LIB_SOURCES) $(TOOL_SOURCES))
PROGRAM_FILES := $(PROGRAMS:%=$B/bin/%)
SHIM := $B/libexec/hps/hps-shim.so
UNIT_TESTS := $(patsubst tests/unit/%.c,$B/tests/%,$(wildcard tests/unit/test_*.c))
TRACEES := $(patsubst tests/tracees/%.c,$B/tracees/%,$(wildcard tests/tracees/*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,$B/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
MANUALS := $(wildcard docs/man/*.1)
MANUALS_5 := $(wildcard docs/man/*.5)

all: $(PROGRAM_FILES) $(SHIM) ## build the five programs into build/bin/

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

# ---- building

# Rebuilds when the flags change, but not when the checkout has moved.
FLAGS = $(subst $(CURDIR)/,./,$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS))
$B/flags: force | $B/missing
	@mkdir -p $B; echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' > $@

# Names what is missing, with the package that has it, before the compiler stumbles over it.
$B/missing: force
	@mkdir -p $B; : > $@; \
	command -v $(CC) >/dev/null || echo "the compiler '$(CC)' is missing: install the package 'gcc'" >> $@; \
	command -v pkg-config >/dev/null || echo "'pkg-config' is missing: install the package 'pkg-config'" >> $@; \
	if [ ! -s $@ ]; then for l in $(LIBRARIES); do pkg-config --exists $${l%%:*} || \
	echo "the library '$${l%%:*}' is missing: install the package '$${l##*:}'" >> $@; done; fi; \
	if [ -s $@ ]; then cat $@ >&2; echo "hps: 'make deps' installs all of them (Debian, root or sudo)" >&2; rm -f $@; exit 1; fi

$B/%.o: %.c $B/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$Q$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$B/ledger/prove.o: $(wildcard ledger/prove/*)

$B/libhps.a: $(patsubst %.c,$B/%.o,$(LIB_SOURCES))
	$(call say,AR,$@)
	$Qrm -f $@; ar rcs $@ $^

define program
$B/bin/$(1): $(patsubst %.c,$B/%.o,$(if $(filter ledger,$(FOLDER_$(1))),$(LEDGER_TOOL),$(call files,$(FOLDER_$(1))))) $B/libhps.a
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$$Q$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(LDLIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

# What is preloaded into the programs of trials: nothing of ours in it, no sanitizer, which would want to be there first.
$(SHIM): $(wildcard shim/*.[ch]) core/shim.h $B/flags
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$Q$(CC) -std=gnu17 -D_GNU_SOURCE $(WARNINGS) -fPIC -shared -fvisibility=hidden -fno-common -ffile-prefix-map=$(CURDIR)/= -pthread -I. -O2 -g \
		-Wl,-z,relro,-z,now -o $@ $(filter %.c,$^)

# A unit test may call the inside of one tool; which one its name says (test_recorder_elf.c: recorder/). Not those files of shim/ that stand
# before functions of the C library: the test itself would call them.
NOT_IN_UNIT_TESTS := %/main.c ledger/cmd_% shim/attach.c shim/clock.c shim/wait.c shim/random.c shim/spin.c
define unit_test
$(1): $B/tests/unit/$(notdir $(1)).o $(patsubst %.c,$B/%.o,$(filter-out $(NOT_IN_UNIT_TESTS),$(call files,$(word 2,$(subst _, ,$(notdir $(1))))))) $B/libhps.a
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$$Q$$(CC) $$(ALL_LDFLAGS) -o $$@ $$(filter %.o,$$^) $B/libhps.a $$(LDLIBS) -lcmocka
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call unit_test,$(t))))

# The same for a fuzz target, whose driver is ours; `make fuzz` has libFuzzer's instead.
define fuzzer
$(1): $B/tests/fuzz/$(notdir $(1)).o $B/tests/fuzz/driver.o $(patsubst %.c,$B/%.o,$(filter-out %/main.c,$(call files,$(word 2,$(subst _, ,$(notdir $(1))))))) $B/libhps.a
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$$Q$$(CC) $$(ALL_LDFLAGS) -o $$@ $$(filter-out $(if $(FUZZ),%/driver.o,),$$(filter %.o,$$^)) $B/libhps.a $$(LDLIBS) $(if $(FUZZ),-fsanitize=fuzzer,)
endef
$(foreach t,$(FUZZERS),$(eval $(call fuzzer,$(t))))

$B/tracees/%: tests/tracees/%.c $B/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$Q$(CC) -std=gnu17 -O1 -pthread -w -o $@ $<

$B/bench/%: tests/bench/%.c $B/libhps.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$Q$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.c %.o,$^) $B/libhps.a $(LDLIBS)
$B/bench/floor: $(patsubst %.c,$B/%.o,$(filter-out %/main.c,$(call files,recorder)))

# Libraries that no test machine has.
$B/stubs/libnvidia-ml.so.1: tests/stubs/nvml.c $B/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$Q$(CC) -std=gnu17 -O1 -w -fPIC -shared -Wl,-soname,libnvidia-ml.so.1 -o $@ $<
$B/tests/test_recorder_gpu: $B/stubs/libnvidia-ml.so.1

# A reader of ledgers that we did not write the heart of: Go's transparency-log packages.
$B/peers/tlog: tests/peers/tlog.go
	$(call say,GO,$<)
	@mkdir -p $(@D)
	$QGO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS= GOCACHE=$(CURDIR)/$B/peers/cache go build -o $@ $<
$B/tests/test_ledger_kills: $B/peers/tlog

-include $(wildcard $B/tests/fuzz/*.d $B/shim/*.d) $(OBJECTS:.o=.d) $(UNIT_TESTS:$B/tests/%=$B/tests/unit/%.d)

libs: # what is linked, for tests that link again
	@echo $(LDLIBS)

# ---- installing what is needed (Debian)

install-packages = @missing=$$(for p in $(1); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then echo "installing:" $$missing; s=$$([ $$(id -u) = 0 ] || echo sudo); \
	DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND; \
	$$s apt-get update -q >/dev/null && $$s env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing >/dev/null; fi

deps: ## install what building needs
	$(call install-packages,$(PACKAGES_BUILD))
deps-demo:
	$(call install-packages,$(PACKAGES_DEMO))
deps-check:
	$(call install-packages,$(PACKAGES_CHECK))
deps-full:
	$(call install-packages,$(PACKAGES_FULL))
deps-bench:
	$(call install-packages,$(PACKAGES_BENCH))
deps-fuzz:
	$(call install-packages,$(PACKAGES_FUZZ))
deps-fresh:
	$(call install-packages,$(PACKAGES_FRESH))

# ---- using

# Each runs make again after installing, so that what was missing when make started is seen.
demo: deps-demo ## record a real search, audit it, replay one trial (installs what is missing)
	$Q$(MAKE) --no-print-directory all && sh tests/demo.sh $(CURDIR)/$B/bin

check: deps-check ## install what the tests need, build, run every test
	$Q$(MAKE) --no-print-directory check-run

check-run: all $(UNIT_TESTS) $(TRACEES) $(FUZZERS) $B/bench/ledger
	$Qsh tests/run.sh $B

fuzz: deps-fuzz ## build the fuzz targets with clang and libFuzzer into build/fuzz-clang/; FUZZ_TIME=60 [FUZZ_ONLY=ledger] runs them
	$Q$(MAKE) --no-print-directory B=build/clang CC=clang SAN=address,undefined FUZZ=1 CFLAGS='-O1 -g -fsanitize=fuzzer-no-link' fuzzers && ln -sfn clang/fuzz build/fuzz-clang
	$(if $(FUZZ_TIME),$Qsh tests/fuzz/run.sh build/clang/fuzz $(FUZZ_TIME) $(FUZZ_ONLY))

fuzzers: $(if $(FUZZ_ONLY),$(foreach f,$(FUZZERS),$(if $(findstring $(FUZZ_ONLY),$f),$f)),$(FUZZERS))

check-full: deps-full ## the same with the long versions of the rigs
	$QHPS_TEST_FULL=1 $(MAKE) --no-print-directory check-run

# vfork by its other name: the sanitizer would make it a fork.
check-threads: deps-check ## run the recorder's tests with the thread sanitizer
	$Q$(MAKE) --no-print-directory SAN=thread CFLAGS='-O1 -g -Dvfork=__vfork' check-threads-run
check-threads-run: all $(TRACEES)
	$QHPS_TEST_MANY=8 sh tests/run.sh $B tests/e2e/20-record-content.t tests/e2e/22-record-exec.t tests/e2e/23-record-status.t tests/e2e/24-record-races.t \
		tests/e2e/24-record-network.t tests/e2e/24-record-channels.t tests/e2e/25-record-limits.t tests/e2e/26-record-marks.t tests/e2e/28-record-endings.t tests/e2e/29-record-entropy.t

replay-matrix: deps-check all ## record and replay every kind of trial, write docs/replay-matrix.md
	$QHPS_TEST_FULL=1 HPS_MATRIX=$(CURDIR)/docs/replay-matrix.md sh tests/run.sh $B tests/e2e/40-replay-matrix.t

check-fresh: deps-fresh ## prove `make demo` and `make check` on a minimal Debian 12 (mmdebstrap, root)
	$Qsh tests/fresh.sh

bench: deps-bench ## measure beside the peers, in one run; writes docs/benchmarks.md
	$Q$(MAKE) --no-print-directory all $B/bench/ledger $B/bench/floor && /usr/bin/python3 tests/bench/bench.py $B/bin

# ---- installing hps

install: all ## install into $(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 755 $(PROGRAM_FILES) $(DESTDIR)$(PREFIX)/bin
	install -d $(DESTDIR)$(PREFIX)/libexec/hps
	install -m 755 $(SHIM) $(DESTDIR)$(PREFIX)/libexec/hps
	install -m 644 $(MANUALS) $(DESTDIR)$(PREFIX)/share/man/man1
	install -d $(DESTDIR)$(PREFIX)/share/hps/python
	install -m 644 share/python/hps.py $(DESTDIR)$(PREFIX)/share/hps/python
	install -m 644 $(MANUALS_5) $(DESTDIR)$(PREFIX)/share/man/man5

uninstall: ## remove what install put there
	rm -f $(PROGRAMS:%=$(DESTDIR)$(PREFIX)/bin/%) $(MANUALS:docs/man/%=$(DESTDIR)$(PREFIX)/share/man/man1/%) \
		$(MANUALS_5:docs/man/%=$(DESTDIR)$(PREFIX)/share/man/man5/%)
	rm -f $(DESTDIR)$(PREFIX)/share/hps/python/hps.py $(DESTDIR)$(PREFIX)/libexec/hps/hps-shim.so
	cd $(DESTDIR)/ && for d in share/hps/python libexec/hps share/man/man1 share/man/man5 bin; do \
		rmdir -p --ignore-fail-on-non-empty .$(abspath $(PREFIX))/$$d 2>/dev/null || true; done

clean: ## remove build/
	rm -rf build

force:
.PHONY: all help libs deps deps-demo deps-check deps-full deps-bench deps-fuzz deps-fresh demo fuzz fuzzers check check-run check-full replay-matrix check-fresh bench install uninstall clean force
.DELETE_ON_ERROR:
