/* Level 4: time limits are reached in their order, on a clock that stands still while somebody can go on. */
#include "tests/unit/shim_fixture.h"

#define MS (NS / 1000)

static void test_durations(void **state)
{
	const struct timespec t = { 2, 7 }, ever = { INT64_MAX / 2, 0 };
	struct hps_waiting w;

	(void)state;
	assert_int_equal(hps_waiting_duration(NULL), HPS_NEVER);
	assert_int_equal(hps_waiting_duration(&ever), HPS_NEVER);
	assert_int_equal(hps_waiting_duration(&t), 2 * NS + 7);
	hps_shim.head->clock = 5;
	hps_waiting_begin(&w, -3);
	assert_int_equal(w.limit, 5);
	assert_true(hps_waiting_over(&w));
	hps_waiting_begin(&w, HPS_NEVER - 1);
	assert_int_equal(w.limit, HPS_NEVER);
}

/* Alone: it waits by the machine, and our clock says exactly what was waited for. */
static void test_a_limit_is_reached(void **state)
{
	int64_t before = hps_gate_now();
	struct hps_waiting w;

	(void)state;
	hps_waiting_begin(&w, 30 * MS);
	while (!hps_waiting_round(&w))
		;
	assert_true(hps_gate_now() - before >= 30 * MS);
	assert_int_equal(hps_shim.head->clock, 30 * MS);
	assert_int_equal(hps_slot_mine()->limit, HPS_NEVER);
	assert_int_equal(hps_shim.head->idle, 0);
}

/* Of two limits the earlier one, of equal ones the lower slot's: however late the machine's clock is. */
static void test_the_earliest_first(void **state)
{
	uint32_t other = add_slot(1);
	struct hps_waiting w = { .limit = 20 };

	(void)state;
	hps_slots()[other].limit = 10;
	hps_shim.head->idle = 100;
	atomic_store(&hps_slots()[other].state, HPS_SHIM_LIVE);
	hps_shim_thread.slot = other; /* what the other one sees */
	w.limit = 10;
	assert_true(hps_waiting_round(&w));
	assert_int_equal(hps_shim.head->clock, 10);
	hps_shim_thread.slot = 0;
	hps_slots()[other].limit = 20;
	w.limit = 20;
	hps_shim.head->idle = 100;
	assert_true(hps_waiting_round(&w)); /* equal: slot 0 is first */
}

/* While others go on, nobody's limit is reached, late as it may be. */
static void test_not_while_somebody_goes_on(void **state)
{
	pid_t pid = passes_turns(add_slot(1), 20);
	struct hps_waiting w;

	(void)state;
	hps_waiting_begin(&w, 1);
	for (int i = 0; i < 20; i++) {
		hps_shim.head->idle = 0; /* the other one did something */
		assert_false(hps_waiting_round(&w));
	}
	assert_int_equal(hps_shim.head->clock, 0);
	hps_turn_pass();
	hps_turn_await();
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* A false level 4: how often somebody yields until another one's limit followed from how long the machine took. */
static void test_yields(void **state)
{
	uint32_t other = add_slot(1);
	int64_t before = hps_gate_now();

	(void)state;
	atomic_store(&hps_slots()[other].state, HPS_SHIM_STRANGER); /* it never takes a turn */
	for (int i = 0; i < 1000; i++) {
		hps_waiting_yield();
		assert_int_equal(hps_shim.head->idle, 0);
	}
	hps_waiting_yield(); /* and nobody has a limit: there is nothing to wait for */
	assert_int_equal(hps_shim.head->idle, 1);
	hps_waiting_progress();
	hps_waiting_yield();
	assert_int_equal(hps_shim.head->idle, 0);
	assert_true(hps_gate_now() - before < NS);
}

/* … and it yields no more until that limit is reached. */
static void test_yields_wait_for_a_limit(void **state)
{
	uint32_t other = add_slot(1);
	pid_t pid = fork();
	struct hps_waiting w;

	(void)state;
	if (!pid) {
		hps_shim_thread.slot = other;
		hps_turn_await();
		hps_waiting_begin(&w, 20 * MS);
		while (!hps_waiting_round(&w))
			;
		atomic_store(&hps_slot_mine()->state, HPS_SHIM_GONE);
		hps_turn_pass();
		_exit(0);
	}
	for (int i = 0; i < 1001; i++) {
		assert_int_equal(hps_shim.head->clock, 0);
		hps_waiting_yield();
	}
	assert_int_equal(hps_shim.head->clock, 20 * MS);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Who goes on and on does not keep another one's limit from being reached: after so many steps it is. */
static void test_limit_of_the_patient(void **state)
{
	struct hps_waiting w;
	enum hps_waited waited = HPS_WAIT_ON;
	unsigned steps = 0;

	(void)state;
	hps_waiting_begin(&w, 1);
	for (; !waited; steps++) {
		hps_waiting_progress(); /* somebody's */
		waited = hps_waiting_round(&w);
	}
	assert_int_equal(waited, HPS_WAIT_LIMIT);
	assert_int_equal(steps, 100001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_durations),
		TEST(test_a_limit_is_reached),
		TEST(test_the_earliest_first),
		TEST(test_not_while_somebody_goes_on),
		TEST(test_yields),
		TEST(test_yields_wait_for_a_limit),
		TEST(test_limit_of_the_patient),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
