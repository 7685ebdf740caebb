/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What fence, monitor and command have in common as they speak to people. */
#ifndef RF_HV_TERMINAL_H
#define RF_HV_TERMINAL_H

/*
 * Before a line of ours on a terminal, where the guest's console may be as well: ends a sequence
 * that was begun (CAN), takes back attributes (such as "concealed") and other letters, and begins
 * the line anew (ECMA-48; console_codes(4)). It makes a line visible and not true: what a guest
 * prints can look the same.
 */
#define RF_TERMINAL_BEGIN "\030\033[0m\033(B\017\r\033[K"

#endif
