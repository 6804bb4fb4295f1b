/* The witness against another implementation's transcript, and against what that leaves out: the memory, the lock, forks. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ledger/ledger.h"

static json_t *load(const char *name)
{
	const char *source = getenv("HPS_SOURCE");
	_cleanup_free_ char *path = hps_format("%s/tests/vectors/%s", source ? source : ".", name);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	json_t *j = NULL;

	assert_ok(hps_file_read(AT_FDCWD, path, 1 << 24, &text, err));
	assert_ok(hps_json_parse(text.data, text.len, &j, err));
	return j;
}

static int post(struct hps_witness *w, const char *body, struct hps_buf *ret)
{
	struct hps_serve_request request = { .method = "POST", .path = "/add-checkpoint", .body = body, .body_len = strlen(body) };
	struct hps_serve_reply reply = { .status = 200 };

	hps_buf_init(&reply.body, 1 << 20);
	hps_witness_handle(w, &request, &reply);
	hps_buf_reset(ret);
	hps_buf_add(ret, reply.body.data, reply.body.len);
	hps_buf_release(&reply.body);
	return reply.status;
}

/* In order, from an empty memory. The transcript is of before tlog-witness 1.0.0, which says 404 for an unknown log. */
static void test_transcript(void **state)
{
	_cleanup_json_ json_t *j = load("tlog-witness-requests.json");
	const json_t *requests = json_object_get(j, "requests"), *one;
	char dir[] = "/tmp/hps-unit.XXXXXX";
	_cleanup_buf_ struct hps_buf answer = HPS_BUF_INIT;
	struct hps_witness *w = NULL, *other = NULL;
	size_t i;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_ok(hps_witness_create(dir, hps_json_text(j, "witness_name"), NULL, err));
	assert_fails(-17, hps_witness_create(dir, "again", NULL, err));
	assert_ok(hps_witness_add_log(dir, hps_json_text(j, "log_vkey"), err));
	assert_ok(hps_witness_open(dir, NULL, &w, err));
	assert_fails(HPS_E_DENIED, hps_witness_open(dir, NULL, &other, err));
	assert_int_equal(json_array_size(requests), 9);
	json_array_foreach(requests, i, one) {
		const char *expected = hps_json_text(one, "assert_body"), *op = hps_json_text(one, "assert_op");
		int wanted = (int)hps_json_int(one, "status", 0), got = post(w, hps_json_text(one, "request"), &answer);
		bool unknown = expected && strstr(expected, "unknown log");

		if (got != (unknown ? 404 : wanted))
			fail_msg("request %zu: %d instead of %d: %s", i, got, wanted, answer.data);
		if (expected && op && got == 200)
			assert_non_null(strstr(answer.data, expected));
		if (got == 409)
			assert_string_equal(answer.data, expected);
		/* Killed and started again: the memory is the same. */
		hps_witness_free(w);
		assert_ok(hps_witness_open(dir, NULL, &w, err));
	}
	hps_witness_free(w);
	assert_ok(hps_dir_remove(AT_FDCWD, dir, err));
}

static char *request_of(uint64_t old, uint64_t size, uint8_t root, const char *origin, const struct hps_key *key)
{
	struct hps_checkpoint c = { .origin = (char *)(uintptr_t)origin, .size = size, .root = { { root } } };
	_cleanup_buf_ struct hps_buf body = HPS_BUF_INIT;

	hps_buf_addf(&body, "old %llu\n\n", (unsigned long long)old);
	assert_ok(hps_checkpoint_sign(&c, key, &body, err));
	return hps_buf_take(&body);
}

static void expect(struct hps_witness *w, int status, char *body)
{
	_cleanup_buf_ struct hps_buf answer = HPS_BUF_INIT;
	_cleanup_free_ char *owned = body;
	int got = post(w, owned, &answer);

	if (got != status)
		fail_msg("%d instead of %d: %s\n%s", got, status, answer.data, owned);
}

/* Never two roots for one size; the second is kept as evidence, which convicts the log by itself. */
static void test_two_roots_for_one_size(void **state)
{
	_cleanup_key_ struct hps_key *key = NULL, *other = NULL;
	_cleanup_free_ char *vkey = NULL, *name = NULL;
	_cleanup_buf_ struct hps_buf evidence = HPS_BUF_INIT;
	char dir[] = "/tmp/hps-unit.XXXXXX";
	struct hps_witness *w = NULL;
	struct hps_vkey log = { 0 }, wrong = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_ok(hps_key_generate(HPS_KEY_ED25519, &key, err));
	assert_ok(hps_key_generate(HPS_KEY_ED25519, &other, err));
	vkey = hps_vkey_format("log.example", key);
	assert_ok(hps_vkey_parse(vkey, &log, err));
	assert_ok(hps_witness_create(dir, "w.example", NULL, err));
	assert_ok(hps_witness_add_log(dir, vkey, err));
	assert_ok(hps_witness_add_log(dir, vkey, err));
	assert_ok(hps_witness_open(dir, NULL, &w, err));
	expect(w, 403, request_of(0, 5, 1, "log.example", other));
	expect(w, 404, request_of(0, 5, 1, "other.example", key));
	expect(w, 200, request_of(0, 5, 1, "log.example", key));
	expect(w, 200, request_of(5, 5, 1, "log.example", key));
	expect(w, 409, request_of(0, 5, 1, "log.example", key));
	expect(w, 409, request_of(3, 9, 1, "log.example", key));
	expect(w, 400, request_of(9, 5, 1, "log.example", key));
	expect(w, 422, request_of(5, 6, 1, "log.example", key)); /* no proof */
	expect(w, 422, request_of(5, 5, 2, "log.example", key));
	expect(w, 200, request_of(5, 5, 1, "log.example", key));
	expect(w, 400, hps_strdup("old x\n\n"));
	expect(w, 400, hps_strdup(""));
	expect(w, 400, hps_strdup("old 5\nAAAA\n\nlog.example\n"));
	name = hps_format("%s/evidence/fork-5-0200000000000000.json", dir);
	assert_ok(hps_file_read(AT_FDCWD, name, 1 << 20, &evidence, err));
	assert_fails(HPS_E_FALSE, hps_misbehaviour_check(evidence.data, evidence.len, &log, err));
	free(vkey);
	vkey = hps_vkey_format("log.example", other);
	assert_ok(hps_vkey_parse(vkey, &wrong, err));
	assert_fails(HPS_E_SIGNATURE, hps_misbehaviour_check(evidence.data, evidence.len, &wrong, err));
	hps_vkey_release(&log);
	hps_vkey_release(&wrong);
	hps_witness_free(w);
	assert_fails(HPS_E_USAGE, hps_witness_add_log(dir, vkey, err)); /* the same log with another key */
	assert_ok(hps_dir_remove(AT_FDCWD, dir, err));
}

static void judge(const char *dir, const char *name, int wanted, const struct hps_key *trusted, const char *without)
{
	_cleanup_free_ char *path = hps_format("%s/evidence/%s", dir, name), *vkey = hps_vkey_format("log.example", trusted);
	_cleanup_(hps_vkey_release) struct hps_vkey log = { 0 };
	_cleanup_buf_ struct hps_buf evidence = HPS_BUF_INIT, weaker = HPS_BUF_INIT;
	_cleanup_json_ json_t *j = NULL;

	assert_ok(hps_vkey_parse(vkey, &log, err));
	assert_ok(hps_file_read(AT_FDCWD, path, 1 << 20, &evidence, err));
	assert_ok(hps_json_parse(evidence.data, evidence.len, &j, err));
	if (without)
		assert_int_equal(json_object_del(j, without), 0);
	assert_ok(hps_json_canonical(j, &weaker, err));
	assert_fails(wanted, hps_misbehaviour_check(weaker.data, weaker.len, &log, err));
}

static char *handover_of(uint64_t size, uint8_t root, const struct hps_key *former, const struct hps_key *next)
{
	const struct hps_checkpoint c = { .origin = (char *)(uintptr_t)"log.example", .size = size, .root = { { root } } };
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;

	assert_ok(hps_handover_sign(&c, former, next, &note, err));
	return hps_buf_take(&note);
}

/* What the witness cosigned under the former key, and what the log signs under the next, are of one log: evidence holds both, and convinces
 * whoever trusts either key; without the handover it does not. */
static void test_evidence_across_a_handover(void **state)
{
	_cleanup_key_ struct hps_key *former = NULL, *next = NULL, *thief = NULL;
	_cleanup_free_ char *vkey = NULL, *handover = NULL, *other = NULL, *foreign = NULL;
	char dir[] = "/tmp/hps-unit.XXXXXX";
	struct hps_witness *w = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_ok(hps_key_generate(HPS_KEY_ED25519, &former, err));
	assert_ok(hps_key_generate(HPS_KEY_ED25519, &next, err));
	assert_ok(hps_key_generate(HPS_KEY_ED25519, &thief, err));
	vkey = hps_vkey_format("log.example", former);
	assert_ok(hps_witness_create(dir, "w.example", NULL, err));
	assert_ok(hps_witness_add_log(dir, vkey, err));
	assert_ok(hps_witness_open(dir, NULL, &w, err));
	expect(w, 200, request_of(0, 5, 1, "log.example", former));
	hps_witness_free(w);

	handover = handover_of(5, 1, former, next);
	other = handover_of(5, 1, former, thief);
	foreign = handover_of(5, 1, thief, next);
	assert_fails(HPS_E_SIGNATURE, hps_witness_follow(dir, foreign, strlen(foreign), err)); /* of a key that it does not know */
	assert_ok(hps_witness_follow(dir, handover, strlen(handover), err));
	assert_ok(hps_witness_follow(dir, handover, strlen(handover), err));
	assert_fails(HPS_E_FALSE, hps_witness_follow(dir, other, strlen(other), err));
	judge(dir, "fork-log-keys.json", HPS_E_FALSE, former, NULL);
	judge(dir, "fork-log-keys.json", HPS_E_FALSE, next, NULL);
	judge(dir, "fork-log-keys.json", HPS_E_FALSE, thief, NULL);
	judge(dir, "fork-log-keys.json", HPS_E_FORMAT, former, "handoversBefore");

	assert_ok(hps_witness_open(dir, NULL, &w, err));
	expect(w, 422, request_of(5, 5, 2, "log.example", next));
	judge(dir, "fork-5-0200000000000000.json", HPS_E_FALSE, former, NULL);
	judge(dir, "fork-5-0200000000000000.json", HPS_E_FALSE, next, NULL);
	judge(dir, "fork-5-0200000000000000.json", HPS_E_SIGNATURE, thief, NULL);
	judge(dir, "fork-5-0200000000000000.json", HPS_E_SIGNATURE, former, "handovers");
	judge(dir, "fork-5-0200000000000000.json", HPS_E_SIGNATURE, next, "handovers");
	expect(w, 403, request_of(5, 7, 3, "log.example", former)); /* it had been replaced at five */
	judge(dir, "fork-7-0300000000000000.json", HPS_E_FALSE, former, NULL);
	judge(dir, "fork-7-0300000000000000.json", HPS_E_FALSE, next, NULL);
	judge(dir, "fork-7-0300000000000000.json", HPS_E_SIGNATURE, next, "handovers");
	expect(w, 403, request_of(5, 5, 1, "log.example", former)); /* an older one is no crime, but not this log's key now */
	expect(w, 200, request_of(5, 5, 1, "log.example", next));
	hps_witness_free(w);
	assert_ok(hps_dir_remove(AT_FDCWD, dir, err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transcript),
		cmocka_unit_test(test_two_roots_for_one_size),
		cmocka_unit_test(test_evidence_across_a_handover),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
