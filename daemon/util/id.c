/* SPDX-License-Identifier: Apache-2.0 */
/* Lower-case RFC 4648 base32 of getrandom(2). Letters first, so that an id is a valid host name and
 * never looks like a number or an option. */

#include "util/id.h"

#include <errno.h>
#include <stdint.h>
#include <sys/random.h>

static int make(char *id, size_t characters)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	uint8_t random[ID_SIZE];
	size_t i;

	if (getrandom(random, characters, 0) != (ssize_t)characters)
		return errno ? -errno : -EIO; /* short only for more than 256 bytes */
	for (i = 0; i < characters; i++)
		id[i] = digits[random[i] & 31];
	id[0] = digits[random[0] % 26];
	id[characters] = '\0';
	return 0;
}

int id_make(char id[static ID_SIZE])
{
	return make(id, ID_SIZE - 1);
}

int id_make_short(char id[static SHORT_ID_SIZE])
{
	return make(id, SHORT_ID_SIZE - 1);
}
