/* SPDX-License-Identifier: Apache-2.0 */
/* File: magic, nonce, XChaCha20-Poly1305 of the body with the request's BLAKE2b hash as associated
 * data. Zeros after stored_reserve() are no magic. */

#include "stored.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "macro.h"

#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES
#define HASH_BYTES crypto_generichash_BYTES

_Static_assert(BROKER_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "the key's size");

static const uint8_t magic[8] = { 's', 'b', 'x', 'a', 'n', 's', 'w', '1' };

struct stored_file {
	uint8_t magic[sizeof(magic)];
	uint8_t nonce[NONCE_BYTES];
	uint8_t sealed[BROKER_ANSWER_MAX + TAG_BYTES];
};
#define HEAD_SIZE offsetof(struct stored_file, sealed)

static void hash_request(const uint8_t *request, size_t size, uint8_t hash[HASH_BYTES])
{
	(void)crypto_generichash(hash, HASH_BYTES, request, size, NULL, 0); /* cannot fail */
}

int stored_reserve(int fd)
{
	int r = posix_fallocate(fd, 0, (off_t)sizeof(struct stored_file));

	if (r != 0)
		(void)ftruncate(fd, 0); /* what it took is given back; if not, it is reused */
	return -r;
}

static int write_all(int fd, const uint8_t *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pwrite(fd, data + done, size - done, (off_t)done);

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return ftruncate(fd, (off_t)size) < 0 || fsync(fd) < 0 ? -errno : 0;
}

int stored_write(int fd, const uint8_t key[BROKER_KEY_BYTES], const uint8_t *request,
		 size_t request_size, const uint8_t *body, size_t size)
{
	CLEANUP_STR char *block = NULL;
	struct stored_file *f;
	unsigned long long sealed = 0;
	uint8_t hash[HASH_BYTES];

	if (size > BROKER_ANSWER_MAX)
		return -EFBIG;
	block = malloc(sizeof(*f));
	if (!block)
		return -ENOMEM;
	f = (struct stored_file *)block;
	memcpy(f->magic, magic, sizeof(magic));
	randombytes_buf(f->nonce, sizeof(f->nonce));
	hash_request(request, request_size, hash);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(f->sealed, &sealed, body, size, hash,
							 sizeof(hash), NULL, f->nonce, key);
	return write_all(fd, (const uint8_t *)block, HEAD_SIZE + (size_t)sealed);
}

int stored_read(int fd, const uint8_t key[BROKER_KEY_BYTES], const uint8_t *request,
		size_t request_size, uint8_t *body, size_t *ret_size)
{
	CLEANUP_STR char *block = malloc(sizeof(struct stored_file));
	struct stored_file *f = (struct stored_file *)block;
	unsigned long long size = 0;
	uint8_t hash[HASH_BYTES];
	ssize_t n;

	if (!block)
		return -ENOMEM;
	n = pread(fd, block, sizeof(*f), 0);
	if (n < 0)
		return -errno;
	if ((size_t)n < HEAD_SIZE + TAG_BYTES || memcmp(f->magic, magic, sizeof(magic)) != 0)
		return STORED_NONE;
	hash_request(request, request_size, hash);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(body, &size, NULL, f->sealed,
						       (size_t)n - HEAD_SIZE, hash, sizeof(hash),
						       f->nonce, key) < 0)
		return STORED_NONE;
	*ret_size = (size_t)size;
	return 0;
}
