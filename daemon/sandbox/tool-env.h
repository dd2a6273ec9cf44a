/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a build inside a sandbox must know of the host to reach its package registry. */

#include "util/strings.h"

/* Adds certificates, proxies and npm's registry settings to L: from our own environment, then
 * registry and cafile from ~/.npmrc where the environment says nothing, and REGISTRY (NULL: none)
 * above all. Never a credential. Returns 0 or -ENOMEM. */
int tool_environment_of_host(const char *registry, struct string_list *l);
