/* SPDX-License-Identifier: Apache-2.0 */
/* A key is made only where there is no vault: one whose key was lost stays as it is, for the key
 * may be found again. */

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "macro.h"
#include "secret/vault-internal.h"
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
	return r;
}

static int find_key(int state_fd, bool is_new, uint8_t ret[VAULT_KEY_BYTES])
{
	CLEANUP(text_deinit) struct text text = { 0 };
	int r = read_credential(CREDENTIAL, &text);

	if (r == -ENOENT)
		r = read_text(state_fd, VAULT_KEY_FILE, true, &text);
	if (r == -ENOENT)
		return is_new ? make_key_file(state_fd, ret) : VAULT_KEY_MISSING;
	return r == 0 ? parse_key(&text, ret) : r;
}

static int read_passphrase(const struct vault_source *source, struct text *ret)
{
	char *newline;
	int r;

	if (source->kind == SECRET_KEY_PASSPHRASE_CREDENTIAL)
		r = read_credential(source->passphrase, ret);
	else
		r = read_text(AT_FDCWD, source->passphrase, true, ret);
	if (r == -ENOENT)
		return source->kind == SECRET_KEY_PASSPHRASE_CREDENTIAL ? VAULT_NO_CREDENTIAL
									: VAULT_KEY_MISSING;
	if (r != 0)
		return r;
	newline = memchr(ret->bytes, '\n', ret->size);
	if (newline)
		ret->size = (size_t)(newline - ret->bytes);
	return ret->size > 0 ? 0 : VAULT_KEY_MALFORMED;
}

static int stretch(const struct vault_source *source, const struct vault_header *h,
		   uint8_t ret[VAULT_KEY_BYTES])
{
	CLEANUP(text_deinit) struct text text = { 0 };
	int r = read_passphrase(source, &text);

	if (r != 0)
		return r;
	r = crypto_pwhash(ret, VAULT_KEY_BYTES, text.bytes, text.size, h->kdf_salt, h->kdf_passes,
			  (size_t)h->kdf_memory, crypto_pwhash_ALG_ARGON2ID13);
	return r < 0 ? -ENOMEM : 0;
}

static int make_vault(int state_fd, struct vault_header *h, const uint8_t key[VAULT_KEY_BYTES])
{
	const struct table nothing = { 0 };
	uint8_t *data = NULL;
	size_t size = 0;
	int r;

	vault_header_init(h, key);
	r = vault_encode(h, key, &nothing, &data, &size);
	if (r == 0)
		r = vault_file_write(state_fd, VAULT_FILE, data, size);
	free(data);
	return r;
}

int vault_unlock(int state_fd, const struct vault_source *source, uint8_t ret_key[VAULT_KEY_BYTES])
{
	const enum vault_kdf kdf =
		source->kind == SECRET_KEY_AUTO ? VAULT_KDF_NONE : VAULT_KDF_ARGON2ID;
	struct vault_header h = { 0 };
	int r = vault_header_read(state_fd, &h);
	const bool is_new = r == -ENOENT;

	if (is_new) {
		h.kdf = kdf;
		h.kdf_passes = kdf == VAULT_KDF_ARGON2ID ? KDF_PASSES : 0;
		h.kdf_memory = kdf == VAULT_KDF_ARGON2ID ? KDF_MEMORY : 0;
		randombytes_buf(h.kdf_salt, sizeof(h.kdf_salt));
	} else if (r != 0) {
		return r;
	}
	if (h.kdf != kdf)
		return VAULT_KEY_OTHER;
	r = kdf == VAULT_KDF_NONE ? find_key(state_fd, is_new, ret_key)
				  : stretch(source, &h, ret_key);
	if (r != 0)
		return r;
	return is_new ? make_vault(state_fd, &h, ret_key) : vault_header_check(&h, ret_key);
}
