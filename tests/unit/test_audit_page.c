/* The page: hostile strings stay text, nothing outside is asked for, the chart says what the records say. */
#include "tests/unit/unit.h"
#include "tests/unit/audit_fixture.h"

#include <ctype.h>
#include <math.h>

static size_t count(const char *text, const char *part)
{
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, part)); p += strlen(part))
		n++;
	return n;
}

/* ---- html.c */

static void test_text_is_escaped(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "<script>", "&lt;script&gt;" },
		{ "a\"b'c&d", "a&quot;b&#39;c&amp;d" },
		{ "\x1b[31m", "\\x1b[31m" },
		{ "\xe2\x80\xae" "gpj", "\\u{202e}gpj" },
		{ "\xff", "\\xff" },
		{ "line\nline", "line\\x0aline" },
		{ "caf\xc3\xa9 50%", "caf\xc3\xa9 50%" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;
		_cleanup_free_ char *want = hps_format("<b title=\"%s\">", rows[i].out);

		hps_html(&out, "<b title=\"%s\">", rows[i].in);
		assert_string_equal(out.data, want);
	}
}

static void test_text_is_cut(void **state)
{
	_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;
	char text[HPS_HTML_TEXT_MAX + 10];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	memcpy(text + HPS_HTML_TEXT_MAX - 1, "\xc3\xa9", 2); /* would be torn */
	hps_html(&out, "%s", text);
	assert_int_equal(out.len, HPS_HTML_TEXT_MAX - 1 + strlen("…"));
	assert_string_equal(out.data + HPS_HTML_TEXT_MAX - 1, "…");
}

static void test_conversions(void **state)
{
	_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;
	_cleanup_buf_ struct hps_buf number = HPS_BUF_INIT;

	(void)state;
	hps_html(&out, "%d %zu %lu %ld %.2f 100%% %s", -1, (size_t)2, 3UL, -4L, 0.125, "e");
	assert_string_equal(out.data, "-1 2 3 -4 0.12 100% e");
	hps_html_number(&number, 0.98222222);
	hps_buf_addc(&number, ' ');
	hps_html_number(&number, 123456);
	assert_string_equal(number.data, "0.9822 123456");
}

static void test_long_numbers_are_rounded(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = { { "0.98", "<bdi>0.98</bdi>" },
		     { "0.98222222222", "<bdi title=\"0.98222222222\">0.98222</bdi>" },
		     { "not a number <", "<bdi>not a number &lt;</bdi>" },
		     { "123456789", "<bdi>123456789</bdi>" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;

		hps_page_value(&out, rows[i].in);
		assert_string_equal(out.data, rows[i].out);
	}
}

static void test_durations(void **state)
{
	static const struct {
		double seconds;
		const char *text;
	} rows[] = { { 0.0412, "41 ms" }, { 3.24, "3.2 s" }, { 250, "4 min 10 s" }, { 7500, "2 h 5 min" }, { -1, "unknown" }, { NAN, "unknown" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char out[32];

		hps_duration(rows[i].seconds, out);
		assert_string_equal(out, rows[i].text);
	}
}

/* ---- chart.c */

static void test_ticks(void **state)
{
	double t[16];

	(void)state;
	assert_int_equal(hps_chart_ticks(0.951, 0.983, 6, false, t), 6);
	assert_true(fabs(t[0] - 0.955) < 1e-12 && fabs(t[5] - 0.98) < 1e-12);
	assert_int_equal(hps_chart_ticks(-0.4, 11.4, 12, true, t), 12);
	assert_true(t[0] == 0 && t[11] == 11);
	assert_int_equal(hps_chart_ticks(0.2, 1.8, 12, true, t), 1); /* whole numbers alone */
	assert_int_equal(hps_chart_ticks(1, 1, 6, false, t), 0);
	assert_int_equal(hps_chart_ticks(0, INFINITY, 6, false, t), 0);
	for (int i = 0; i < 2000; i++) {
		double low = sin(i) * pow(10, i % 30 - 15), high = low + fabs(cos(i)) * pow(10, i % 23 - 11);
		size_t n = hps_chart_ticks(low, high, 8, i % 2, t);

		assert_true(n <= 8);
		for (size_t j = 1; j < n; j++)
			assert_true(t[j] > t[j - 1]);
	}
}

static void test_chart_shapes(void **state)
{
	_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;
	char label[] = "trial <1>";
	struct hps_point points[] = { { .x = 0, .y = 1, .label = label }, { .x = 1, .failed = true }, { .x = 2, .y = 2, .best = true }, { .x = 3, .y = 1.5 } };
	struct hps_chart c = { .id = "c", .title = "t<", .description = "d&", .x_label = "x", .y_label = "y", .points = points, .n_points = 4, .goal = HPS_GOAL_MAX,
			       .x_integers = true };

	(void)state;
	hps_chart_svg(&out, &c);
	assert_int_equal(count(out.data, "<circle class=\"point"), 3);
	assert_int_equal(count(out.data, "class=\"ring\""), 1);
	assert_int_equal(count(out.data, "class=\"failed\""), 1);
	assert_int_equal(count(out.data, "class=\"best-line\""), 1);
	assert_int_equal(count(out.data, "V"), 1); /* one improvement: one step */
	assert_non_null(strstr(out.data, "<title>trial &lt;1&gt;</title>"));
	assert_non_null(strstr(out.data, "t&lt;</title>"));
	assert_non_null(strstr(out.data, "role=\"img\" aria-labelledby=\"c-title c-text\""));
	assert_null(strstr(out.data, "nan"));
}

static void test_logarithmic_axis(void **state)
{
	static const struct {
		double low, high;
		const char *labels;
	} rows[] = { { 17, 240, ">20<>50<>100<>200<" }, { 1e-6, 0.1, ">1e-6<>1e-4<>0.01<" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT, labels = HPS_BUF_INIT;
		struct hps_point points[] = { { .x = rows[i].low, .y = 1 }, { .x = rows[i].high, .y = 2 } };
		struct hps_chart c = { .id = "c", .title = "t", .description = "d", .x_label = "x", .y_label = "y", .points = points, .n_points = 2, .x_log = true,
				       .shape = HPS_CHART_SMALL };

		hps_chart_svg(&out, &c);
		for (const char *p = out.data; (p = strstr(p, "text-anchor=\"middle\">")); p++)
			if (strncmp(strchr(p, '>'), ">x<", 3) != 0)
				hps_buf_addf(&labels, "%.*s", (int)strcspn(strchr(p, '>'), "<") + 1, strchr(p, '>'));
		assert_string_equal(labels.data, rows[i].labels);
	}
}

/* No value at all, one value, equal values, huge values: every coordinate is a number. */
static void test_chart_extremes(void **state)
{
	static const double values[][3] = { { 1, 1, 1 }, { 0, 0, 0 }, { 1e300, -1e300, 0 }, { 1e-300, 2e-300, 3e-300 }, { 5, 5.0000000001, 5 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		for (size_t n = 0; n <= 3; n++) {
			_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;
			struct hps_point points[3] = { 0 };
			struct hps_chart c = { .id = "c", .title = "t", .description = "d", .x_label = "x", .y_label = "y", .points = points, .n_points = n,
					       .goal = HPS_GOAL_MIN };

			for (size_t j = 0; j < 3; j++)
				points[j] = (struct hps_point){ .x = (double)j, .y = values[i][j], .failed = i == 1 };
			hps_chart_svg(&out, &c);
			assert_null(strstr(out.data, "nan"));
			assert_null(strstr(out.data, "inf"));
		}
	}
}

/* ---- the page */

static char *render(struct fixture *x, const char *only)
{
	struct hps_buf out = HPS_BUF_INIT;

	fixture_link(x, only);
	hps_page_write(&out, &x->source, &x->findings);
	return hps_buf_take(&out);
}

/* Every element that is opened is closed, in order: what is unbalanced was broken out of. */
static void assert_balanced(const char *page)
{
	static const char *const empty[] = { "meta", "line", "path", "circle", "!doctype" };
	struct hps_strv open = HPS_STRV_INIT;

	for (const char *p = page; (p = strchr(p, '<')); p++) {
		bool closing = p[1] == '/';
		const char *name = p + 1 + closing, *end = strchr(p, '>');
		size_t len = strcspn(name, " />\n");
		bool none = end[-1] == '/';

		for (size_t i = 0; i < ARRAY_SIZE(empty); i++)
			none |= len == strlen(empty[i]) && !strncmp(name, empty[i], len);
		if (none)
			continue;
		if (!closing) {
			hps_strv_add_take(&open, hps_strndup(name, len));
			continue;
		}
		assert_true(open.n > 0);
		if (strlen(open.v[open.n - 1]) != len || strncmp(open.v[open.n - 1], name, len) != 0)
			print_error("<%s> is closed by </%.*s>\n", open.v[open.n - 1], (int)len, name);
		assert_int_equal(strlen(open.v[open.n - 1]), len);
		assert_memory_equal(open.v[open.n - 1], name, len);
		free(open.v[--open.n]);
		open.v[open.n] = NULL;
	}
	assert_int_equal(open.n, 0);
	hps_strv_release(&open);
}

static void assert_self_contained(const char *page)
{
	static const char *const forbidden[] = { "http:", "https:", "//", "src=", "href=", "<script", "<link", "<img", "<iframe", "<form", "url(", "@import",
						 " style=", " onload", "javascript:" };

	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++)
		if (strstr(page, forbidden[i])) {
			print_error("the page has '%s': %.80s\n", forbidden[i], strstr(page, forbidden[i]));
			fail();
		}
	assert_non_null(strstr(page, "default-src &#39;none&#39;"));
}

/* The policy allows this style sheet and no other. */
static void test_policy_names_the_style(void **state)
{
	struct fixture *x = fixture_new();
	_cleanup_free_ char *page = render(x, NULL);
	_cleanup_buf_ struct hps_buf hash = HPS_BUF_INIT;
	_cleanup_free_ char *want = NULL;
	const char *style = strstr(page, "<style>") + strlen("<style>");
	struct hps_digest d;

	(void)state;
	hps_digest_of(style, (size_t)(strstr(style, "</style>") - style), &d);
	hps_base64(&hash, d.b, sizeof(d.b));
	want = hps_format("style-src &#39;sha256-%s&#39;", hash.data);
	assert_non_null(strstr(page, want));
	fixture_free(x);
}

static void test_page_of_a_study(void **state)
{
	struct fixture *x = fixture_new();
	_cleanup_free_ char *page = NULL;

	(void)state;
	fixture_study(x, "digits");
	fixture_verdict(x, &x->entries[7], "REPRODUCED-BITS"); /* number 1 */
	page = render(x, NULL);
	assert_balanced(page);
	assert_self_contained(page);
	assert_non_null(strstr(page, "The evidence holds."));
	assert_non_null(strstr(page, "<strong>4 trials</strong>"));
	assert_non_null(strstr(page, "3 finished, 1 failed"));
	assert_non_null(strstr(page, "was <strong><bdi>0.95</bdi></strong>, in trial 1"));
	assert_non_null(strstr(page, "trial 1 was judged <strong>REPRODUCED-BITS</strong>"));
	assert_int_equal(count(page, "<tr class=\"best\">"), 1);
	assert_int_equal(count(page, "<span class=\"pill bad\">failed</span>"), 1);
	assert_int_equal(count(page, "<span class=\"pill good\">pass</span>"), 13);
	assert_null(strstr(page, "compliant with"));
	fixture_free(x);
}

static void test_page_of_a_divergence(void **state)
{
	struct fixture *x = fixture_new();
	_cleanup_free_ char *page = NULL;
	json_t *p;

	(void)state;
	fixture_study(x, "digits");
	p = fixture_predicate(fixture_verdict(x, &x->entries[7], "DIVERGED"));
	hps_json_set_text(p, "hps_reason", "1 of 2 outputs differs");
	hps_json_set(p, "hps_outputs", fixture_json("[{\"path\":\"/a/w.npz\",\"verdict\":\"DIVERGED\",\"place\":\"w[3]\",\"original\":\"1\",\"rerun\":\"2\"},"
						    "{\"path\":\"/a/m.json\",\"verdict\":\"IDENTICAL\"}]"));
	hps_json_set(p, "hps_holes", fixture_json("[{\"what\":\"variable X\",\"why\":\"withheld\"}]"));
	page = render(x, NULL);
	assert_balanced(page);
	assert_non_null(strstr(page, "an output came out different: <bdi>1 of 2 outputs differs</bdi>"));
	assert_non_null(strstr(page, "first at <bdi>w[3]</bdi>: <bdi>1</bdi> was recorded, <bdi>2</bdi> came out"));
	assert_non_null(strstr(page, "<li><bdi>variable X</bdi>: <bdi>withheld</bdi></li>"));
	assert_int_equal(count(page, "<span class=\"pill good\">IDENTICAL</span>"), 1);
	fixture_free(x);
}

/* A later verdict takes no earlier one away, and a tolerance says where it came from. */
static void test_page_of_two_verdicts(void **state)
{
	struct fixture *x = fixture_new();
	_cleanup_free_ char *page = NULL;
	json_t *p;

	(void)state;
	fixture_study(x, "digits");
	hps_json_set_text(fixture_predicate(fixture_verdict(x, &x->entries[7], "DIVERGED")), "hps_reason", "1 of 2 outputs differs");
	p = fixture_predicate(fixture_verdict(x, &x->entries[7], "REPRODUCED-WITHIN"));
	hps_json_set(p, "hps_tolerance", fixture_json("{\"source\":\"declared\",\"rtol\":\"1000\"}"));
	page = render(x, NULL);
	assert_balanced(page);
	assert_non_null(strstr(page, "trial 1 was judged <strong>REPRODUCED-WITHIN</strong>"));
	assert_non_null(strstr(page, "An earlier rerun of it was judged <strong>DIVERGED</strong>"));
	assert_int_equal(count(page, "<span class=\"pill bad\">DIVERGED</span>"), 2);
	assert_int_equal(count(page, "<span class=\"pill good\">REPRODUCED-WITHIN</span>"), 2);
	assert_non_null(strstr(page, "1 of 2 outputs differs"));
	assert_non_null(strstr(page, "Tolerance: given with the command of that replay, relative <bdi>1000</bdi>."));
	fixture_free(x);
}

static void test_page_of_nothing(void **state)
{
	struct fixture *x = fixture_new();
	_cleanup_free_ char *page = render(x, NULL);

	(void)state;
	assert_balanced(page);
	assert_self_contained(page);
	assert_non_null(strstr(page, "An empty ledger"));
	assert_null(strstr(page, "The evidence holds"));
	fixture_free(x);
}

static void test_page_says_damage(void **state)
{
	struct fixture *x = fixture_new();
	_cleanup_free_ char *page = NULL;

	(void)state;
	fixture_study(x, "digits");
	fixture_problem(x, 5, "tiles/envelope/aa.json", "the envelope does not hash to its leaf");
	page = render(x, NULL);
	assert_non_null(strstr(page, "This ledger is damaged."));
	assert_non_null(strstr(page, "entry <strong>@5</strong> <code>tiles/envelope/aa.json</code>"));
	assert_null(strstr(page, "The evidence holds"));
	fixture_free(x);
}

/* Whatever a trial calls itself, the page has the same elements as for a harmless name. */
static void test_hostile_names(void **state)
{
	static const char *const names[] = { "<script>alert(1)</script>", "\\\"onload=x\\\"", "'><svg/onload=x>", "</style></table>", "\\u001b]0;x\\u0007",
					     "\\u202egnp.exe", "&lt;b&gt;", "--></title>", "{{7*7}}", "%s%n%d", "\\ud83d\\ude00" };
	size_t elements = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct fixture *x = fixture_new();
		_cleanup_json_ json_t *name = fixture_json("[\"%s\"]", names[i]);
		const char *study = json_string_value(json_array_get(name, 0));
		_cleanup_free_ char *params = hps_format("{\"%s\":\"%s\",\"b\":\"1\"}", names[i], names[i]);
		_cleanup_free_ char *metrics = hps_format("{\"accuracy\":\"0.5\",\"z%s\":\"%s\"}", names[i], names[i]);
		_cleanup_free_ char *page = NULL;
		struct hps_entry *trial;

		fixture_register(x, study, "max");
		fixture_number(x, study, 0, "complete", params, metrics);
		trial = fixture_number(x, study, 1, "complete", params, "{\"accuracy\":\"0.01\"}");
		hps_json_set(fixture_predicate(trial), "coverage", fixture_json("{\"complete\":false,\"gaps\":[{\"what\":\"%s\",\"why\":\"%s\"}]}", names[i], names[i]));
		hps_json_add(json_object_get(fixture_predicate(trial), "identities"),
			     fixture_json("{\"name\":\"cpu.count\",\"value\":\"%s\",\"source\":\"%s\",\"strength\":\"%s\"}", names[i], names[i], names[i]));
		fixture_verdict(x, trial, study);
		page = render(x, NULL);
		assert_balanced(page);
		assert_self_contained(page);
		for (const char *p = page; *p; p++)
			assert_true((unsigned char)*p >= 0x20 || *p == '\n');
		assert_null(strstr(page, "\xe2\x80\xae"));
		if (!elements)
			elements = count(page, "<");
		assert_int_equal(count(page, "<"), elements);
		fixture_free(x);
	}
}

/* Nothing comes from the clock, the address space or the machine. */
static void test_same_ledger_same_page(void **state)
{
	_cleanup_free_ char *pages[2] = { NULL, NULL };
	char *first, *second;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct fixture *x = fixture_new();

		fixture_study(x, "digits");
		fixture_study(x, "wine");
		pages[i] = render(x, NULL);
		fixture_free(x);
	}
	first = pages[0];
	second = pages[1];
	assert_string_equal(first, second);
	free(second);
}

/* ---- check */

static void test_check_json(void **state)
{
	struct fixture *x = fixture_new();
	_cleanup_json_ json_t *j = NULL;

	(void)state;
	fixture_begin(x, NULL, -1);
	fixture_link(x, NULL);
	j = hps_check_json(&x->source, &x->findings);
	assert_string_equal(hps_json_text(j, "schema"), "hps.audit.check/1");
	assert_string_equal(hps_json_text(j, "outcome"), "fail");
	assert_int_equal(json_array_size(json_object_get(j, "rules")), 19);
	assert_true(json_is_true(json_object_get(json_object_get(j, "ledger"), "holds")));
	assert_int_equal(hps_json_int(json_array_get(json_object_get(json_array_get(json_object_get(j, "rules"), 8), "offenders"), 0), "index", -1), 0);
	fixture_free(x);
}

static void test_check_text_is_safe(void **state)
{
	struct fixture *x = fixture_new();
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	fixture_trial(x, fixture_begin(x, "\x1b[2J", 1), "complete", "{}", "{}");
	fixture_trial(x, fixture_begin(x, "\x1b[2J", 1), "complete", "{}", "{}");
	fixture_link(x, NULL);
	hps_check_text(&x->source, &x->findings, out);
	fclose(out);
	assert_non_null(strstr(text, "ID-01  fail"));
	assert_non_null(strstr(text, "\\x1b[2J"));
	assert_null(strchr(text, '\x1b'));
	free(text);
	fixture_free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_is_escaped), cmocka_unit_test(test_text_is_cut),
		cmocka_unit_test(test_conversions),	cmocka_unit_test(test_durations),
		cmocka_unit_test(test_long_numbers_are_rounded), cmocka_unit_test(test_logarithmic_axis),
		cmocka_unit_test(test_page_of_a_divergence),
		cmocka_unit_test(test_ticks),		cmocka_unit_test(test_chart_shapes),
		cmocka_unit_test(test_chart_extremes),	cmocka_unit_test(test_policy_names_the_style),
		cmocka_unit_test(test_page_of_a_study), cmocka_unit_test(test_page_of_two_verdicts), cmocka_unit_test(test_page_of_nothing),
		cmocka_unit_test(test_page_says_damage), cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_same_ledger_same_page), cmocka_unit_test(test_check_json),
		cmocka_unit_test(test_check_text_is_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
