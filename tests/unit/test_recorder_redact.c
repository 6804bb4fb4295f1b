/* Secrets: what is a name or value of one, and that nothing of it is written. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "recorder/identity.h"

static const struct hps_redactor redactor = { .key = "0123456789abcdef0123456789abcde" };

static void test_names(void **state)
{
	static const char *const secret[] = { "API_KEY", "apiKey", "WANDB_API_KEY", "db.password", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "authHeader", "session-id", "OPENAI_APIKEY", "PGPASSWORD" };
	static const char *const harmless[] = { "TOKENIZERS_PARALLELISM", "max_tokens", "key_dim", "keyboard", "monkey", "author", "passenger", "lr", "hidden_size", "compass", "tokenizer" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(secret); i++) {
		if (!hps_redact_name_is_secret(secret[i]))
			print_error("%s\n", secret[i]);
		assert_true(hps_redact_name_is_secret(secret[i]));
	}
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++) {
		if (hps_redact_name_is_secret(harmless[i]))
			print_error("%s\n", harmless[i]);
		assert_false(hps_redact_name_is_secret(harmless[i]));
	}
}

/* Tokens are put together here, so that no scanner finds one in this file. */
static void test_values(void **state)
{
	static const char *const prefixes[] = { "ghp_", "hf_", "AKIA", "glpat-", "sk-", "npm_" };
	static const char *const harmless[] = { "sk-learn", "hf_hub", "0123456789abcdef0123456789abcdef01234567", "risk-0123456789abcdef0123456789", "model.bin", "epoch=3" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		_cleanup_free_ char *token = hps_format("%s%s", prefixes[i], "0A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r");
		_cleanup_free_ char *text = hps_format("before=%s after", token), *clean = hps_redact_text(&redactor, text);

		assert_true(hps_redact_value_is_secret(token));
		assert_null(strstr(clean, token + 6));
		assert_non_null(strstr(clean, "hmac:"));
		assert_non_null(strstr(clean, " after"));
	}
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		assert_false(hps_redact_value_is_secret(harmless[i]));
}

static void test_urls(void **state)
{
	_cleanup_free_ char *clean = hps_redact_text(&redactor, "https://user:hunter2@example.org/a?lr=1&token=swordfish&x=2#y");

	(void)state;
	assert_null(strstr(clean, "hunter2"));
	assert_null(strstr(clean, "swordfish"));
	assert_non_null(strstr(clean, "@example.org/a?lr=1&token=hmac:"));
	assert_non_null(strstr(clean, "&x=2#y"));
}

static void check_argument(const char *previous, const char *argument, bool kept)
{
	_cleanup_free_ char *clean = hps_redact_argument(&redactor, previous, argument);

	if (kept)
		assert_string_equal(clean, argument);
	else
		assert_non_null(strstr(clean, "hmac:"));
}

static void test_arguments(void **state)
{
	(void)state;
	check_argument("--api-key", "hunter2", false);
	check_argument(NULL, "--api-key=hunter2", false);
	check_argument(NULL, "db.password=hunter2", false);
	check_argument("--lr", "0.1", true);
	check_argument("--max-tokens", "512", true);
	check_argument("--use-token", "--lr", true);
	check_argument(NULL, "data/key=1/part", true);
}

static void test_environment(void **state)
{
	_cleanup_strv_ struct hps_strv envp = LIST_OF("PATH=/bin", "OMP_NUM_THREADS=2", "MY_NOTE=hello", "HPS_TOKEN=hunter2", "CUDA_PROXY=http://u:hunter2@h/");
	_cleanup_json_ json_t *clear = json_object(), *tags = json_object();
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	(void)state;
	hps_redact_environment(&redactor, envp.v, clear, tags);
	assert_ok(hps_json_canonical(clear, &text, err));
	assert_string_equal(text.data, "{\"OMP_NUM_THREADS\":\"2\",\"PATH\":\"/bin\"}");
	assert_int_equal(json_object_size(tags), 3);
	hps_buf_reset(&text);
	assert_ok(hps_json_canonical(tags, &text, err));
	assert_null(strstr(text.data, "hunter2"));
	assert_null(strstr(text.data, "hello"));
}

/* Equal values under one key and name are equal, and nothing else is. */
static void test_tags(void **state)
{
	struct hps_redactor other = redactor;
	_cleanup_free_ char *a = hps_redact_tag(&redactor, "X", "value"), *b = hps_redact_tag(&redactor, "X", "value");
	_cleanup_free_ char *c = hps_redact_tag(&redactor, "Y", "value"), *d = hps_redact_tag(&redactor, "X", "valuf"), *e = NULL;

	(void)state;
	other.key[0] ^= 1;
	e = hps_redact_tag(&other, "X", "value");
	assert_string_equal(a, b);
	assert_string_not_equal(a, c);
	assert_string_not_equal(a, d);
	assert_string_not_equal(a, e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	  cmocka_unit_test(test_values),      cmocka_unit_test(test_urls),
		cmocka_unit_test(test_arguments), cmocka_unit_test(test_environment), cmocka_unit_test(test_tags),
	};

	return cmocka_run_group_tests_name("recorder_redact", tests, NULL, NULL);
}
