/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/runtime.h"

#include <string.h>

#include "macro.h"

static const struct {
	const char *name;
	uint32_t capabilities; /* 1 << enum runtime_capability */
} types[] = {
#define CAN(what) (1u << RUNTIME_CAN_##what)
	[RUNTIME_CRUN] = { "crun", CAN(PAUSE) | CAN(SAVE) | CAN(STAGE) | CAN(LIMIT) |
					   CAN(TEMPLATE) | CAN(CHOOSE_NET) },
	[RUNTIME_RUNC] = { "runc", CAN(PAUSE) | CAN(SAVE) | CAN(STAGE) | CAN(LIMIT) |
					   CAN(TEMPLATE) | CAN(CHOOSE_NET) },
	/* its own kernel: no mount namespace of ours to enter */
	[RUNTIME_RUNSC] = { "runsc", CAN(TEMPLATE) | CAN(CHOOSE_NET) },
	[RUNTIME_HOST] = { "host", CAN(PAUSE) | CAN(LIMIT) },
#undef CAN
};

bool runtime_can(enum runtime_type type, enum runtime_capability what)
{
	return type < RUNTIME_TYPE_MAX && (types[type].capabilities & (1u << what)) != 0;
}

const char *runtime_type_to_string(enum runtime_type type)
{
	return type < RUNTIME_TYPE_MAX ? types[type].name : "unknown";
}

enum runtime_type runtime_type_from_string(const char *text)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(types[i].name, text) == 0)
			break;
	return (enum runtime_type)i;
}
