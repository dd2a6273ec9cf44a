/* SPDX-License-Identifier: Apache-2.0 */
/* The script is ours, but git's answers and file names in it are a stranger's, and what a hostile
 * repository can make of git is not known: nothing is believed. Records have their length in front,
 * so that no file name can look like one; every value is checked before it is kept. */

#include "loop/artifacts-output.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/artifacts.h"
#include "util/strings.h"

#define KEY_MAX 16
#define LENGTH_DIGITS_MAX 10
#define SHA1_LENGTH 40
#define SHA256_LENGTH 64
#define SENTENCE_MAX 512

struct record {
	char key[KEY_MAX];
	const char *value;
	size_t size;
};

struct reader {
	const char *at;
	size_t left;
};

/* Takes what is before the next NUL, which must come within MAX bytes. Returns 0 or -EBADMSG. */
static int take_word(struct reader *r, char *word, size_t max)
{
	const char *end = memchr(r->at, '\0', r->left < max ? r->left : max);
	size_t n;

	if (!end)
		return -EBADMSG;
	n = (size_t)(end - r->at) + 1;
	memcpy(word, r->at, n);
	r->at += n;
	r->left -= n;
	return 0;
}

static int take_record(struct reader *r, struct record *record)
{
	char digits[LENGTH_DIGITS_MAX + 1];
	unsigned long long size;

	if (take_word(r, record->key, sizeof(record->key)) < 0 ||
	    take_word(r, digits, sizeof(digits)) < 0)
		return -EBADMSG;
	if (!digits[0] || strspn(digits, "0123456789") != strlen(digits))
		return -EBADMSG;
	size = strtoull(digits, NULL, 10);
	if (size > r->left)
		return -EBADMSG;
	record->value = r->at;
	record->size = (size_t)size;
	r->at += size;
	r->left -= (size_t)size;
	return 0;
}

static int take_sha(const struct record *record, char **ret)
{
	size_t i;

	if (*ret || (record->size != SHA1_LENGTH && record->size != SHA256_LENGTH))
		return -EBADMSG;
	for (i = 0; i < record->size; i++)
		if (!isxdigit((unsigned char)record->value[i]))
			return -EBADMSG;
	*ret = strndup(record->value, record->size);
	return *ret ? 0 : -ENOMEM;
}

static int take_flag(const struct record *record, bool *ret)
{
	*ret = record->size == 1 && record->value[0] == '1';
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort_names(struct string_list *l)
{
	size_t i, n = 0;

	if (l->count == 0)
		return;
	qsort(l->items, l->count, sizeof(*l->items), compare);
	for (i = 1; i < l->count; i++)
		if (strcmp(l->items[n], l->items[i]) == 0)
			free(l->items[i]);
		else
			l->items[++n] = l->items[i];
	l->count = n + 1;
	l->items[l->count] = NULL; /* there was at least one more, or the one that is there */
}

/* A list as long as MAX was cut, perhaps within a name. */
static int take_list(const struct record *record, size_t max, struct string_list *ret)
{
	const char *at = record->value, *end = record->value + record->size, *nul;
	int error;

	if (ret->count > 0)
		return -EBADMSG;
	while (at < end) {
		nul = memchr(at, '\0', (size_t)(end - at));
		if (!nul)
			break;
		error = nul == at ? -EBADMSG : string_list_add(ret, at);
		if (error < 0)
			return error;
		at = nul + 1;
	}
	if (at < end && record->size < max)
		return -EBADMSG;
	sort_names(ret);
	return 0;
}

static int take_names(const struct record *record, struct artifacts_result *r)
{
	int error = take_list(record, ARTIFACTS_NAMES_BYTES_MAX, &r->touched);

	if (error < 0)
		return error;
	r->touched_truncated = record->size >= ARTIFACTS_NAMES_BYTES_MAX;
	while (r->touched.count > ARTIFACTS_TOUCHED_MAX) {
		free(r->touched.items[--r->touched.count]);
		r->touched.items[r->touched.count] = NULL;
		r->touched_truncated = true;
	}
	return 0;
}

static int take_patch(const struct record *record, struct artifacts_result *r)
{
	if (r->patch || record->size == 0)
		return -EBADMSG;
	r->patch = malloc(record->size);
	if (!r->patch)
		return -ENOMEM;
	memcpy(r->patch, record->value, record->size);
	r->patch_size = record->size;
	return 0;
}

/* A sentence for a person: one line, printable. */
static int take_failed(const struct record *record, struct artifacts_result *r)
{
	size_t i, n = record->size < SENTENCE_MAX ? record->size : SENTENCE_MAX;

	if (r->empty_because)
		return -EBADMSG;
	r->empty_because = malloc(n + 1);
	if (!r->empty_because)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		r->empty_because[i] =
			isprint((unsigned char)record->value[i]) ? record->value[i] : '?';
	r->empty_because[n] = '\0';
	return 0;
}

static int take_value(const struct record *record, struct artifacts_result *r)
{
	if (strcmp(record->key, "head") == 0)
		return take_sha(record, &r->head_sha);
	if (strcmp(record->key, "base") == 0)
		return take_sha(record, &r->base_sha);
	if (strcmp(record->key, "uncommitted") == 0)
		return take_flag(record, &r->uncommitted);
	if (strcmp(record->key, "unreachable") == 0) {
		r->judged = true;
		return take_flag(record, &r->unreachable_commits);
	}
	if (strcmp(record->key, "touched") == 0)
		return take_names(record, r);
	if (strcmp(record->key, "gits") == 0)
		return take_list(record, ARTIFACTS_GITS_BYTES_MAX, &r->gits);
	if (strcmp(record->key, "more") == 0)
		return take_flag(record, &r->touched_truncated);
	if (strcmp(record->key, "patch") == 0)
		return take_patch(record, r);
	if (strcmp(record->key, "failed") == 0)
		return take_failed(record, r);
	return -EBADMSG;
}

int artifacts_parse(struct artifacts_result *r, const void *output, size_t size)
{
	struct reader reader = { .at = output, .left = size };
	struct record record;
	int error;

	for (;;) {
		error = take_record(&reader, &record);
		if (error < 0)
			return error;
		if (strcmp(record.key, "end") == 0)
			return reader.left == 0 ? 0 : -EBADMSG;
		error = take_value(&record, r);
		if (error < 0)
			return error;
	}
}

/* ---- the same again, from a result ---- */

static void put(FILE *f, const char *key, const void *value, size_t size)
{
	(void)fprintf(f, "%s%c%zu%c", key, 0, size, 0); /* what fails is seen at fclose() */
	if (size > 0)
		(void)fwrite(value, size, 1, f);
}

static void put_text(FILE *f, const char *key, const char *text)
{
	if (text)
		put(f, key, text, strlen(text));
}

static void put_flag(FILE *f, const char *key, bool flag)
{
	put_text(f, key, flag ? "1" : "0");
}

static int put_names(FILE *f, const char *key, const struct string_list *names)
{
	CLEANUP_STR char *block = NULL;
	size_t size = 0;
	int r = strings_pack((const char *const *)names->items, names->count, &block, &size);

	if (r == 0)
		put(f, key, block, size);
	return r;
}

int artifacts_pack(const struct artifacts_result *r, char **ret, size_t *ret_size)
{
	CLEANUP_STR char *block = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&block, &size);
	int e;

	if (!f)
		return -ENOMEM;
	put_text(f, "head", r->head_sha);
	put_text(f, "base", r->base_sha);
	if (r->judged) {
		put_flag(f, "uncommitted", r->uncommitted);
		put_flag(f, "unreachable", r->unreachable_commits);
	}
	e = put_names(f, "touched", &r->touched);
	if (e == 0)
		e = put_names(f, "gits", &r->gits);
	put_flag(f, "more", r->touched_truncated);
	if (r->patch)
		put(f, "patch", r->patch, r->patch_size);
	put_text(f, "failed", r->empty_because);
	put_text(f, "end", "");
	if (fclose(f) != 0 || e < 0)
		return -ENOMEM;
	*ret = TAKE_PTR(block);
	*ret_size = size;
	return 0;
}

int artifacts_say_empty(struct artifacts_result *r, const char *keyword, const char *sentence)
{
	free(r->empty_because);
	r->empty_because = string_format("%s: %s", keyword, sentence);
	return r->empty_because ? 0 : -ENOMEM;
}

void artifacts_result_deinit(struct artifacts_result *r)
{
	free(r->head_sha);
	free(r->base_sha);
	string_list_deinit(&r->touched);
	string_list_deinit(&r->gits);
	free(r->patch);
	free(r->empty_because);
	*r = (struct artifacts_result){ 0 };
}
