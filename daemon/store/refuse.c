/* SPDX-License-Identifier: Apache-2.0 */
/* The words for a client whose wish cannot be written down. */

#include <errno.h>

#include "error.h"
#include "store/store.h"

int store_refuse(int error, const char *what, struct error *reterr)
{
	if (error == -ENOSPC)
		return error_set(reterr, ERROR_LIMIT_REACHED, NULL,
				 "free some space for the state directory",
				 "no space left to record %s", what);
	if (error == -EROFS)
		return error_set(reterr, ERROR_UNAVAILABLE, NULL,
				 "make the file system of the state directory writable",
				 "%s cannot be recorded: the state directory is read-only", what);
	if (error == -EBADMSG)
		return error_set(reterr, ERROR_UNAVAILABLE, NULL,
				 "start sandboxd again: it goes on with what can still be read",
				 "%s cannot be recorded: the state database is damaged", what);
	return error_set_errno(reterr, error, "%s cannot be recorded", what);
}
