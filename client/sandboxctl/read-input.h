/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* All of stdin, for a request that carries it. */

#include <stddef.h>

/* *RET (*RET_SIZE bytes) is freed with free(). WHAT it is: "the prompt". Returns 0, or -1 after
 * telling why not. */
int read_input(char **ret, size_t *ret_size, const char *what);
