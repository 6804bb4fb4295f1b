/* What every unit test includes: cmocka with the headers it wants, and the frame of main(). */
#ifndef HPS_TESTS_UNIT_H
#define HPS_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/core.h"

/* The call succeeds; when it does not, its message is shown. */
#define assert_ok(call)                                                                     \
	do {                                                                                \
		struct hps_error e_ = HPS_ERROR_INIT, *err = &e_;                           \
		int r_ = (call);                                                            \
		if (r_ < 0)                                                                 \
			print_error("%s: %s\n", #call, e_.message ? e_.message : "(none)"); \
		assert_true(r_ >= 0);                                                       \
		hps_error_release(&e_);                                                     \
	} while (0)

/* The call fails with this code; `err` names the error object inside the call. */
#define assert_fails(code_, call)                             \
	do {                                                  \
		struct hps_error e_ = HPS_ERROR_INIT, *err = &e_; \
		int r_ = (call);                              \
		assert_int_equal(r_, code_);                  \
		assert_int_equal(e_.code, code_);             \
		assert_non_null(e_.message);                  \
		hps_error_release(&e_);                       \
	} while (0)

/* A list for calls that want `char *const *`, as main() has it. */
static inline struct hps_strv list_of(const char *const *items)
{
	struct hps_strv list = HPS_STRV_INIT;

	while (*items)
		hps_strv_add(&list, *items++);
	return list;
}
#define LIST_OF(...) list_of((const char *const[]){ __VA_ARGS__, NULL })

#endif
