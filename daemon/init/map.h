/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Bytes that came in a descriptor. */

#include <stdbool.h>
#include <stddef.h>

/* Maps SIZE bytes (> 0) of FD (borrowed), a memfd that is sealed, else its writer could change them
 * under the parser or cut them off. COPIES: where seals cannot be seen, the
 * bytes as they are now will do. Returns 0, -EBADMSG or another negative errno. */
int map_sealed(int fd, size_t size, bool copies, char **ret);
void map_drop(char *map, size_t size);
