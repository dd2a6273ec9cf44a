/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The one method table of the protocol (docs/rpc.md, Methods). The gate decodes with it,
 * rpc.discover prints it, and documentation, types and lint come from that output. Pure data: no
 * JSON, no events. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every method of the contract, those of later versions too. */
enum method_id {
	METHOD_RPC_DISCOVER,
	METHOD_RPC_CANCEL,
	METHOD_SYSTEM_PING,
	METHOD_SYSTEM_INFO,
	METHOD_SYSTEM_DOCTOR,
	METHOD_SYSTEM_DF,
	METHOD_LOOP_CREATE,
	METHOD_LOOP_RUN,
	METHOD_LOOP_GET,
	METHOD_LOOP_LIST,
	METHOD_LOOP_CANCEL,
	METHOD_LOOP_DESTROY,
	METHOD_SANDBOX_CREATE,
	METHOD_SANDBOX_GET,
	METHOD_SANDBOX_LIST,
	METHOD_SANDBOX_STOP,
	METHOD_SANDBOX_START,
	METHOD_SANDBOX_PAUSE,
	METHOD_SANDBOX_RESUME,
	METHOD_SANDBOX_REMOVE,
	METHOD_SANDBOX_STATS,
	METHOD_SANDBOX_SAVE,
	METHOD_EXEC_RUN,
	METHOD_EXEC_ATTACH,
	METHOD_EXEC_WAIT,
	METHOD_EXEC_GET,
	METHOD_EXEC_LIST,
	METHOD_EXEC_READ,
	METHOD_EXEC_WRITE,
	METHOD_EXEC_CLOSE_STDIN,
	METHOD_EXEC_RESIZE,
	METHOD_EXEC_SIGNAL,
	METHOD_EXEC_CANCEL,
	METHOD_SECRET_SET,
	METHOD_SECRET_LIST,
	METHOD_SECRET_REMOVE,
	METHOD_SECRET_LEASE,
	METHOD_SECRET_RENEW,
	METHOD_SECRET_REVOKE,
	METHOD_SECRET_REVOKE_ALL,
	METHOD_SECRET_LEASES,
	METHOD_AUDIT_LIST,
	METHOD_AUDIT_VERIFY,
	METHOD_NETWORK_GET,
	METHOD_NETWORK_SET,
	METHOD_NETWORK_LOG,
	METHOD_TEMPLATE_LIST,
	METHOD_TEMPLATE_GET,
	METHOD_TEMPLATE_BUILD,
	METHOD_TEMPLATE_IMPORT,
	METHOD_TEMPLATE_REMOVE,
	METHOD_POOL_LIST,
	METHOD_POOL_SET,
	METHOD_EVENTS_SUBSCRIBE,
	METHOD_EVENTS_UNSUBSCRIBE,
	METHOD_MAX,
};

enum method_flags {
	METHOD_READ_ONLY = 1 << 0,      /* changes nothing */
	METHOD_STREAMING = 1 << 1,      /* may send notifications before its reply */
	METHOD_NO_BATCH = 1 << 2,       /* never inside a batch */
	METHOD_BATCH_DETACHED = 1 << 3, /* inside a batch only with detach and without stream */
	METHOD_NOTIFICATION = 1 << 4,   /* meant to be sent without an id */
	METHOD_AVAILABLE = 1 << 5,      /* built in this version */
};

/* What a value looks like in JSON and which C type it is decoded into. */
enum field_kind {
	FIELD_STRING,        /* const char *; min and max: bytes (max 0: 4096) */
	FIELD_NAME,          /* const char *: [A-Za-z0-9][A-Za-z0-9._+-]{0,127} */
	FIELD_TEMPLATE_NAME, /* const char *: a name, then optionally :TAG or @VERSION */
	FIELD_TIME,          /* results only: RFC 3339, UTC, milliseconds */
	FIELD_BOOL,          /* bool */
	FIELD_INT64,         /* int64_t; absent: fallback with FIELD_DEFAULT, else -1 */
	FIELD_UINT64,        /* uint64_t; absent 0 */
	FIELD_UINT32,        /* uint32_t; absent 0 */
	FIELD_UINT16,        /* uint16_t; absent 0 */
	FIELD_ENUM,          /* an enum; the value's index in values; absent: fallback */
	FIELD_KEYWORD,       /* bool: true for the only accepted string, values[0] */
	FIELD_STRINGS,       /* struct strings; min and max: items */
	FIELD_ENV,           /* struct pairs: an object of strings, names without "=" */
	FIELD_LABELS,        /* struct pairs: an object of short strings */
	FIELD_TEXT,          /* struct bytes: a string or {"base64": …} */
	FIELD_OBJECT,        /* a struct in place: fields, size */
	FIELD_OBJECTS,       /* {const struct *items; size_t count}: fields, size, max */
	FIELD_STDIN,         /* struct stdin_params */
	FIELD_SOURCE,        /* struct stdin_params that has bytes or a descriptor */
	FIELD_FD,            /* unsigned: index among the request's own descriptors */
	FIELD_MODE,          /* uint32_t: an octal string without setuid and its kin */
	FIELD_SIGNAL,        /* int: "SIGTERM", "TERM" or 15 */
	FIELD_ID,            /* const char *: a request id as JSON text */
	FIELD_REF,           /* results only: the schema */
	FIELD_REFS,          /* results only: an array of the schema */
	FIELD_STRING_OR_INT, /* results only: a signal by its name or number */
	FIELD_NUMBER,        /* results only: one that need not be whole */
	FIELD_COUNTS,        /* results only: an object of integers */
	FIELD_TEXTS,         /* results only: an array of what FIELD_TEXT is */
	FIELD_ANY,           /* results only: whatever it is */
	FIELD_KIND_MAX,
};

enum field_flags {
	FIELD_REQUIRED = 1 << 0,
	FIELD_DEFAULT = 1 << 1,        /* fallback is what an absent integer becomes */
	FIELD_UNAVAILABLE = 1 << 2,    /* refused when given (a bool: when true): -32005 */
	FIELD_GIVEN = 1 << 3,          /* FIELD_OBJECT: the struct begins with bool given */
	FIELD_SHORTHAND_ONLY = 1 << 4, /* not a key: reached only through its owner's shorthand */
	FIELD_NULLABLE = 1 << 5,       /* results only */
};

struct schema;

struct field {
	const char *name;
	enum field_kind kind;
	unsigned flags;
	size_t offset;
	int64_t min;
	int64_t max;
	int64_t fallback;
	const char *const *values;   /* ends with a NULL behind the last; leading NULL = unset */
	uint32_t unavailable_values; /* bit i: values[i] is refused with -32005 */
	const struct field *fields;  /* nested; ends with a row without a name */
	size_t size;                 /* of the nested struct */
	const char *shorthand;       /* a bare string stands for this nested field */
	const struct schema *schema; /* FIELD_REF, FIELD_REFS */
	const char *doc;
};

/* A named type of the results. */
struct schema {
	const char *name;
	const struct field *fields; /* ends with a row without a name */
	const char *doc;
};

struct method {
	const char *name;
	unsigned flags;
	const struct field *params; /* NULL: none */
	size_t params_size;
	const struct schema *result; /* NULL: {} */
	const char *doc;
};

/* What the daemon sends without being asked. */
struct notification {
	const char *name;
	bool available;
	const struct field *params;
	const char *doc;
};

#define PROTOCOL_VERSION "1.0"
#define UNAVAILABLE_HINT "not available in this version"
/* The biggest integer that every JSON reader can hold exactly. */
#define FIELD_INT_MAX (INT64_C(1) << 53)

extern const struct method methods[METHOD_MAX];
extern const struct notification notifications[];
extern const size_t notifications_count;
/* The named result types, in the order of the document. */
extern const struct schema *const schemas[];
extern const size_t schemas_count;

/* The row of NAME, or NULL. */
const struct method *method_by_name(const char *name);
enum method_id method_id_of(const struct method *m);
/* The row of NAME in FIELDS (may be NULL), or NULL. */
const struct field *field_by_name(const struct field *fields, const char *name);
