/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef RF_TESTS_STORE_TABLE_H
#define RF_TESTS_STORE_TABLE_H

/* A cmocka test: every kind of store, on this machine's KVM. */
void store_table(void **state);

#endif
