#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Installs, by name, every package the build and the tests need on Debian 12. Returns at once when all are there.
set -eu

build="gcc gcc-12 make clang clang-format libclang-rt-14-dev pkg-config libcapstone-dev libbpf-dev libcyaml-dev libyaml-dev
	libjansson-dev libsodium-dev libelf-dev libcmocka-dev libseccomp-dev scdoc valgrind python3 libcap2-bin
	zlib1g-dev liblzo2-dev libsnappy-dev libzstd-dev"
# gcc-12, bc and kmod are for the guest module, built against the distribution's kernel headers; python3-drgn reads the same dumps.
lab="qemu-system-x86 qemu-utils seabios busybox-static cpio zstd xz-utils kmod bc ca-certificates
	python3-drgn"
# The test of the file that is installed for it.
cli="logrotate"
vmx="bochs bochs-term bochsbios vgabios isolinux syslinux-common xorriso bsdutils"
# Cross-compiling the fence, and running its unit tests, for arm64.
arm64="gcc-aarch64-linux-gnu libc6-dev-arm64-cross linux-libc-dev-arm64-cross qemu-user"
# The Debian guest: its disk.
rootfs="mmdebstrap e2fsprogs"

missing=
for package in $build $lab $vmx $arm64 $rootfs $cli; do
	case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || :) in
	"install ok installed") ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "packages.sh: run as root to install:$missing" >&2
	exit 1
fi
echo "packages.sh: installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086  # a list of names
apt-get install -y -qq --no-install-recommends $missing
