/* SPDX-License-Identifier: Apache-2.0 */
/* A vault without a key is shut. A call to a shut one answers why, and lets a child try again, less
 * and less often: Argon2id and the disk take their time, and guessing is slow. */

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bounds.h"
#include "secret/vault-internal.h"
#include "util/child.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/strings.h"
#include "util/time.h"

#define RETRY_FIRST_MS 1000
#define RETRY_MAX_MS 60000

/* ---- why it is shut ---- */

static const struct {
	const char *what;
	const char *hint;
	bool of_key;  /* which is to be named */
	bool restart; /* nothing to wait for */
} problems[VAULT_PROBLEM_MAX] = {
	[VAULT_KEY_MISSING] = { "its key is not there", "bring it back", .of_key = true },
	[VAULT_KEY_UNREADABLE] = { "its key cannot be read",
				   "let sandboxd's user read it, and nobody else", .of_key = true },
	[VAULT_KEY_MALFORMED] = { "what should have its key has none",
				  "a key is 32 bytes or 64 hexadecimal digits, a passphrase one "
				  "line of text",
				  .of_key = true },
	[VAULT_KEY_EXPOSED] = { "others can read its key",
				"chmod 600 the file, chown it to sandboxd's user, and think of "
				"changing what is in the store",
				.of_key = true },
	[VAULT_KEY_OTHER] = { "[secrets] key is of another kind than what it was made with",
			      "set [secrets] key to what it was; or leave it and set old_key to "
			      "that",
			      .restart = true },
	[VAULT_KEY_WRONG] = { "the key or passphrase is not the one it was made with",
			      "mend what [secrets] key names; or name the old one in old_key",
			      .of_key = true },
	[VAULT_OLD_KEY_WRONG] = { "neither [secrets] key nor old_key opens it",
				  "mend what old_key names; or take it out, and mend [secrets] "
				  "key",
				  .of_key = true },
	[VAULT_DAMAGED] = { "secrets.vault is damaged",
			    "bring it back from a backup, or move it away and set the secrets "
			    "anew",
			    .of_key = false },
	[VAULT_TOO_OLD] = { "secrets.vault is of a version before the first release",
			    "move it away and set the secrets anew", .of_key = false },
	[VAULT_TOO_NEW] = { "secrets.vault is of a newer version",
			    "install that version of sandboxd again", .restart = true },
	[VAULT_NO_CREDENTIAL] = { "the service has not the credential that [secrets] key names",
				  "add LoadCredential= or LoadCredentialEncrypted= to its unit, "
				  "and restart it",
				  .restart = true },
};

/* "its key is not there (auto, the file /var/lib/sandboxd/secrets.key)" */
static void describe(const struct vault *v, int problem, char *ret, size_t size)
{
	char key[VAULT_KEY_TEXT_SIZE];

	if (problem < 0 || !problems[problem].of_key) {
		(void)snprintf(ret, size, "%s",
			       problem < 0 ? strerror(-problem) : problems[problem].what);
		return;
	}
	vault_describe_key(v, key, sizeof(key));
	(void)snprintf(ret, size, "%s (%s)", problems[problem].what, key); /* cut if longer */
}

/* What may mend it, and when that is seen. */
static char *advice(const struct vault *v, int problem)
{
	int64_t wait_ms = v->retry_at_ms - time_monotonic_ms();
	const char *hint = problem < 0 ? "see sandboxd's log" : problems[problem].hint;

	if (v->key || (problem > 0 && problems[problem].restart))
		return strdup(hint);
	if (v->child || wait_ms <= 0)
		return string_format("%s; sandboxd is just looking again", hint);
	return string_format("%s; sandboxd looks again when it is asked in %lld s or later", hint,
			     (long long)(wait_ms + 999) / 1000);
}

int vault_set_problem(const struct vault *v, int problem, struct error *reterr)
{
	CLEANUP_STR char *hint = error_is_shortage(-problem) ? NULL : advice(v, problem);
	char what[VAULT_KEY_TEXT_SIZE + 128];

	describe(v, problem, what, sizeof(what));
	return error_set(reterr,
			 error_is_shortage(-problem) ? ERROR_LIMIT_REACHED : ERROR_UNAVAILABLE,
			 NULL, hint, "the store of secrets cannot be used: %s", what);
}

/* ---- opening ---- */

static bool free_secret(void *value, void *userdata)
{
	(void)userdata;
	vault_secret_free(value);
	return true;
}

void vault_free_secrets(struct table *t)
{
	table_each(t, free_secret, NULL);
	table_deinit(t);
}

/* The file's content with the key of F, which is zeroed. 0: it is open. */
static int load(struct vault *v, struct vault_finding *f)
{
	CLEANUP(secret_value_unrefp) struct secret_value *key = NULL;
	struct table secrets = { 0 };
	uint8_t *bytes;
	int r = f->problem;

	if (r == 0)
		r = secret_value_new(VAULT_KEY_BYTES, &key, &bytes);
	if (r == 0) {
		memcpy(bytes, f->key, VAULT_KEY_BYTES);
		r = vault_read(v->state_fd, bytes, &v->header, &secrets);
	}
	sodium_memzero(f->key, sizeof(f->key));
	if (f->has_moved)
		log_notice("the store of secrets was opened with [secrets] old_key, and is opened "
			   "by key alone from now on: take old_key out");
	if (r != 0) {
		vault_free_secrets(&secrets);
		return r;
	}
	v->was_lost = f->was_lost;
	if (v->was_lost)
		log_warning("secrets.vault is gone, going on with a new store of secrets, which is "
			    "empty: if that was not meant, stop sandboxd and bring it back");
	v->secrets = secrets;
	v->key = TAKE_PTR(key);
	return 0;
}

void vault_shut(struct vault *v, int problem)
{
	char what[VAULT_KEY_TEXT_SIZE + 128];

	v->problem = problem;
	v->retry_ms = v->retry_ms > 0 ? v->retry_ms * 2 : RETRY_FIRST_MS;
	if (v->retry_ms > RETRY_MAX_MS)
		v->retry_ms = RETRY_MAX_MS;
	v->retry_at_ms = time_monotonic_ms() + v->retry_ms;
	if (!log_ratelimit())
		return;
	describe(v, problem, what, sizeof(what));
	log_warning("the store of secrets cannot be used: %s, going on without it", what);
}

/* Waits for the disk, and for Argon2id. */
int vault_open_now(struct vault *v)
{
	struct vault_finding f = { 0 };

	vault_unlock(v->state_fd, &v->sources, &f);
	return load(v, &f);
}

/* In a child: 0 is the state directory, 1 a pipe. */
static int look_for_key(void *argument)
{
	struct vault_finding f = { 0 };

	vault_unlock(STDIN_FILENO, argument, &f);
	return write(STDOUT_FILENO, &f, sizeof(f)) == sizeof(f) ? 0 : EIO;
}

static void try_again(struct vault *v)
{
	int pipe_fds[2], fds[2];
	const struct child_config config = {
		.base = v->base, .fds = fds, .n_fds = 2, .ended = vault_child_ended, .userdata = v
	};
	int r;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return;
	fds[0] = v->state_fd;
	fds[1] = pipe_fds[1];
	r = child_fork(&v->child, &config, look_for_key, &v->sources);
	(void)close_fd(pipe_fds[1]);
	if (r < 0) {
		(void)close_fd(pipe_fds[0]); /* the next call tries it again */
		return;
	}
	v->key_fd = pipe_fds[0];
}

void vault_key_found(struct vault *v)
{
	struct vault_finding f = { .problem = v->outcome };
	int r;

	if (v->outcome == 0 && read(v->key_fd, &f, sizeof(f)) != sizeof(f))
		f.problem = -EIO;
	v->key_fd = close_fd(v->key_fd);
	r = load(v, &f);
	if (r != 0) {
		vault_shut(v, r);
		return;
	}
	v->retry_ms = 0;
	log_notice("the store of secrets can be used now");
}

int vault_check_open(struct vault *v, struct error *reterr)
{
	if (v->key)
		return 0;
	if (!v->child && time_monotonic_ms() >= v->retry_at_ms)
		try_again(v);
	return vault_set_problem(v, v->problem, reterr);
}
