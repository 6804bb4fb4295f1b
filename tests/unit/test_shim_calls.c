/* Level 4: calls that could block, made in a form that cannot. Called as the handler calls them; nothing is stopped here. */
#include "tests/unit/shim_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>

#define STOP(nr_, ...) (&(const struct hps_stop){ .nr = (nr_), .a = { __VA_ARGS__ } })
#define P(pointer) ((long)(uintptr_t)(pointer))

/* In the turn of a process of its own, which has another slot: does `what`, then ends. */
static pid_t in_another_turn(void (*what)(void *), void *arg)
{
	uint32_t slot = add_slot(1);
	pid_t pid = fork();

	if (pid)
		return pid;
	hps_shim_thread.slot = slot;
	atomic_store(&hps_slot_mine()->pid, getpid());
	hps_turn_await();
	what(arg);
	atomic_store(&hps_slot_mine()->state, HPS_SHIM_GONE);
	hps_shim.head->idle = 0;
	hps_turn_pass();
	_exit(0);
}

static void test_futex(void **state)
{
	const struct timespec t = { 0, 1000000 };
	uint32_t word = 1;
	long r;

	(void)state;
	assert_int_equal(hps_on_futex(STOP(SYS_futex, P(&word), FUTEX_WAIT, 2)), -EAGAIN);
	assert_int_equal(hps_on_futex(STOP(SYS_futex, P(&word), FUTEX_WAKE, 1)), 0);
	assert_int_equal(hps_on_futex(STOP(SYS_futex, P(&word), FUTEX_WAIT, 1)), 0); /* woken for nothing: it looks again */
	do
		r = hps_on_futex(STOP(SYS_futex, P(&word), FUTEX_WAIT, 1, P(&t)));
	while (!r);
	assert_int_equal(r, -ETIMEDOUT);
	assert_int_equal(hps_shim.head->clock, 1000000); /* the limit of the whole wait, not of each look */
}

static void test_futex_of_priority(void **state)
{
	const struct timespec past = { 1, 0 };
	uint32_t word = 0;

	(void)state;
	assert_int_equal(hps_on_futex(STOP(SYS_futex, P(&word), FUTEX_LOCK_PI)), 0);
	assert_int_equal(word & FUTEX_TID_MASK, syscall(SYS_gettid));
	assert_int_equal(hps_on_futex(STOP(SYS_futex, P(&word), FUTEX_LOCK_PI)), -EDEADLK);
	word = 1; /* another one's */
	assert_int_equal(hps_on_futex(STOP(SYS_futex, P(&word), FUTEX_LOCK_PI, 0, P(&past))), -ETIMEDOUT);
}

static void put_a_byte(void *arg)
{
	assert_int_equal(write(*(int *)arg, "x", 1), 1);
}

static void test_read(void **state)
{
	int p[2];
	char c = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(p), 0);
	pid = in_another_turn(put_a_byte, &p[1]);
	assert_int_equal(hps_on_read(STOP(SYS_read, p[0], P(&c), 1)), 1);
	assert_int_equal(c, 'x');
	close(p[1]);
	assert_int_equal(hps_on_read(STOP(SYS_read, p[0], P(&c), 1)), 0);
	assert_int_equal(hps_on_read(STOP(SYS_read, p[1], P(&c), 1)), -EBADF);
	close(p[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* It stood still: what must not block was waited for. */
static void test_read_without_blocking(void **state)
{
	int p[2];
	char c;

	(void)state;
	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	assert_int_equal(hps_on_read(STOP(SYS_read, p[0], P(&c), 1)), -EAGAIN);
	close(p[0]);
	close(p[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	assert_int_equal(hps_on_read(STOP(SYS_recvfrom, p[0], P(&c), 1, MSG_DONTWAIT)), -EAGAIN);
	close(p[0]);
	close(p[1]);
}

/* A pipe takes part of it rather than all of it, or nothing. */
static void test_write(void **state)
{
	static char big[200000];
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(hps_on_write(STOP(SYS_write, p[1], P(big), sizeof big)), 4096);
	assert_int_equal(hps_on_write(STOP(SYS_write, p[1], P(big), 100)), 100);
	close(p[0]);
	close(p[1]);
}

static void test_poll(void **state)
{
	struct pollfd fd = { .events = POLLIN };
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	fd.fd = p[0];
	assert_int_equal(hps_on_poll(STOP(SYS_poll, P(&fd), 1, 0)), 0);
	assert_int_equal(hps_shim.head->clock, 0);
	assert_int_equal(hps_on_poll(STOP(SYS_poll, P(&fd), 1, 2)), 0);
	assert_int_equal(hps_shim.head->clock, 2000000);
	put_a_byte(&p[1]);
	assert_int_equal(hps_on_poll(STOP(SYS_poll, P(&fd), 1, -1)), 1);
	close(p[0]);
	close(p[1]);
}

static void unlock(void *arg)
{
	assert_int_equal(flock(*(int *)arg, LOCK_UN), 0);
}

static void test_flock(void **state)
{
	FILE *f = tmpfile();
	char path[64];
	int other, mine;
	pid_t pid;

	(void)state;
	mine = fileno(f);
	snprintf(path, sizeof path, "/proc/self/fd/%d", mine);
	other = open(path, O_RDWR);
	assert_int_equal(flock(other, LOCK_EX), 0);
	assert_int_equal(hps_on_flock(STOP(SYS_flock, mine, LOCK_EX | LOCK_NB)), -EAGAIN);
	pid = in_another_turn(unlock, &other);
	assert_int_equal(hps_on_flock(STOP(SYS_flock, mine, LOCK_EX)), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(other);
	fclose(f);
}

/* A child that has said that it ends is waited for, though the call would not: it is no luck whether the kernel is done with it. */
static void test_wait(void **state)
{
	int status = 0;
	pid_t pid = fork();
	uint32_t slot;

	(void)state;
	if (!pid) {
		usleep(50000);
		_exit(7);
	}
	slot = add_slot(pid);
	assert_int_equal(hps_on_wait4(STOP(SYS_wait4, -1, P(&status), WNOHANG)), 0);
	assert_int_equal(hps_child_ended(-1), UINT32_MAX);
	atomic_store(&hps_slots()[slot].state, HPS_SHIM_EXITED);
	assert_int_equal(hps_child_ended(pid), slot);
	assert_int_equal(hps_child_ended(pid + 1), UINT32_MAX);
	assert_int_equal(hps_on_wait4(STOP(SYS_wait4, -1, P(&status), WNOHANG)), pid);
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_int_equal(atomic_load(&hps_slots()[slot].state), HPS_SHIM_GONE);
	assert_int_equal(hps_on_wait4(STOP(SYS_wait4, -1, P(&status), 0)), -ECHILD);
}

/* Nobody blocks the signal that brings us every call. */
static void test_masks(void **state)
{
	uint64_t all = ~0ull, was = 0, own;
	ucontext_t c = { 0 };
	struct hps_stop s = { .nr = SYS_rt_sigprocmask, .a = { SIG_SETMASK, P(&all), P(&was), 8 }, .context = &c };

	(void)state;
	assert_int_equal(hps_on_mask(&s), 0);
	assert_int_equal(was, 0);
	assert_false(sigismember(&c.uc_sigmask, SIGSYS));
	assert_true(sigismember(&c.uc_sigmask, SIGTERM));
	s.a[0] = SIG_UNBLOCK;
	assert_int_equal(hps_on_mask(&s), 0);
	assert_false(sigismember(&c.uc_sigmask, SIGTERM));
	s.a[3] = 4;
	assert_int_equal(hps_on_mask(&s), -EINVAL);
	assert_null(hps_signals_without_ours(NULL, &own));
	assert_int_equal(*hps_signals_without_ours(&all, &own), all & ~(1ull << (SIGSYS - 1)));
	assert_int_equal(hps_on_action(STOP(SYS_rt_sigaction, SIGSYS, 0, 0, 8)), 0);
}

static volatile sig_atomic_t n_caught;

static void on_signal(int number)
{
	n_caught += number == SIGUSR1;
}

/* A signal that is blocked while a thread is stopped ends its call, and comes when it goes on. */
static void test_interrupted(void **state)
{
	struct sigaction catch = { .sa_handler = on_signal }, was;
	ucontext_t c = { 0 };
	int p[2];
	char byte;
	struct hps_stop s = { .nr = SYS_read, .context = &c };
	uint64_t mask;

	(void)state;
	assert_int_equal(pipe(p), 0);
	s.a[0] = p[0];
	s.a[1] = P(&byte);
	s.a[2] = 1;
	assert_int_equal(sigaction(SIGUSR1, &catch, &was), 0);
	mask = hps_signals_block();
	raise(SIGUSR1);
	assert_int_equal(n_caught, 0);
	c.uc_mcontext.gregs[REG_RIP] = 1000;
	assert_int_equal(hps_on_read(&s), -EINTR);
	catch.sa_flags = SA_RESTART;
	assert_int_equal(sigaction(SIGUSR1, &catch, NULL), 0);
	assert_int_equal(hps_on_read(&s), SYS_read); /* made again */
	assert_int_equal(c.uc_mcontext.gregs[REG_RIP], 998);
	put_a_byte(&p[1]);
	assert_int_equal(hps_on_read(&s), 1); /* what is there comes first */
	hps_shim_thread.mask = 1ull << (SIGUSR1 - 1); /* the program has it blocked */
	assert_false(hps_signals_heed(hps_shim_thread.mask));
	hps_shim_thread.mask = 0;
	assert_true(hps_signals_heed(0));
	catch.sa_handler = SIG_IGN;
	assert_int_equal(sigaction(SIGUSR1, &catch, NULL), 0);
	raise(SIGUSR1);
	assert_false(hps_signals_heed(0));
	hps_signals_restore(mask);
	sigaction(SIGUSR1, &was, NULL);
	assert_int_equal(n_caught, 0);
	close(p[0]);
	close(p[1]);
}

static void terminate(void *arg)
{
	(void)arg;
	hps_signals_block();
	raise(SIGTERM);
	hps_signals_heed(0);
	_exit(99); /* it does not come here */
}

/* Whoever dies of a signal passes the turn on before; nothing was taken from it. */
static void test_dies_in_its_turn(void **state)
{
	pid_t pid = in_another_turn(terminate, NULL);
	int status;

	(void)state;
	hps_turn_pass();
	hps_turn_await();
	assert_int_equal(atomic_load(&hps_slots()[1].state), HPS_SHIM_EXITED);
	assert_int_equal(waitpid(pid, &status, WNOHANG), pid); /* having the turn again, one can see it */
	assert_int_equal(WTERMSIG(status), SIGTERM);
	assert_int_equal(atomic_load(&hps_shim.head->n_taken), 0);
}

/* SIGKILL does not wait for a turn: its sender goes on when it is done. */
static void test_kill(void **state)
{
	pid_t pid = fork();
	uint32_t slot;

	(void)state;
	if (!pid)
		for (;;)
			pause();
	slot = add_slot(pid);
	assert_int_equal(hps_on_kill(STOP(SYS_kill, pid, SIGKILL)), 0);
	assert_int_equal(atomic_load(&hps_slots()[slot].state), HPS_SHIM_EXITED);
	assert_int_equal(hps_turn_after(0), 0);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), pid);
	assert_int_equal(hps_on_kill(STOP(SYS_kill, pid, SIGKILL)), -ESRCH);
}

static unsigned asked_until_fair(unsigned n, unsigned n_different, long nr)
{
	unsigned i = 0;

	while (i < n && !hps_question_again(STOP(nr, i % n_different, 3), 0))
		i++;
	return i;
}

/* Reruns lost the order: how often a program asks the kernel for memory, or looks at what its standard output is, moved the turn on. */
static void test_questions(void **state)
{
	(void)state;
	assert_int_equal(asked_until_fair(1000, 1, SYS_getppid), 251);
	hps_turn_be_fair();
	assert_int_equal(asked_until_fair(1000, 8, SYS_getppid), 258); /* eight are remembered */
	hps_turn_be_fair();
	assert_int_equal(asked_until_fair(1000, 9, SYS_getppid), 1000);
	hps_turn_be_fair();
	assert_int_equal(asked_until_fair(1000, 1, SYS_mmap), 1000);
	hps_turn_be_fair();
	for (unsigned i = 0; i < 250; i++) { /* what others do between the questions changes nothing */
		assert_false(hps_question_again(STOP(SYS_getuid), 0));
		assert_false(hps_question_again(STOP(SYS_brk, i), 0));
	}
	assert_false(hps_question_again(STOP(SYS_getuid), 1)); /* another answer */
	hps_turn_be_fair();
	for (unsigned i = 0; i < 65520; i++)
		assert_false(hps_question_again(STOP(SYS_close, i), 0));
	assert_true(hps_question_again(STOP(SYS_close, 0), 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_futex), TEST(test_futex_of_priority), TEST(test_read), TEST(test_read_without_blocking), TEST(test_write), TEST(test_poll), TEST(test_flock), TEST(test_wait), TEST(test_masks), TEST(test_questions), TEST(test_interrupted), TEST(test_dies_in_its_turn), TEST(test_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
