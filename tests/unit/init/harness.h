/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An init in namespaces of its own (user, pid, mount, net, uts), with a tmpfs on /tmp that holds
 * the victim program, and the far end of its socket. Fails the test on anything unexpected. */

#include <stdbool.h>
#include <sys/types.h>

#include "init-wire.h"

/* How it runs: the binary that is shipped, or the same code from the library (with sanitizers). */
enum harness_kind { HARNESS_BINARY, HARNESS_LIBRARY };

struct harness {
	pid_t outer; /* made the namespaces; its child is PID 1 in them */
	int socket;  /* connected */
	uint64_t next_exec;
	char directory[64];
	char path[96];
	struct wire_message message; /* the last one received, or being built */
};

/* SECCOMP: a memfd or -1 (taken over). ORPHAN_MS: 0 leaves it alone; the library's only. */
/* Returns whether init got ready; if not, nothing is left. */
bool harness_launch(struct harness *h, enum harness_kind kind, int seccomp, int orphan_ms);
/* The same, and connects as the controller. */
void harness_start(struct harness *h, enum harness_kind kind, int seccomp, int orphan_ms);
void harness_stop(struct harness *h); /* SHUTDOWN, and waits for the end */
int harness_connect(const struct harness *h);
void harness_wait_end(struct harness *h); /* it is to end by itself */

struct harness_exec {
	const char *const *argv;
	const char *const *envp; /* NULL: none */
	const char *workdir;     /* NULL: "/tmp" */
	uint32_t uid, gid;
	uint32_t flags; /* TTY and STDERR_TO_STDOUT; the rest follows from what is set */
	uint32_t nproc_limit;
	int fds[3]; /* 0: none (never a real one here); borrowed */
	const void *files;
	size_t files_size;
	uint32_t filec;
};

void harness_send(struct harness *h);
/* Receives one message of TYPE into h->message; fails after 30 s. */
void *harness_expect(struct harness *h, enum init_message_type type);
uint64_t harness_request(struct harness *h, const struct harness_exec *e);
/* Starts one and expects that it works. Returns its number. */
uint64_t harness_exec(struct harness *h, const struct harness_exec *e);
struct init_exited harness_exited(struct harness *h, uint64_t exec);
void harness_ref(struct harness *h, enum init_message_type type, uint64_t exec);
struct init_gone harness_kill(struct harness *h, uint64_t exec);
/* Runs `sh -c SCRIPT` as UID and returns its exit code; OUTPUT gets its stdout and stderr. */
int harness_shell(struct harness *h, uint32_t uid, const char *script, char *output, size_t size);
