/* SPDX-License-Identifier: Apache-2.0 */
/* A key file is made only with a vault, or for one that another key has opened: one whose key was
 * lost stays as it is, for the key may be found again. */

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "macro.h"
#include "secret/audit.h"
#include "secret/vault-internal.h"
#include "util/fault.h"
#include "util/fd.h"
#include "util/strings.h"
#include "util/table.h"

#define CREDENTIAL "sandboxd.secrets-key"
#define TEXT_MAX 4096 /* bytes of a passphrase, and of whatever has a key */
#define HEX_DIGITS (2 * VAULT_KEY_BYTES)
/* RFC 9106, 4.: the recommendation where memory is limited. A quarter of a second. */
#define KDF_PASSES 3
#define KDF_MEMORY (UINT64_C(64) << 20)

_Static_assert(sizeof(((struct vault_header *)0)->kdf_salt) == crypto_pwhash_SALTBYTES, "salt");

/* What was read; zeroed when it is done with. */
struct text {
	size_t size;
	char bytes[TEXT_MAX];
};

static void text_deinit(struct text *t)
{
	sodium_memzero(t, sizeof(*t));
}

/* PRIVATE: nobody else may be able to read it. */
static int read_text(int dir_fd, const char *path, bool private, struct text *ret)
{
	CLEANUP_FD int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)sizeof(ret->bytes))
		return VAULT_KEY_MALFORMED;
	if (private && ((st.st_mode & 077) != 0 || (st.st_uid != 0 && st.st_uid != geteuid())))
		return VAULT_KEY_EXPOSED;
	n = read(fd, ret->bytes, sizeof(ret->bytes));
	if (n < 0)
		return -errno;
	ret->size = (size_t)n;
	return 0;
}

/* Of the daemon's service; systemd alone decides who reads it. */
static int read_credential(const char *name, struct text *ret)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	CLEANUP_STR char *path = NULL;

	if (!dir)
		return -ENOENT;
	path = string_format("%s/%s", dir, name);
	return path ? read_text(AT_FDCWD, path, false, ret) : -ENOMEM;
}

void vault_describe_key(const struct vault *v, char *ret, size_t size)
{
	const struct secret_key_source *s = &v->sources.key;
	CLEANUP(text_deinit) struct text text = { 0 };
	char dir[VAULT_KEY_TEXT_SIZE];

	fd_describe(v->state_fd, dir, sizeof(dir));
	if (s->where)
		(void)snprintf(ret, size, "%s %s", secret_key_word(s->kind),
			       s->where); /* cut if longer */
	else if (read_credential(CREDENTIAL, &text) == -ENOENT)
		(void)snprintf(ret, size, "auto, the file %s/" VAULT_KEY_FILE, dir);
	else
		(void)snprintf(ret, size, "auto, the credential " CREDENTIAL);
}

/* 32 bytes, or 64 hexadecimal digits and perhaps a newline. */
static int parse_key(const struct text *t, uint8_t ret[VAULT_KEY_BYTES])
{
	size_t n;

	if (t->size == VAULT_KEY_BYTES) {
		memcpy(ret, t->bytes, VAULT_KEY_BYTES);
		return 0;
	}
	if (t->size < HEX_DIGITS ||
	    (t->size > HEX_DIGITS && (t->size > HEX_DIGITS + 1 || t->bytes[HEX_DIGITS] != '\n')))
		return VAULT_KEY_MALFORMED;
	if (sodium_hex2bin(ret, VAULT_KEY_BYTES, t->bytes, HEX_DIGITS, NULL, &n, NULL) < 0 ||
	    n != VAULT_KEY_BYTES)
		return VAULT_KEY_MALFORMED;
	return 0;
}

static int make_key_file(int state_fd, uint8_t ret[VAULT_KEY_BYTES])
{
	char text[HEX_DIGITS + 1];
	int r;

	randombytes_buf(ret, VAULT_KEY_BYTES);
	(void)sodium_bin2hex(text, sizeof(text), ret, VAULT_KEY_BYTES); /* returns TEXT */
	text[HEX_DIGITS] = '\n';
	r = vault_file_write(state_fd, VAULT_KEY_FILE, text, sizeof(text));
	sodium_memzero(text, sizeof(text));
	FAULT_POINT("vault.key_made");
	return r;
}

/* ---- the outer key ---- */

static int read_source(int state_fd, const struct secret_key_source *s, struct text *ret)
{
	int r;

	if (s->kind == SECRET_KEY_AUTO) {
		r = read_credential(CREDENTIAL, ret);
		if (r == -ENOENT)
			r = read_text(state_fd, VAULT_KEY_FILE, true, ret);
	} else if (s->kind == SECRET_KEY_CREDENTIAL ||
		   s->kind == SECRET_KEY_PASSPHRASE_CREDENTIAL) {
		r = read_credential(s->where, ret);
		if (r == -ENOENT)
			return VAULT_NO_CREDENTIAL;
	} else {
		r = read_text(AT_FDCWD, s->where, true, ret);
	}
	if (r == -ENOENT)
		return VAULT_KEY_MISSING;
	return r < 0 && !error_is_shortage(-r) ? VAULT_KEY_UNREADABLE : r;
}

/* The first line of T is the passphrase. */
static int stretch(const struct text *t, const struct vault_header *h, uint8_t ret[VAULT_KEY_BYTES])
{
	const char *newline = memchr(t->bytes, '\n', t->size);
	size_t size = newline ? (size_t)(newline - t->bytes) : t->size;

	if (size == 0)
		return VAULT_KEY_MALFORMED;
	if (crypto_pwhash(ret, VAULT_KEY_BYTES, t->bytes, size, h->kdf_salt, h->kdf_passes,
			  (size_t)h->kdf_memory, crypto_pwhash_ALG_ARGON2ID13) < 0)
		return -ENOMEM;
	return 0;
}

static enum vault_kdf kdf_of(const struct secret_key_source *s)
{
	return s->kind == SECRET_KEY_PASSPHRASE_FILE || s->kind == SECRET_KEY_PASSPHRASE_CREDENTIAL
		       ? VAULT_KDF_ARGON2ID
		       : VAULT_KDF_NONE;
}

/* What S means for a vault with the header H. */
static int find_outer(int state_fd, const struct secret_key_source *s, const struct vault_header *h,
		      uint8_t ret[VAULT_KEY_BYTES])
{
	CLEANUP(text_deinit) struct text text = { 0 };
	int r;

	if (h->kdf != kdf_of(s))
		return VAULT_KEY_OTHER;
	r = read_source(state_fd, s, &text);
	if (r != 0)
		return r;
	return h->kdf == VAULT_KDF_NONE ? parse_key(&text, ret) : stretch(&text, h, ret);
}

/* ---- the data key ---- */

static int open_with(int state_fd, const struct secret_key_source *s, const struct vault_header *h,
		     uint8_t ret_key[VAULT_KEY_BYTES])
{
	uint8_t outer[VAULT_KEY_BYTES];
	int r = find_outer(state_fd, s, h, outer);

	if (r == 0)
		r = vault_header_open(h, outer, ret_key);
	sodium_memzero(outer, sizeof(outer));
	return r;
}

/* Writes SECRETS with the data key KEY, which S opens from now on. */
static int write_vault(int state_fd, const struct secret_key_source *s, const struct table *secrets,
		       const uint8_t key[VAULT_KEY_BYTES])
{
	struct vault_header h = { .kdf = kdf_of(s) };
	uint8_t outer[VAULT_KEY_BYTES], *data = NULL;
	size_t size = 0;
	int r;

	if (h.kdf == VAULT_KDF_ARGON2ID) {
		h.kdf_passes = KDF_PASSES;
		h.kdf_memory = KDF_MEMORY;
		randombytes_buf(h.kdf_salt, sizeof(h.kdf_salt));
	}
	r = find_outer(state_fd, s, &h, outer);
	if (r == VAULT_KEY_MISSING && s->kind == SECRET_KEY_AUTO)
		r = make_key_file(state_fd, outer);
	if (r == 0) {
		vault_header_init(&h, outer, key);
		r = vault_encode(&h, key, secrets, &data, &size);
	}
	sodium_memzero(outer, sizeof(outer));
	if (r == 0)
		r = vault_file_write(state_fd, VAULT_FILE, data, size);
	free(data);
	return r;
}

struct resealing {
	const uint8_t *from;
	const uint8_t *to;
	int r;
};

static bool reseal(void *value, void *userdata)
{
	struct resealing *s = userdata;

	s->r = vault_secret_reseal(value, s->from, s->to);
	return s->r == 0;
}

static int keep_first(struct table *secrets, const uint8_t first[VAULT_KEY_BYTES],
		      const uint8_t key[VAULT_KEY_BYTES])
{
	const struct vault_entry facts = { .owner = VAULT_FIRST_OWNER,
					   .name = VAULT_FIRST_NAME,
					   .size = VAULT_KEY_BYTES };
	const struct bytes value = { first, VAULT_KEY_BYTES };
	char name[VAULT_SECRET_KEY_SIZE];
	struct vault_secret *s = NULL;
	int r;

	vault_secret_key(VAULT_FIRST_OWNER, VAULT_FIRST_NAME, name);
	if (table_find(secrets, name))
		return 0;
	r = vault_secret_new(&facts, &value, key, &s);
	if (r == 0)
		r = table_add(secrets, name, s);
	if (r < 0)
		vault_secret_free(s);
	return r;
}

/* With a new data key, so that who has the old outer key and an old file opens this one neither.
 * What cannot be read as a whole stays as it is. */
static int move(int state_fd, const struct secret_key_source *to, uint8_t key[VAULT_KEY_BYTES])
{
	uint8_t fresh[VAULT_KEY_BYTES];
	struct resealing s = { .from = key, .to = fresh };
	struct table secrets = { 0 };
	struct vault_header h;
	int r = vault_read(state_fd, key, &h, &secrets);

	randombytes_buf(fresh, sizeof(fresh));
	if (r == 0)
		table_each(&secrets, reseal, &s);
	if (r == 0)
		r = s.r;
	if (r == 0)
		r = keep_first(&secrets, key, fresh);
	if (r == 0)
		r = write_vault(state_fd, to, &secrets, fresh);
	memcpy(key, fresh, sizeof(fresh));
	sodium_memzero(fresh, sizeof(fresh));
	vault_free_secrets(&secrets);
	return r;
}

/* Whether a vault that `key` does not open with this answer may be one of the old key's. */
static bool may_be_old(int problem)
{
	return problem == VAULT_KEY_MISSING || problem == VAULT_KEY_OTHER ||
	       problem == VAULT_KEY_WRONG;
}

static int unlock(int state_fd, const struct vault_sources *sources, struct vault_finding *f)
{
	const struct table nothing = { 0 };
	struct vault_header h;
	int r = vault_header_read(state_fd, &h);

	if (r == -ENOENT) {
		f->was_lost = faccessat(state_fd, AUDIT_DIRECTORY, F_OK, 0) == 0;
		randombytes_buf(f->key, sizeof(f->key));
		return write_vault(state_fd, &sources->key, &nothing, f->key);
	}
	if (r != 0)
		return r;
	r = open_with(state_fd, &sources->key, &h, f->key);
	if (!may_be_old(r) || sources->old_key.kind == SECRET_KEY_NONE)
		return r;
	r = open_with(state_fd, &sources->old_key, &h, f->key);
	if (r != 0)
		return r < 0 ? r : VAULT_OLD_KEY_WRONG;
	r = move(state_fd, &sources->key, f->key);
	FAULT_POINT("vault.moved");
	f->has_moved = r == 0;
	return r;
}

void vault_unlock(int state_fd, const struct vault_sources *sources, struct vault_finding *ret)
{
	ret->problem = unlock(state_fd, sources, ret);
}
