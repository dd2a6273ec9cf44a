/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What sandboxd and sandbox-broker tell each other: one request on 0, one reply on 1. Both are of
 * one build, so there is no version. */

#include <stdint.h>

#define BROKER_URL_MAX 2048     /* bytes, without NUL */
#define BROKER_BODY_MAX 32768   /* a request fits in a pipe: nobody waits while writing it */
#define BROKER_PROXIES_MAX 8192 /* of the strings that say which proxy is used */
#define BROKER_ANSWER_MAX 65536 /* bytes of an answer's body */
#define BROKER_KEY_BYTES 32     /* the stored answer is sealed with it */
#define BROKER_DETAIL_SIZE 128  /* with NUL */
#define BROKER_TIMEOUT_MS 30000 /* of everything, waiting for another broker included */

/* Its descriptors: as many as a service can be given. It has nothing to say on a stderr. */
enum broker_fd { BROKER_FD_REQUEST, BROKER_FD_REPLY, BROKER_FD_STORED };

/* Then URL_SIZE, BODY_SIZE and PROXIES_SIZE bytes; those are strings as in an environment. A
 * proxy's URL may have a password, so it is not in the environment, which systemd shows to all. */
struct broker_request {
	uint32_t url_size;
	uint32_t body_size;
	uint32_t proxies_size;
	uint32_t timeout_ms;
	uint8_t key[BROKER_KEY_BYTES];
};

enum broker_outcome {
	BROKER_ANSWERED,    /* http_status and a body */
	BROKER_BAD_URL,     /* neither https, nor http on loopback */
	BROKER_NOT_STORED,  /* no place for the answer: nothing was asked */
	BROKER_BUSY,        /* another broker was at it all the time */
	BROKER_UNREACHABLE, /* no connection, no TLS, no whole answer */
	BROKER_TIMEOUT,
	BROKER_TOO_BIG, /* the answer */
	BROKER_FAILED,  /* no memory, a request that is none */
};

/* Then BODY_SIZE bytes. */
struct broker_reply {
	uint32_t outcome;
	uint32_t http_status;
	uint32_t body_size;
	char detail[BROKER_DETAIL_SIZE]; /* for a person; "": nothing. Never of the body */
};
