/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* [secrets], and [secret NAME]: where a secret comes from, and who may lease it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/strings.h"

struct config;
struct config_secret;

#define SECRET_TTL_MAX_DEFAULT_MS (24 * INT64_C(3600000))
#define SECRET_TTL_DEFAULT_MS INT64_C(3600000)
#define SECRETS_OAUTH_ENDPOINT "https://auth.openai.com/oauth/token"
#define SECRETS_OAUTH_CLIENT "app_EMoamEEZ73f0CkXaXp7hrann"

/* Where a key of the vault's comes from. */
enum secret_key_kind {
	SECRET_KEY_NONE, /* of old_key alone */
	SECRET_KEY_AUTO, /* a systemd credential if there is one, else a file of the state */
	SECRET_KEY_FILE,
	SECRET_KEY_CREDENTIAL,
	SECRET_KEY_PASSPHRASE_FILE, /* derived from a file's first line */
	SECRET_KEY_PASSPHRASE_CREDENTIAL,
};

struct secret_key_source {
	enum secret_key_kind kind;
	char *where; /* a path, or the name of a credential; NULL with NONE and AUTO */
};

/* As the configuration has it: "key-file". */
const char *secret_key_word(enum secret_key_kind kind);

struct config_secrets {
	int64_t max_ttl_ms;     /* > 0 */
	int64_t default_ttl_ms; /* of an injection; > 0, at most max_ttl_ms */
	struct secret_key_source key;
	struct secret_key_source old_key; /* opens the vault where `key` does not, once */
	bool wrong;                       /* one of its keys or values is */
	char *agent_secrets_socket;       /* NULL: no HOME, and nobody said */
	char *oauth_endpoint;
	char *oauth_client_id;
	struct config_secret *list; /* [secret NAME] */
};

/* A [secret NAME]. Strings are owned; NULL when absent. What its provider needs is there, unless
 * the section is broken. */
struct config_secret {
	char *name;
	const char *provider; /* "store", "env", "file", "systemd", "command", "agent-secrets" */
	char *variable;       /* env */
	char *path;           /* file */
	char *credential;     /* systemd */
	struct string_list command; /* command: argv */
	char *remote_name;          /* agent-secrets */
	int64_t max_ttl_ms;         /* 0: that of [secrets] */
	struct config_secret_users {
		uid_t *items;
		size_t count;
	} users;            /* who may have it besides the daemon's own user */
	bool wrong;         /* one of its keys or values is */
	const char *broken; /* why nothing can be leased of it; NULL: nothing is wrong */
	char *file;         /* where the last of its keys is */
	unsigned line;
	struct config_secret *next;
};

/* The section of NAME if PEER may use it, DAEMON being the daemon's own user; NULL: NAME is one of
 * PEER's own in the store, or nothing. */
const struct config_secret *config_secret_for(const struct config *c, uid_t daemon, uid_t peer,
					      const char *name);
