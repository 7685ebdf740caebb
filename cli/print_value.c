// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/print_value.h"

#include <stdio.h>
#include <string.h>

#define ELEMENTS 8u /* of an array */
#define LARGE 0x10000u

bool rf_value_is_bits(const struct rf_field *f)
{
	return f->width % 8 || f->bit % 8;
}

/* Bits from `bit` on, 64 at most, little-endian as the guest is. False: not all of them are there.
 */
static bool take(const uint8_t *bytes, uint64_t size, uint64_t bit, uint32_t width, uint64_t *out)
{
	uint64_t v = 0;

	if (!width || width > 64 || bit > size * 8 || width > size * 8 - bit)
		return false;
	for (uint32_t i = 0; i < width; i++)
		v |= (uint64_t)(bytes[(bit + i) / 8] >> (bit + i) % 8 & 1) << i;
	*out = v;
	return true;
}

static int64_t extend(uint64_t v, uint32_t width)
{
	return (int64_t)(v << (64 - width)) >> (64 - width);
}

static void put_pointer(const struct rf_subject *s, uint64_t v, char *out, size_t size)
{
	char place[RF_PLACE_TEXT];

	if (!v) {
		snprintf(out, size, "0");
		return;
	}
	rf_subject_place(s, rf_gva_of(v), place);
	snprintf(out, size, *place ? "%#llx <%s>" : "%#llx", (unsigned long long)v, place);
}

static void put_number(uint64_t v, char *out, size_t size)
{
	if (v < LARGE)
		snprintf(out, size, "%llu", (unsigned long long)v);
	else if (v >> 32)
		snprintf(out, size, "%#llx", (unsigned long long)v);
	else
		snprintf(out, size, "%llu (%#llx)", (unsigned long long)v, (unsigned long long)v);
}

static void put_one(const struct rf_subject *s, const struct rf_field *f, uint64_t v, char *out,
		    size_t size)
{
	int64_t value;
	const char *name;

	switch (f->kind) {
	case RF_FIELD_SIGNED:
		snprintf(out, size, "%lld", (long long)extend(v, f->width));
		break;
	case RF_FIELD_BOOL:
		snprintf(out, size,
			 v > 1 ? "true (%llu)"
			 : v   ? "true"
			       : "false",
			 (unsigned long long)v);
		break;
	case RF_FIELD_ENUM:
		value = f->is_signed ? extend(v, f->width) : (int64_t)v;
		name = rf_kernel_field_value(s->kernel, f, value);
		snprintf(out, size, name ? "%lld %.64s" : "%lld", (long long)value, name);
		break;
	case RF_FIELD_POINTER:
	case RF_FIELD_FUNCTION:
		put_pointer(s, v, out, size);
		break;
	default:
		put_number(v, out, size);
	}
}

/* Characters are integers of one byte; what they hold is shown as text where it begins as one. */
static bool put_string(const struct rf_field *f, const uint8_t *bytes, uint64_t size, char *out)
{
	char text[128];
	size_t len;

	if (!f->is_array || f->width != 8 || f->bit % 8 || strncmp(f->type, "char[", 5) ||
	    f->bit / 8 + f->count > size)
		return false;
	len = f->count < sizeof(text) - 1 ? f->count : sizeof(text) - 1;
	memcpy(text, bytes + f->bit / 8, len);
	text[len] = '\0';
	*out++ = '"';
	rf_safe(out, sizeof(text), text);
	strcat(out, "\"");
	return true;
}

static void put_array(const struct rf_subject *s, const struct rf_field *f, const uint8_t *bytes,
		      uint64_t size, char out[RF_VALUE_TEXT])
{
	uint64_t shown = f->count < ELEMENTS ? f->count : ELEMENTS, v;
	size_t used = snprintf(out, RF_VALUE_TEXT, "{");
	char one[RF_PLACE_TEXT + 32];

	for (uint64_t i = 0; i < shown; i++) {
		if (!take(bytes, size, f->bit + i * f->width, f->width, &v))
			break;
		put_one(s, f, v, one, sizeof(one));
		used += snprintf(out + used, RF_VALUE_TEXT - used, "%s%s", i ? ", " : " ", one);
		if (used >= RF_VALUE_TEXT - 8) {
			used = RF_VALUE_TEXT - 8;
			shown = 0; /* there are more */
		}
	}
	snprintf(out + used, RF_VALUE_TEXT - used, "%s }", shown < f->count ? ", ..." : "");
}

void rf_value_text(const struct rf_subject *s, const struct rf_field *f, const uint8_t *bytes,
		   uint64_t size, char out[RF_VALUE_TEXT])
{
	uint64_t v;

	*out = '\0';
	if (f->kind == RF_FIELD_STRUCT || f->kind == RF_FIELD_UNION || !f->count)
		return;
	if (put_string(f, bytes, size, out))
		return;
	if (f->is_array)
		put_array(s, f, bytes, size, out);
	else if (take(bytes, size, f->bit, f->width, &v))
		put_one(s, f, v, out, RF_VALUE_TEXT);
	else
		snprintf(out, RF_VALUE_TEXT, "(%u bits)", f->width);
}
