/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The root file system of a sandbox: layers below, its own changes on top. */

#include <stddef.h>

#define OVERLAY_OPTIONS_MAX 4000 /* mount(2) takes one page */

struct overlay {
	const char *const *lowers; /* absolute paths, topmost first, NULL-terminated */
	const char *upper;
	const char *work;
};

/* The option string into BUF; colons, commas and backslashes in paths are escaped. -E2BIG when it
 * does not fit. */
int overlay_options(const struct overlay *o, char *buf, size_t size);

/* Mounts it at TARGET, nosuid and nodev. */
int overlay_mount(const struct overlay *o, const char *target);
