// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/vmm_fds.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static bool in_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

static bool ends_in(const char *word, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len >= n && !memcmp(word + len - n, end, n);
}

static bool is_key(const char *word, size_t len)
{
	return ends_in(word, len, "fd") || ends_in(word, len, "fds") ||
	       (len == 3 && !memcmp(word, "str", len));
}

/* Numbers one after the other, as of a list; returns what stands behind them. */
static const char *take_numbers(const char *p, struct rf_fd_set *out)
{
	for (;;) {
		uint64_t fd = 0;

		p += strspn(p, " \"[");
		if (!isdigit((unsigned char)*p))
			return p;
		for (; isdigit((unsigned char)*p); p++)
			if (fd < RF_FD_MAX)
				fd = fd * 10 + (uint64_t)(*p - '0');
		/* "fd=3com0" is a name. */
		if (in_word(*p))
			return p;
		if (fd > STDERR_FILENO && fd < RF_FD_MAX)
			rf_fd_add(out, (unsigned int)fd);
		p += strspn(p, " \"");
		if (*p != ':' && *p != ',')
			return p;
		p++;
	}
}

/* True when it ends with a key whose value would be the next argument. */
static bool take_argument(const char *p, struct rf_fd_set *out)
{
	while (*p) {
		const char *word = p;
		size_t len;

		while (in_word(*p))
			p++;
		len = (size_t)(p - word);
		if (!len) {
			p++;
			continue;
		}
		if (!is_key(word, len))
			continue;
		if (!*p)
			return true;
		p += strspn(p, "\" ");
		if (*p == '=' || *p == ':' || *p == '/')
			p = take_numbers(p + 1, out);
	}
	return false;
}

void rf_vmm_fds(char *const *args, struct rf_fd_set *out)
{
	for (; *args; args++)
		if (take_argument(*args, out) && args[0][0] == '-' && args[1])
			take_numbers(args[1], out);
}
