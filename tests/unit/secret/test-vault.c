/* SPDX-License-Identifier: Apache-2.0 */
/* The store of secrets: on disk before it is seen, each user's own, shut when its key is not there,
 * and then nothing is lost. */
#include <check.h>
#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bounds.h"
#include "sandbox/config.h"
#include "secret/vault-internal.h"
#include "secret/vault.h"
#include "util/fd.h"
#include "util/path.h"
#include "util/strings.h"

#define OWNER 1000
#define FILE_MAX (64u << 20)

static char dir[64];
static int state = -1;
static struct event_base *base;
static struct config config;
static struct vault *v;

struct answer {
	unsigned count;
	enum error_kind kind; /* of the last */
};

static void on_done(struct error *e, void *userdata)
{
	struct answer *a = userdata;

	a->count++;
	a->kind = e ? e->kind : ERROR_NONE;
}

static void wait_for(const struct answer *a, unsigned count)
{
	while (a->count < count)
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
	ck_assert_uint_eq(a->count, count);
}

static void open_vault(void)
{
	ck_assert_int_eq(vault_new(base, state, &config, &v), 0);
}

static void reopen(void)
{
	vault_free(v);
	v = NULL;
	open_vault();
}

static void setup(void)
{
	strcpy(dir, "/tmp/test-vault-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	state = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(state, 0);
	base = event_base_new();
	config = (struct config){ .secrets.key.kind = SECRET_KEY_AUTO };
	ck_assert_int_eq(unsetenv("CREDENTIALS_DIRECTORY"), 0);
	open_vault();
}

static void teardown(void)
{
	vault_free(v);
	v = NULL;
	ck_assert_int_ge(event_base_dispatch(base), 0); /* a writer that was killed is reaped */
	event_base_free(base);
	state = close_fd(state);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, dir), 0);
}

static enum error_kind try_set(uid_t owner, const char *name, const void *data, size_t size)
{
	const struct bytes value = { data, size };
	struct error e = { 0 };
	struct answer a = { 0 };
	enum error_kind kind;

	if (vault_set(v, owner, name, &value, on_done, &a, &e) == 0) {
		ck_assert_uint_eq(a.count, 0);
		wait_for(&a, 1);
		return a.kind;
	}
	ck_assert_ptr_nonnull(e.message);
	kind = e.kind;
	error_clear(&e);
	return kind;
}

static void set(uid_t owner, const char *name, const char *value)
{
	ck_assert_int_eq(try_set(owner, name, value, strlen(value)), ERROR_NONE);
}

static enum error_kind try_get(uid_t owner, const char *name, const char *expected)
{
	struct secret_value *value = NULL;
	struct error e = { 0 };
	enum error_kind kind;

	if (vault_get(v, owner, name, &value, &e) == 0) {
		ck_assert_str_eq((const char *)secret_value_data(value), expected);
		ck_assert_uint_eq(secret_value_size(value), strlen(expected));
		secret_value_unref(value);
		return ERROR_NONE;
	}
	kind = e.kind;
	error_clear(&e);
	return kind;
}

static void expect(uid_t owner, const char *name, const char *expected)
{
	ck_assert_int_eq(try_get(owner, name, expected), ERROR_NONE);
}

static char *read_file(const char *name, size_t *ret_size)
{
	char *data = NULL;

	ck_assert_int_eq(fd_read_file(state, name, FILE_MAX, &data, ret_size), 0);
	return data;
}

static void write_file(const char *name, const void *data, size_t size, mode_t mode)
{
	int fd = openat(state, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	ck_assert_int_eq((int)write(fd, data, size), (int)size);
	ck_assert_int_eq(close(fd), 0);
}

/* Nothing unfinished is there. */
static void expect_no_new(void)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	ck_assert_ptr_nonnull(d);
	while ((entry = readdir(d)))
		ck_assert(!string_starts(entry->d_name, ".secrets-new"));
	(void)closedir(d);
}

static void expect_mode(const char *name)
{
	struct stat st;

	ck_assert_int_eq(fstatat(state, name, &st, 0), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
}

START_TEST(kept)
{
	size_t size;
	char *data;

	set(OWNER, "a", "value of a, planted");
	set(OWNER, "a", "value of a, replaced");
	set(OWNER, "b", "b");
	set(OWNER + 1, "a", "another's");
	expect(OWNER, "a", "value of a, replaced");
	reopen();
	expect(OWNER, "a", "value of a, replaced");
	expect(OWNER, "b", "b");
	expect(OWNER + 1, "a", "another's");
	ck_assert_int_eq(try_get(OWNER + 1, "b", ""), ERROR_NOT_FOUND);
	ck_assert_int_eq(try_get(OWNER, "../b", ""), ERROR_NOT_FOUND);
	expect_mode("secrets.vault");
	expect_mode("secrets.key");
	data = read_file("secrets.vault", &size);
	ck_assert_ptr_null(memmem(data, size, "value of a", 10));
	free(data);
}
END_TEST

START_TEST(removed)
{
	struct error e = { 0 };
	struct answer a = { 0 };

	set(OWNER, "a", "1");
	ck_assert_int_eq(vault_remove(v, OWNER, "a", on_done, &a, &e), 0);
	ck_assert_int_eq(vault_remove(v, OWNER, "a", on_done, &a, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_NOT_FOUND);
	ck_assert_str_eq(e.field, "secret");
	error_clear(&e);
	ck_assert(vault_has(v, OWNER, "a")); /* until it is on disk */
	wait_for(&a, 1);
	ck_assert_int_eq(a.kind, ERROR_NONE);
	ck_assert(!vault_has(v, OWNER, "a"));
	reopen();
	ck_assert(!vault_has(v, OWNER, "a"));
}
END_TEST

static bool add_name(const struct vault_entry *e, void *userdata)
{
	char *names = userdata;

	ck_assert_uint_eq(e->owner, OWNER);
	ck_assert_int_gt(e->created_at_ms, 0);
	ck_assert_int_ge(e->updated_at_ms, e->created_at_ms);
	strcat(names, e->name);
	return strcmp(e->name, "c") != 0;
}

START_TEST(listed)
{
	struct error e = { 0 };
	char names[64] = "";

	set(OWNER, "b", "1");
	set(OWNER, "d", "1");
	set(OWNER, "c", "1");
	set(OWNER, "a", "1");
	set(OWNER + 1, "aa", "1");
	set(OWNER - 1, "z", "1");
	ck_assert_int_eq(vault_each(v, OWNER, add_name, names, &e), 0);
	ck_assert_str_eq(names, "abc");
}
END_TEST

/* All at once: one after the other in few writes, and the last one wins. */
START_TEST(together)
{
	struct error e = { 0 };
	struct answer a = { 0 };
	char text[32];
	unsigned i;

	for (i = 0; i < 200; i++) {
		const struct bytes value = { text, (size_t)snprintf(text, sizeof(text), "%u", i) };

		ck_assert_int_eq(vault_set(v, OWNER, i % 2 ? "odd" : "even", &value, on_done, &a,
					   &e),
				 0);
	}
	ck_assert(vault_is_busy(v));
	wait_for(&a, 200);
	ck_assert(!vault_is_busy(v));
	expect(OWNER, "odd", "199");
	expect(OWNER, "even", "198");
	reopen();
	expect(OWNER, "odd", "199");
	expect(OWNER, "even", "198");
}
END_TEST

static void on_done_set_more(struct error *e, void *userdata)
{
	const struct bytes value = { "second", 6 };
	struct error own = { 0 };

	ck_assert_ptr_null(e);
	ck_assert_int_eq(vault_set(v, OWNER, "b", &value, on_done, userdata, &own), 0);
}

/* From within an answer, while others wait. */
START_TEST(chained)
{
	const struct bytes value = { "first", 5 };
	struct answer a = { 0 };
	struct error e = { 0 };

	ck_assert_int_eq(vault_set(v, OWNER, "a", &value, on_done_set_more, &a, &e), 0);
	ck_assert_int_eq(vault_set(v, OWNER, "c", &value, on_done, &a, &e), 0);
	wait_for(&a, 2);
	expect(OWNER, "b", "second");
	expect(OWNER, "c", "first");
}
END_TEST

START_TEST(bad_values)
{
	static char big[SECRET_VALUE_MAX + 1];
	char text[32];
	unsigned i;

	ck_assert_int_eq(try_set(OWNER, "a", "", 0), ERROR_INVALID_PARAMS);
	ck_assert_int_eq(try_set(OWNER, "a", big, sizeof(big)), ERROR_INVALID_PARAMS);
	ck_assert_int_eq(try_set(OWNER, ".a", "x", 1), ERROR_INVALID_PARAMS);
	ck_assert_int_eq(try_set(OWNER, "a/b", "x", 1), ERROR_INVALID_PARAMS);
	for (i = 0; i < VAULT_BYTES_PER_UID_MAX / SECRET_VALUE_MAX; i++) {
		(void)snprintf(text, sizeof(text), "big%u", i);
		ck_assert_int_eq(try_set(OWNER, text, big, SECRET_VALUE_MAX), ERROR_NONE);
	}
	ck_assert_int_eq(try_set(OWNER, "a", "x", 1), ERROR_LIMIT_REACHED);
	ck_assert_int_eq(try_set(OWNER, "big0", big, SECRET_VALUE_MAX), ERROR_NONE);
	ck_assert_int_eq(try_set(OWNER + 1, "a", "x", 1), ERROR_NONE);
}
END_TEST

START_TEST(too_many)
{
	const struct bytes value = { "x", 1 };
	struct error e = { 0 };
	struct answer a = { 0 };
	char text[32];
	unsigned i;

	for (i = 0; i < VAULT_SECRETS_PER_UID_MAX; i++) {
		(void)snprintf(text, sizeof(text), "s%u", i);
		ck_assert_int_eq(vault_set(v, OWNER, text, &value, on_done, &a, &e), 0);
	}
	ck_assert_int_eq(vault_set(v, OWNER, "more", &value, on_done, &a, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_LIMIT_REACHED);
	error_clear(&e);
	wait_for(&a, VAULT_SECRETS_PER_UID_MAX);
	ck_assert_int_eq(try_set(OWNER, "more", "x", 1), ERROR_LIMIT_REACHED);
	ck_assert_int_eq(try_set(OWNER, "s0", "y", 1), ERROR_NONE);
}
END_TEST

/* Shut; what was there, is. */
static void expect_shut(const char *hint)
{
	struct error e = { 0 };
	size_t before_size, after_size;
	char *before = read_file("secrets.vault", &before_size), *after;
	uint8_t key[VAULT_KEY_BYTES];
	char names[64] = "";

	ck_assert_int_eq(try_set(OWNER, "a", "x", 1), ERROR_UNAVAILABLE);
	ck_assert_int_eq(try_get(OWNER, "a", ""), ERROR_UNAVAILABLE);
	ck_assert_int_eq(vault_each(v, OWNER, add_name, names, &e), -1);
	error_clear(&e);
	ck_assert(!vault_has(v, OWNER, "a"));
	ck_assert_int_eq(vault_derive(v, "contextA", key, &e), -1);
	ck_assert_msg(strstr(e.hint, hint), "%s", e.hint);
	error_clear(&e);
	after = read_file("secrets.vault", &after_size);
	ck_assert_uint_eq(before_size, after_size);
	ck_assert_mem_eq(before, after, before_size);
	free(before);
	free(after);
}

/* Any byte of it. */
START_TEST(damaged)
{
	size_t size, i;
	char *data;

	set(OWNER, "a", "value");
	data = read_file("secrets.vault", &size);
	for (i = 0; i < size; i += 7) {
		data[i] ^= 0x40;
		write_file("secrets.vault", data, size, 0600);
		reopen();
		expect_shut("");
		data[i] ^= 0x40;
	}
	for (i = 0; i < size; i += 5) {
		write_file("secrets.vault", data, i, 0600);
		reopen();
		expect_shut("backup");
	}
	write_file("secrets.vault", data, size, 0600);
	reopen();
	expect(OWNER, "a", "value");
	free(data);
}
END_TEST

START_TEST(key_file)
{
	static const char other[65] =
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	size_t size;
	char *key = read_file("secrets.key", &size);

	set(OWNER, "a", "value");
	write_file("secrets.key", other, 64, 0600);
	reopen();
	expect_shut("[secrets] key");
	write_file("secrets.key", "short", 5, 0600);
	reopen();
	expect_shut("64 hexadecimal digits");
	write_file("secrets.key", key, size, 0640);
	reopen();
	expect_shut("chmod 600");
	ck_assert_int_eq(unlinkat(state, "secrets.key", 0), 0);
	reopen();
	expect_shut("bring it back");
	ck_assert_int_eq(faccessat(state, "secrets.key", F_OK, 0), -1);
	write_file("secrets.key", key, size, 0600);
	reopen();
	expect(OWNER, "a", "value");
	free(key);
}
END_TEST

static void say_passphrase(const char *text)
{
	static char path[96];

	(void)snprintf(path, sizeof(path), "%s/passphrase", dir);
	write_file("passphrase", text, strlen(text), 0600);
	config.secrets.key.kind = SECRET_KEY_PASSPHRASE_FILE;
	config.secrets.key.where = path;
}

static void begin_anew(void)
{
	ck_assert_int_eq(unlinkat(state, "secrets.vault", 0), 0);
	ck_assert_int_eq(unlinkat(state, "secrets.key", 0), 0);
}

/* A wrong one is tried again when it is called, not more often than it may be; when it is right
 * all is there, without a restart. */
START_TEST(passphrase)
{
	const struct timeval step = { .tv_usec = 20000 };
	unsigned tries = 0;

	begin_anew();
	say_passphrase("correct horse\n");
	reopen();
	set(OWNER, "a", "value");
	say_passphrase("wrong horse\n");
	reopen();
	expect_shut("[secrets] key");
	say_passphrase("correct horse\nanother line\n");
	while (try_get(OWNER, "a", "value") != ERROR_NONE) {
		tries++;
		ck_assert_int_eq(event_base_loopexit(base, &step), 0);
		ck_assert_int_ge(event_base_dispatch(base), 0);
	}
	ck_assert_uint_gt(tries, 1);
	ck_assert_int_eq(faccessat(state, "secrets.key", F_OK, 0), -1);
	config.secrets.key.kind = SECRET_KEY_AUTO;
	reopen();
	expect_shut("what it was");
	say_passphrase("\n");
	reopen();
	expect_shut("one line");
}
END_TEST

START_TEST(credential)
{
	static char name[] = "phrase";

	begin_anew();
	ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
	write_file("sandboxd.secrets-key", "0123456789abcdef0123456789abcdef", 32, 0400);
	reopen();
	set(OWNER, "a", "value");
	ck_assert_int_eq(faccessat(state, "secrets.key", F_OK, 0), -1);
	reopen();
	expect(OWNER, "a", "value");
	ck_assert_int_eq(unlinkat(state, "secrets.vault", 0), 0);
	config.secrets.key.kind = SECRET_KEY_PASSPHRASE_CREDENTIAL;
	config.secrets.key.where = name;
	write_file(name, "pass", 4, 0400);
	reopen();
	set(OWNER, "a", "value");
	ck_assert_int_eq(unlinkat(state, name, 0), 0);
	reopen();
	expect_shut("LoadCredential");
}
END_TEST

/* Which the key of an audit log hangs on, say. */
static void derive(uint8_t key[VAULT_KEY_BYTES])
{
	struct error e = { 0 };

	ck_assert_int_eq(vault_derive(v, "contextA", key, &e), 0);
}

/* What somebody has who has copied secrets.key and secrets.vault as they are now. */
static void copy_data_key(uint8_t ret[VAULT_KEY_BYTES])
{
	uint8_t outer[VAULT_KEY_BYTES];
	struct vault_header h;
	size_t size;
	char *text = read_file("secrets.key", &size);

	ck_assert_int_eq(sodium_hex2bin(outer, sizeof(outer), text, 64, NULL, NULL, NULL), 0);
	free(text);
	ck_assert_int_eq(vault_header_read(state, &h), 0);
	ck_assert_int_eq(vault_header_open(&h, outer, ret), 0);
}

static int read_with(const uint8_t key[VAULT_KEY_BYTES])
{
	struct table secrets = { 0 };
	struct vault_header h;
	int r = vault_read(state, key, &h, &secrets);

	vault_free_secrets(&secrets);
	return r;
}

/* All is there, also what was derived; and KEY alone opens it. */
static void expect_moved(const uint8_t derived[VAULT_KEY_BYTES])
{
	uint8_t own[VAULT_KEY_BYTES];

	expect(OWNER, "a", "value");
	derive(own);
	ck_assert_mem_eq(own, derived, sizeof(own));
	config.secrets.old_key = (struct secret_key_source){ 0 };
	reopen();
	expect(OWNER, "a", "value");
	expect_no_new();
}

/* From each kind of key to the next. */
START_TEST(moved)
{
	static char other[96], sealed[] = "sealed";
	uint8_t derived[VAULT_KEY_BYTES], copied[VAULT_KEY_BYTES];

	set(OWNER, "a", "value");
	derive(derived);
	copy_data_key(copied);
	ck_assert_int_eq(read_with(copied), 0);
	config.secrets.old_key.kind = SECRET_KEY_AUTO;
	say_passphrase("correct horse\n");
	reopen();
	expect_moved(derived);
	ck_assert_int_eq(read_with(copied), VAULT_DAMAGED);

	/* the file is there from before the vault was last written, as after a crash between */
	config.secrets.old_key = config.secrets.key;
	config.secrets.key = (struct secret_key_source){ .kind = SECRET_KEY_AUTO };
	reopen();
	expect_moved(derived);

	(void)snprintf(other, sizeof(other), "%s/old.key", dir);
	ck_assert_int_eq(renameat(state, "secrets.key", state, "old.key"), 0);
	config.secrets.old_key = (struct secret_key_source){ SECRET_KEY_FILE, other };
	reopen(); /* with a new file */
	expect_moved(derived);
	expect_mode("secrets.key");
	copy_data_key(copied);
	set(OWNER, "a", "value");
	ck_assert_int_eq(read_with(copied), 0); /* as long as the key is the same */

	ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
	write_file(sealed, "0123456789abcdef0123456789abcdef", 32, 0400);
	config.secrets.key = (struct secret_key_source){ SECRET_KEY_CREDENTIAL, sealed };
	config.secrets.old_key.kind = SECRET_KEY_AUTO;
	reopen();
	expect_moved(derived);
	ck_assert_int_eq(read_with(copied), VAULT_DAMAGED);
}
END_TEST

START_TEST(not_moved)
{
	static const char wrong[] = "0123456789abcdef0123456789abcdef";
	static char old[96], none[96];
	uint8_t derived[VAULT_KEY_BYTES];
	size_t size;
	char *data;

	(void)snprintf(old, sizeof(old), "%s/old.key", dir);
	(void)snprintf(none, sizeof(none), "%s/none.key", dir);
	set(OWNER, "a", "value");
	derive(derived);
	ck_assert_int_eq(renameat(state, "secrets.key", state, "old.key"), 0);
	write_file("secrets.key", wrong, 32, 0600);
	reopen();
	expect_shut("old_key");
	config.secrets.old_key = (struct secret_key_source){ SECRET_KEY_FILE, none };
	reopen();
	expect_shut("mend what old_key names");
	/* no file is made but of `auto` */
	config.secrets.key = (struct secret_key_source){ SECRET_KEY_FILE, none };
	config.secrets.old_key.where = old;
	reopen();
	expect_shut("bring it back");
	/* what cannot be read as a whole */
	config.secrets.key = (struct secret_key_source){ .kind = SECRET_KEY_AUTO };
	data = read_file("secrets.vault", &size);
	data[size - 1] ^= 1;
	write_file("secrets.vault", data, size, 0600);
	reopen();
	expect_shut("backup");
	data[size - 1] ^= 1;
	write_file("secrets.vault", data, size, 0600);
	free(data);
	reopen();
	expect_moved(derived);
}
END_TEST

START_TEST(version)
{
	size_t size;
	char *data = read_file("secrets.vault", &size);

	data[8] = 1; /* behind the magic */
	write_file("secrets.vault", data, size, 0600);
	reopen();
	expect_shut("move it away");
	data[8] = 3;
	write_file("secrets.vault", data, size, 0600);
	reopen();
	expect_shut("install that version");
	free(data);
}
END_TEST

/* The writer inherits a limit of the size of files, at which it fails half-way: told, and all is as
 * before. */
START_TEST(no_room)
{
	struct rlimit little = { .rlim_cur = 40 }, before;
	const struct bytes value = { "new", 3 };
	struct answer a = { 0 };
	struct error e = { 0 };
	int r;

	set(OWNER, "a", "old");
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	little.rlim_max = before.rlim_max;
	(void)setrlimit(RLIMIT_FSIZE, &little); /* libcheck writes a file, too: no check here */
	r = vault_set(v, OWNER, "a", &value, on_done, &a, &e);
	(void)setrlimit(RLIMIT_FSIZE, &before);
	ck_assert_int_eq(r, 0);
	wait_for(&a, 1);
	ck_assert_int_ne(a.kind, ERROR_NONE);
	expect(OWNER, "a", "old");
	expect_no_new();
	set(OWNER, "c", "room again");
	reopen();
	expect(OWNER, "a", "old");
	expect(OWNER, "c", "room again");
}
END_TEST

/* What a writer left that was killed. */
START_TEST(swept)
{
	write_file(".secrets-new-1", "x", 1, 0600);
	write_file(".secrets-new-2", "x", 1, 0600);
	reopen();
	expect_no_new();
}
END_TEST

START_TEST(derived)
{
	uint8_t one[VAULT_KEY_BYTES], again[VAULT_KEY_BYTES], other[VAULT_KEY_BYTES];
	struct error e = { 0 };

	ck_assert_int_eq(vault_derive(v, "contextA", one, &e), 0);
	ck_assert_int_eq(vault_derive(v, "contextB", other, &e), 0);
	ck_assert_mem_ne(one, other, sizeof(one));
	reopen();
	ck_assert_int_eq(vault_derive(v, "contextA", again, &e), 0);
	ck_assert_mem_eq(one, again, sizeof(one));
}
END_TEST

START_TEST(given_up)
{
	const struct bytes value = { "x", 1 };
	struct answer a = { 0 };
	struct error e = { 0 };

	ck_assert_int_eq(vault_set(v, OWNER, "a", &value, on_done, &a, &e), 0);
	ck_assert_int_eq(vault_set(v, OWNER, "b", &value, on_done, &a, &e), 0);
	vault_free(v);
	v = NULL;
	ck_assert_uint_eq(a.count, 2);
	ck_assert_int_eq(a.kind, ERROR_CANCELLED);
	open_vault();
	ck_assert_int_eq(try_get(OWNER, "b", ""), ERROR_NOT_FOUND);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vault");
	TCase *t = tcase_create("vault");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, kept);
	tcase_add_test(t, removed);
	tcase_add_test(t, listed);
	tcase_add_test(t, together);
	tcase_add_test(t, chained);
	tcase_add_test(t, bad_values);
	tcase_add_test(t, too_many);
	tcase_add_test(t, damaged);
	tcase_add_test(t, key_file);
	tcase_add_test(t, passphrase);
	tcase_add_test(t, moved);
	tcase_add_test(t, not_moved);
	tcase_add_test(t, version);
	tcase_add_test(t, credential);
	tcase_add_test(t, no_room);
	tcase_add_test(t, swept);
	tcase_add_test(t, derived);
	tcase_add_test(t, given_up);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
