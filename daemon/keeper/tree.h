/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The keeper's private directory tree: a tmpfs in its own mount namespace, where nobody else looks
 * and every path is short and searchable, and the owner's state directory attached in it.
 *
 *   /sys/fs/cgroup/         covers the cgroup file systems (crun refuses hybrid ones)
 *     init/init             sandbox-init, of the fence id, mode 0111
 *     init/readable         the same for gVisor, which has to read it
 *     skeleton/             the host template
 *     empty/                what covers directories
 *     merged/<id>/          a root file system while its sandbox is made
 *     bundle/<id>/          config.json and pid of the same
 *     runtime/              the runtimes' own state
 *     mounts/<id>/          what a sandbox that cannot be entered is made with
 *     stage/                where handed-over mounts are attached during a claim
 *     state/{upper,trash,templates,spool}/ */

#include <stdbool.h>

#include "ids.h"

#define TREE_PATH "/sys/fs/cgroup"
#define TREE_INIT TREE_PATH "/init/init"
#define TREE_SKELETON TREE_PATH "/skeleton"
#define TREE_RUNTIME_NAME "runtime"
#define TREE_STATE TREE_PATH "/state"
/* In `upper`, where no id begins like this: one made for the next sandbox, and one being made. */
#define TREE_NEXT_UPPER ".next"
#define TREE_RAW_UPPER ".raw"

struct tree {
	int root;
	int merged;
	int bundle;
	int runtime;
	int stage;
	int mounts;
	int state;
	int upper;
	int trash;
	int templates;
	int spool;
};

void tree_init(struct tree *t);
void tree_deinit(struct tree *t);

/* Enters a mount namespace of its own and makes the tree, all but state and init. */
int tree_make(struct tree *t, const struct ids *ids);

/* Attaches the owner's state directory: a detached mount, or a directory that is opened again by
 * its path in our namespace. Makes the four directories. FD is borrowed. */
int tree_attach_state(struct tree *t, int fd, bool is_mount);

/* Removes the upper that was made for a next sandbox. */
void tree_forget_upper(const struct tree *t);

/* Copies the init binary at PATH. */
int tree_copy_init(const struct tree *t, const struct ids *ids, const char *path);
