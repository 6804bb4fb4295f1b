/* Bytes as text, numbers and times from text, buffers with ceilings, lists and maps. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void test_paths_round_trip(void **state)
{
	static const char *const paths[] = { "/a/b", "back\\slash", "\xff\xfe", "caf\xc3\xa9", "\xed\xa0\x80", "x\ny\x1b", "\\x41", "\xc0\x80" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT, back = HPS_BUF_INIT;
		_cleanup_json_ json_t *j = hps_path_json(paths[i]);

		assert_true(json_is_string(j)); /* jansson refuses invalid UTF-8, so this is the proof that it is valid */
		hps_path_escape(&text, paths[i], strlen(paths[i]));
		assert_ok(hps_path_unescape(text.data, &back, err));
		assert_string_equal(back.data, paths[i]);
	}
}

static void test_path_escape_is_strict(void **state)
{
	static const char *const bad[] = { "\\", "\\x", "\\x4", "\\xZZ", "a\\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;

		assert_fails(HPS_E_FORMAT, hps_path_unescape(bad[i], &out, err));
	}
}

static void test_terminal(void **state)
{
	_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;
	static const char text[] = "a\x1b[31m\r\xe2\x80\xae" "b\xff\xc3\xa9";

	(void)state;
	hps_term_escape(&out, text, strlen(text));
	assert_string_equal(out.data, "a\\x1b[31m\\x0d\\u{202e}b\\xff\xc3\xa9");
}

/* RFC 4648, section 10. */
static void test_base64(void **state)
{
	static const char *const plain[] = { "", "f", "fo", "foo", "foob", "fooba", "foobar" };
	static const char *const coded[] = { "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };
	static const char *const bad[] = { "Zg=", "Zg", "Zh==", "Zm9=", "Z g=", "====", "Zg==Zg==", "-_==", "Zm9v\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT, back = HPS_BUF_INIT;

		hps_base64(&out, plain[i], strlen(plain[i]));
		assert_string_equal(out.data ? out.data : "", coded[i]);
		assert_int_equal(hps_unbase64(&back, coded[i], strlen(coded[i]), false), 0);
		assert_string_equal(back.data ? back.data : "", plain[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;

		assert_int_equal(hps_unbase64(&out, bad[i], strlen(bad[i]), false), -EINVAL);
	}
}

static void test_numbers(void **state)
{
	static const char *const bad[] = { "", " 1", "1 ", "+1", "01", "0x1", "1.", "18446744073709551616", "-1" };
	static const char *const bad_doubles[] = { "", " 1", "1e", "nan", "inf", "0x1p3", "1e999", "1,5" };
	uint64_t u = 0;
	int64_t i = 0;
	double d = 0;

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(bad); k++)
		assert_true(hps_parse_u64(bad[k], UINT64_MAX, &u) < 0);
	assert_int_equal(hps_parse_u64("18446744073709551615", UINT64_MAX, &u), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(hps_parse_u64("11", 10, &u), -ERANGE);
	assert_int_equal(hps_parse_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &i), 0);
	assert_true(i == INT64_MIN);
	assert_int_equal(hps_parse_i64("9223372036854775808", INT64_MIN, INT64_MAX, &i), -ERANGE);
	assert_int_equal(hps_parse_i64("-0", INT64_MIN, INT64_MAX, &i), -EINVAL);
	for (size_t k = 0; k < ARRAY_SIZE(bad_doubles); k++)
		assert_true(hps_parse_double(bad_doubles[k], &d) < 0);
	assert_int_equal(hps_parse_double("-2.5e-3", &d), 0);
	assert_true(d == -2.5e-3);
}

static void test_times(void **state)
{
	static const char *const bad[] = { "", "2026-01-02", "2026-01-02T03:04:05", "2026-13-02T03:04:05Z", "2026-01-02 03:04:05Z", "2026-01-02T24:00:00Z", "5026-01-02T03:04:05Z", "1600-01-02T03:04:05Z" };
	char text[HPS_TIME_LEN];
	int64_t ns = 0;

	(void)state;
	hps_time_format(1767323045000000006, text);
	assert_string_equal(text, "2026-01-02T03:04:05.000000006Z");
	assert_int_equal(hps_time_parse(text, &ns), 0);
	assert_true(ns == 1767323045000000006);
	assert_int_equal(hps_time_parse("1970-01-01T00:00:00.5Z", &ns), 0);
	assert_true(ns == 500000000);
	hps_time_format(-1, text);
	assert_string_equal(text, "1969-12-31T23:59:59.999999999Z");
	for (size_t k = 0; k < ARRAY_SIZE(bad); k++)
		assert_int_equal(hps_time_parse(bad[k], &ns), -EINVAL);
}

static void test_buffer_ceiling(void **state)
{
	_cleanup_buf_ struct hps_buf b;

	(void)state;
	hps_buf_init(&b, 10);
	hps_buf_adds(&b, "12345678");
	assert_false(b.full);
	hps_buf_adds(&b, "abc");
	assert_true(b.full);
	assert_string_equal(b.data, "12345678");
	hps_buf_adds(&b, "90");
	assert_string_equal(b.data, "1234567890");
}

static void test_lists_and_maps(void **state)
{
	struct hps_strv list = HPS_STRV_INIT;
	struct hps_map map = HPS_MAP_INIT;
	char key[16];

	(void)state;
	for (int i = 999; i >= 0; i--)
		hps_strv_addf(&list, "%03d", i);
	hps_strv_sort(&list);
	assert_int_equal(list.n, 1000);
	assert_string_equal(list.v[17], "017");
	assert_null(list.v[1000]);
	for (size_t i = 0; i < list.n; i++)
		*hps_map_slot(&map, list.v[i]) = list.v[i];
	assert_int_equal(map.n, 1000);
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof key, "%03d", i);
		assert_string_equal(hps_map_get(&map, key), key);
	}
	assert_null(hps_map_get(&map, "1000"));
	hps_map_release(&map);
	hps_strv_release(&list);
}

static void test_nearest(void **state)
{
	static const char *const known[] = { "verify", "list", "show", "init" };

	(void)state;
	assert_string_equal(hps_nearest("verfiy", known, ARRAY_SIZE(known)), "verify");
	assert_string_equal(hps_nearest("shwo", known, ARRAY_SIZE(known)), "show");
	assert_null(hps_nearest("replicate", known, ARRAY_SIZE(known)));
}

static void test_errors(void **state)
{
	struct hps_error err = HPS_ERROR_INIT;

	(void)state;
	errno = ENOENT;
	assert_int_equal(hps_error_errno(&err, "opening '%s'", "x"), -ENOENT);
	assert_int_equal(hps_error_prefix(&err, "starting"), -ENOENT);
	assert_string_equal(err.message, "starting: opening 'x': No such file or directory");
	hps_error_release(&err);
	assert_int_equal(hps_error_set(NULL, HPS_E_DAMAGED, "nobody reads this"), HPS_E_DAMAGED);
	assert_int_equal(hps_error_exit(HPS_E_DAMAGED), 3);
	assert_int_equal(hps_error_exit(-EACCES), 5);
	assert_int_equal(hps_error_exit(-EIO), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths_round_trip), cmocka_unit_test(test_path_escape_is_strict),
		cmocka_unit_test(test_terminal),	 cmocka_unit_test(test_base64),
		cmocka_unit_test(test_numbers),		 cmocka_unit_test(test_times),
		cmocka_unit_test(test_buffer_ceiling),	 cmocka_unit_test(test_lists_and_maps),
		cmocka_unit_test(test_nearest),		 cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests_name("core_text", tests, NULL, NULL);
}
