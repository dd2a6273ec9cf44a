/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The processes of the sandbox as /proc shows them: who there is, whose they are. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads process ids out of a descriptor: a directory's numeric entries, or a text of numbers. */
struct scan {
	int fd;
	size_t at;
	size_t size;
	char *buffer; /* SCAN_SIZE bytes, aligned to 8 */
};

#define SCAN_SIZE 4096

void scan_rewind(struct scan *s);
pid_t scan_directory(struct scan *s); /* the next one, 0 at the end */
pid_t scan_text(struct scan *s);

struct tree {
	struct scan processes; /* /proc; the descriptor is also what paths start from */
	struct scan sweep;     /* /proc once more, for the walk that is done in slices */
	struct scan children;  /* our children file; fd -1 where the kernel has none */
	bool by_limit;         /* no UTS namespaces are shown: marks are mark.h's */
	/* behind what is used from the start: an idle sandbox never touches these pages */
	_Alignas(8) char buffers[3][SCAN_SIZE];
};

/* Opens /proc. Returns 0, -ESTALE when it is another PID namespace's, or negative errno. */
int tree_init(struct tree *t);
void tree_deinit(struct tree *t);

/* The UTS namespace of PID, or what stands for it. Returns 0, -ENOENT (dead or gone), -EAGAIN
 * (dying: look again) or -EACCES (alive, and not even we may see it: it runs an unreadable binary).
 */
int tree_mark(const struct tree *t, pid_t pid, uint64_t *ret_mark);

/* The same of the caller, from a vforked child: allocates nothing. 0 when it cannot be had. */
uint64_t tree_own_mark(const struct tree *t);

/* The letter that /proc shows for PID's first thread; 'X' when it is gone. */
char tree_state(const struct tree *t, pid_t pid);
/* Whether no thread of PID can run before someone lets it: stopped, dead, or asleep in the kernel.
 */
bool tree_stands_still(const struct tree *t, pid_t pid);
