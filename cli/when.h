/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Points in time, as people and logs write them. Nothing depends on the host's time zone. */
#ifndef RF_CLI_WHEN_H
#define RF_CLI_WHEN_H

#include <stdint.h>

/* RFC 3339, its offset 'Z' or +hh:mm: nanoseconds since 1970. 0, or -EINVAL: it is none. */
int rf_when_at(const char *text, uint64_t *ns);
/* "90s", "10m", "2h", "3d" before now. The same return. */
int rf_when_ago(const char *text, uint64_t now_ns, uint64_t *ns);

#endif
