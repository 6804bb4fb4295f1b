/* Canonical JSON against the public RFC 8785 vectors; the strict reader against what it must refuse. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static void read_file(const char *path, struct hps_buf *out)
{
	hps_buf_init(out, HPS_BUF_MAX);
	assert_ok(hps_file_read(AT_FDCWD, path, HPS_BUF_MAX, out, err));
}

static void test_vectors(void **state)
{
	static const char *const names[] = { "arrays", "french", "structures", "unicode", "values", "weird" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *in = hps_format("tests/vectors/jcs/input/%s.json", names[i]);
		_cleanup_free_ char *out = hps_format("tests/vectors/jcs/output/%s.json", names[i]);
		_cleanup_buf_ struct hps_buf text, want, got = HPS_BUF_INIT;
		_cleanup_json_ json_t *j = NULL;

		read_file(in, &text);
		read_file(out, &want);
		assert_ok(hps_json_parse(text.data, text.len, &j, err));
		assert_ok(hps_json_canonical(j, &got, err));
		assert_int_equal(got.len, want.len);
		assert_memory_equal(got.data, want.data, want.len);
	}
}

/* Each line: the IEEE 754 bits in hex, a comma, the ECMAScript text. */
static void test_numbers(void **state)
{
	_cleanup_buf_ struct hps_buf text;
	size_t n = 0;

	(void)state;
	read_file("tests/vectors/jcs/es6-numbers-1000.txt", &text);
	for (char *line = strtok(text.data, "\n"); line; line = strtok(NULL, "\n"), n++) {
		char *comma = strchr(line, ','), got[HPS_DOUBLE_LEN];
		uint64_t bits = strtoull(line, NULL, 16);
		double x;

		memcpy(&x, &bits, sizeof x);
		hps_double_format(x, got);
		assert_string_equal(got, comma + 1);
	}
	assert_int_equal(n, 1000);
}

static void test_refused(void **state)
{
	static const char *const bad[] = { "", "{", "{\"a\":1,\"a\":2}", "[1] x", "\"\\ud800\"", "[01]", "nul", "[1e999]", "[9223372036854775808]", "\"\xff\"" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		json_t *j = NULL;

		assert_fails(HPS_E_FORMAT, hps_json_parse(bad[i], strlen(bad[i]), &j, err));
		assert_null(j);
	}
}

static void test_integer_ceiling(void **state)
{
	_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;
	_cleanup_json_ json_t *good = json_integer((json_int_t)1 << 53), *bad = json_integer(((json_int_t)1 << 53) + 1);

	(void)state;
	assert_ok(hps_json_canonical(good, &out, err));
	assert_string_equal(out.data, "9007199254740992");
	assert_fails(HPS_E_FORMAT, hps_json_canonical(bad, &out, err));
}

static void test_deep(void **state)
{
	_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;
	_cleanup_json_ json_t *deep = json_array();
	json_t *at = deep;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		json_t *inner = json_array();

		hps_json_add(at, inner);
		at = inner;
	}
	assert_fails(HPS_E_LIMIT, hps_json_canonical(deep, &out, err));
}

static void test_look_up(void **state)
{
	static const char text[] = "{\"a\":{\"b\":\"c\",\"n\":7}}";
	_cleanup_json_ json_t *j = NULL;

	(void)state;
	assert_ok(hps_json_parse(text, strlen(text), &j, err));
	assert_string_equal(hps_json_text(hps_json_at(j, "a", NULL), "b"), "c");
	assert_int_equal(hps_json_int(hps_json_at(j, "a", NULL), "n", -1), 7);
	assert_int_equal(hps_json_int(hps_json_at(j, "a", NULL), "b", -1), -1);
	assert_null(hps_json_at(j, "a", "x", "y", NULL));
	assert_null(hps_json_text(hps_json_at(j, "x", NULL), "b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors), cmocka_unit_test(test_numbers),		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_deep),	cmocka_unit_test(test_integer_ceiling), cmocka_unit_test(test_look_up),
	};

	return cmocka_run_group_tests_name("core_json", tests, NULL, NULL);
}
