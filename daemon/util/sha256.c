/* SPDX-License-Identifier: Apache-2.0 */
/* Straight from FIPS 180-4. The constants are the first 32 bits of the fractional parts of the
 * square roots (state) and cube roots (rounds) of the first primes. */

#include "util/sha256.h"

#include <stdio.h>
#include <string.h>

#define SHA256_SIZE 32

static const uint32_t rounds[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

static uint32_t rotate(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

static uint32_t load(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void schedule(const uint8_t *block, uint32_t w[static 64])
{
	for (size_t i = 0; i < 16; i++)
		w[i] = load(block + 4 * i);
	for (size_t i = 16; i < 64; i++) {
		uint32_t a = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
		uint32_t b = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;

		w[i] = w[i - 16] + a + w[i - 7] + b;
	}
}

static void compress(struct sha256 *s)
{
	uint32_t w[64], v[8];

	schedule(s->block, w);
	memcpy(v, s->state, sizeof(v));
	for (size_t i = 0; i < 64; i++) {
		uint32_t e = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
		uint32_t a = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
		uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
		uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
		uint32_t t = v[7] + e + choice + rounds[i] + w[i];

		memmove(v + 1, v, 7 * sizeof(v[0]));
		v[4] += t;
		v[0] = t + a + majority;
	}
	for (size_t i = 0; i < 8; i++)
		s->state[i] += v[i];
}

void sha256_init(struct sha256 *s)
{
	*s = (struct sha256){
		.state = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
			   0x1f83d9ab, 0x5be0cd19 },
	};
}

void sha256_add(struct sha256 *s, const void *data, size_t size)
{
	const uint8_t *p = data;

	while (size) {
		size_t at = s->size % sizeof(s->block);
		size_t n = sizeof(s->block) - at;

		if (n > size)
			n = size;
		memcpy(s->block + at, p, n);
		s->size += n;
		p += n;
		size -= n;
		if (at + n == sizeof(s->block))
			compress(s);
	}
}

void sha256_add_text(struct sha256 *s, const char *text)
{
	text = text ? text : "";
	sha256_add(s, text, strlen(text) + 1);
}

static void sha256_end(struct sha256 *s, uint8_t ret[static SHA256_SIZE])
{
	static const uint8_t padding[64] = { 0x80 };
	uint64_t bits = s->size * 8;
	uint8_t length[8];

	for (size_t i = 0; i < 8; i++)
		length[i] = (uint8_t)(bits >> (56 - 8 * i));
	sha256_add(s, padding, 1 + (119 - s->size % 64) % 64);
	sha256_add(s, length, sizeof(length));
	for (size_t i = 0; i < SHA256_SIZE; i++)
		ret[i] = (uint8_t)(s->state[i / 4] >> (24 - 8 * (i % 4)));
}

void sha256_end_text(struct sha256 *s, char ret[static SHA256_TEXT_SIZE])
{
	uint8_t digest[SHA256_SIZE];

	sha256_end(s, digest);
	for (size_t i = 0; i < SHA256_SIZE; i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", digest[i]); /* always fits */
}
