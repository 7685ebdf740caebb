# SPDX-License-Identifier: LGPL-2.1-or-later
# The fence against micro-guests: the same program as `make kvm`, on this host's KVM.
LD_LIBRARY_PATH=. ./fence_kvm_plain
