/* Level 4: who has the turn and makes no call. One that waits in memory is told from one that computes by where it is seen. */
#include "tests/unit/shim_fixture.h"

#include <signal.h>
#include <sys/prctl.h>

/* As a signal handler is shown them: registers and a stack that `step` changes. */
struct seen {
	ucontext_t c;
	struct _libc_fpstate fp;
	_Alignas(4096) unsigned char stack[4096], code[4096];
};

static struct seen *begin(void)
{
	static struct seen s;

	memset(&s, 0, sizeof s);
	s.c.uc_mcontext.fpregs = &s.fp;
	s.c.uc_mcontext.gregs[REG_RSP] = (greg_t)(uintptr_t)(s.stack + 2048);
	s.c.uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)(s.code + 1000);
	prctl(PR_SET_NAME, "seen");
	return &s;
}

/* How many samples until the order is given up; `n` when it is not. */
static unsigned until_given_up(struct seen *s, unsigned n, void (*step)(struct seen *, unsigned))
{
	unsigned i = 0;

	for (; i < n && !hps_order_is_released(); i++) {
		step(s, i);
		hps_standstill_sample(&s->c);
	}
	return i;
}

static void loops(struct seen *s, unsigned i) /* four instructions, which change nothing */
{
	s->c.uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)(s->code + 1000 + i % 4);
}

static void counts(struct seen *s, unsigned i)
{
	loops(s, i);
	s->c.uc_mcontext.gregs[REG_RBX] = (greg_t)i;
}

static void counts_on_its_stack(struct seen *s, unsigned i)
{
	loops(s, i);
	memcpy(s->stack + 2048 - 16, &i, sizeof i); /* below its end, as functions do that call none */
}

static void computes_in_vectors(struct seen *s, unsigned i)
{
	loops(s, i);
	s->fp._xmm[3].element[1] = i;
}

static void test_in_the_same_states(void **state)
{
	(void)state;
	hps_shim_thread.last_call = SYS_write + 1;
	atomic_store(&hps_watch(0)->looks, 23);
	assert_int_equal(until_given_up(begin(), 1000, loops), 36); /* four states, and each again */
	assert_int_equal(atomic_load(&hps_shim.head->stood_how), HPS_SHIM_SPINS);
	assert_string_equal(hps_shim.head->stood_thread, "seen");
	assert_int_equal(hps_shim.head->stood_call, SYS_write + 1);
	assert_int_equal(hps_shim.head->stood_looks, 23);
}

/* The control: whoever gets anywhere is left alone, however long that takes. */
static void test_not_who_computes(void **state)
{
	(void)state;
	assert_int_equal(until_given_up(begin(), 3000, counts), 3000);
	assert_int_equal(until_given_up(begin(), 3000, counts_on_its_stack), 3000);
	assert_int_equal(until_given_up(begin(), 3000, computes_in_vectors), 3000);
	assert_int_equal(atomic_load(&hps_shim.head->stood_how), 0);
}

static void test_who_counts_and_pauses(void **state)
{
	struct seen *s = begin();

	(void)state;
	memcpy(s->code + 1020, "\xf3\x90", 2);
	assert_int_equal(until_given_up(s, 1000, counts), 32);
	assert_int_equal(atomic_load(&hps_shim.head->stood_how), HPS_SHIM_SPINS);
}

/* Each call is a new beginning; and in a call, or without the turn, nobody stands still. */
static void test_calls_begin_anew(void **state)
{
	struct seen *s = begin();

	(void)state;
	for (int i = 0; i < 10; i++) {
		assert_int_equal(until_given_up(s, 30, loops), 30);
		atomic_fetch_add(&hps_watch(0)->n_calls, 1);
	}
	atomic_store(&hps_watch(0)->call, 7);
	assert_int_equal(until_given_up(s, 300, loops), 300);
	atomic_store(&hps_watch(0)->call, 0);
	atomic_store(&hps_shim.head->turn, 9);
	assert_int_equal(until_given_up(s, 300, loops), 300);
}

/* At the ends of what is there, nothing beyond is looked at. */
static void test_edges(void **state)
{
	char *pages = mmap(NULL, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct seen *s = begin();

	(void)state;
	assert_int_equal(mprotect(pages + 4096, 4096, PROT_READ | PROT_WRITE), 0);
	for (unsigned at = 128; at <= 4096; at += 8) {
		s->c.uc_mcontext.gregs[REG_RSP] = (greg_t)(uintptr_t)(pages + 4096 + at);
		s->c.uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)(pages + 4096 + at - 128);
		hps_standstill_sample(&s->c);
	}
	s->c.uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)(pages + 8191);
	hps_standstill_sample(&s->c);
	munmap(pages, 3 * 4096);
}

static void test_endless(void **state)
{
	(void)state;
	atomic_store(&hps_watch(0)->give_up, 1);
	assert_int_equal(until_given_up(begin(), 1000, counts), 1);
	assert_int_equal(atomic_load(&hps_shim.head->stood_how), HPS_SHIM_COMPUTES);
}

/* The kernel is long about a call: the others go on, and it is said which call that was. */
static void test_long_call(void **state)
{
	uint32_t other = add_slot(getpid());

	(void)state;
	hps_turn_give(0, other);
	atomic_store(&hps_watch(other)->call, SYS_openat + 1);
	hps_turn_look(other + 1, 99);
	assert_int_equal(holder(), other);
	hps_turn_look(other + 1, 100);
	assert_int_equal(holder(), 0);
	assert_int_equal(atomic_load(&hps_slots()[other].state), HPS_SHIM_STRANGER);
	assert_int_equal(atomic_load(&hps_shim.head->n_open), 1);
	assert_int_equal(atomic_load(&hps_shim.head->open_call), SYS_openat + 1);
}

/* The order given up: nobody waits for a turn, and a call that was waited in is made anew. */
static void test_released(void **state)
{
	uint32_t other = add_slot(getpid());
	struct hps_waiting w;

	(void)state;
	hps_turn_give(0, other);
	atomic_store(&hps_shim.head->released, 1);
	hps_turn_await();
	hps_waiting_begin(&w, HPS_NEVER);
	assert_int_equal(hps_waiting_round(&w), HPS_WAIT_SIGNAL);
	assert_true(hps_shim_thread.again);
}

static void test_tables_fit(void **state)
{
	(void)state;
	assert_true(HPS_SHIM_SLOT_TABLE + sizeof(struct hps_shim_slot_state) * HPS_SHIM_SLOTS_MAX <= HPS_SHIM_WATCH_TABLE);
	assert_true(HPS_SHIM_WATCH_TABLE + sizeof(struct hps_shim_watch) * HPS_SHIM_SLOTS_MAX <= HPS_SHIM_HEAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_in_the_same_states), TEST(test_not_who_computes), TEST(test_who_counts_and_pauses), TEST(test_calls_begin_anew), TEST(test_edges),
		TEST(test_endless),	       TEST(test_long_call),	    TEST(test_released),	      TEST(test_tables_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
