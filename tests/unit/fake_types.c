// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/fake_types.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "introspection/symbols.h"

#define ROWS 256u

struct row {
	char name[96]; /* "symbol", "struct type", "type.path", "fn type" */
	const char *text;
	uint64_t value, size;
};

uint8_t fake_bytes[FAKE_SIZE];
bool fake_init_executable;
bool fake_without_types;
void (*fake_before_read)(uint64_t gpa);
struct rf_mapping fake_mappings[FAKE_MAPPINGS];
unsigned int fake_mappings_count;
static struct row rows[ROWS];
static unsigned int count;
static bool everything;
static struct rf_kernel kernel;

static struct row *find(const char *what, const char *type, const char *path)
{
	static struct row made_up;
	char name[sizeof(rows[0].name)];
	uint32_t hash;

	snprintf(name, sizeof(name), "%s %.40s %.40s", what, type, path);
	for (unsigned int i = 0; i < count; i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	if (!everything)
		return NULL;
	hash = rf_name_hash(name);
	made_up.value = *what == 's' ? FAKE_BASE + hash % (FAKE_IMAGE / 8) * 8 : hash % 16 * 8;
	made_up.size = 0;
	return &made_up;
}

static struct row *add(const char *what, const char *type, const char *path)
{
	struct row *r = &rows[count++];

	assert(count <= ROWS);
	*r = (struct row){ 0 };
	snprintf(r->name, sizeof(r->name), "%s %.40s %.40s", what, type, path);
	return r;
}

void fake_symbol(const char *name, uint64_t addr)
{
	struct row *r = add("symbol", name, "");

	r->text = name;
	r->value = addr;
}

void fake_extent(uint64_t addr, uint64_t size)
{
	struct row *r = add("extent", "", "");

	r->value = addr;
	r->size = size;
}

void fake_enumerator(const char *name, int64_t value)
{
	add("enumerator", name, "")->value = (uint64_t)value;
}

void fake_member(const char *type, const char *path, uint64_t offset, uint64_t size)
{
	struct row *r = add("member", type, path);

	r->value = offset;
	r->size = size;
}

void fake_sizeof(const char *type, uint64_t size)
{
	add("bytes", type, "")->value = size;
}

void fake_function_member(const char *type, const char *name, uint64_t offset)
{
	struct row *r = add("function", type, "");

	r->text = name;
	r->value = offset;
}

void fake_everything(void)
{
	everything = true;
}

struct rf_kernel *fake_types(void)
{
	memset(fake_bytes, 0, sizeof(fake_bytes));
	count = 0;
	everything = fake_init_executable = fake_without_types = false;
	fake_before_read = NULL;
	fake_mappings_count = 0;
	fake_symbol("_stext", FAKE_STEXT);
	fake_symbol("_etext", FAKE_ETEXT);
	fake_symbol("__start_rodata", FAKE_RODATA);
	fake_symbol("__end_rodata", FAKE_ERODATA);
	fake_symbol("_sinittext", FAKE_INIT);
	fake_symbol("_einittext", FAKE_EINIT);
	kernel = (struct rf_kernel){
		.image = { rf_gva_of(FAKE_BASE), rf_gpa_of(0), FAKE_IMAGE },
		.module = { .known = true, .part_count = 1, .part = { { 0x60, 0x68 } } },
	};
	return &kernel;
}

static int read_fake(void *ctx, rf_gpa gpa, void *buf, size_t len)
{
	if (fake_before_read)
		fake_before_read(gpa.v);
	if (!rf_within(gpa.v, len, 0, FAKE_SIZE))
		return -EFAULT;
	memcpy(buf, fake_bytes + gpa.v, len);
	return 0;
}

struct rf_memory fake_memory(void)
{
	return (struct rf_memory){ read_fake, NULL };
}

void fake_u64(uint64_t gva, uint64_t value)
{
	memcpy(fake_bytes + gva % FAKE_SIZE, &value, sizeof(value));
}

void fake_list(uint64_t head, const uint64_t *node, unsigned int n)
{
	uint64_t before = head;

	for (unsigned int i = 0; i < n; i++) {
		fake_u64(before, node[i]);
		fake_u64(node[i] + 8, before);
		before = node[i];
	}
	fake_u64(before, head);
	fake_u64(head + 8, before);
}

/* --- introspection/kernel.h and x86/pagetable.h ------------------------------------- */

int rf_kernel_address(const struct rf_kernel *k, const char *name, rf_gva *out)
{
	const struct row *r = find("symbol", name, "");

	if (!r)
		return -ENOENT;
	out->v = r->value;
	return 0;
}

int rf_kernel_member(const struct rf_kernel *k, const char *type, const char *path,
		     struct rf_member *out)
{
	const struct row *r = find("member", type, path);

	if (!r)
		return -ENOENT;
	*out = (struct rf_member){ r->value, r->size ? r->size : 8 };
	return 0;
}

int rf_kernel_sizeof(const struct rf_kernel *k, const char *type, uint64_t *out)
{
	const struct row *r = find("bytes", type, "");

	if (!r)
		return -ENOENT;
	*out = r->value;
	return 0;
}

bool rf_kernel_has_types(const struct rf_kernel *k)
{
	return !fake_without_types;
}

int rf_kernel_functions(const struct rf_kernel *k, const char *type, rf_function_member_fn fn,
			void *ctx)
{
	char name[sizeof(rows[0].name)];
	int err = -ENOENT;

	if (fake_without_types)
		return -ENOTSUP;
	snprintf(name, sizeof(name), "function %.40s ", type);
	for (unsigned int i = 0; i < count; i++) {
		if (strcmp(rows[i].name, name))
			continue;
		err = fn(ctx, rows[i].value, rows[i].text);
		if (err)
			return err;
	}
	return everything ? fn(ctx, 8, "made_up") : err;
}

int rf_kernel_image_gpa(const struct rf_kernel *k, rf_gva gva, rf_gpa *out)
{
	if (!rf_within(gva.v, 1, FAKE_BASE, FAKE_IMAGE))
		return -ENOENT;
	out->v = gva.v - FAKE_BASE;
	return 0;
}

int rf_kernel_symbolize(const struct rf_kernel *k, rf_gva gva, struct rf_symbol *out,
			uint64_t *offset)
{
	if (!rf_within(gva.v, 1, FAKE_BASE, FAKE_IMAGE))
		return -ENOENT;
	*out = (struct rf_symbol){ "image", rf_gva_of(FAKE_BASE), 'T' };
	*offset = gva.v - FAKE_BASE;
	return 0;
}

int rf_kernel_symbol_extent(const struct rf_kernel *k, rf_gva gva, struct rf_symbol *out,
			    rf_gva *end)
{
	*out = (struct rf_symbol){ "image", gva, 'd' };
	end->v = gva.v + 64;
	for (unsigned int i = 0; i < count; i++)
		if (!strncmp(rows[i].name, "extent ", 7) && rows[i].value == gva.v)
			end->v = gva.v + rows[i].size;
	return 0;
}

/* Of what is in no image, the low bits say where it is; its top page is not there. */
int rf_pt_translate(const struct rf_memory *m, const struct rf_paging *p, rf_gva gva,
		    struct rf_translation *out)
{
	if (gva.v % FAKE_SIZE >= FAKE_SIZE - RF_PAGE_SIZE)
		return -ENOENT;
	*out = (struct rf_translation){ .gpa = { gva.v % FAKE_SIZE },
					.page_size = RF_PAGE_SIZE,
					.executable = fake_init_executable };
	return 0;
}

int rf_pt_read(const struct rf_memory *m, const struct rf_paging *p, rf_gva gva, void *buf,
	       size_t len)
{
	struct rf_translation t;
	int err = rf_pt_translate(m, p, gva, &t);

	return err ? err : rf_memory_read(m, t.gpa, buf, len);
}

int rf_pt_walk(const struct rf_memory *m, const struct rf_paging *p, rf_gva start, rf_gva end,
	       uint64_t max_entries, int (*fn)(void *ctx, const struct rf_mapping *run), void *ctx)
{
	int err = 0;

	for (unsigned int i = 0; !err && i < fake_mappings_count; i++)
		err = fn(ctx, &fake_mappings[i]);
	return err;
}

int rf_kernel_symbol(const struct rf_kernel *k, const char *name, struct rf_symbol *out)
{
	rf_gva at;

	if (rf_kernel_address(k, name, &at))
		return -ENOENT;
	*out = (struct rf_symbol){ name, at, 'd' };
	return 0;
}

int rf_kernel_enumerator(const struct rf_kernel *k, const char *of, const char *name, int64_t *out)
{
	const struct row *r = find("enumerator", name, "");

	if (!r)
		return -ENOENT;
	*out = (int64_t)r->value;
	return 0;
}

size_t rf_kernel_symbol_count(const struct rf_kernel *k)
{
	size_t n = 0;

	for (unsigned int i = 0; i < count; i++)
		n += !strncmp(rows[i].name, "symbol ", 7);
	return n;
}

/* How many symbols stand before that one, whose addresses may be the same. */
static size_t rank(unsigned int row)
{
	size_t n = 0;

	for (unsigned int i = 0; i < count; i++)
		n += !strncmp(rows[i].name, "symbol ", 7) &&
		     (rows[i].value < rows[row].value ||
		      (rows[i].value == rows[row].value && i < row));
	return n;
}

void rf_kernel_symbol_at(const struct rf_kernel *k, size_t index, struct rf_symbol *out)
{
	for (unsigned int i = 0; i < count; i++)
		if (!strncmp(rows[i].name, "symbol ", 7) && rank(i) == index)
			*out = (struct rf_symbol){ rows[i].text, rf_gva_of(rows[i].value),
						   rows[i].value < FAKE_ETEXT ? 't' : 'd' };
}

void fake_fill(const uint8_t *data, size_t size)
{
	uint32_t word;

	for (size_t at = 0, from = 0; at + 8 <= FAKE_SIZE; at += 8, from = (from + 4) % size) {
		memcpy(&word, data + from, sizeof(word));
		if (word & 1)
			fake_u64(at, word >> 1);
		else
			fake_u64(at, (word & 2 ? FAKE_BASE : FAKE_HEAP) + (word >> 2) % FAKE_IMAGE);
	}
}
