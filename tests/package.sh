#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# tests/package.sh BUILD: what a packager asks of the build. His flags and folders are taken; what is installed finds its parts;
# two builds from two folders are the same, byte for byte; a VMM can link the fence.
set -u
work=$(mktemp -d "${TMPDIR:-/tmp}/package-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT INT TERM
passed=0 failed=0
unset CFLAGS CPPFLAGS LDFLAGS WERROR MAKEFLAGS MAKELEVEL O
export SOURCE_DATE_EPOCH=1700000000 # of the manual pages
prefix=$work/prefix
places="PREFIX=$prefix SYSCONFDIR=$prefix/etc"

# is NAME COMMAND...: it succeeds, or what it said is shown.
is() {
	name=$1; shift
	if "$@" >"$work/said" 2>&1; then
		passed=$((passed + 1)); printf 'package %-32s ok\n' "$name"
	else
		failed=$((failed + 1)); printf 'package %-32s FAILED\n' "$name"; tail -15 "$work/said" | sed 's/^/    /'
	fi
}
isnt() { name=$1; shift; is "$name" refuted "$@"; }
refuted() { ! "$@"; }
# Two folders of different names and depths, with nothing in them but what is sources.
for copy in a deeper/than/a; do
	mkdir -p "$work/$copy"
	tar -c --exclude-vcs --exclude="./$1" --exclude=./build --exclude=__pycache__ . | tar -x -C "$work/$copy" || exit 1
done
in_a="make -s -C $work/a O=build"
in_b="make -s -C $work/deeper/than/a O=out"

# --- flags, as make would use them ------------------------------------------------------------------------------------------
# all_have WHAT PATTERN: of the commands that make would run those with this pattern, and there are some.
all_have() { awk -v what="$1" -v which="$2" '$0 ~ which { n++; if (!index($0, what)) { bad++; print } } END { exit !n || bad }' "$work/commands"; }
# none_has PATTERN: of these commands, and there are some.
none_has() { test -s "$work/commands" && ! grep -q -e "$1" "$work/commands"; }
$in_a -n V=1 CC=our-gcc CFLAGS=-Ogiven CPPFLAGS=-Dgiven LDFLAGS=-Wl,given WERROR=-Werror programs >"$work/commands"
is cc-of-every-file all_have our-gcc ' -c [a-z/0-9_]+[.]c '
is cflags-of-every-file all_have -Ogiven 'our-gcc .* -c '
is cppflags-of-every-file all_have -Dgiven 'our-gcc .* -c '
is ldflags-of-every-program all_have -Wl,given 'our-gcc .*(-pie|-shared)'
is werror-where-asked-for all_have -Werror 'our-gcc .* -c '
is cflags-default-is-gone none_has 'our-gcc.* -O2'
$in_a -n V=1 CPPFLAGS=-D_FORTIFY_SOURCE=3 programs >"$work/commands"
is no-werror-by-default none_has '-Werror'
is one-fortify-source none_has 'FORTIFY_SOURCE=2'

# --- two builds ----------------------------------------------------------------------------------------------------------------
is builds $in_a -j2 $places install
is builds-elsewhere $in_b -j2 $places DESTDIR="$work/staged" install
is two-builds-are-equal diff -r "$prefix" "$work/staged$prefix"
is no-folder-is-left refuted grep -rqF "$work/a" "$prefix"
# The control: what the folder is kept out by is what does it.
$in_a HERE= O=plain plain/fence/hv/split.o >/dev/null && $in_b HERE= O=plain plain/fence/hv/split.o >/dev/null
differ() { test -s "$1" && test -s "$2" && ! cmp "$1" "$2"; }
is control-folders-tell differ "$work/a/plain/fence/hv/split.o" "$work/deeper/than/a/plain/fence/hv/split.o"

# --- what is installed ------------------------------------------------------------------------------------------------------
for file in bin/ringfence bin/ringfence-monitor lib/ringfence/libringfence.so lib/pkgconfig/ringfence.pc include/ringfence/fence.h \
	share/ringfence/policy/default.yaml lib/systemd/system/ringfence-watch.service etc/logrotate.d/ringfence \
	share/bash-completion/completions/ringfence share/man/man1/ringfence.1 share/man/man8/ringfence-monitor.8; do
	is "has-$file" test -s "$prefix/$file"
done
finds() { "$prefix/bin/ringfence" doctor --json | grep -F "$1"; }
is the-fence-is-found finds "$prefix/lib/ringfence/libringfence.so"
is a-profile-is-found "$prefix/bin/ringfence" policy show strict
is the-service-starts-it grep -q "^ExecStart=$prefix/bin/ringfence watch" "$prefix/lib/systemd/system/ringfence-watch.service"
mv "$prefix/lib/ringfence/libringfence.so" "$work/aside"
isnt control-no-fence finds "$prefix/lib/ringfence/libringfence.so"
mv "$work/aside" "$prefix/lib/ringfence/libringfence.so"
# Another folder for libraries, behind the first build: what is built in follows.
is libdir $in_a -j2 $places LIBDIR="$prefix/lib/arch" install
rm -r "$prefix/lib/ringfence"
is the-fence-is-found-there finds "$prefix/lib/arch/ringfence/libringfence.so"
# So does what pkg-config reads; and what another version is called.
pc_has() { grep -qx "$1" "$work/a/build/ringfence.pc"; }
$in_a $places INCLUDEDIR="$work/inc" build/ringfence.pc
is includedir pc_has "includedir=$work/inc"
sed -i 's/^#define RF_VERSION .*/#define RF_VERSION "9.9.9"/' "$work/a/cli/command.h"
$in_a $places build/ringfence.pc
is version pc_has "Version: 9.9.9"
# What fails half way leaves nothing that the next run takes for made.
$in_a SOURCE_DATE_EPOCH=soon -B man >/dev/null 2>&1
isnt no-half-page test -e "$work/a/build/ringfence.1"

# --- a VMM that links it ----------------------------------------------------------------------------------------------------
cat >"$work/vmm.c" <<'X'
#include <fcntl.h>
#include <linux/kvm.h>
#include <ringfence/fence.h>
/* 0: nothing is asked. 1: protection is. Its ioctl() is the fence's either way. */
int main(void)
{
	int version = rf_fence_ioctl(open("/dev/kvm", O_RDWR | O_CLOEXEC), KVM_GET_API_VERSION, 0);

	return version == KVM_API_VERSION || version == -1 ? rf_fence_waiting() : 2;
}
X
export PKG_CONFIG_PATH=$prefix/lib/arch/pkgconfig
is links gcc -Wall -Werror -o "$work/vmm" "$work/vmm.c" $(pkg-config --cflags --libs ringfence)
is linked-not-asked "$work/vmm"
asked() { RINGFENCE_LINK=99 "$work/vmm"; [ $? = 1 ]; }
is linked-and-asked asked

echo "package: $passed passed, $failed failed"
[ "$failed" = 0 ]
