/* SPDX-License-Identifier: Apache-2.0 */
/* A value is bound to its owner and name: nothing that could write the file without the key could
 * swap two of them. */

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "macro.h"
#include "secret/vault-internal.h"

#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES

_Static_assert(VAULT_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "one kind of key");
_Static_assert(VAULT_KEY_BYTES == crypto_kdf_KEYBYTES, "one kind of key");

void vault_subkey(const uint8_t key[VAULT_KEY_BYTES], const char context[8],
		  uint8_t ret[VAULT_KEY_BYTES])
{
	(void)crypto_kdf_derive_from_key(ret, VAULT_KEY_BYTES, 1, context, key); /* 0: sizes fit */
}

void vault_secret_key(uid_t owner, const char *name, char ret[static VAULT_SECRET_KEY_SIZE])
{
	(void)snprintf(ret, VAULT_SECRET_KEY_SIZE, "%010u/%s", (unsigned)owner, name); /* fits */
}

size_t vault_sealed_size(size_t size)
{
	return NONCE_BYTES + size + TAG_BYTES;
}

static void seal(struct vault_secret *s, const struct bytes *value,
		 const uint8_t key[VAULT_KEY_BYTES])
{
	char name[VAULT_SECRET_KEY_SIZE];
	uint8_t own[VAULT_KEY_BYTES];

	vault_secret_key(s->facts.owner, s->facts.name, name);
	vault_subkey(key, "vaultval", own);
	randombytes_buf(s->sealed, NONCE_BYTES);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(s->sealed + NONCE_BYTES, NULL, value->data,
							 value->size, (const uint8_t *)name,
							 strlen(name), NULL, s->sealed,
							 own); /* always 0 */
	sodium_memzero(own, sizeof(own));
}

int vault_secret_new(const struct vault_entry *facts, const struct bytes *value,
		     const uint8_t key[VAULT_KEY_BYTES], struct vault_secret **ret)
{
	CLEANUP(vault_secret_freep) struct vault_secret *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->facts = *facts;
	s->facts.name = strdup(facts->name);
	s->sealed = malloc(vault_sealed_size(facts->size));
	if (!s->facts.name || !s->sealed)
		return -ENOMEM;
	if (value)
		seal(s, value, key);
	*ret = TAKE_PTR(s);
	return 0;
}

void vault_secret_free(struct vault_secret *s)
{
	if (!s)
		return;
	free((char *)(uintptr_t)s->facts.name); /* const for those who list */
	free(s->sealed);
	free(s);
}

int vault_secret_open(const struct vault_secret *s, const uint8_t key[VAULT_KEY_BYTES],
		      struct secret_value **ret)
{
	char name[VAULT_SECRET_KEY_SIZE];
	uint8_t own[VAULT_KEY_BYTES], *data;
	struct secret_value *v;
	int r = secret_value_new(s->facts.size, &v, &data);

	if (r < 0)
		return r;
	vault_secret_key(s->facts.owner, s->facts.name, name);
	vault_subkey(key, "vaultval", own);
	r = crypto_aead_xchacha20poly1305_ietf_decrypt(data, NULL, NULL, s->sealed + NONCE_BYTES,
						       s->facts.size + TAG_BYTES,
						       (const uint8_t *)name, strlen(name),
						       s->sealed, own);
	sodium_memzero(own, sizeof(own));
	if (r < 0) {
		secret_value_unref(v);
		return VAULT_DAMAGED;
	}
	*ret = v;
	return 0;
}

int vault_secret_reseal(struct vault_secret *s, const uint8_t from[VAULT_KEY_BYTES],
			const uint8_t to[VAULT_KEY_BYTES])
{
	struct secret_value *v = NULL;
	int r = vault_secret_open(s, from, &v);

	if (r == 0)
		seal(s, &(struct bytes){ secret_value_data(v), secret_value_size(v) }, to);
	secret_value_unref(v);
	return r;
}
