// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/when.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)
#define LAST_YEAR 2261 /* whose nanoseconds fit into 63 bits */

/* Exactly so many digits, a number of at most `most`; *text is behind them. */
static bool number(const char **text, int digits, int most, int *out)
{
	int n = 0;

	for (int i = 0; i < digits; i++) {
		if ((*text)[i] < '0' || (*text)[i] > '9')
			return false;
		n = 10 * n + (*text)[i] - '0';
	}
	*text += digits;
	*out = n;
	return n <= most;
}

static bool skip(const char **text, const char *any_of)
{
	if (!**text || !strchr(any_of, **text))
		return false;
	++*text;
	return true;
}

/* ".5": what is finer than a nanosecond is left out. */
static bool fraction(const char **text, uint64_t *ns)
{
	uint64_t unit = SECOND / 10;

	*ns = 0;
	if (!skip(text, "."))
		return true;
	if (**text < '0' || **text > '9')
		return false;
	for (; **text >= '0' && **text <= '9'; ++*text, unit /= 10)
		*ns += unit * (uint64_t)(**text - '0');
	return true;
}

/* Seconds that the clock there is ahead of UTC. */
static bool offset(const char **text, int64_t *seconds)
{
	int sign = **text == '-' ? -1 : 1, hours, minutes;

	*seconds = 0;
	if (skip(text, "Zz"))
		return true;
	if (!skip(text, "+-") || !number(text, 2, 23, &hours) || !skip(text, ":") ||
	    !number(text, 2, 59, &minutes))
		return false;
	*seconds = sign * (hours * 3600 + minutes * 60);
	return true;
}

int rf_when_at(const char *text, uint64_t *ns)
{
	struct tm tm = { 0 }, same;
	uint64_t parts;
	int64_t ahead, seconds;

	if (!number(&text, 4, LAST_YEAR, &tm.tm_year) || !skip(&text, "-") ||
	    !number(&text, 2, 12, &tm.tm_mon) || !skip(&text, "-") ||
	    !number(&text, 2, 31, &tm.tm_mday) || !skip(&text, "Tt ") ||
	    !number(&text, 2, 23, &tm.tm_hour) || !skip(&text, ":") ||
	    !number(&text, 2, 59, &tm.tm_min) || !skip(&text, ":") ||
	    !number(&text, 2, 60, &tm.tm_sec) || !fraction(&text, &parts) ||
	    !offset(&text, &ahead) || *text)
		return -EINVAL;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	same = tm;
	seconds = timegm(&same);
	/* The 30th of February is another day by then. A leap second is the next one. */
	if (tm.tm_mon < 0 || !tm.tm_mday ||
	    (tm.tm_sec < 60 && (same.tm_mday != tm.tm_mday || same.tm_mon != tm.tm_mon)))
		return -EINVAL;
	seconds -= ahead;
	if (seconds < 0)
		return -EINVAL;
	*ns = (uint64_t)seconds * SECOND + parts;
	return 0;
}

int rf_when_ago(const char *text, uint64_t now_ns, uint64_t *ns)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	unsigned long long n;
	char *end;

	/* strtoull() itself would take " 7", "+7" and "-7". */
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		uint64_t most = now_ns / SECOND / units[i].seconds;

		if (*end != units[i].unit || end[1] || errno)
			continue;
		*ns = n > most ? 0 : now_ns - n * units[i].seconds * SECOND;
		return 0;
	}
	return -EINVAL;
}
