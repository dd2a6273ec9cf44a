/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How the keeper makes a Debian root file system. The daemon looks at it only to see whether it
 * changed. */

#define DEBIAN_SUITE "bookworm"

/* For `/bin/sh -euc RECIPE sh TARGET SUITE`, as root of a user namespace with a sandbox's ids, in
 * mount and pid namespaces of its own with a fresh /tmp. TARGET is an empty directory. What it
 * prints is progress, and on failure the reason. */
extern const char debian_recipe[];
