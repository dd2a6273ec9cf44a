/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside vault*.c.
 *
 * secrets.vault is a header in plain and a body that is encrypted as a whole, with the header as
 * its associated data. The body has all secrets of all users; each value in it is encrypted once
 * more, and stays so in memory until it is asked for. Their keys come from one, the data key, by
 * purpose. It is random, and lies in the header, encrypted with the key or passphrase of the
 * configuration (the outer key). When that is replaced so is the data key; the first one, which
 * vault_derive() begins with, is kept as one more secret. */

#include <stddef.h>
#include <stdint.h>

#include "sandbox/config-secret.h"
#include "secret/vault.h"
#include "util/child.h"
#include "util/table.h"

#define VAULT_FILE "secrets.vault"
#define VAULT_KEY_FILE "secrets.key"
/* The first data key, where there is another now: whose secret it is, and its name. */
#define VAULT_FIRST_OWNER ((uid_t)-1) /* nobody's */
#define VAULT_FIRST_NAME "first-key"
#define VAULT_NEW_PREFIX ".secrets-new-" /* of files that were not finished */

/* Why it cannot be used. */
enum vault_problem {
	VAULT_OK,
	VAULT_KEY_MISSING, /* there is a vault, and no key for it */
	VAULT_KEY_UNREADABLE,
	VAULT_KEY_MALFORMED, /* what should be one is none */
	VAULT_KEY_EXPOSED,   /* others than its owner can read it */
	VAULT_KEY_OTHER,     /* made with a passphrase and it is a key, or the reverse */
	VAULT_KEY_WRONG,
	VAULT_OLD_KEY_WRONG, /* and it cannot be had from old_key either */
	VAULT_DAMAGED,
	VAULT_TOO_OLD,
	VAULT_TOO_NEW,
	VAULT_NO_CREDENTIAL, /* the service has none of that name */
	VAULT_PROBLEM_MAX,
};

enum vault_kdf { VAULT_KDF_NONE, VAULT_KDF_ARGON2ID };

/* As it is on disk, in the byte order of the machine. */
struct vault_header {
	char magic[8];
	uint32_t version;
	uint32_t kdf;
	uint64_t kdf_passes;
	uint64_t kdf_memory; /* bytes */
	uint8_t kdf_salt[16];
	uint8_t data_nonce[24];
	uint8_t data_key[VAULT_KEY_BYTES + 16]; /* encrypted, with what is above as its data */
	uint8_t nonce[24];                      /* of the body */
};

/* ---- vault-file.c. What reads and writes here waits for the disk ---- */

/* Return 0, negative errno, or an enum vault_problem. */
int vault_header_read(int state_fd, struct vault_header *ret);
/* Makes the rest of *H, whose kdf fields are set: KEY, the data key, encrypted with OUTER. */
void vault_header_init(struct vault_header *h, const uint8_t outer[VAULT_KEY_BYTES],
		       const uint8_t key[VAULT_KEY_BYTES]);
/* The data key of a header that was read. */
int vault_header_open(const struct vault_header *h, const uint8_t outer[VAULT_KEY_BYTES],
		      uint8_t ret_key[VAULT_KEY_BYTES]);
/* Everything below has the data key. */

/* The whole file for SECRETS (struct vault_secret *), freed by the caller. A new nonce is in it. */
int vault_encode(const struct vault_header *h, const uint8_t key[VAULT_KEY_BYTES],
		 const struct table *secrets, uint8_t **ret, size_t *ret_size);
/* Adds what is in BODY, decrypted, to SECRETS, also on failure. */
int vault_parse(const uint8_t *body, size_t size, struct table *secrets);
/* The same of a whole file. *RET_HEADER is its header. */
int vault_decode(const uint8_t *data, size_t size, const uint8_t key[VAULT_KEY_BYTES],
		 struct vault_header *ret_header, struct table *secrets);
/* vault_decode() of the file. */
int vault_read(int state_fd, const uint8_t key[VAULT_KEY_BYTES], struct vault_header *ret_header,
	       struct table *secrets);
/* NAME in DIR_FD becomes DATA, all or nothing, 0600 and on disk. */
int vault_file_write(int dir_fd, const char *name, const void *data, size_t size);

/* ---- vault-key.c ---- */

struct vault_sources {
	struct secret_key_source key; /* `where` is owned */
	struct secret_key_source old_key;
};

/* What came of looking for the data key; zeroed by who had it. */
struct vault_finding {
	int problem;    /* 0, negative errno, or an enum vault_problem */
	bool has_moved; /* old_key opened it, and from now on `key` does */
	bool was_lost;  /* there was none any more: it is a new one */
	uint8_t key[VAULT_KEY_BYTES];
};

/* Finds the data key, and makes what does not exist yet: a key file, a vault without secrets. Waits
 * for the disk, and for Argon2id. */
void vault_unlock(int state_fd, const struct vault_sources *sources, struct vault_finding *ret);

/* ---- vault-secret.c ---- */

struct vault_secret {
	struct vault_entry facts; /* name is owned */
	uint8_t *sealed;          /* nonce, then the value's ciphertext */
};

#define VAULT_SECRET_KEY_SIZE (SECRET_NAME_MAX + 16)
/* The key of a secret in a table: in order of owner, then name. */
void vault_secret_key(uid_t owner, const char *name, char ret[static VAULT_SECRET_KEY_SIZE]);
size_t vault_sealed_size(size_t size); /* of a value of SIZE bytes */
/* VALUE NULL: sealed is left for the caller to fill. 0 or -ENOMEM. */
int vault_secret_new(const struct vault_entry *facts, const struct bytes *value,
		     const uint8_t key[VAULT_KEY_BYTES], struct vault_secret **ret);
void vault_secret_free(struct vault_secret *s); /* NULL is fine */
DEFINE_CLEANUP(struct vault_secret *, vault_secret_free);
/* 0, -ENOMEM, or VAULT_DAMAGED. */
int vault_secret_open(const struct vault_secret *s, const uint8_t key[VAULT_KEY_BYTES],
		      struct secret_value **ret);

/* S, sealed with FROM, is sealed with TO. Returns as vault_secret_open(). */
int vault_secret_reseal(struct vault_secret *s, const uint8_t from[VAULT_KEY_BYTES],
			const uint8_t to[VAULT_KEY_BYTES]);

/* A key for CONTEXT, derived from KEY; zeroed by the caller after use. */
void vault_subkey(const uint8_t key[VAULT_KEY_BYTES], const char context[8],
		  uint8_t ret[VAULT_KEY_BYTES]);

/* ---- vault.c ---- */

struct change {
	uid_t owner;
	char *name;
	struct vault_secret *secret;   /* NULL: it goes */
	struct vault_secret *replaced; /* of the table, or of a change before; set in a batch */
	vault_done *done;
	void *userdata;
	struct change *next;
};

struct vault {
	struct event_base *base;
	int state_fd; /* borrowed */
	struct vault_sources sources;
	struct vault_header header;
	struct secret_value *key; /* the data key; NULL: shut */
	struct table secrets;     /* struct vault_secret */
	struct change *queue;     /* in order */
	struct change *batch;     /* what CHILD writes */
	struct table next;        /* the table with it */
	struct child *child;      /* writes, or looks for the key */
	struct event *settle;     /* CHILD has ended */
	int outcome;              /* its: 0 or negative errno */
	bool was_lost;            /* what was there before, at the start: it is a new one */
	int problem;              /* why it is shut: negative errno, or enum vault_problem */
	int key_fd;               /* where a key that is looked for comes from; -1 */
	int64_t retry_at_ms;      /* CLOCK_MONOTONIC */
	int64_t retry_ms;
};

/* Of v->child, whatever it does. */
child_ended vault_child_ended;

/* ---- vault-open.c ---- */

/* Opens it, waiting for the disk and for Argon2id. Returns 0 and it is open, or negative errno or
 * an enum vault_problem. */
int vault_open_now(struct vault *v);
/* It cannot be opened now: PROBLEM as vault_open_now() has it. */
void vault_shut(struct vault *v, int problem);
/* The child that tried has ended. */
void vault_key_found(struct vault *v);
int vault_set_problem(const struct vault *v, int problem, struct error *reterr);
void vault_free_secrets(struct table *t);
