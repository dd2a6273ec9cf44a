/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The login file of Codex (auth.json) and what its token server answers. Knows JSON and JWTs, and
 * neither files nor the network. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "secret/value.h"

#define CODEX_LOGIN_ID_BYTES 32
#define CODEX_ERROR_SIZE 64
#define CODEX_NO_EXPIRY INT64_MAX

struct codex_auth;

enum codex_auth_outcome {
	CODEX_AUTH_OTHER = 1,  /* some other secret */
	CODEX_AUTH_BROKEN = 2, /* has a refresh token in it, and is no whole auth.json */
};

/* *RET keeps a reference of V. Returns 0, an outcome above, or -ENOMEM. */
int codex_auth_read(struct secret_value *v, struct codex_auth **ret);
void codex_auth_free(struct codex_auth *a); /* NULL is fine */
DEFINE_CLEANUP(struct codex_auth *, codex_auth_free);

/* Of its access token, as far as that says (a JWT); CLOCK_REALTIME. */
struct codex_times {
	int64_t issued_ms;  /* 0: it does not say */
	int64_t expires_ms; /* 0: there is none; CODEX_NO_EXPIRY: it does not say */
};
struct codex_times codex_auth_times(const struct codex_auth *a);
/* Tells one refresh token from another. */
void codex_auth_id(const struct codex_auth *a, uint8_t ret[CODEX_LOGIN_ID_BYTES]);
/* What a sandbox gets: all of it with an empty refresh token, refreshed just now. Returns 0 or
 * -ENOMEM. */
int codex_auth_copy(const struct codex_auth *a, int64_t now_ms, struct secret_value **ret);
/* The body of the request that refreshes it. Returns 0, -EINVAL (no CLIENT_ID has such characters)
 * or -ENOMEM. */
int codex_auth_request(const struct codex_auth *a, const char *client_id,
		       struct secret_value **ret);
/* The whole login with the new tokens of ANSWER. Returns 0, CODEX_AUTH_BROKEN (no access token in
 * the answer), or -ENOMEM. */
int codex_auth_apply(const struct codex_auth *a, const struct secret_value *answer, int64_t now_ms,
		     struct secret_value **ret);
/* The error code in a refusal ("refresh_token_reused", "invalid_grant"), "" without one: of
 * letters, digits and _ only. */
void codex_answer_error(const struct secret_value *answer, char ret[static CODEX_ERROR_SIZE]);
