/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Random identifiers, never used again. */

#include <stddef.h>

#define ID_SIZE 27      /* 128 bits in lower-case base32, and NUL */
#define SHORT_ID_SIZE 9 /* 40 bits, and NUL: for names and directories within one daemon */

/* Return 0 or negative errno. The first character is always a letter. */
int id_make(char id[static ID_SIZE]);
int id_make_short(char id[static SHORT_ID_SIZE]);
