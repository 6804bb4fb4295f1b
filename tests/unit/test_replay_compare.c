/* The comparators: what must be the same is, and nothing else. The mutation loop prints its seed and takes HPS_TEST_SEED. */
#include "tests/unit/unit.h"

#include "replay/replay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <zlib.h>

static const struct hps_tolerance bits = { 0, 0, false, NULL, NULL, 0 };

static struct hps_buf bytes_of(const void *data, size_t len)
{
	struct hps_buf b = HPS_BUF_INIT;

	hps_buf_add(&b, data, len);
	return b;
}

static struct hps_comparison compare(const char *path, const struct hps_buf *a, const struct hps_buf *b, const struct hps_tolerance *t)
{
	struct hps_comparison c;

	hps_compare_data(path, a, b, t, &c);
	return c;
}

/* The verdict, and (when not NULL) the place and both values. */
static void expect(const char *path, const char *a, const char *b, const struct hps_tolerance *t, enum hps_output_verdict verdict,
		   const char *place, const char *original, const char *rerun)
{
	_cleanup_buf_ struct hps_buf x = bytes_of(a, strlen(a)), y = bytes_of(b, strlen(b));
	_cleanup_comparison_ struct hps_comparison c = compare(path, &x, &y, t);

	if (c.verdict != verdict)
		print_error("%s: '%s' against '%s': %s\n", path, a, b, hps_output_verdict_name(c.verdict));
	assert_int_equal(c.verdict, verdict);
	if (place) {
		assert_string_equal(c.place, place);
		assert_string_equal(c.original, original);
		assert_string_equal(c.rerun, rerun);
	}
}

/* ---- numbers ---- */

static struct hps_token token(const char *text)
{
	return (struct hps_token){ text, strlen(text) };
}

static void test_numbers(void **state)
{
	static const char *const same[][2] = {
		{ "1", "1.0" }, { "1500", "1.5e3" }, { "0.00150", "15E-4" }, { "0", "0e9" }, { "-0", "-0.0" }, { "NaN", "NaN" },
		{ "100", "1e2" }, { "123.456", "1234560e-4" }, { "0.1", "0.1000" }, { "-12e+1", "-120.00" },
	};
	static const char *const other[][2] = {
		{ "1", "2" }, { "0", "-0" }, { "9007199254740992", "9007199254740993" }, { "0.1", "0.10000000000000000001" }, { "1e2", "1e3" },
		{ "12", "120" }, { "1.2", "12" }, { "NaN", "0" }, { "Infinity", "-Infinity" }, { "1e99999999999999999998", "1e99999999999999999999" },
		{ "-1", "1" }, { "1", "10" }, { "0.01", "0.1" }, { "101", "1001" },
	};
	static const struct { const char *text; size_t len; } lengths[] = {
		{ "1", 1 }, { "01", 0 }, { "-", 0 }, { "1.", 1 }, { ".5", 0 }, { "1e", 1 }, { "1e+", 1 }, { "1e5x", 3 }, { "-Infinityx", 9 }, { "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		struct hps_token a = token(same[i][0]), b = token(same[i][1]);

		assert_true(hps_number_same(&a, &b) && hps_number_same(&b, &a));
	}
	for (size_t i = 0; i < ARRAY_SIZE(other); i++) {
		struct hps_token a = token(other[i][0]), b = token(other[i][1]);

		assert_false(hps_number_same(&a, &b) || hps_number_same(&b, &a));
	}
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
		assert_int_equal(hps_number_length(lengths[i].text, strlen(lengths[i].text)), lengths[i].len);
}

/* ---- JSON ---- */

static void test_json(void **state)
{
	static const struct hps_tolerance near = { 1e-6, 0, true, NULL, NULL, 0 };

	(void)state;
	expect("m.json", "{\"a\":1,\"b\":[1,2]}", "{\"a\":1,\"b\":[1,2]}", &bits, HPS_OUTPUT_IDENTICAL, NULL, NULL, NULL);
	expect("m.json", "{\"a\":1,\"b\":[1,2]}", "{ \"b\": [1.0, 2e0],\n \"a\": 1 }\n", &bits, HPS_OUTPUT_SAME_VALUES, NULL, NULL, NULL);
	expect("m.json", "[\"\\u00e9\\n\"]", "[\"\xc3\xa9\\u000a\"]", &bits, HPS_OUTPUT_SAME_VALUES, NULL, NULL, NULL);
	expect("m.json", "[\"\\ud83d\\ude00\"]", "[\"\xf0\x9f\x98\x80\"]", &bits, HPS_OUTPUT_SAME_VALUES, NULL, NULL, NULL);
	expect("m.json", "{\"loss\":[0.5,0.25,0.125]}", "{\"loss\":[0.5,0.26,0.125]}", &bits, HPS_OUTPUT_DIVERGED, "/loss[1]", "0.25", "0.26");
	expect("m.json", "{\"loss\":[0.5,0.25]}", "{\"loss\":[0.5,0.25000001]}", &near, HPS_OUTPUT_WITHIN, "/loss[1]", "0.25", "0.25000001");
	expect("m.json", "{\"loss\":[0.5,0.25]}", "{\"loss\":[0.5,0.2501]}", &near, HPS_OUTPUT_DIVERGED, "/loss[1]", "0.25", "0.2501");
	expect("m.json", "{\"n\":1000000000}", "{\"n\":1000000001}", &near, HPS_OUTPUT_DIVERGED, "/n", "1000000000", "1000000001");
	expect("m.json", "{\"x\":NaN}", "{ \"x\":NaN}", &bits, HPS_OUTPUT_SAME_VALUES, NULL, NULL, NULL);
	expect("m.json", "{\"x\":NaN}", "{\"x\":1.5}", &near, HPS_OUTPUT_DIVERGED, "/x", "NaN", "1.5");
	expect("m.json", "{\"a\":{}}", "{\"a\":[]}", &bits, HPS_OUTPUT_DIVERGED, "/a", "{}", "[]");
	expect("m.json", "{\"a\":1}", "{\"a\":\"1\"}", &bits, HPS_OUTPUT_STRUCTURE, "/a", "a number", "text");
	expect("m.json", "{\"a\":1}", "{\"a\":[1]}", &bits, HPS_OUTPUT_STRUCTURE, "/a", "a number", "a list of 1 numbers");
	expect("m.json", "{\"a\":1,\"b\":2}", "{\"a\":1}", &bits, HPS_OUTPUT_STRUCTURE, "/b", "a number", "nothing");
	expect("m.json", "{\"a\":1}", "{\"a\":1,\"b\":2}", &bits, HPS_OUTPUT_STRUCTURE, "/b", "nothing", "a number");
	expect("m.json", "{\"0\":1}", "[1]", &bits, HPS_OUTPUT_STRUCTURE, NULL, NULL, NULL);
	expect("m.json", "{\"a/b\":1}", "{\"a\":{\"b\":1}}", &bits, HPS_OUTPUT_STRUCTURE, NULL, NULL, NULL);
	expect("m.json", "[1,\"x\",2]", "[1, \"x\", 2]", &bits, HPS_OUTPUT_SAME_VALUES, NULL, NULL, NULL);
	expect("m.json", "[1,\"x\",2]", "[1,\"x\",3]", &bits, HPS_OUTPUT_DIVERGED, "[2]", "2", "3");
	expect("m.json", "[[1,2],[3,4]]", "[[3,4],[1,2]]", &bits, HPS_OUTPUT_DIVERGED, "[0][0]", "1", "3");
	expect("m.json", "{\"a\":1}", "{\"a\":1", &bits, HPS_OUTPUT_STRUCTURE, "json", "whole", "damaged");
	expect("m.json", "{\"a\":1,\"a\":2}", "{\"a\":2,\"a\":1}", &bits, HPS_OUTPUT_DIVERGED, NULL, NULL, NULL);
	expect("l.jsonl", "{\"e\":0,\"l\":1.5}\n{\"e\":1,\"l\":1.25}\n", "{\"e\":0,\"l\":1.5}\n{\"e\":1,\"l\":1.5}\n", &bits, HPS_OUTPUT_DIVERGED,
	       "value 2 /l", "1.25", "1.5");
	expect("l.jsonl", "{\"e\":0}\n{\"e\":1}\n", "{\"e\":0}\n", &bits, HPS_OUTPUT_STRUCTURE, "value 2 /e", "a number", "nothing");
}

static void test_json_is_bounded(void **state)
{
	_cleanup_buf_ struct hps_buf deep = HPS_BUF_INIT, other = HPS_BUF_INIT;
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	_cleanup_tree_ struct hps_tree t = HPS_TREE_INIT;

	(void)state;
	for (int i = 0; i < 100000; i++)
		hps_buf_addc(&deep, '[');
	assert_true(hps_format_json.decode(deep.data, deep.len, &t, &e) < 0);
	hps_buf_add(&other, deep.data, deep.len);
	hps_buf_addc(&other, ']');
	{
		_cleanup_comparison_ struct hps_comparison c = compare("x.json", &deep, &other, &bits);

		assert_true(c.verdict >= HPS_OUTPUT_DIVERGED);
	}
}

/* ---- CSV and text ---- */

static void test_csv(void **state)
{
	static const struct hps_tolerance near = { 1e-6, 0, true, NULL, NULL, 0 };

	(void)state;
	expect("a.csv", "epoch,acc\n0,0.5\n1,0.75\n", "\"epoch\",\"acc\"\r\n0,0.5\r\n1,0.75\r\n", &bits, HPS_OUTPUT_SAME_VALUES, NULL, NULL, NULL);
	expect("a.csv", "epoch,acc\n0,0.5\n1,0.75\n", "epoch,acc\n0,0.5\n1,0.76\n", &bits, HPS_OUTPUT_DIVERGED, "row 3, column 2 'acc'", "0.75", "0.76");
	expect("a.csv", "e,a\n0,0.5\n1,0.75\n", "e,a\n1,0.75\n0,0.5\n", &bits, HPS_OUTPUT_REORDERED, "row 2", "0, 0.5", "1, 0.75");
	expect("a.csv", "e,a\n0,0.5\n", "e,a\n0,0.5\n1,1\n", &bits, HPS_OUTPUT_STRUCTURE, "row 3, column 1 'e'", "nothing", "1");
	expect("a.csv", "e,a\n0,0.5\n", "e,a\n0,0.50000001\n", &near, HPS_OUTPUT_WITHIN, NULL, NULL, NULL);
	expect("a.csv", "v\n1.10\n", "v\n1.1\n", &bits, HPS_OUTPUT_DIVERGED, "row 2, column 1 'v'", "1.10", "1.1");
	expect("a.csv", "a\n\"x\"\"y\"\n", "a\nx\"y\n", &bits, HPS_OUTPUT_SAME_VALUES, NULL, NULL, NULL);
}

static void test_text(void **state)
{
	static const struct hps_tolerance near = { 1e-6, 0, true, NULL, NULL, 0 };

	(void)state;
	expect("log", "step 1 loss 0.5\n", "step 1 loss 0.6\n", &bits, HPS_OUTPUT_DIVERGED, "line 1", "step 1 loss 0.5", "step 1 loss 0.6");
	expect("log", "step 1 loss 0.5\n", "step 1 loss 0.50000001\n", &near, HPS_OUTPUT_WITHIN, NULL, NULL, NULL);
	expect("log", "step 1 loss 0.5\n", "step 2 loss 0.5\n", &near, HPS_OUTPUT_DIVERGED, NULL, NULL, NULL);
	expect("log", "loss 0.5\n", "lost 0.50000001\n", &near, HPS_OUTPUT_DIVERGED, NULL, NULL, NULL);
	expect("log", "v1.20 0.5", "v1.2 0.5", &near, HPS_OUTPUT_DIVERGED, NULL, NULL, NULL);
	expect("log", "a\n", "a", &bits, HPS_OUTPUT_STRUCTURE, "line 2", "text", "nothing");
	expect("x.bin", "\xff\xfe" "a", "\xff\xfe" "b", &bits, HPS_OUTPUT_OPAQUE, "byte 2", "0x61 of 3 bytes", "0x62 of 3 bytes");
	expect("x.bin", "\xff\xfe" "a", "\xff\xfe", &bits, HPS_OUTPUT_OPAQUE, "byte 2", "0x61 of 3 bytes", "the end (2 bytes)");
}

/* ---- sequences ---- */

/* How many differ, and what the verdict is. */
static void expect_different(const char *path, const char *a, const char *b, enum hps_output_verdict verdict, const char *place, uint64_t n_different)
{
	_cleanup_buf_ struct hps_buf x = bytes_of(a, strlen(a)), y = bytes_of(b, strlen(b));
	_cleanup_comparison_ struct hps_comparison c = compare(path, &x, &y, &bits);

	if (c.verdict != verdict || c.n_different != n_different || strcmp(c.place, place) != 0)
		print_error("%s: '%s' against '%s': %s, %llu differ, first %s\n", path, a, b, hps_output_verdict_name(c.verdict), (unsigned long long)c.n_different, c.place);
	assert_int_equal(c.verdict, verdict);
	assert_int_equal(c.n_different, n_different);
	assert_string_equal(c.place, place);
}

/* Once every line behind one that was put in differed. */
static void test_a_line_put_in_is_one_difference(void **state)
{
	(void)state;
	expect_different("log", "a\nb\nc\nd\n", "a\nb\nwarning\nc\nd\n", HPS_OUTPUT_STRUCTURE, "line 3", 1);
	expect_different("log", "a\nb\nwarning\nc\nd\n", "a\nb\nc\nd\n", HPS_OUTPUT_STRUCTURE, "line 3", 1);
	expect_different("log", "e 1 l 0.5\ne 2 l 0.25\ne 3 l 0.125\n", "start\ne 1 l 0.5\ne 2 l 0.26\ne 3 l 0.125\n", HPS_OUTPUT_STRUCTURE, "line 1", 2);
	expect_different("log", "e 1 l 0.5\ne 2 l 0.25\ne 3 l 0.125\nend\n", "w\ne 1 l 0.6\ne 2 l 0.26\nw\ne 3 l 0.126\nend\n", HPS_OUTPUT_STRUCTURE, "line 1", 5);
	expect_different("log", "same\nsame\nsame\n", "same\nsame\nsame\nsame\n", HPS_OUTPUT_STRUCTURE, "line 4", 1);
	expect_different("log", "a\nb\nc\n", "a\nx\nc\n", HPS_OUTPUT_DIVERGED, "line 2", 1);
	expect_different("a.csv", "e,a\n0,0.5\n1,0.75\n2,0.5\n", "e,a\n0,0.5\n9,9\n1,0.75\n2,0.5\n", HPS_OUTPUT_STRUCTURE, "row 3, column 1 'e'", 1);
	expect_different("l.jsonl", "{\"e\":0}\n{\"e\":1}\n{\"e\":2}\n", "{\"e\":0}\n{\"e\":2}\n", HPS_OUTPUT_STRUCTURE, "value 2 /e", 1);
}

static void test_another_order_has_a_name(void **state)
{
	(void)state;
	expect_different("log", "a\nb\nc\nd\n", "a\nc\nb\nd\n", HPS_OUTPUT_REORDERED, "line 2", 2);
	expect_different("l.jsonl", "{\"e\":0,\"l\":1}\n{\"e\":1,\"l\":2}\n", "{\"l\":2.0,\"e\":1}\n{\"e\":0,\"l\":1}\n", HPS_OUTPUT_REORDERED, "top", 2);
	expect_different("log", "2026-11-26 06:47:27 a\n2026-11-26 06:47:28 b\n", "2026-11-27 06:47:27 b\n2026-11-27 06:47:28 a\n", HPS_OUTPUT_REORDERED, "line 1", 2);
	expect_different("log", "a\nb\nb\n", "b\na\na\n", HPS_OUTPUT_STRUCTURE, "line 1", 3); /* not as often */
	expect("a.csv", "k,v\n1,2\n3,4\n", "k,v\n3,2\n1,4\n", &bits, HPS_OUTPUT_DIVERGED, NULL, NULL, NULL); /* cells are no rows */
}

static void test_align(void **state)
{
	static const struct {
		const char *a, *b, *partners; /* partners: of each of a, '-' for none */
	} cases[] = {
		{ "abc", "abc", "abc" }, { "abc", "xabc", "abc" }, { "abcd", "abd", "ab-d" }, { "", "abc", "" },  { "abc", "", "---" },
		{ "aaab", "aab", "aa-b" }, { "abcabc", "abc", "abc---" }, { "xaybzc", "abc", "-a-b-c" }, { "abc", "cab", "ab-" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t a[16] = { 0 }, b[16] = { 0 };
		size_t match[16], n = strlen(cases[i].a), m = strlen(cases[i].b), last = 0;

		for (size_t k = 0; k < n; k++) {
			a[k] = (uint64_t)cases[i].a[k];
			match[k] = SIZE_MAX;
		}
		for (size_t k = 0; k < m; k++)
			b[k] = (uint64_t)cases[i].b[k];
		hps_align(a, n, b, m, match);
		for (size_t k = 0; k < n; k++) {
			assert_true((match[k] == SIZE_MAX) == (cases[i].partners[k] == '-'));
			if (match[k] == SIZE_MAX)
				continue;
			assert_true(match[k] >= last && match[k] < m && a[k] == b[match[k]]);
			last = match[k] + 1;
		}
	}
}

static void test_names_with_stamps(void **state)
{
	static const char *const alike[][2] = {
		{ "/w/runs/Nov26_09-46-21_box/events.out.tfevents.1764150381.box.4711.0", "/w/runs/Nov27_10-00-00_other/events.out.tfevents.1764236400.other.12.0" },
		{ "outputs/2026-11-26/09-46-21/x.log", "outputs/2026-11-27/23-59-59/x.log" },
		{ "wandb/run-20261126_094621-1a2b3c4d/run-1a2b3c4d.wandb", "wandb/run-20261127_000000-zz99yy88/run-zz99yy88.wandb" },
		{ "mlruns/0/0123456789abcdef0123456789abcdef/metrics/loss", "mlruns/0/fedcba98765432100123456789abcdef/metrics/loss" },
		{ "ckpt_1764150381.25.pt", "ckpt_1764150399.5.pt" },
		{ "log.pid-12.txt", "log.pid-4711.txt" },
		{ "/tmp/tmpab12_x9z/x", "/tmp/tmpzz00aa11/x" },
	};
	static const char *const other[][2] = { { "epoch-1.pt", "epoch-2.pt" }, { "fold_10.csv", "fold_11.csv" }, { "model-0001000000.pt", "model-0002000000.pt" },
						{ "tmpfiles", "tmpfilez" }, { "seed-12345678", "seed-87654321" }, { "v1.2.3", "v1.2.4" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(alike); i++) {
		_cleanup_free_ char *a = hps_mask_path(alike[i][0]), *b = hps_mask_path(alike[i][1]);

		assert_string_equal(a, b);
	}
	for (size_t i = 0; i < ARRAY_SIZE(other); i++) {
		_cleanup_free_ char *a = hps_mask_path(other[i][0]), *b = hps_mask_path(other[i][1]);

		assert_string_not_equal(a, b);
	}
}

/* ---- npy ---- */

static struct hps_buf npy(const char *descr, bool fortran, const char *shape, const void *data, size_t len)
{
	struct hps_buf b = HPS_BUF_INIT;
	_cleanup_free_ char *header = hps_format("{'descr': %s, 'fortran_order': %s, 'shape': %s, }", descr, fortran ? "True" : "False", shape);
	size_t n = strlen(header), padded = (10 + n + 1 + 63) / 64 * 64 - 10;

	hps_buf_add(&b, "\x93NUMPY\1\0", 8);
	hps_buf_addc(&b, (char)(padded & 0xff));
	hps_buf_addc(&b, (char)(padded >> 8));
	hps_buf_adds(&b, header);
	while (b.len < 10 + padded - 1)
		hps_buf_addc(&b, ' ');
	hps_buf_addc(&b, '\n');
	hps_buf_add(&b, data, len);
	return b;
}

static void test_npy(void **state)
{
	const double c_order[6] = { 1, 2, 3, 4, 5, 6 }, fortran[6] = { 1, 4, 2, 5, 3, 6 }, with_nan[2] = { (double)NAN, 1 };
	double payload[2] = { (double)NAN, 1 }, near[6] = { 1, 2, 3, 4, 5, 6 }, swapped[6];
	_cleanup_buf_ struct hps_buf a = npy("'<f8'", false, "(2, 3)", c_order, sizeof c_order), f = npy("'<f8'", true, "(2, 3)", fortran, sizeof fortran);
	_cleanup_buf_ struct hps_buf n = npy("'<f8'", false, "(2,)", with_nan, sizeof with_nan), big = HPS_BUF_INIT, x = HPS_BUF_INIT, y = HPS_BUF_INIT;
	const struct hps_tolerance loose = { 1e-9, 0, true, NULL, NULL, 0 };

	(void)state;
	for (size_t i = 0; i < 6; i++)
		for (size_t j = 0; j < 8; j++)
			((char *)swapped)[i * 8 + j] = ((const char *)c_order)[i * 8 + 7 - j];
	big = npy("'>f8'", false, "(2, 3)", swapped, sizeof swapped);
	((unsigned char *)payload)[0] = 1;
	x = npy("'<f8'", false, "(2,)", payload, sizeof payload);
	near[4] += 1e-12;
	y = npy("'<f8'", false, "(2, 3)", near, sizeof near);
	{
		_cleanup_comparison_ struct hps_comparison c1 = compare("a.npy", &a, &f, &bits), c2 = compare("a.npy", &a, &big, &bits),
						  c3 = compare("a.npy", &n, &x, &bits), c4 = compare("a.npy", &a, &y, &bits),
						  c5 = compare("a.npy", &a, &y, &loose), c6 = compare("a.npy", &a, &n, &loose);

		assert_int_equal(c1.verdict, HPS_OUTPUT_SAME_VALUES);
		assert_int_equal(c2.verdict, HPS_OUTPUT_SAME_VALUES);
		assert_int_equal(c3.verdict, HPS_OUTPUT_SAME_VALUES);
		assert_int_equal(c4.verdict, HPS_OUTPUT_DIVERGED);
		assert_string_equal(c4.place, "[1,1]");
		assert_string_equal(c4.original, "5");
		assert_string_equal(c4.rerun, "5.000000000001");
		assert_int_equal(c5.verdict, HPS_OUTPUT_WITHIN);
		assert_true(c5.relative_l2 > 0 && c5.relative_l2 < 1e-12);
		assert_int_equal(c6.verdict, HPS_OUTPUT_STRUCTURE);
		assert_string_equal(c6.original, "float64[2,3]");
	}
}

/* A pickle inside: a difference in it is a difference, and it is never unpickled (there is nothing here that could). */
static void test_npy_objects_stay_bytes(void **state)
{
	_cleanup_buf_ struct hps_buf a = npy("'|O'", false, "(1,)", "\x80\x03K\1.", 5), b = npy("'|O'", false, "(1,)", "\x80\x03K\2.", 5);
	_cleanup_comparison_ struct hps_comparison c = compare("a.npy", &a, &b, &(struct hps_tolerance){ 1, 1, true, NULL, NULL, 0 });

	(void)state;
	assert_int_equal(c.verdict, HPS_OUTPUT_DIVERGED);
}

static void test_npy_hostile(void **state)
{
	static const struct { const char *descr, *shape; } bad[] = {
		{ "'<f8'", "(9223372036854775808,)" }, { "'<f8'", "(18446744073709551616,)" }, { "'<f8'", "(4294967296, 4294967296)" },
		{ "'<f8'", "(2305843009213693952, 8)" }, { "'<f8'", "(3,)" }, { "'<f8'", "()" }, { "'<f8'", "(-1,)" }, { "'<f8'", "(1" },
		{ "'<f8", "(2,)" }, { "[('a', '<f8'", "(2,)" }, { "'<f8'", "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2)" },
		{ "'<f8'", "(0, 2)" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_buf_ struct hps_buf b = npy(bad[i].descr, false, bad[i].shape, "0123456789abcdef", 16);
		_cleanup_tree_ struct hps_tree t = HPS_TREE_INIT;

		assert_fails(HPS_E_FORMAT, hps_format_npy.decode(b.data, b.len, &t, err));
	}
	for (size_t n = 0; n < 128; n++) { /* cut off anywhere */
		_cleanup_buf_ struct hps_buf b = npy("'<f8'", false, "(1,)", "01234567", 8);
		_cleanup_tree_ struct hps_tree t = HPS_TREE_INIT;

		if (n < b.len)
			assert_fails(HPS_E_FORMAT, hps_format_npy.decode(b.data, n, &t, err));
	}
}

/* ---- zip ---- */

struct packed {
	const char *name;
	const struct hps_buf *content;
};

static void add16(struct hps_buf *b, size_t v)
{
	hps_buf_addc(b, (char)(v & 0xff));
	hps_buf_addc(b, (char)(v >> 8 & 0xff));
}

static void add32(struct hps_buf *b, size_t v)
{
	add16(b, v);
	add16(b, v >> 16);
}

static void pack(const struct hps_buf *content, bool deflated, struct hps_buf *out)
{
	z_stream s = { 0 };

	if (!deflated) {
		hps_buf_add(out, content->data, content->len);
		return;
	}
	assert_int_equal(deflateInit2(&s, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
	s.next_in = (Bytef *)content->data;
	s.avail_in = (uInt)content->len;
	s.avail_out = (uInt)deflateBound(&s, s.avail_in);
	s.next_out = hps_buf_reserve(out, s.avail_out);
	assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
	out->len += s.total_out;
	deflateEnd(&s);
}

static struct hps_buf zip(const struct packed *members, size_t n, bool deflated, unsigned date)
{
	struct hps_buf b = HPS_BUF_INIT;
	_cleanup_buf_ struct hps_buf directory = HPS_BUF_INIT;

	for (size_t i = 0; i < n; i++) {
		_cleanup_buf_ struct hps_buf body = HPS_BUF_INIT;
		size_t start = b.len, crc = crc32(0, (const Bytef *)members[i].content->data, (uInt)members[i].content->len);
		struct hps_buf *heads[] = { &b, &directory };

		pack(members[i].content, deflated, &body);
		for (size_t h = 0; h < 2; h++) {
			hps_buf_add(heads[h], h ? "PK\1\2" : "PK\3\4", 4);
			if (h)
				add16(heads[h], 20);
			add16(heads[h], 20);
			add16(heads[h], 0);
			add16(heads[h], deflated ? 8 : 0);
			add32(heads[h], date);
			add32(heads[h], crc);
			add32(heads[h], body.len);
			add32(heads[h], members[i].content->len);
			add16(heads[h], strlen(members[i].name));
			add16(heads[h], 0);
			if (h) {
				add16(heads[h], 0);
				add32(heads[h], 0);
				add32(heads[h], 0);
				add32(heads[h], start);
			}
			hps_buf_adds(heads[h], members[i].name);
		}
		hps_buf_add(&b, body.data, body.len);
	}
	size_t at = b.len;
	hps_buf_add(&b, directory.data, directory.len);
	hps_buf_add(&b, "PK\5\6\0\0\0\0", 8);
	add16(&b, n);
	add16(&b, n);
	add32(&b, directory.len);
	add32(&b, at);
	add16(&b, 0);
	return b;
}

static void test_npz(void **state)
{
	const double one[2] = { 1, 2 }, two[3] = { 3, 4, 5 }, moved[3] = { 3, 4, 5.5 };
	_cleanup_buf_ struct hps_buf a = npy("'<f8'", false, "(2,)", one, sizeof one), b = npy("'<f8'", false, "(3,)", two, sizeof two),
				     c = npy("'<f8'", false, "(3,)", moved, sizeof moved);
	struct packed first[] = { { "w.npy", &a }, { "b.npy", &b } }, order[] = { { "b.npy", &b }, { "w.npy", &a } },
		      other[] = { { "w.npy", &a }, { "b.npy", &c } };
	_cleanup_buf_ struct hps_buf z = zip(first, 2, false, 33), later = zip(order, 2, true, 0x1234567), changed = zip(other, 2, true, 33),
				     less = zip(first, 1, false, 33);
	_cleanup_comparison_ struct hps_comparison c1 = compare("a.npz", &z, &later, &bits), c2 = compare("a.npz", &z, &changed, &bits),
					  c3 = compare("a.npz", &z, &less, &bits);

	(void)state;
	assert_int_equal(c1.verdict, HPS_OUTPUT_SAME_VALUES);
	assert_int_equal(c1.n_values, 5);
	assert_int_equal(c2.verdict, HPS_OUTPUT_DIVERGED);
	assert_string_equal(c2.place, "b[2]");
	assert_int_equal(c3.verdict, HPS_OUTPUT_STRUCTURE);
	assert_string_equal(c3.place, "b");
}

static void expect_bad_zip(const struct hps_buf *z, const char *what)
{
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	_cleanup_tree_ struct hps_tree t = HPS_TREE_INIT;

	assert_true(hps_format_zip.decode(z->data, z->len, &t, &e) < 0);
	if (!strstr(e.message, what))
		print_error("'%s' does not say '%s'\n", e.message, what);
	assert_non_null(strstr(e.message, what));
}

static size_t find(const struct hps_buf *z, const char *what, size_t n, size_t from)
{
	const char *p = memmem(z->data + from, z->len - from, what, n);

	assert_non_null(p);
	return (size_t)(p - z->data);
}

static void test_zip_hostile(void **state)
{
	_cleanup_buf_ struct hps_buf zeros = HPS_BUF_INIT, text = bytes_of("some text", 9);
	struct packed two[] = { { "a", &text }, { "b", &text } };
	size_t directory, second;

	(void)state;
	memset(hps_buf_reserve(&zeros, 1 << 20), 0, 1 << 20);
	zeros.len = 1 << 20;
	{
		_cleanup_buf_ struct hps_buf z = zip(two, 2, false, 0);

		for (size_t n = 0; n < z.len; n++) { /* cut off anywhere */
			_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
			_cleanup_tree_ struct hps_tree t = HPS_TREE_INIT;

			assert_true(hps_format_zip.decode(z.data, n, &t, &e) < 0);
		}
		directory = find(&z, "PK\1\2", 4, 0);
		second = find(&z, "PK\1\2", 4, directory + 1);
		memcpy(z.data + second + 42, z.data + directory + 42, 4); /* both members at one place */
		z.data[second + 46] = 'a';
		expect_bad_zip(&z, "overlap");
	}
	{
		_cleanup_buf_ struct hps_buf z = zip(two, 2, false, 0);

		memset(z.data + find(&z, "PK\1\2", 4, 0) + 20, 0xff, 8);
		expect_bad_zip(&z, "zip64");
	}
	{
		_cleanup_buf_ struct hps_buf z = zip(two, 2, false, 0);

		memcpy(z.data + find(&z, "PK\1\2", 4, 0) + 20, "\xfe\xff\xff\x7f\xfe\xff\xff\x7f", 8);
		expect_bad_zip(&z, "longer than the file");
	}
	{
		_cleanup_buf_ struct hps_buf z = zip(two, 2, true, 0);

		memcpy(z.data + find(&z, "PK\1\2", 4, 0) + 24, "\0\0\0\x7f", 4); /* says 2 GiB */
		expect_bad_zip(&z, "too much");
	}
	{
		struct packed bomb[] = { { "z", &zeros } };
		_cleanup_buf_ struct hps_buf z = zip(bomb, 1, true, 0);

		assert_true(z.len < 4096);
		memcpy(z.data + find(&z, "PK\1\2", 4, 0) + 24, "\x10\0\0\0", 4); /* unpacks to more than it says */
		expect_bad_zip(&z, "do not unpack");
	}
	{
		_cleanup_buf_ struct hps_buf z = zip(two, 2, false, 0);

		z.data[find(&z, "some text", 9, 0)] ^= 1;
		expect_bad_zip(&z, "CRC");
	}
	{
		struct packed twice[] = { { "a", &text }, { "a", &text } };
		_cleanup_buf_ struct hps_buf z = zip(twice, 2, false, 0);

		expect_bad_zip(&z, "twice");
	}
}

/* ---- confined ---- */

static int memory_file(const struct hps_buf *b)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0 && !hps_write_all(fd, b->data, b->len));
	return fd;
}

static void test_confined_says_the_same(void **state)
{
	_cleanup_buf_ struct hps_buf a = bytes_of("{\"a\":[1,2.5],\"b\":\"x\"}", 21), b = bytes_of("{\"a\":[1,2.75],\"b\":\"x\"}", 22);
	_cleanup_comparison_ struct hps_comparison free_one = compare("m.json", &a, &b, &bits), c = { 0 };

	_cleanup_fd_ int x = memory_file(&a), y = memory_file(&b);

	(void)state;
	hps_compare_confined_fds("m.json", x, y, &bits, &c);
	assert_int_equal(c.verdict, free_one.verdict);
	assert_string_equal(c.format, "json");
	assert_string_equal(c.place, "/a[1]");
	assert_string_equal(c.original, "2.5");
	assert_string_equal(c.rerun, "2.75");
	assert_int_equal(c.n_values, free_one.n_values);
	assert_true(c.scaled_max == free_one.scaled_max);
}

/* ---- mutations ---- */

struct rng {
	uint64_t s;
};

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t next(struct rng *r)
{
	uint64_t z = r->s += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void fill(struct rng *r, double *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		v[i] = ((double)(next(r) >> 11) / 9007199254740992.0 - 0.5) * pow(10, (double)(next(r) % 7));
}

/* A value is changed: by a bit, by its sign, by exchanging two, by NaN. True when it did change. */
static bool mutate(struct rng *r, double *v, size_t n)
{
	size_t i = next(r) % n, j = next(r) % n;
	double before = v[i], t;
	uint64_t u;

	switch (next(r) % 4) {
	case 0:
		memcpy(&u, &v[i], sizeof u);
		u ^= (uint64_t)1 << (next(r) % 64);
		memcpy(&v[i], &u, sizeof u);
		break;
	case 1:
		v[i] = -v[i];
		break;
	case 2:
		t = v[i];
		v[i] = v[j];
		v[j] = t;
		break;
	default:
		v[i] = (double)NAN;
	}
	return memcmp(&v[i], &before, sizeof before) != 0 && !(isnan(v[i]) && isnan(before));
}

#define N_VALUES 24

static struct hps_buf write_json(const double *v)
{
	struct hps_buf b = HPS_BUF_INIT;

	hps_buf_adds(&b, "{\"name\": \"trial\", \"loss\": [");
	for (size_t i = 0; i < N_VALUES; i++)
		if (isfinite(v[i]))
			hps_buf_addf(&b, "%s%.17g", i ? ", " : "", v[i]);
		else
			hps_buf_addf(&b, "%s%s", i ? ", " : "", isnan(v[i]) ? "NaN" : v[i] < 0 ? "-Infinity" : "Infinity");
	hps_buf_addf(&b, "], \"ok\": true}\n");
	return b;
}

static struct hps_buf write_csv(const double *v)
{
	struct hps_buf b = HPS_BUF_INIT;

	hps_buf_adds(&b, "epoch,loss,acc\n");
	for (size_t i = 0; i < N_VALUES / 2; i++)
		hps_buf_addf(&b, "%zu,%.17g,%.17g\n", i, v[2 * i], v[2 * i + 1]);
	return b;
}

static struct hps_buf write_npy(const double *v)
{
	return npy("'<f8'", false, "(4, 6)", v, N_VALUES * sizeof *v);
}

static struct hps_buf write_npz(const double *v, bool deflated)
{
	_cleanup_buf_ struct hps_buf a = write_npy(v), note = bytes_of("note", 4);
	struct packed members[] = { { "w.npy", &a }, { "note", &note } };

	return zip(members, 2, deflated, 33);
}

static struct hps_buf write_stored(const double *v)
{
	return write_npz(v, false);
}

static struct hps_buf write_deflated(const double *v)
{
	return write_npz(v, true);
}

static struct hps_buf write_bytes(const double *v)
{
	return bytes_of(v, N_VALUES * sizeof *v);
}

/* flags 1: a hash where the time of the source would be, which is no stamp. */
static struct hps_buf pyc(unsigned magic, unsigned flags, uint32_t time, uint32_t size, const void *code, size_t len)
{
	const uint32_t head[] = { magic | 0x0a0d0000u, flags, time, size };
	struct hps_buf b = bytes_of(head, sizeof head);

	hps_buf_add(&b, code, len);
	return b;
}

static struct hps_buf write_pyc(const double *v)
{
	return pyc(3495, 1, 7, 8, v, N_VALUES * sizeof *v);
}

static void test_pyc(void **state)
{
	enum { THEN = 1795698000 };
	static const struct {
		unsigned magic, flags;
		uint32_t time, size;
		const char *code, *place;
		enum hps_output_verdict verdict;
	} cases[] = {
		{ 3495, 0, THEN + 9, 12, "code", NULL, HPS_OUTPUT_SAME_VALUES }, { 3495, 0, THEN, 13, "code", "source size", HPS_OUTPUT_DIVERGED },
		{ 3495, 0, THEN + 9, 12, "c0de", "code", HPS_OUTPUT_DIVERGED },	 { 3495, 0, 9, 12, "code", "source time", HPS_OUTPUT_DIVERGED },
		{ 3531, 0, THEN, 12, "code", "magic", HPS_OUTPUT_DIVERGED },	 { 3495, 1, THEN, 12, "code", "flags", HPS_OUTPUT_STRUCTURE },
		{ 62211, 0, THEN + 9, 12, "code", "pyc", HPS_OUTPUT_STRUCTURE }, { 3495, 4, THEN + 9, 12, "code", "pyc", HPS_OUTPUT_STRUCTURE },
	};
	const struct hps_tolerance unmasked = { .unmasked = HPS_MASK_BIT(HPS_MASK_TIME) };
	_cleanup_buf_ struct hps_buf a = pyc(3495, 0, THEN, 12, "code", 4);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct hps_buf b = pyc(cases[i].magic, cases[i].flags, cases[i].time, cases[i].size, cases[i].code, strlen(cases[i].code));
		_cleanup_comparison_ struct hps_comparison c = compare("__pycache__/m.pyc", &a, &b, &bits), strict = compare("m.pyc", &a, &b, &unmasked);

		assert_int_equal(c.verdict, cases[i].verdict);
		assert_int_equal(c.masked[HPS_MASK_TIME], !cases[i].place || !strcmp(cases[i].place, "code") || !strcmp(cases[i].place, "flags"));
		if (cases[i].place)
			assert_string_equal(c.place, cases[i].place);
		assert_true(strict.verdict >= HPS_OUTPUT_DIVERGED);
	}
}

static const struct {
	const char *path;
	struct hps_buf (*write)(const double *v);
} writers[] = {
	{ "m.json", write_json }, { "m.csv", write_csv }, { "log.txt", write_csv }, { "w.npy", write_npy },
	{ "w.npz", write_stored }, { "z.npz", write_deflated }, { "x.bin", write_bytes },
	{ "m.pyc", write_pyc },
};

static void test_no_false_reproduction(void **state)
{
	const char *given = getenv("HPS_TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)hps_time_now_ns();
	struct rng r = { seed };
	const struct hps_tolerance tight = { 0, 0, true, NULL, NULL, 0 };
	size_t n_pairs = 0, n_false = 0;

	(void)state;
	print_message("seed %llu (HPS_TEST_SEED)\n", (unsigned long long)seed);
	while (n_pairs < 1000 * ARRAY_SIZE(writers)) {
		double v[N_VALUES], w[N_VALUES];
		size_t k = n_pairs % ARRAY_SIZE(writers);
		_cleanup_buf_ struct hps_buf a = HPS_BUF_INIT, b = HPS_BUF_INIT;

		fill(&r, v, N_VALUES);
		memcpy(w, v, sizeof v);
		if (!mutate(&r, w, N_VALUES))
			continue;
		a = writers[k].write(v);
		b = writers[k].write(w);
		{
			_cleanup_comparison_ struct hps_comparison c = compare(writers[k].path, &a, &b, n_pairs / ARRAY_SIZE(writers) % 2 ? &tight : &bits);

			n_pairs++;
			if (c.verdict < HPS_OUTPUT_DIVERGED || !c.place) {
				n_false++;
				print_error("%s: %s\n", writers[k].path, hps_output_verdict_name(c.verdict));
			}
		}
	}
	assert_int_equal(n_false, 0);
}

/* Any byte but: white space and the letters of exponents, a zip member's head, and the last byte of a deflated one, which ends
 * in bits that say nothing. */
static void test_flipped_bits(void **state)
{
	struct rng r = { 7 };
	double v[N_VALUES];

	(void)state;
	fill(&r, v, N_VALUES);
	for (size_t k = 0; k < ARRAY_SIZE(writers); k++) {
		_cleanup_buf_ struct hps_buf a = writers[k].write(v);
		size_t from = k == 4 || k == 5 ? 35 : 0, to = k == 4 || k == 5 ? find(&a, "PK\3\4", 4, 4) - (k == 5) : a.len;

		for (size_t bit = from * 8; bit < to * 8; bit++) {
			_cleanup_buf_ struct hps_buf b = bytes_of(a.data, a.len);
			char old = a.data[bit / 8];

			b.data[bit / 8] = (char)(old ^ 1 << (bit % 8));
			if (strchr(" \n\r\teE", old) && strchr(" \n\r\teE", b.data[bit / 8]))
				continue;
			{
				_cleanup_comparison_ struct hps_comparison c = compare(writers[k].path, &a, &b, &bits);

				if (c.verdict < HPS_OUTPUT_DIVERGED)
					print_error("%s: bit %zu of %zu: %s\n", writers[k].path, bit, a.len * 8, hps_output_verdict_name(c.verdict));
				assert_true(c.verdict >= HPS_OUTPUT_DIVERGED);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_is_bounded),
		cmocka_unit_test(test_csv),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_a_line_put_in_is_one_difference),
		cmocka_unit_test(test_another_order_has_a_name),
		cmocka_unit_test(test_align),
		cmocka_unit_test(test_names_with_stamps),
		cmocka_unit_test(test_npy),
		cmocka_unit_test(test_npy_objects_stay_bytes),
		cmocka_unit_test(test_npy_hostile),
		cmocka_unit_test(test_npz),
		cmocka_unit_test(test_zip_hostile),
		cmocka_unit_test(test_pyc),
		cmocka_unit_test(test_confined_says_the_same),
		cmocka_unit_test(test_no_false_reproduction),
		cmocka_unit_test(test_flipped_bits),
	};

	return cmocka_run_group_tests_name("replay_compare", tests, NULL, NULL);
}
