/* SPDX-License-Identifier: Apache-2.0 */
/* Prints what rpc.discover answers, without a daemon: for the reference. */

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "discover.h"

int main(void)
{
	struct json_object *document = discover_document();

	if (!document ||
	    puts(json_object_to_json_string_ext(document, JSON_C_TO_STRING_PLAIN |
								  JSON_C_TO_STRING_NOSLASHESCAPE)) <
		    0)
		return EXIT_FAILURE;
	json_object_put(document);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
