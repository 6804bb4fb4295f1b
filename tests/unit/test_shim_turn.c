/* Level 4: the table of threads, and whose turn it is. */
#include "tests/unit/shim_fixture.h"

#include <signal.h>

static void test_lowest_free_slot(void **state)
{
	(void)state;
	for (uint32_t i = 1; i < 5; i++)
		assert_int_equal(add_slot(100 + (pid_t)i), i);
	atomic_store(&hps_slots()[2].state, HPS_SHIM_GONE);
	atomic_store(&hps_slots()[3].state, HPS_SHIM_EXITED); /* nobody has waited for it yet */
	assert_int_equal(add_slot(9), 2);
	assert_int_equal(add_slot(9), 5);
	assert_int_equal(atomic_load(&hps_shim.head->n_slots), 6);
	assert_int_equal(hps_slots_live(), 5);
}

static void test_table_is_full(void **state)
{
	(void)state;
	for (uint32_t i = 1; i < HPS_SHIM_SLOTS_MAX; i++)
		assert_int_equal(add_slot(9), i);
	assert_int_equal(atomic_load(&hps_shim.head->n_taken), 0);
	assert_int_equal(add_slot(9), 0);
	assert_int_equal(atomic_load(&hps_shim.head->n_taken), 1);
	assert_true(sizeof(struct hps_shim_slot_state) * HPS_SHIM_SLOTS_MAX + HPS_SHIM_SLOT_TABLE <= HPS_SHIM_HEAD);
	assert_true(sizeof(struct hps_shim_head) <= HPS_SHIM_SLOT_TABLE);
}

static void test_round_and_round(void **state)
{
	(void)state;
	assert_int_equal(hps_turn_after(0), 0);
	for (int i = 0; i < 4; i++)
		add_slot(9);
	atomic_store(&hps_slots()[2].state, HPS_SHIM_STRANGER);
	assert_int_equal(hps_turn_after(0), 1);
	assert_int_equal(hps_turn_after(1), 3);
	assert_int_equal(hps_turn_after(4), 0);
}

static void test_only_who_has_it_gives_it(void **state)
{
	(void)state;
	add_slot(9);
	add_slot(9);
	hps_turn_give(1, 2);
	assert_int_equal(holder(), 0);
	hps_turn_give(0, 2);
	assert_int_equal(holder(), 2);
	hps_turn_give(0, 1);
	assert_int_equal(holder(), 2);
}

static void test_passed_on_and_back(void **state)
{
	pid_t a = passes_turns(add_slot(1), 3), b = passes_turns(add_slot(1), 3);

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		hps_turn_pass();
		hps_turn_await();
		assert_int_equal(holder(), 0);
	}
	assert_int_equal(hps_turn_after(0), 0); /* both have gone */
	assert_int_equal(waitpid(a, NULL, 0), a);
	assert_int_equal(waitpid(b, NULL, 0), b);
}

/* Killed with the turn: it is taken, which is counted. */
static void test_of_the_dead(void **state)
{
	pid_t pid = fork();
	uint32_t slot;

	(void)state;
	if (!pid)
		for (;;)
			pause();
	slot = add_slot(pid);
	hps_turn_give(0, slot);
	hps_turn_look(slot + 1, 99);
	assert_int_equal(holder(), slot); /* it lives, and has the library: it computes */
	kill(pid, SIGKILL);
	hps_turn_await();
	assert_int_equal(atomic_load(&hps_slots()[slot].state), HPS_SHIM_EXITED);
	assert_int_equal(atomic_load(&hps_shim.head->n_taken), 1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* A program without the library gets its time to load it, and is a stranger then. */
static void test_of_a_stranger(void **state)
{
	uint32_t slot = hps_slot_new(getpid(), getppid());

	(void)state;
	hps_turn_give(0, slot);
	hps_turn_look(slot + 1, 19);
	assert_int_equal(holder(), slot);
	hps_turn_look(slot + 1, 20);
	assert_int_equal(holder(), 0);
	assert_int_equal(atomic_load(&hps_slots()[slot].state), HPS_SHIM_STRANGER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lowest_free_slot),	     TEST(test_table_is_full), TEST(test_round_and_round), TEST(test_only_who_has_it_gives_it),
		TEST(test_passed_on_and_back), TEST(test_of_the_dead),   TEST(test_of_a_stranger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
