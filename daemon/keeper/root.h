/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A sandbox's root file system: its writable layer, and the overlay while it is made. */

#include <stdbool.h>

#include "creation.h"

/* Makes upper/<id>, or prepares the one of a stopped sandbox for another use. */
int root_make_upper(struct creation *c);
/* Makes one for the next sandbox, whichever that is. Best effort. */
void root_prepare_upper(const struct runtime_job *job);
int root_copy_resolver(const struct creation *c);
int root_mount(struct creation *c);
/* Appends TEXT to /etc/gitconfig of the mounted root. */
int root_add_git_config(const struct creation *c, const char *text);
/* Once the sandbox is made: copies up now what nearly every claim changes, so that it need not.
 * Best effort; what is there is not changed. */
void root_copy_up(const struct creation *c);
/* Is the lowest layer a whole root file system? */
bool root_is_own(const struct runtime_job *job);
