/* SPDX-License-Identifier: Apache-2.0 */
/* The file is root's own, but a wrong reading would open the sandbox: what is not understood is an
 * error, never left out. */

#include "util/seccomp-profile.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "macro.h"

#if defined(__x86_64__)
#define PROFILE_ARCH "amd64"
#elif defined(__aarch64__)
#define PROFILE_ARCH "arm64"
#else
#error "no name for this architecture"
#endif

static const char *const capabilities[] = {
	"CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
	"CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
	"CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
	"CAP_KILL",    "CAP_AUDIT_WRITE",
};

static const char *const op_names[SECCOMP_PROFILE_OP_MAX] = {
	[SECCOMP_PROFILE_NE] = "SCMP_CMP_NE",
	[SECCOMP_PROFILE_LT] = "SCMP_CMP_LT",
	[SECCOMP_PROFILE_LE] = "SCMP_CMP_LE",
	[SECCOMP_PROFILE_EQ] = "SCMP_CMP_EQ",
	[SECCOMP_PROFILE_GE] = "SCMP_CMP_GE",
	[SECCOMP_PROFILE_GT] = "SCMP_CMP_GT",
	[SECCOMP_PROFILE_MASKED_EQ] = "SCMP_CMP_MASKED_EQ",
};

static void put_json(json_object **o)
{
	json_object_put(*o);
}

/* The member KEY if it is of TYPE, else NULL. */
static json_object *member(json_object *o, const char *key, enum json_type type)
{
	json_object *v = NULL;

	if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, key, &v))
		return NULL;
	return json_object_is_type(v, type) ? v : NULL;
}

static const char *text_of(json_object *o)
{
	return json_object_is_type(o, json_type_string) ? json_object_get_string(o) : "";
}

static bool has_capability(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(capabilities); i++)
		if (strcmp(capabilities[i], name) == 0)
			return true;
	return false;
}

static bool is_arch(const char *name)
{
	return strcmp(name, PROFILE_ARCH) == 0;
}

/* How many of LIST (may be NULL) are TRUE. */
static size_t count_matches(json_object *list, bool (*test)(const char *name))
{
	size_t i, count = 0;

	for (i = 0; list && i < json_object_array_length(list); i++)
		count += test(text_of(json_object_array_get_idx(list, i)));
	return count;
}

/* "includes": one of the architectures, all of the capabilities. "excludes": none of either. */
static bool applies(json_object *entry)
{
	json_object *includes = member(entry, "includes", json_type_object);
	json_object *excludes = member(entry, "excludes", json_type_object);
	json_object *arches = member(includes, "arches", json_type_array);
	json_object *caps = member(includes, "caps", json_type_array);

	if (arches && count_matches(arches, is_arch) == 0)
		return false;
	if (caps && count_matches(caps, has_capability) < json_object_array_length(caps))
		return false;
	return count_matches(member(excludes, "arches", json_type_array), is_arch) == 0 &&
	       count_matches(member(excludes, "caps", json_type_array), has_capability) == 0;
}

static int read_action(json_object *entry, int *ret_error)
{
	const char *action = text_of(member(entry, "action", json_type_string));
	json_object *error = member(entry, "errnoRet", json_type_int);
	int64_t number = error ? json_object_get_int64(error) : EPERM;

	if (strcmp(action, "SCMP_ACT_ALLOW") == 0) {
		*ret_error = 0;
		return 0;
	}
	if (strcmp(action, "SCMP_ACT_ERRNO") != 0 || number <= 0 || number > 4095)
		return -EBADMSG;
	*ret_error = (int)number;
	return 0;
}

static int read_number(json_object *o, const char *key, uint64_t *ret)
{
	json_object *v = member(o, key, json_type_int);

	if (!v)
		return -EBADMSG;
	*ret = json_object_get_uint64(v);
	return 0;
}

static int read_arg(json_object *o, struct seccomp_profile_arg *a)
{
	const char *name = text_of(member(o, "op", json_type_string));
	uint64_t index;
	int op = 0;

	while (op < SECCOMP_PROFILE_OP_MAX && strcmp(op_names[op], name) != 0)
		op++;
	if (op == SECCOMP_PROFILE_OP_MAX || read_number(o, "index", &index) < 0 || index > 5 ||
	    read_number(o, "value", &a->value) < 0 || read_number(o, "valueTwo", &a->value_two) < 0)
		return -EBADMSG;
	a->op = (enum seccomp_profile_op)op;
	a->index = (unsigned)index;
	return 0;
}

static int read_args(json_object *entry, struct seccomp_profile_rule *rule)
{
	json_object *args = member(entry, "args", json_type_array);
	size_t i;
	int r;

	rule->n_args = args ? json_object_array_length(args) : 0;
	if (rule->n_args > SECCOMP_PROFILE_ARGS_MAX)
		return -EBADMSG;
	for (i = 0; i < rule->n_args; i++) {
		r = read_arg(json_object_array_get_idx(args, i), &rule->args[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_names(struct seccomp_profile *p, json_object *names,
		     const struct seccomp_profile_rule *model)
{
	size_t i, count = json_object_array_length(names);
	struct seccomp_profile_rule *rules;

	rules = reallocarray(p->rules, p->n_rules + count + 1, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	p->rules = rules;
	for (i = 0; i < count; i++) {
		rules[p->n_rules] = *model;
		rules[p->n_rules].name = strdup(text_of(json_object_array_get_idx(names, i)));
		if (!rules[p->n_rules].name)
			return -ENOMEM;
		p->n_rules++;
	}
	return 0;
}

static int read_entry(struct seccomp_profile *p, json_object *entry)
{
	json_object *names = member(entry, "names", json_type_array);
	struct seccomp_profile_rule model = { .name = NULL };
	int r;

	if (!names)
		return -EBADMSG;
	if (!applies(entry))
		return 0;
	r = read_action(entry, &model.error);
	if (r < 0)
		return r;
	r = read_args(entry, &model);
	return r < 0 ? r : add_names(p, names, &model);
}

int seccomp_profile_load(struct seccomp_profile *ret, const char *path)
{
	json_object *root CLEANUP(put_json) = NULL;
	struct seccomp_profile p = { NULL, 0 };
	json_object *entries;
	size_t i;
	int r = 0;

	errno = 0;
	root = json_object_from_file(path);
	if (!root)
		return errno > 0 ? -errno : -EBADMSG;
	entries = member(root, "syscalls", json_type_array);
	if (!entries || json_object_array_length(entries) == 0)
		return -EBADMSG;
	for (i = 0; i < json_object_array_length(entries) && r == 0; i++)
		r = read_entry(&p, json_object_array_get_idx(entries, i));
	if (r < 0) {
		seccomp_profile_deinit(&p);
		return r;
	}
	*ret = p;
	return 0;
}

void seccomp_profile_deinit(struct seccomp_profile *p)
{
	size_t i;

	for (i = 0; i < p->n_rules; i++)
		free(p->rules[i].name);
	free(p->rules);
	p->rules = NULL;
	p->n_rules = 0;
}
