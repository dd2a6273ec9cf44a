/* SPDX-License-Identifier: Apache-2.0 */
/* What a client sends, and an answer that is to be overwritten, are nowhere in this process's
 * memory once they are done with. What is looked for is never there as a whole but in them. */
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"
#include "macro.h"
#include "text.h"

#define NEEDLE_SIZE 24
#define LINE_SIZE (1u << 20)

static struct fixture f;
static struct client c;
static char line[LINE_SIZE];
static size_t used;

static void open_all(void)
{
	fixture_open(&f);
	client_open(&c, &f);
}

static void close_all(void)
{
	client_close(&c);
	fixture_close(&f);
}

/* ---- looking for it ---- */

static char needle_byte(size_t i)
{
	return (char)('a' + (i * 7 + i / 5) % 26);
}

static bool is_needle(const volatile char *at)
{
	for (size_t i = 0; i < NEEDLE_SIZE; i++)
		if (at[i] != needle_byte(i))
			return false;
	return true;
}

/* Written in base64, three bytes at a time. */
static bool is_encoded(const volatile char *at)
{
	char three[3], four[5];

	for (size_t i = 0; i < NEEDLE_SIZE; i += 3) {
		for (size_t j = 0; j < 3; j++)
			three[j] = needle_byte(i + j);
		base64_encode(three, 3, four);
		for (size_t j = 0; j < 4; j++)
			if (at[i / 3 * 4 + j] != four[j])
				return false;
	}
	return true;
}

static size_t count_in(const char *start, const char *end)
{
	size_t n = 0;

	for (; end - start >= NEEDLE_SIZE; start++)
		n += is_needle(start) || (end - start >= NEEDLE_SIZE / 3 * 4 && is_encoded(start));
	return n;
}

/* In all that can be written: heap, stack, data. */
static size_t count_everywhere(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start, end;
	char text[512], mode[5];
	size_t n = 0;

	ck_assert_ptr_nonnull(maps);
	while (fgets(text, sizeof(text), maps))
		if (sscanf(text, "%lx-%lx %4s", &start, &end, mode) == 3 &&
		    strncmp(mode, "rw-p", 4) == 0)
			n += count_in((char *)start, (char *)end);
	ck_assert_int_eq(fclose(maps), 0);
	return n;
}

/* ---- sending it ---- */

static void put(const char *text)
{
	size_t n = strlen(text);

	ck_assert_uint_lt(used + n, sizeof(line));
	memcpy(line + used, text, n);
	used += n;
}

static void put_needle(void)
{
	for (size_t i = 0; i < NEEDLE_SIZE; i++)
		line[used++] = needle_byte(i);
}

static void put_encoded_needle(void)
{
	char own[NEEDLE_SIZE];

	for (size_t i = 0; i < NEEDLE_SIZE; i++)
		own[i] = needle_byte(i);
	base64_encode(own, sizeof(own), line + used);
	used += base64_encoded_size(sizeof(own));
	explicit_bzero(own, sizeof(own));
}

static void forget_line(void)
{
	explicit_bzero(line, sizeof(line));
	used = 0;
}

/* What was put is sent in pieces of PIECE bytes, each of which the server sees. */
static void send_line(size_t piece)
{
	size_t at, n;

	for (at = 0; at < used; at += n) {
		n = used - at < piece ? used - at : piece;
		client_send_bytes(&c, line + at, n);
		fixture_run(&f);
	}
	forget_line();
}

/* One line of the server's is read, and forgotten. Returns how often it had the needle. */
static size_t read_line(void)
{
	size_t found;
	ssize_t n;

	while (used == 0 || line[used - 1] != '\n') {
		n = recv(c.fd, line + used, sizeof(line) - used, MSG_DONTWAIT);
		ck_assert(n > 0 || (n < 0 && errno == EAGAIN));
		if (n > 0)
			used += (size_t)n;
		else
			ck_assert_int_ge(event_base_loop(f.base, EVLOOP_ONCE), 0);
	}
	found = count_in(line, line + used);
	forget_line();
	fixture_run(&f);
	return found;
}

static void put_head(void)
{
	put("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"secret.set\",\"params\":{\"secret\":\"a\","
	    "\"value\":");
}

static void put_set(void)
{
	put_head();
	put("{\"text\":\"");
	put_needle();
	put("\"}}}");
}

START_TEST(it_would_be_found)
{
	char *copy = malloc(2 * NEEDLE_SIZE);

	ck_assert_uint_eq(count_everywhere(), 0);
	put_needle();
	ck_assert_uint_eq(count_everywhere(), 1);
	memcpy(copy, line, used);
	free(copy); /* its first bytes are malloc's now */
	forget_line();
	put_encoded_needle();
	ck_assert_uint_eq(count_everywhere(), 1);
	forget_line();
}
END_TEST

/* In one read, and in many. */
START_TEST(text)
{
	put_set();
	put("\n");
	send_line(_i == 0 ? LINE_SIZE : 50);
	ck_assert_uint_eq(read_line(), 1);
	ck_assert_uint_eq(count_everywhere(), 0);
}
END_TEST

START_TEST(base64)
{
	put_head();
	put("{\"base64\":\"");
	for (size_t i = 0; i < 400; i++)
		put_encoded_needle(); /* without padding: they are one value */
	put("\"}}}\n");
	send_line(_i == 0 ? LINE_SIZE : 500);
	ck_assert_uint_eq(read_line(), 400);
	ck_assert_uint_eq(count_everywhere(), 0);
}
END_TEST

/* Escaped characters are gathered by the parser piece by piece. */
START_TEST(much)
{
	put_head();
	put("{\"text\":\"");
	for (size_t i = 0; i < 10000; i++) {
		put_needle();
		if (_i == 1)
			put("\\\"\\n");
	}
	put("\"}}}\n");
	send_line(7000);
	ck_assert_uint_eq(read_line(), 10000);
	ck_assert_uint_eq(count_everywhere(), 0);
}
END_TEST

START_TEST(batch)
{
	put("[");
	put_set();
	put(",");
	put_set();
	put("]\n");
	send_line(LINE_SIZE);
	ck_assert_uint_eq(read_line(), 1); /* its like is refused */
	ck_assert_uint_eq(count_everywhere(), 0);
}
END_TEST

/* Many lines, and answers that wait for others to be read. */
START_TEST(many)
{
	size_t found = 0;

	for (size_t i = 0; i < 200; i++) {
		put_set();
		put("\n");
	}
	send_line(_i == 0 ? LINE_SIZE : 300);
	while (found < 200)
		found += read_line();
	ck_assert_uint_eq(count_everywhere(), 0);
}
END_TEST

/* In the last five it is the JSON that is wrong. */
static const struct {
	const char *head;
	const char *tail;
} refused[] = {
	{ "{\"jsonrpc\":\"1.0\",\"id\":1,\"params\":{\"value\":{\"text\":\"", "\"}}}\n" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"secret.sett\",\"params\":{\"value\":\"",
	  "\"}}\n" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"secret.set\",\"params\":{\"values\":[{\"a\":"
	  "\"",
	  "\"}]}}\n" },
	{ "{\"id\":1,\"params\":{\"value\":{\"text\":\"", "\"},,}}\n" },
	{ "{\"id\":1,\"params\":{\"value\":[[[{\"text\":\"", "\",]\n" },
	{ "{\"id\":1,\"params\":{\"value\":[7,{\"text\":\"", "\"}\n" },
	{ "{\"id\":1,\"params\":{\"value\":{\"text\":\"", "\"}}} x\n" },
	{ "{\"id\":1,\"params\":{\"value\":{\"text\":\"", "\"}},\"a\":1,\"a\":2}\n" },
};

START_TEST(refused_calls)
{
	put(refused[_i].head);
	put_needle();
	put(refused[_i].tail);
	send_line(LINE_SIZE);
	ck_assert_uint_eq(read_line(), 0);
	ck_assert_uint_eq(count_everywhere(), 0);
}
END_TEST

START_TEST(half_a_line)
{
	put_set();
	send_line(100);
	client_close(&c);
	fixture_run(&f);
	ck_assert_uint_eq(count_everywhere(), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rpc/wipe");
	TCase *t = tcase_create("wipe");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, open_all, close_all);
	tcase_set_timeout(t, 60);
	tcase_set_tags(t, "memory"); /* not for valgrind, whose own is there, too */
	tcase_add_test(t, it_would_be_found);
	tcase_add_loop_test(t, text, 0, 2);
	tcase_add_loop_test(t, base64, 0, 2);
	tcase_add_loop_test(t, much, 0, 2);
	tcase_add_test(t, batch);
	tcase_add_loop_test(t, many, 0, 2);
	tcase_add_loop_test(t, refused_calls, 0, ARRAY_SIZE(refused));
	tcase_add_test(t, half_a_line);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
