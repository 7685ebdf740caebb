// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cyaml/cyaml.h>

#include "policy/file.h"
#include "policy/policy.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The file as libcyaml loads it: NULL where a key is absent, so that defaults are ours and not
 * zero. */
struct file_seal {
	int *text, *rodata;
};

struct file_patches {
	int *kinds[RF_PATCH_WORDS];
};

struct file_pin {
	int *msrs, *debugctl, *spec_ctrl, *control, *pge, *control_watch, *tables;
};

struct file {
	unsigned int version;
	int *mode, *on_denied, *on_denied_patch, *on_kexec, *on_mismatch, *on_unknown_kernel;
	struct file_seal *seal;
	struct file_patches *patches;
	struct file_pin *pin;
	unsigned int *dma_sweep_ms;
	unsigned int *patch_timeout_ms;
	unsigned int *register_check_ms;
	unsigned int *unsealed_alert_ms;
	int *on_log_full;
	unsigned int *log_quota_mb;
};

static const cyaml_strval_t mode_names[] = {
	{ "enforce", RF_MODE_ENFORCE },
	{ "observe", RF_MODE_OBSERVE },
};

static const cyaml_strval_t denied_names[] = {
	{ "fault", RF_ON_DENIED_FAULT },
	{ "kill", RF_ON_DENIED_KILL },
};

static const cyaml_strval_t patch_names[] = {
	{ "drop", RF_ON_DENIED_PATCH_DROP },
	{ "fault", RF_ON_DENIED_PATCH_FAULT },
};

static const cyaml_strval_t kexec_names[] = {
	{ "deny", RF_ON_KEXEC_DENY },
	{ "rearm", RF_ON_KEXEC_REARM },
};

static const cyaml_strval_t mismatch_names[] = {
	{ "refuse", RF_ON_MISMATCH_REFUSE },
	{ "alert", RF_ON_MISMATCH_ALERT },
};

static const cyaml_strval_t unknown_names[] = {
	{ "refuse", RF_ON_UNKNOWN_REFUSE },
	{ "run-unsealed-alert", RF_ON_UNKNOWN_UNSEALED },
};

static const cyaml_strval_t log_full_names[] = {
	{ "pause", RF_ON_LOG_FULL_PAUSE },
	{ "deny", RF_ON_LOG_FULL_DENY },
	{ "continue", RF_ON_LOG_FULL_CONTINUE },
};

/* An enumeration, because libcyaml takes every word that is not a known "no" for a true boolean. */
static const cyaml_strval_t bool_names[] = { { "false", 0 }, { "true", 1 } };

static const cyaml_strval_t watch_names[] = { { "optional", 0 }, { "required", 1 } };

#define WORD (CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT)

static const cyaml_schema_field_t seal_fields[] = {
	CYAML_FIELD_ENUM_PTR("text", WORD, struct file_seal, text, bool_names, COUNT(bool_names)),
	CYAML_FIELD_ENUM_PTR("rodata", WORD, struct file_seal, rodata, bool_names,
			     COUNT(bool_names)),
	CYAML_FIELD_END,
};

static const cyaml_strval_t kind_names[] = { { "allow", 0 }, { "deny", 1 } };

#define PATCHES(name, word)                                                                        \
	[word] = CYAML_FIELD_ENUM_PTR(name, WORD, struct file_patches, kinds[word], kind_names,    \
				      COUNT(kind_names))

static const cyaml_schema_field_t patches_fields[] = {
	PATCHES("ftrace", RF_PATCH_WORD_FTRACE),
	PATCHES("kprobes", RF_PATCH_WORD_KPROBES),
	PATCHES("kgdb", RF_PATCH_WORD_KGDB),
	PATCHES("static_calls", RF_PATCH_WORD_STATIC_CALLS),
	PATCHES("jump_labels", RF_PATCH_WORD_JUMP_LABELS),
	CYAML_FIELD_END,
};

const char *rf_patch_word_text(enum rf_patch_word w)
{
	return w < RF_PATCH_WORDS ? patches_fields[w].key : NULL;
}

static const cyaml_schema_field_t pin_fields[] = {
	CYAML_FIELD_ENUM_PTR("msrs", WORD, struct file_pin, msrs, bool_names, COUNT(bool_names)),
	CYAML_FIELD_ENUM_PTR("debugctl", WORD, struct file_pin, debugctl, bool_names,
			     COUNT(bool_names)),
	CYAML_FIELD_ENUM_PTR("spec_ctrl", WORD, struct file_pin, spec_ctrl, bool_names,
			     COUNT(bool_names)),
	CYAML_FIELD_ENUM_PTR("control", WORD, struct file_pin, control, bool_names,
			     COUNT(bool_names)),
	CYAML_FIELD_ENUM_PTR("pge", WORD, struct file_pin, pge, bool_names, COUNT(bool_names)),
	CYAML_FIELD_ENUM_PTR("control_watch", WORD, struct file_pin, control_watch, watch_names,
			     COUNT(watch_names)),
	CYAML_FIELD_ENUM_PTR("tables", WORD, struct file_pin, tables, bool_names,
			     COUNT(bool_names)),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t fields[] = {
	CYAML_FIELD_UINT("version", CYAML_FLAG_DEFAULT, struct file, version),
	CYAML_FIELD_ENUM_PTR("mode", WORD, struct file, mode, mode_names, COUNT(mode_names)),
	CYAML_FIELD_ENUM_PTR("on_denied", WORD, struct file, on_denied, denied_names,
			     COUNT(denied_names)),
	CYAML_FIELD_ENUM_PTR("on_denied_patch", WORD, struct file, on_denied_patch, patch_names,
			     COUNT(patch_names)),
	CYAML_FIELD_ENUM_PTR("on_kexec", WORD, struct file, on_kexec, kexec_names,
			     COUNT(kexec_names)),
	CYAML_FIELD_ENUM_PTR("on_mismatch", WORD, struct file, on_mismatch, mismatch_names,
			     COUNT(mismatch_names)),
	CYAML_FIELD_ENUM_PTR("on_unknown_kernel", WORD, struct file, on_unknown_kernel,
			     unknown_names, COUNT(unknown_names)),
	CYAML_FIELD_MAPPING_PTR("seal", CYAML_FLAG_OPTIONAL, struct file, seal, seal_fields),
	CYAML_FIELD_MAPPING_PTR("patches", CYAML_FLAG_OPTIONAL, struct file, patches,
				patches_fields),
	CYAML_FIELD_MAPPING_PTR("pin", CYAML_FLAG_OPTIONAL, struct file, pin, pin_fields),
	CYAML_FIELD_UINT_PTR("dma_sweep_ms", CYAML_FLAG_OPTIONAL, struct file, dma_sweep_ms),
	CYAML_FIELD_UINT_PTR("patch_timeout_ms", CYAML_FLAG_OPTIONAL, struct file,
			     patch_timeout_ms),
	CYAML_FIELD_UINT_PTR("register_check_ms", CYAML_FLAG_OPTIONAL, struct file,
			     register_check_ms),
	CYAML_FIELD_UINT_PTR("unsealed_alert_ms", CYAML_FLAG_OPTIONAL, struct file,
			     unsealed_alert_ms),
	CYAML_FIELD_ENUM_PTR("on_log_full", WORD, struct file, on_log_full, log_full_names,
			     COUNT(log_full_names)),
	CYAML_FIELD_UINT_PTR("log_quota_mb", CYAML_FLAG_OPTIONAL, struct file, log_quota_mb),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file, fields),
};

static const char *name_of(const cyaml_strval_t *names, size_t count, int64_t value)
{
	for (size_t i = 0; i < count; i++)
		if (names[i].val == value)
			return names[i].str;
	return NULL;
}

const char *rf_policy_mode_text(enum rf_policy_mode m)
{
	return name_of(mode_names, COUNT(mode_names), m);
}

const char *rf_on_denied_text(enum rf_on_denied d)
{
	return name_of(denied_names, COUNT(denied_names), d);
}

const char *rf_on_denied_patch_text(enum rf_on_denied_patch d)
{
	return name_of(patch_names, COUNT(patch_names), d);
}

const char *rf_on_kexec_text(enum rf_on_kexec k)
{
	return name_of(kexec_names, COUNT(kexec_names), k);
}

const char *rf_on_unknown_kernel_text(enum rf_on_unknown_kernel u)
{
	return name_of(unknown_names, COUNT(unknown_names), u);
}

const char *rf_on_log_full_text(enum rf_on_log_full f)
{
	return name_of(log_full_names, COUNT(log_full_names), f);
}

const char *rf_on_mismatch_text(enum rf_on_mismatch m)
{
	return name_of(mismatch_names, COUNT(mismatch_names), m);
}

void rf_policy_default(struct rf_policy *out)
{
	*out = (struct rf_policy){
		.mode = RF_MODE_ENFORCE,
		.on_denied = RF_ON_DENIED_FAULT,
		.on_denied_patch = RF_ON_DENIED_PATCH_DROP,
		.on_kexec = RF_ON_KEXEC_DENY,
		.on_unknown_kernel = RF_ON_UNKNOWN_REFUSE,
		.on_mismatch = RF_ON_MISMATCH_REFUSE,
		.seal_text = true,
		.seal_rodata = true,
		.pin_msrs = true,
		.pin_control = true,
		.pin_tables = true,
		.register_check_ms = 1000,
		.unsealed_alert_ms = 600000,
		.dma_sweep_ms = 1000,
		.patch_timeout_ms = 20000,
		.on_log_full = RF_ON_LOG_FULL_DENY,
		.log_quota_mb = 256,
	};
}

/* libcyaml tells its errors through a log, innermost first: a sentence, then a line a level with
 * its position. */
__attribute__((format(printf, 3, 0))) static void note(cyaml_log_t level, void *ctx,
						       const char *fmt, va_list args)
{
	struct rf_policy_diag *d = ctx;
	char text[sizeof(d->text)];
	unsigned int line, column;
	const char *at, *body;

	vsnprintf(text, sizeof(text), fmt, args);
	text[strcspn(text, "\n")] = '\0';
	at = strstr(text, "(line: ");
	if (at) {
		if (!d->line && sscanf(at, "(line: %u, column: %u)", &line, &column) == 2) {
			d->line = line;
			d->column = column;
		}
		return;
	}
	body = strncmp(text, "Load: ", 6) ? text : text + 6;
	if (!d->text[0] && strcmp(body, "Backtrace:"))
		snprintf(d->text, sizeof(d->text), "%s", body);
}

/* For an unknown key the position above is that of the value before it; a person looks for the key.
 */
static void point_at_key(const char *text, size_t len, struct rf_policy_diag *d)
{
	static const char prefix[] = "Unexpected key: ";
	const char *key, *hit;
	unsigned int line = 1;

	if (strncmp(d->text, prefix, sizeof(prefix) - 1))
		return;
	key = d->text + sizeof(prefix) - 1;
	for (hit = text; *key; hit++) {
		hit = memmem(hit, len - (size_t)(hit - text), key, strlen(key));
		if (!hit)
			return;
		line = 1;
		for (const char *p = text; p < hit; p++)
			line += *p == '\n';
		if (line >= d->line && (hit == text || strchr(" \t\n{,\"'", hit[-1])))
			break;
	}
	d->line = line;
	d->column = 1;
	while (hit > text && hit[-1] != '\n') {
		hit--;
		d->column++;
	}
}

/* Where the key stands, for what is found wrong once all is read. Comments are passed over; a key
 * is ended by its colon, and what is longer is another one. */
static void find_key(const char *text, size_t len, const char *key, struct rf_policy_diag *d)
{
	size_t n = strlen(key), start = 0;
	unsigned int line = 1;

	for (size_t i = 0; i + n < len; i++) {
		if (text[i] == '\n') {
			line++;
			start = i + 1;
		} else if (text[i] == '#' && (i == start || strchr(" \t", text[i - 1]))) {
			while (i + 1 < len && text[i + 1] != '\n')
				i++;
		} else if (!memcmp(text + i, key, n) && text[i + n] == ':' &&
			   (i == start || strchr(" \t{,", text[i - 1]))) {
			d->line = line;
			d->column = (unsigned int)(i - start + 1);
			return;
		}
	}
}

/* The file as it was written, for the place of what is wrong in it. */
struct source {
	const char *text;
	size_t len;
};

__attribute__((format(printf, 4, 5))) static int
bad(struct rf_policy_diag *diag, const struct source *from, const char *key, const char *fmt, ...)
{
	va_list args;

	*diag = (struct rf_policy_diag){ 0 };
	va_start(args, fmt);
	vsnprintf(diag->text, sizeof(diag->text), fmt, args);
	va_end(args);
	if (key)
		find_key(from->text, from->len, key, diag);
	return -EBADMSG;
}

static int take_number(const unsigned int *value, const char *key, uint32_t min, uint32_t max,
		       const struct source *from, struct rf_policy_diag *diag, uint32_t *out)
{
	if (!value)
		return 0;
	if (*value < min || *value > max)
		return bad(diag, from, key, "%s is %u, not within %u to %u", key, *value, min, max);
	*out = *value;
	return 0;
}

static int convert(const struct file *f, const struct source *from, struct rf_policy_diag *diag,
		   struct rf_policy *out)
{
	int err;
	struct rf_policy p;

	if (!f->version)
		return bad(diag, from, "version", "version is missing, or 0: it must be 1");
	if (f->version != 1)
		return bad(diag, from, "version", "version is %u, not 1, the only one there is",
			   f->version);
	rf_policy_default(&p);
	if (f->mode)
		p.mode = (enum rf_policy_mode) * f->mode;
	if (f->on_denied)
		p.on_denied = (enum rf_on_denied) * f->on_denied;
	if (f->on_denied_patch)
		p.on_denied_patch = (enum rf_on_denied_patch) * f->on_denied_patch;
	if (f->on_kexec)
		p.on_kexec = (enum rf_on_kexec) * f->on_kexec;
	if (f->on_log_full)
		p.on_log_full = (enum rf_on_log_full) * f->on_log_full;
	if (f->on_mismatch)
		p.on_mismatch = (enum rf_on_mismatch) * f->on_mismatch;
	if (f->on_unknown_kernel)
		p.on_unknown_kernel = (enum rf_on_unknown_kernel) * f->on_unknown_kernel;
	for (int i = 0; f->patches && i < RF_PATCH_WORDS; i++)
		if (f->patches->kinds[i] && *f->patches->kinds[i])
			p.denied_patches |= 1u << i;
	if (f->seal && f->seal->text)
		p.seal_text = *f->seal->text;
	if (f->seal && f->seal->rodata)
		p.seal_rodata = *f->seal->rodata;
	if (f->pin && f->pin->msrs)
		p.pin_msrs = *f->pin->msrs;
	if (f->pin && f->pin->debugctl)
		p.pin_debugctl = *f->pin->debugctl;
	if (f->pin && f->pin->spec_ctrl)
		p.pin_spec_ctrl = *f->pin->spec_ctrl;
	if (f->pin && f->pin->control)
		p.pin_control = *f->pin->control;
	if (f->pin && f->pin->pge)
		p.pin_pge = *f->pin->pge;
	if (f->pin && f->pin->control_watch)
		p.need_watch = *f->pin->control_watch;
	if (p.need_watch && !p.pin_control)
		return bad(diag, from, "control_watch",
			   "control_watch is required, but control is not pinned");
	if (f->pin && f->pin->tables)
		p.pin_tables = *f->pin->tables;
	err = take_number(f->register_check_ms, "register_check_ms", 0, RF_POLICY_CHECK_MAX, from,
			  diag, &p.register_check_ms);
	if (!err)
		err = take_number(f->unsealed_alert_ms, "unsealed_alert_ms", 0, RF_POLICY_SWEEP_MAX,
				  from, diag, &p.unsealed_alert_ms);
	if (!err)
		err = take_number(f->dma_sweep_ms, "dma_sweep_ms", RF_POLICY_SWEEP_MIN,
				  RF_POLICY_SWEEP_MAX, from, diag, &p.dma_sweep_ms);
	if (!err)
		err = take_number(f->patch_timeout_ms, "patch_timeout_ms", RF_POLICY_PATCH_MIN,
				  RF_POLICY_PATCH_MAX, from, diag, &p.patch_timeout_ms);
	if (!err)
		err = take_number(f->log_quota_mb, "log_quota_mb", 0, RF_POLICY_QUOTA_MAX, from,
				  diag, &p.log_quota_mb);
	if (err)
		return err;
	*out = p;
	return 0;
}

int rf_policy_parse(const char *text, size_t len, struct rf_policy_diag *diag,
		    struct rf_policy *out)
{
	struct rf_policy_diag d = { 0 };
	const cyaml_config_t config = {
		.log_fn = note,
		.log_ctx = &d,
		.log_level = CYAML_LOG_WARNING,
		.mem_fn = cyaml_mem,
		/* No aliases: a small file must not become a large one. */
		.flags = CYAML_CFG_NO_ALIAS,
	};
	struct file *f = NULL;
	cyaml_err_t cyaml;
	int err;

	if (len > RF_POLICY_FILE_MAX)
		return -EFBIG;
	cyaml = cyaml_load_data((const uint8_t *)text, len, &config, &schema, (cyaml_data_t **)&f,
				NULL);
	if (cyaml == CYAML_ERR_OOM)
		return -ENOMEM;
	if (cyaml != CYAML_OK && !d.text[0])
		snprintf(d.text, sizeof(d.text), "%s", cyaml_strerror(cyaml));
	if (d.text[0]) {
		/* Warnings too: "ignored" is not what the author of a protection meant. */
		point_at_key(text, len, &d);
		*diag = d;
		err = -EBADMSG;
	} else if (!f) {
		err = bad(diag, NULL, NULL,
			  "the file says nothing; it needs at least \"version: 1\"");
	} else {
		err = convert(f, &(struct source){ text, len }, diag, out);
	}
	cyaml_free(&config, &schema, f, 0);
	return err;
}

int rf_policy_load(const char *path, struct rf_policy_diag *diag, struct rf_policy *out)
{
	char text[RF_POLICY_FILE_MAX + 1];
	size_t len;
	int err = rf_file_read(path, text, sizeof(text), &len);

	return err ? err : rf_policy_parse(text, len, diag, out);
}
