/* For unit tests of shim/: what the library otherwise gets from its recorder, in memory that forked children share. The test has slot 0. */
#ifndef HPS_TESTS_SHIM_FIXTURE_H
#define HPS_TESTS_SHIM_FIXTURE_H

#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/order.h"
#include "tests/unit/unit.h"

struct shim hps_shim;
__thread struct shim_thread hps_shim_thread __attribute__((tls_model("initial-exec")));

int64_t hps_shim_latest(clockid_t clock)
{
	(void)clock;
	return hps_gate_now();
}

/* Of a test: an empty table but for the test itself, which has the turn. */
static inline int begin_order(void **state)
{
	(void)state;
	alarm(60); /* a turn that nobody passes on would be waited for for ever */
	hps_shim.head = mmap(NULL, HPS_SHIM_HEAD, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(hps_shim.head != MAP_FAILED);
	hps_shim.ordered = true;
	memset(&hps_shim_thread, 0, sizeof hps_shim_thread);
	assert_int_equal(hps_slot_new(getpid(), getppid()), 0);
	atomic_store(&hps_slots()[0].attached, 1);
	atomic_store(&hps_shim.head->turn, 1);
	return 0;
}

static inline int end_order(void **state)
{
	(void)state;
	return munmap(hps_shim.head, HPS_SHIM_HEAD);
}

/* One more thread, of whatever process; nobody is behind it. */
static inline uint32_t add_slot(pid_t pid)
{
	uint32_t slot = hps_slot_new(pid, getpid());

	atomic_store(&hps_slots()[slot].attached, 1);
	return slot;
}

static inline uint32_t holder(void)
{
	return atomic_load(&hps_shim.head->turn) - 1;
}

/* A process that has slot `slot`, does nothing but let `n` turns go by, and ends. */
static inline pid_t passes_turns(uint32_t slot, unsigned n)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	hps_shim_thread.slot = slot;
	for (; n; n--) {
		hps_turn_await();
		hps_turn_pass();
	}
	hps_turn_await();
	atomic_store(&hps_slot_mine()->state, HPS_SHIM_GONE);
	hps_turn_pass();
	_exit(0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin_order, end_order)
#endif
