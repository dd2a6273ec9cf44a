/* SPDX-License-Identifier: Apache-2.0 */
/* The body is a row of records: numbers, name, sealed value. It is read only after its tag was
 * found right, and yet never beyond its end. */

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bounds.h"
#include "macro.h"
#include "secret/vault-internal.h"
#include "util/fd.h"
#include "util/table.h"

#define MAGIC "SBXVAULT"
#define VERSION 2
#define TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES
/* What a header may ask for, which is read before the key is known. */
#define KDF_PASSES_MAX 16
#define KDF_MEMORY_MAX (UINT64_C(1) << 30)
#define VAULT_FILE_MAX (VAULT_BYTES_MAX + 4096)
/* Bytes, from the header's first, that go with the data key. */
#define DATA_KEY_AAD offsetof(struct vault_header, data_nonce)

_Static_assert(sizeof(struct vault_header) == 144, "no holes, and as it was");

struct record {
	uint32_t owner;
	uint32_t name_size;
	int64_t created_at_ms;
	int64_t updated_at_ms;
	uint64_t size;
};

/* ---- header ---- */

static int judge(const struct vault_header *h)
{
	if (memcmp(h->magic, MAGIC, sizeof(h->magic)) != 0)
		return VAULT_DAMAGED;
	if (h->version != VERSION)
		return h->version > VERSION ? VAULT_TOO_NEW : VAULT_TOO_OLD;
	if (h->kdf > VAULT_KDF_ARGON2ID || h->kdf_passes > KDF_PASSES_MAX ||
	    h->kdf_memory > KDF_MEMORY_MAX)
		return VAULT_DAMAGED;
	if (h->kdf == VAULT_KDF_ARGON2ID && (h->kdf_passes < crypto_pwhash_OPSLIMIT_MIN ||
					     h->kdf_memory < crypto_pwhash_MEMLIMIT_MIN))
		return VAULT_DAMAGED;
	return VAULT_OK;
}

int vault_header_read(int state_fd, struct vault_header *ret)
{
	CLEANUP_FD int fd = openat(state_fd, VAULT_FILE, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, ret, sizeof(*ret));
	if (n < 0)
		return -errno;
	return (size_t)n == sizeof(*ret) ? judge(ret) : VAULT_DAMAGED;
}

void vault_header_init(struct vault_header *h, const uint8_t outer[VAULT_KEY_BYTES],
		       const uint8_t key[VAULT_KEY_BYTES])
{
	uint8_t own[VAULT_KEY_BYTES];

	memcpy(h->magic, MAGIC, sizeof(h->magic));
	h->version = VERSION;
	randombytes_buf(h->data_nonce, sizeof(h->data_nonce));
	vault_subkey(outer, "vaultkey", own);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(h->data_key, NULL, key, VAULT_KEY_BYTES,
							 (const uint8_t *)h, DATA_KEY_AAD, NULL,
							 h->data_nonce, own); /* always 0 */
	sodium_memzero(own, sizeof(own));
}

int vault_header_open(const struct vault_header *h, const uint8_t outer[VAULT_KEY_BYTES],
		      uint8_t ret_key[VAULT_KEY_BYTES])
{
	uint8_t own[VAULT_KEY_BYTES];
	int r;

	vault_subkey(outer, "vaultkey", own);
	r = crypto_aead_xchacha20poly1305_ietf_decrypt(ret_key, NULL, NULL, h->data_key,
						       sizeof(h->data_key), (const uint8_t *)h,
						       DATA_KEY_AAD, h->data_nonce, own);
	sodium_memzero(own, sizeof(own));
	return r < 0 ? VAULT_KEY_WRONG : 0;
}

/* ---- writing the body ---- */

struct writer {
	uint8_t *at;
	size_t size;
};

static bool add_size(void *value, void *userdata)
{
	const struct vault_secret *s = value;
	struct writer *w = userdata;

	w->size += sizeof(struct record) + strlen(s->facts.name) + vault_sealed_size(s->facts.size);
	return true;
}

static void put(struct writer *w, const void *data, size_t size)
{
	memcpy(w->at, data, size);
	w->at += size;
}

static bool add_record(void *value, void *userdata)
{
	const struct vault_secret *s = value;
	const struct vault_entry *e = &s->facts;
	const struct record r = { e->owner, (uint32_t)strlen(e->name), e->created_at_ms,
				  e->updated_at_ms, e->size };

	put(userdata, &r, sizeof(r));
	put(userdata, e->name, r.name_size);
	put(userdata, s->sealed, vault_sealed_size(e->size));
	return true;
}

int vault_encode(const struct vault_header *h, const uint8_t key[VAULT_KEY_BYTES],
		 const struct table *secrets, uint8_t **ret, size_t *ret_size)
{
	struct vault_header own = *h;
	uint8_t file_key[VAULT_KEY_BYTES];
	struct writer w = { 0 };
	uint8_t *data, *body;

	table_each(secrets, add_size, &w);
	data = malloc(sizeof(own) + w.size + TAG_BYTES);
	if (!data)
		return -ENOMEM;
	randombytes_buf(own.nonce, sizeof(own.nonce));
	memcpy(data, &own, sizeof(own));
	w.at = body = data + sizeof(own);
	table_each(secrets, add_record, &w);
	vault_subkey(key, "vaultfil", file_key);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(body, NULL, body, w.size, data,
							 sizeof(own), NULL, own.nonce,
							 file_key); /* always 0 */
	sodium_memzero(file_key, sizeof(file_key));
	*ret = data;
	*ret_size = sizeof(own) + w.size + TAG_BYTES;
	return 0;
}

/* ---- reading it ---- */

struct reader {
	const uint8_t *at;
	size_t left;
};

static const void *take(struct reader *r, size_t size)
{
	const uint8_t *at = r->at;

	if (size > r->left)
		return NULL;
	r->at += size;
	r->left -= size;
	return at;
}

static int take_secret(struct reader *r, struct table *secrets)
{
	CLEANUP(vault_secret_freep) struct vault_secret *s = NULL;
	char name[SECRET_NAME_MAX + 1], key[VAULT_SECRET_KEY_SIZE];
	const void *numbers = take(r, sizeof(struct record)), *text, *sealed;
	struct record record;
	int error;

	if (!numbers)
		return VAULT_DAMAGED;
	memcpy(&record, numbers, sizeof(record));
	if (record.name_size > SECRET_NAME_MAX || record.size > SECRET_VALUE_MAX)
		return VAULT_DAMAGED;
	text = take(r, record.name_size);
	sealed = take(r, vault_sealed_size(record.size));
	if (!text || !sealed)
		return VAULT_DAMAGED;
	memcpy(name, text, record.name_size);
	name[record.name_size] = '\0';
	if (strlen(name) != record.name_size || !secret_name_is_good(name))
		return VAULT_DAMAGED;
	error = vault_secret_new(&(struct vault_entry){ record.owner, name, record.size,
							record.created_at_ms,
							record.updated_at_ms },
				 NULL, NULL, &s);
	if (error < 0)
		return error;
	memcpy(s->sealed, sealed, vault_sealed_size(record.size));
	vault_secret_key(record.owner, name, key);
	error = table_add(secrets, key, s);
	if (error < 0)
		return error == -EEXIST ? VAULT_DAMAGED : error;
	s = NULL;
	return 0;
}

int vault_parse(const uint8_t *body, size_t size, struct table *secrets)
{
	struct reader reader = { body, size };
	int r = 0;

	while (r == 0 && reader.left > 0)
		r = take_secret(&reader, secrets);
	return r;
}

int vault_decode(const uint8_t *data, size_t size, const uint8_t key[VAULT_KEY_BYTES],
		 struct vault_header *ret_header, struct table *secrets)
{
	CLEANUP_STR char *copy = NULL;
	uint8_t file_key[VAULT_KEY_BYTES];
	int r;

	if (size < sizeof(*ret_header) + TAG_BYTES)
		return VAULT_DAMAGED;
	memcpy(ret_header, data, sizeof(*ret_header));
	r = judge(ret_header);
	if (r != VAULT_OK)
		return r;
	size -= sizeof(*ret_header);
	copy = malloc(size);
	if (!copy)
		return -ENOMEM;
	vault_subkey(key, "vaultfil", file_key);
	r = crypto_aead_xchacha20poly1305_ietf_decrypt((uint8_t *)copy, NULL, NULL,
						       data + sizeof(*ret_header), size, data,
						       sizeof(*ret_header), ret_header->nonce,
						       file_key);
	sodium_memzero(file_key, sizeof(file_key));
	return r < 0 ? VAULT_DAMAGED : vault_parse((uint8_t *)copy, size - TAG_BYTES, secrets);
}

/* ---- the file ---- */

int vault_read(int state_fd, const uint8_t key[VAULT_KEY_BYTES], struct vault_header *ret_header,
	       struct table *secrets)
{
	CLEANUP_STR char *data = NULL;
	size_t size = 0;
	int r = fd_read_file(state_fd, VAULT_FILE, VAULT_FILE_MAX, &data, &size);

	return r < 0 ? r : vault_decode((uint8_t *)data, size, key, ret_header, secrets);
}

static int write_all(int fd, const uint8_t *data, size_t size)
{
	ssize_t n;

	while (size > 0) {
		n = write(fd, data, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int sync_directory(int dir_fd)
{
	CLEANUP_FD int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int vault_file_write(int dir_fd, const char *name, const void *data, size_t size)
{
	CLEANUP_FD int fd = -1;
	char new[64];
	int r;

	/* a name of its own: a writer whose daemon was killed may still have the last one */
	(void)snprintf(new, sizeof(new), VAULT_NEW_PREFIX "%08x%08x", randombytes_random(),
		       randombytes_random()); /* fits */
	fd = openat(dir_fd, new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, data, size);
	if (r == 0 && renameat(dir_fd, new, dir_fd, name) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(dir_fd, new, 0); /* the next start removes it */
		return r;
	}
	return sync_directory(dir_fd);
}
