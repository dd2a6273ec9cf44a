/* SPDX-License-Identifier: Apache-2.0 */
#include "dumpable.h"

#include <sys/prctl.h>

static unsigned forbidden; /* how many want it so */

void dumpable_restore(void)
{
	(void)prctl(PR_SET_DUMPABLE, forbidden > 0 ? 0 : 1); /* cannot fail */
}

void dumpable_forbid(void)
{
	forbidden++;
	dumpable_restore();
}

void dumpable_allow(void)
{
	forbidden--;
	dumpable_restore();
}

void dumpable_begin(void)
{
	forbidden = 0;
	dumpable_restore();
}
