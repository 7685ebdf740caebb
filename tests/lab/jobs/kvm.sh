# SPDX-License-Identifier: LGPL-2.1-or-later
# The fence against micro-guests, and every kind of store: the programs of `make kvm` and `make kvm-store`, on this host's KVM.
LD_LIBRARY_PATH=. ./store_kvm_plain && LD_LIBRARY_PATH=. ./fence_kvm_plain
