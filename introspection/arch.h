/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an architecture offers to everything that looks at a guest: page tables, instructions and
 * what they store, where a function begins. The rest of introspection/ and the monitor include this
 * and no header of introspection/x86/; guards and checks that are about x86 alone (descriptor
 * tables, sensitive instructions) include theirs. scripts/check-layers holds it.
 */
#ifndef RF_INTROSPECTION_ARCH_H
#define RF_INTROSPECTION_ARCH_H

#include "introspection/x86/disasm.h"
#include "introspection/x86/entry.h"
#include "introspection/x86/gate.h"
#include "introspection/x86/pagetable.h"

#endif
