// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/mutate.h"

#include <stdint.h>
#include <string.h>

static uint32_t seed = 20240501;

/* The same numbers everywhere: Knuth's MMIX generator, its upper half. */
static uint32_t any(uint32_t below)
{
	static uint64_t x;

	if (seed) {
		x = seed;
		seed = 0;
	}
	x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(x >> 33) % below;
}

/* Without the line that a place is in. */
static size_t drop_line(char *text, size_t len, size_t at)
{
	size_t from = at, to = at;

	while (from && text[from - 1] != '\n')
		from--;
	while (to < len && text[to++] != '\n')
		;
	memmove(text + from, text + to, len - to);
	return len - (to - from);
}

static size_t change(char *text, size_t len, size_t room)
{
	static const char marks[] = ":#-?*&!|>'\"%@`{}[],\n \t\\0129azAZ_\x01\x7f\xc3\xff";
	size_t at, n = 1 + any(12);

	if (len < 32)
		return len;
	at = any((uint32_t)len);
	switch (any(8)) {
	case 0: /* another byte */
		text[at] = marks[any(sizeof(marks))];
		return len;
	case 1: /* one more */
		if (len == room)
			return len;
		memmove(text + at + 1, text + at, len - at);
		text[at] = marks[any(sizeof(marks))];
		return len + 1;
	case 2: /* some less */
		n = n < len - at ? n : len - at - (len - at == len);
		memmove(text + at, text + at + n, len - at - n);
		return len - n;
	case 3: /* a piece of it once more */
		n = n < len - at ? n : len - at;
		if (len + n > room)
			return len;
		memmove(text + at + n, text + at, len - at);
		return len + n;
	case 4: /* cut */
		return at > 16 ? at : len;
	default:
		return drop_line(text, len, at);
	}
}

size_t mutate(char *text, size_t len, size_t room)
{
	for (uint32_t n = 1 + any(3); n--;)
		len = change(text, len, room);
	return len;
}

unsigned int mutate_lines(const char *text, size_t len)
{
	unsigned int lines = 1;

	for (size_t c = 0; c < len; c++)
		lines += text[c] == '\n';
	return lines;
}
