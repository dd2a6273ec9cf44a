/* SPDX-License-Identifier: Apache-2.0 */
#include "util/fault.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

void fault_point(const char *name)
{
	static unsigned long passed;
	const char *wanted = getenv("SANDBOXD_FAULT");
	size_t length = strlen(name);
	unsigned long at = 1;

	if (!wanted || strncmp(wanted, name, length) != 0 ||
	    (wanted[length] != '\0' && wanted[length] != ':'))
		return;
	if (wanted[length] == ':')
		at = strtoul(wanted + length + 1, NULL, 10);
	if (++passed == at)
		(void)raise(SIGKILL);
}
