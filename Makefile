# SPDX-License-Identifier: LGPL-2.1-or-later
#
# make            build everything            make demo    the main job, in the lab
# make deps       install the packages        make check   every test
# Sources are listed by folder in <folder>/build.mk. O= chooses the build folder.
#
# For packagers: CC, CFLAGS, CPPFLAGS, LDFLAGS, WERROR=-Werror; PREFIX, BINDIR, LIBDIR, DATADIR, INCLUDEDIR, MANDIR, UNITDIR,
# SYSCONFDIR, which the programs are built with, and DESTDIR. Two builds of the same source are the same.

O ?= build
# What a command that failed has left is not what was to be made.
.DELETE_ON_ERROR:
ifeq ($(origin CC),default)
CC = gcc
endif
CLANG ?= clang
PKG_CONFIG ?= pkg-config
CFLAGS ?= -O2 -g
PREFIX ?= /usr
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
DATADIR ?= $(PREFIX)/share
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(DATADIR)/man
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSCONFDIR ?= /etc
Q = $(if $(V),,@) # V=1 shows the commands

WARN = -Wall -Wextra $(WERROR) -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
       -Wpointer-arith -Wwrite-strings -Wundef -Wformat=2 -Wno-unused-parameter
BASE = -std=gnu11 -D_GNU_SOURCE -I. $(WARN)
HARDEN = $(if $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),,-D_FORTIFY_SOURCE=2) -fstack-protector-strong -fPIE
# Of the folder it is built in nothing is left in a program.
HERE = -ffile-prefix-map=$(CURDIR)=.
FLAGS = $(BASE) $(HARDEN) $(HERE) $(CPPFLAGS) $(CFLAGS)
SAN = -g1 -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

# What the monitor and the tools link; the fence links libc alone.
PKGS = capstone libbpf libcyaml yaml-0.1 jansson libsodium libelf libseccomp
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null)

# What dumps of memory are compressed with: zlib always, the others where they are.
DUMP_MAYBE := $(shell for p in lzo2 snappy libzstd; do $(PKG_CONFIG) --exists $$p 2>/dev/null && echo $$p; done)
DUMP_CFLAGS := $(shell $(PKG_CONFIG) --cflags zlib $(DUMP_MAYBE) 2>/dev/null) $(if $(filter lzo2,$(DUMP_MAYBE)),-DRF_WITH_LZO) \
	$(if $(filter snappy,$(DUMP_MAYBE)),-DRF_WITH_SNAPPY) $(if $(filter libzstd,$(DUMP_MAYBE)),-DRF_WITH_ZSTD)
DUMP_LIBS := $(shell $(PKG_CONFIG) --libs zlib $(DUMP_MAYBE) 2>/dev/null)

.PHONY: all
all: programs

include patch/build.mk hv/build.mk introspection/build.mk policy/build.mk monitor/build.mk cli/build.mk
include tests/build.mk

.PHONY: programs
programs: $(O)/libringfence.so $(O)/ringfence $(O)/ringfence-monitor profiles

# --- the fence: position-independent, libc only -----------------------------------------------
FENCE_OBJS = $(FENCE_SRCS:%.c=$(O)/fence/%.o)
$(O)/fence/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	$(Q)$(CC) $(FLAGS) -fPIC -fvisibility=hidden -ftls-model=initial-exec -MMD -MP -c $< -o $@
$(O)/libringfence.so: $(FENCE_OBJS)
	@echo "  LD $@"
	$(Q)$(CC) -shared $(LDFLAGS) -Wl,-soname,libringfence.so -Wl,-z,relro,-z,now,-z,defs -o $@ $^

# The same for arm64, below O/arm64/: it refuses to protect (hv/arm64/vm.c).
ARM64_CC = aarch64-linux-gnu-gcc
ARM64_MAKE = $(MAKE) --no-print-directory O=$(O)/arm64 ARCH=arm64 CC=$(ARM64_CC) PKG_CFLAGS= PKG_LIBS=
.PHONY: arm64
arm64:
	+$(Q)$(ARM64_MAKE) $(O)/arm64/libringfence.so

# --- the monitor and the CLI ------------------------------------------------------------------
LIB_SRCS = $(PATCH_SRCS) $(BACKEND_SRCS) $(INTROSPECTION_SRCS) $(POLICY_SRCS)
LIB_OBJS = $(LIB_SRCS:%.c=$(O)/obj/%.o)
$(O)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	$(Q)$(CC) $(FLAGS) $(PLACES) $(PKG_CFLAGS) -MMD -MP -c $< -o $@
$(O)/obj/hv/dump/unpack.o $(O)/san/hv/dump/unpack.o $(O)/fuzz/hv/dump/unpack.o: PKG_CFLAGS += $(DUMP_CFLAGS)
$(O)/obj/introspection/posture/config.o $(O)/san/introspection/posture/config.o: PKG_CFLAGS += $(DUMP_CFLAGS)
# The BPF program, compiled for no kernel in particular and linked in as it is (ld -b binary names it after its file).
$(O)/obj/hv/bpf/cr.bpf.o: hv/bpf/cr.bpf.c hv/vmx/crwatch.h
	@mkdir -p $(@D)
	@echo "  BPF $<"
	$(Q)$(CLANG) -target bpf -mcpu=v3 -g -O2 -Wall -Wextra $(WERROR) $(HERE) -D__TARGET_ARCH_x86 -I. \
		-idirafter /usr/include/x86_64-linux-gnu $(PKG_CFLAGS) -c $< -o $@
$(O)/obj/hv/bpf/cr.o: $(O)/obj/hv/bpf/cr.bpf.o
	$(Q)cd $(@D) && ld -r -z noexecstack -b binary cr.bpf.o -o cr.o
# Where the programs look for what is not beside them. They are built anew where one of these is another one.
IN_PLACES = -DRF_BINDIR='"$(BINDIR)"' -DRF_LIBDIR='"$(LIBDIR)/ringfence"' -DRF_DATADIR='"$(DATADIR)/ringfence"'
$(O)/obj/cli/paths.o: PLACES = $(IN_PLACES)
$(O)/obj/cli/paths.o: $(O)/places
.PHONY: places
$(O)/places: places
	@mkdir -p $(@D)
	@echo "$(IN_PLACES) $(INCLUDEDIR)" | cmp -s - $@ || echo "$(IN_PLACES) $(INCLUDEDIR)" >$@
RINGFENCE_OBJS = $(CLI_SRCS:%.c=$(O)/obj/%.o) $(CRWATCH_SRCS:%.c=$(O)/obj/%.o) $(DOOR_SRCS:%.c=$(O)/obj/%.o) $(O)/obj/hv/bpf/cr.o \
	$(DUMP_SRCS:%.c=$(O)/obj/%.o) $(POSTURE_SRCS:%.c=$(O)/obj/%.o) $(LIB_OBJS)
MONITOR_OBJS = $(MONITOR_SRCS:%.c=$(O)/obj/%.o) $(LIB_OBJS)
$(O)/ringfence: $(RINGFENCE_OBJS)
	@echo "  LD $@"
	$(Q)$(CC) -pie $(LDFLAGS) -Wl,-z,relro,-z,now -o $@ $^ $(PKG_LIBS) $(DUMP_LIBS)
$(O)/ringfence-monitor: $(MONITOR_OBJS)
	@echo "  LD $@"
	$(Q)$(CC) -pie $(LDFLAGS) -Wl,-z,relro,-z,now -o $@ $^ $(PKG_LIBS)

# Policies that come with it: beside the program where it was built.
PROFILES = $(wildcard policy/profiles/*.yaml)
.PHONY: profiles
profiles: $(PROFILES:policy/profiles/%=$(O)/policy/%)
$(O)/policy/%.yaml: policy/profiles/%.yaml
	@mkdir -p $(@D)
	$(Q)cp $< $@

# scdoc writes a date into them: that of the last commit, where nobody has set one.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || date +%s)
MANS = $(O)/ringfence.1 $(O)/ringfence-monitor.8
$(MANS): $(O)/%: docs/%.scd
	@mkdir -p $(@D)
	SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) scdoc <$< >$@
.PHONY: man
man: $(MANS)

# The fence lies in a folder of its own: who preloads or links it names it.
$(O)/ringfence.pc: packaging/ringfence.pc.in cli/command.h $(O)/places
	@sed 's|@libdir@|$(LIBDIR)/ringfence|; s|@includedir@|$(INCLUDEDIR)|; s|@version@|'"$$(sed -n 's/^#define RF_VERSION "\(.*\)"$$/\1/p' cli/command.h)"'|' $< >$@
$(O)/ringfence-watch.service: packaging/systemd/ringfence-watch.service $(O)/places
	@sed 's|^ExecStart=/usr/bin/|ExecStart=$(BINDIR)/|' $< >$@

.PHONY: install
install: programs man $(O)/ringfence.pc $(O)/ringfence-watch.service
	install -D -t $(DESTDIR)$(BINDIR) $(O)/ringfence $(O)/ringfence-monitor
	install -D -m 644 -t $(DESTDIR)$(LIBDIR)/ringfence $(O)/libringfence.so
	install -D -m 644 -t $(DESTDIR)$(LIBDIR)/pkgconfig $(O)/ringfence.pc
	install -D -m 644 hv/fence.h $(DESTDIR)$(INCLUDEDIR)/ringfence/fence.h
	install -D -m 644 -t $(DESTDIR)$(DATADIR)/ringfence/policy $(PROFILES)
	install -D -m 644 -t $(DESTDIR)$(UNITDIR) $(O)/ringfence-watch.service
	install -D -m 644 packaging/logrotate/ringfence $(DESTDIR)$(SYSCONFDIR)/logrotate.d/ringfence
	install -D -m 644 completions/ringfence.bash $(DESTDIR)$(DATADIR)/bash-completion/completions/ringfence
	install -D -m 644 -t $(DESTDIR)$(MANDIR)/man1 $(O)/ringfence.1
	install -D -m 644 -t $(DESTDIR)$(MANDIR)/man8 $(O)/ringfence-monitor.8

.PHONY: check check-all layers
check check-all: export WERROR = -Werror
check: programs man built
	tests/check.py
# And what takes hours.
check-all: programs man built
	tests/check.py --all
# All that steps run, at once: two of them may run side by side. What cannot be built fails in its step.
.PHONY: built
built: programs
	-+$(Q)$(MAKE) --no-print-directory -k -j$$(nproc) test-programs
.PHONY: test-programs
test-programs: $(UNIT_TESTS:%=$(O)/tests/%) $(FUZZERS:%=$(O)/tests/%) $(VALGRIND_TESTS:%=$(O)/valgrind/%) $(BENCH_PROGRAMS) \
	$(O)/tests/test_store_kvm $(O)/tests/store_kvm_plain $(O)/tests/test_fence_kvm $(O)/tests/fence_kvm_plain \
	$(O)/hostile/memory $(O)/hostile/guest.elf $(O)/oracle $(O)/patchsites $(O)/gadgets $(O)/tables $(O)/locate $(O)/look $(O)/flips $(O)/rf_life $(O)/ringfence-monitor-example
layers: programs
	scripts/check-layers $(O)

.PHONY: deps clean
deps:
	scripts/packages.sh
clean:
	rm -rf $(O)

# Not the lab's: trees of packages lie there, with directories of such names (modprobe.d), and come and go while steps run.
-include $(shell find $(O) -path $(O)/lab -prune -o -type f -name '*.d' -print 2>/dev/null)
