/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A token server on loopback, in the event loop of its test: it takes a refresh token once. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event;
struct event_base;

struct token_server {
	int listener;
	struct event *event;
	unsigned valid;    /* the refresh token that it takes is refresh-N */
	unsigned requests; /* that came */
	unsigned burnt;    /* refused, for they had one that was used */
	bool hold;         /* answers wait */
	int held;          /* -1: none */
	unsigned held_token;
	int status;       /* 0: as it should be */
	const char *body; /* NULL: as it should be */
	int64_t life_ms;  /* of access tokens */
};
extern struct token_server server;

/* Writes to URL where it is. */
void token_server_start(struct event_base *base, char *url, size_t size);
void token_server_stop(void);
/* The request that is held is answered now. */
void token_server_let_go(void);
/* Members of "tokens": access token N, issued FROM_MS, and refresh-N. */
void token_login(char *text, size_t size, unsigned n, int64_t from_ms, int64_t life_ms);
