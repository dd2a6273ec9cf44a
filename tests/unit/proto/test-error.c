/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

START_TEST(numbers_are_the_contracts)
{
	static const struct {
		enum error_kind kind;
		int code;
		const char *name;
	} rows[] = {
		{ ERROR_PARSE, -32700, "parse_error" },
		{ ERROR_INVALID_REQUEST, -32600, "invalid_request" },
		{ ERROR_METHOD_NOT_FOUND, -32601, "method_not_found" },
		{ ERROR_INVALID_PARAMS, -32602, "invalid_params" },
		{ ERROR_INTERNAL, -32603, "internal_error" },
		{ ERROR_NOT_FOUND, -32001, "not_found" },
		{ ERROR_ALREADY_EXISTS, -32002, "already_exists" },
		{ ERROR_CONFLICT, -32003, "conflict" },
		{ ERROR_INVALID_STATE, -32004, "invalid_state" },
		{ ERROR_UNAVAILABLE, -32005, "unavailable" },
		{ ERROR_DENIED, -32006, "denied" },
		{ ERROR_LIMIT_REACHED, -32007, "limit_reached" },
		{ ERROR_TIMEOUT, -32008, "timeout" },
		{ ERROR_CANCELLED, -32009, "cancelled" },
		{ ERROR_RUNTIME_FAILED, -32010, "runtime_failed" },
	};

	ck_assert_uint_eq(ARRAY_SIZE(rows), ERROR_KIND_MAX - 1);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ck_assert_int_eq(error_code(rows[i].kind), rows[i].code);
		ck_assert_str_eq(error_kind_name(rows[i].kind), rows[i].name);
	}
}
END_TEST

START_TEST(is_replaced_and_moved)
{
	CLEANUP_ERROR struct error a = { 0 };
	CLEANUP_ERROR struct error b = { 0 };

	ck_assert_int_eq(error_set(&a, ERROR_DENIED, "f", "h", "no %d", 1), -1);
	error_set_resource(&a, "sandbox %s", "x");
	/* The new text may be made from the old. */
	(void)error_set(&a, ERROR_CONFLICT, a.field, NULL, "%s again", a.message);
	ck_assert_str_eq(a.message, "no 1 again");
	ck_assert_str_eq(a.field, "f");
	ck_assert_ptr_null(a.hint);
	ck_assert_ptr_null(a.resource);
	error_move(&b, &a);
	ck_assert_int_eq(a.kind, ERROR_NONE);
	ck_assert_int_eq(b.kind, ERROR_CONFLICT);
	error_move(NULL, &b);
	ck_assert_ptr_null(b.message);
	ck_assert_int_eq(error_set(NULL, ERROR_DENIED, NULL, NULL, "nobody asks"), -1);
}
END_TEST

START_TEST(tells_a_full_disk_from_a_bug)
{
	CLEANUP_ERROR struct error e = { 0 };

	(void)error_set_errno(&e, -ENOSPC, "writing %s", "x");
	ck_assert_int_eq(e.kind, ERROR_LIMIT_REACHED);
	ck_assert_str_eq(e.message, "writing x: No space left on device");
	(void)error_set_errno(&e, EINVAL, "writing");
	ck_assert_int_eq(e.kind, ERROR_INTERNAL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("proto/error");
	TCase *t = tcase_create("error");
	SRunner *runner;
	int failed;

	tcase_add_test(t, numbers_are_the_contracts);
	tcase_add_test(t, is_replaced_and_moved);
	tcase_add_test(t, tells_a_full_disk_from_a_bug);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
