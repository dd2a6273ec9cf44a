/* SPDX-License-Identifier: Apache-2.0 */
/* The tables themselves, and the document made of them. */
#include <check.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "discover.h"
#include "macro.h"
#include "methods.h"

static void check_fields(const struct field *fields, const char *owner, size_t size)
{
	for (const struct field *f = fields; f && f->name; f++) {
		ck_assert_msg(f->kind < FIELD_KIND_MAX, "%s.%s", owner, f->name);
		ck_assert_msg(f->doc && f->doc[0], "%s.%s has no doc", owner, f->name);
		ck_assert_ptr_eq(field_by_name(fields, f->name), f); /* no name twice */
		if (size > 0)
			ck_assert_msg(f->offset < size, "%s.%s", owner, f->name);
		if (f->kind == FIELD_ENUM || f->kind == FIELD_KEYWORD)
			ck_assert_msg(f->values != NULL, "%s.%s", owner, f->name);
		if (f->shorthand)
			ck_assert_ptr_nonnull(field_by_name(f->fields, f->shorthand));
		if (f->kind == FIELD_OBJECT || f->kind == FIELD_OBJECTS)
			check_fields(f->fields, f->name, f->size);
	}
}

START_TEST(rows_are_whole)
{
	for (size_t i = 0; i < METHOD_MAX; i++) {
		const struct method *m = &methods[i];

		ck_assert_msg(m->name && m->doc, "row %zu", i);
		ck_assert_ptr_eq(method_by_name(m->name), m);
		ck_assert_uint_eq(method_id_of(m), i);
		ck_assert_int_eq(m->params != NULL, m->params_size > 0);
		check_fields(m->params, m->name, m->params_size);
	}
	ck_assert_ptr_null(method_by_name("no.such"));
	for (size_t i = 0; i < schemas_count; i++)
		check_fields(schemas[i]->fields, schemas[i]->name, 0);
	for (size_t i = 0; i < notifications_count; i++)
		check_fields(notifications[i].params, notifications[i].name, 0);
}
END_TEST

static size_t count_available(void)
{
	size_t n = 0;

	for (size_t i = 0; i < METHOD_MAX; i++)
		n += (methods[i].flags & METHOD_AVAILABLE) != 0;
	return n;
}

START_TEST(this_version_has_its_methods)
{
	static const char *const available[] = {
		"rpc.discover",       "rpc.cancel",      "system.ping",      "system.info",
		"system.doctor",      "sandbox.create",  "sandbox.get",      "sandbox.list",
		"sandbox.stop",       "sandbox.start",   "sandbox.remove",   "exec.run",
		"exec.attach",        "exec.wait",       "exec.get",         "exec.list",
		"exec.read",          "exec.write",      "exec.closeStdin",  "exec.resize",
		"exec.signal",        "exec.cancel",     "template.list",    "template.get",
		"template.build",     "template.remove", "loop.create",      "loop.get",
		"loop.list",          "loop.cancel",     "loop.destroy",     "sandbox.pause",
		"sandbox.resume",     "loop.run",        "sandbox.save",     "sandbox.stats",
		"system.df",          "pool.list",       "pool.set",         "events.subscribe",
		"events.unsubscribe", "audit.list",      "audit.verify",     "secret.lease",
		"secret.renew",       "secret.revoke",   "secret.revokeAll", "secret.set",
		"secret.list",        "secret.remove",   "secret.leases",
	};

	ck_assert_uint_eq(count_available(), ARRAY_SIZE(available));
	for (size_t i = 0; i < ARRAY_SIZE(available); i++)
		ck_assert_msg(method_by_name(available[i])->flags & METHOD_AVAILABLE, "%s",
			      available[i]);
}
END_TEST

static struct json_object *member(struct json_object *json, const char *key)
{
	struct json_object *value = NULL;

	ck_assert_msg(json_object_object_get_ex(json, key, &value), "%s", key);
	return value;
}

/* Every {"$ref": "#/components/…"} must lead somewhere. */
static void check_references(struct json_object *document, struct json_object *json)
{
	struct json_object *target;

	if (json_object_is_type(json, json_type_array))
		for (size_t i = 0; i < json_object_array_length(json); i++)
			check_references(document, json_object_array_get_idx(json, i));
	if (!json_object_is_type(json, json_type_object))
		return;
	json_object_object_foreach (json, key, value) {
		if (strcmp(key, "$ref") == 0)
			ck_assert_msg(json_pointer_get(document, json_object_get_string(value) + 1,
						       &target) == 0,
				      "%s", json_object_get_string(value));
		check_references(document, value);
	}
}

START_TEST(the_document_is_whole)
{
	struct json_object *document = discover_document();
	struct json_object *list = member(document, "methods");
	struct json_object *types = member(member(document, "components"), "schemas");
	struct json_object *result;

	ck_assert_str_eq(json_object_get_string(member(member(document, "info"), "version")),
			 PROTOCOL_VERSION);
	ck_assert_uint_eq(json_object_array_length(list), count_available());
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *m = json_object_array_get_idx(list, i);

		ck_assert_ptr_nonnull(method_by_name(json_object_get_string(member(m, "name"))));
		ck_assert_str_eq(json_object_get_string(member(m, "paramStructure")), "by-name");
		(void)member(m, "params");
		(void)member(m, "result");
		(void)member(m, "errors");
	}
	result = member(member(types, "ExecResult"), "properties");
	ck_assert_int_eq(json_object_object_length(result), 17);
	(void)member(types, "Sandbox");
	(void)member(types, "Exec");
	(void)member(types, "Template");
	(void)member(types, "Stats");
	(void)member(types, "SystemInfo");
	(void)member(types, "Doctor");
	ck_assert_uint_eq(json_object_array_length(member(document, "x-notifications")), 5);
	check_references(document, document);
	json_object_put(document);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("proto/methods");
	TCase *t = tcase_create("methods");
	SRunner *runner;
	int failed;

	tcase_add_test(t, rows_are_whole);
	tcase_add_test(t, this_version_has_its_methods);
	tcase_add_test(t, the_document_is_whole);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
