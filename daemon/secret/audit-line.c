/* SPDX-License-Identifier: Apache-2.0 */
#include "secret/audit-line.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "macro.h"
#include "secret/audit.h"
#include "text.h"
#include "util/time.h"

#define HEAD "{\"seq\":"
#define AT ",\"at\":\""
#define AT_LENGTH 24 /* of time_format() */
#define UID "\",\"uid\":"
#define KEY ",\"key\":\""
#define PREVIOUS "\",\"prev\":\""
#define MAC ",\"mac\":\""
#define HASH_LENGTH (AUDIT_HASH_SIZE - 1)
#define KEY_ID_LENGTH (AUDIT_KEY_ID_SIZE - 1)
#define MAC_LENGTH (sizeof(MAC) - 1 + HASH_LENGTH + 2) /* with "} */
#define BEGIN_LENGTH (sizeof(KEY) - 1 + KEY_ID_LENGTH + sizeof(PREVIOUS) - 1 + HASH_LENGTH + 1)
#define NAME_BYTES_MAX 128 /* of any name; longer ones are refused long before */
#define EXE_BYTES_MAX 512

_Static_assert(crypto_auth_hmacsha256_KEYBYTES == AUDIT_KEY_BYTES, "one key for it");
_Static_assert(crypto_auth_hmacsha256_BYTES * 2 == HASH_LENGTH, "its hash as text");
/* nine names and a path, each byte of them as \u00XX at worst, and 512 for all else */
_Static_assert((9 * NAME_BYTES_MAX + EXE_BYTES_MAX) * 6 + 512 < AUDIT_LINE_MAX, "a line fits");

int audit_line_init(void)
{
	return sodium_init() < 0 ? -EIO : 0;
}

/* ---- the chain ---- */

static void make_mac(const uint8_t key[AUDIT_KEY_BYTES],
		     const char previous[static AUDIT_HASH_SIZE], const char *body, size_t size,
		     char ret[static AUDIT_HASH_SIZE])
{
	unsigned char mac[crypto_auth_hmacsha256_BYTES];
	crypto_auth_hmacsha256_state state;

	(void)crypto_auth_hmacsha256_init(&state, key, AUDIT_KEY_BYTES); /* these cannot fail */
	(void)crypto_auth_hmacsha256_update(&state, (const unsigned char *)previous, HASH_LENGTH);
	(void)crypto_auth_hmacsha256_update(&state, (const unsigned char *)body, size);
	(void)crypto_auth_hmacsha256_final(&state, mac);
	sodium_memzero(&state, sizeof(state));
	(void)sodium_bin2hex(ret, AUDIT_HASH_SIZE, mac, sizeof(mac));
}

void audit_key_id(const uint8_t key[AUDIT_KEY_BYTES], char ret[static AUDIT_KEY_ID_SIZE])
{
	static const char text[] = "which key";
	char mac[AUDIT_HASH_SIZE];

	make_mac(key, AUDIT_HASH_NONE, text, sizeof(text) - 1, mac);
	memcpy(ret, mac, KEY_ID_LENGTH);
	ret[KEY_ID_LENGTH] = '\0';
}

bool audit_line_is_true(const uint8_t key[AUDIT_KEY_BYTES],
			const char previous[static AUDIT_HASH_SIZE], const char *line, size_t size)
{
	char mac[AUDIT_HASH_SIZE];

	if (size <= MAC_LENGTH)
		return false;
	make_mac(key, previous, line, size - MAC_LENGTH, mac);
	return sodium_memcmp(mac, line + size - MAC_LENGTH + sizeof(MAC) - 1, HASH_LENGTH) == 0;
}

/* ---- writing ---- */

static char *put(char *at, const char *text)
{
	return stpcpy(at, text);
}

static char *put_char(char *at, char c)
{
	if ((unsigned char)c < 0x20)
		return at + sprintf(at, "\\u%04x", (unsigned char)c);
	if (c == '"' || c == '\\')
		*at++ = '\\';
	*at++ = c;
	return at;
}

/* As a JSON string of at most MAX bytes of TEXT. What is no UTF-8 becomes "?". */
static char *put_string(char *at, const char *text, size_t max)
{
	size_t size = strnlen(text, max), valid;

	*at++ = '"';
	while (size > 0) {
		valid = utf8_valid_length(text, size);
		size -= valid;
		for (; valid > 0; valid--)
			at = put_char(at, *text++);
		if (size > 0) {
			*at++ = '?';
			text++;
			size--;
		}
	}
	*at++ = '"';
	return at;
}

static char *put_field(char *at, const char *key, const char *value, size_t max)
{
	if (!value)
		return at;
	at += sprintf(at, ",\"%s\":", key);
	return put_string(at, value, max);
}

static char *put_head(char *at, int64_t seq, int64_t at_ms, uid_t uid)
{
	char time[TIME_TEXT_SIZE];

	time_format(at_ms, time);
	return at + sprintf(at, HEAD "%lld" AT "%s" UID "%u", (long long)seq, time, uid);
}

/* The line from LINE to END gets its MAC, and *HEAD moves to it. */
static size_t finish(const uint8_t key[AUDIT_KEY_BYTES], struct audit_mark *head, char *line,
		     char *end)
{
	char mac[AUDIT_HASH_SIZE];

	make_mac(key, head->hash, line, (size_t)(end - line), mac);
	memcpy(head->hash, mac, sizeof(mac));
	head->count++;
	end += sprintf(end, MAC "%s\"}\n", mac);
	return (size_t)(end - line);
}

size_t audit_line_write(const uint8_t key[AUDIT_KEY_BYTES], struct audit_mark *head, int64_t at_ms,
			const struct audit_entry *e, const char *exe,
			char line[static AUDIT_LINE_MAX])
{
	char *at = put_head(line, head->count + 1, at_ms, e->uid);

	at += sprintf(at, ",\"pid\":%d", (int)e->pid);
	at = put_field(at, "exe", exe, EXE_BYTES_MAX);
	at = put_field(at, "action", e->action, NAME_BYTES_MAX);
	at = put_field(at, "result", e->result, NAME_BYTES_MAX);
	at = put_field(at, "secret", e->secret, NAME_BYTES_MAX);
	at = put_field(at, "leaseId", e->lease, NAME_BYTES_MAX);
	at = put_field(at, "provider", e->provider, NAME_BYTES_MAX);
	at = put_field(at, "loopId", e->loop_id, NAME_BYTES_MAX);
	at = put_field(at, "sandbox", e->sandbox, NAME_BYTES_MAX);
	at = put_field(at, "execId", e->exec_id, NAME_BYTES_MAX);
	at = put_field(at, "stage", e->stage, NAME_BYTES_MAX);
	return finish(key, head, line, at);
}

size_t audit_line_begin(const uint8_t key[AUDIT_KEY_BYTES], struct audit_mark *head, int64_t at_ms,
			char line[static AUDIT_LINE_MAX])
{
	char key_id[AUDIT_KEY_ID_SIZE];
	char *at = put_head(line, head->count + 1, at_ms, getuid());

	audit_key_id(key, key_id);
	at = put(at, ",\"pid\":0,\"action\":\"begin\",\"result\":\"ok\"" KEY);
	at = put(at, key_id);
	at = put(at, PREVIOUS);
	at = put(at, head->hash);
	at = put(at, "\"");
	return finish(key, head, line, at);
}

/* ---- reading ---- */

/* A number of at least one digit at *AT; *AT moves behind it. */
static bool read_number(const char **at, const char *end, int64_t *ret)
{
	const char *p = *at;
	int64_t n = 0;

	for (; p < end && *p >= '0' && *p <= '9'; p++) {
		if (n > (INT64_MAX - 9) / 10)
			return false;
		n = n * 10 + (*p - '0');
	}
	if (p == *at)
		return false;
	*at = p;
	*ret = n;
	return true;
}

/* TEXT at *AT, which moves behind it. */
static bool read_text(const char **at, const char *end, const char *text, size_t length)
{
	if ((size_t)(end - *at) < length || memcmp(*at, text, length) != 0)
		return false;
	*at += length;
	return true;
}
#define READ_TEXT(at, end, text) read_text(at, end, text, sizeof(text) - 1)

static bool read_hex(const char **at, const char *end, size_t length, char *ret)
{
	if ((size_t)(end - *at) < length)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!strchr("0123456789abcdef", (*at)[i]) || (*at)[i] == '\0')
			return false;
	memcpy(ret, *at, length);
	ret[length] = '\0';
	*at += length;
	return true;
}

/* The part of a begin that ends at END; false: there is none. */
static bool read_begin(const char *line, const char *end, struct audit_line *ret)
{
	const char *at = end - BEGIN_LENGTH;

	return end - line > (ptrdiff_t)BEGIN_LENGTH && READ_TEXT(&at, end, KEY) &&
	       read_hex(&at, end, KEY_ID_LENGTH, ret->key_id) && READ_TEXT(&at, end, PREVIOUS) &&
	       read_hex(&at, end, HASH_LENGTH, ret->previous) && READ_TEXT(&at, end, "\"");
}

bool audit_line_read(const char *line, size_t size, struct audit_line *ret)
{
	const char *at = line, *end = line + size, *mac = end - MAC_LENGTH;
	int64_t uid;

	if (size <= MAC_LENGTH || !READ_TEXT(&at, mac, HEAD) || !read_number(&at, mac, &ret->seq) ||
	    !READ_TEXT(&at, mac, AT) || mac - at < AT_LENGTH)
		return false;
	at += AT_LENGTH;
	if (!READ_TEXT(&at, mac, UID) || !read_number(&at, mac, &uid) || uid > UINT32_MAX)
		return false;
	ret->uid = (uid_t)uid;
	ret->is_begin = read_begin(line, mac, ret);
	at = mac;
	return READ_TEXT(&at, end, MAC) && read_hex(&at, end, HASH_LENGTH, ret->mac) &&
	       READ_TEXT(&at, end, "\"}");
}
