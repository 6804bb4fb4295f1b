/* Level 4: one thread of the trial runs at a time, and the next one gets its turn only where a thread cannot go on: so the order in which
 * threads and processes do things follows from what they do, and is the same in every run.
 *
 * Every system call of a program comes here first (syscall user dispatch, Linux 5.11: a signal before the call is made). A call that could
 * block is made in a form that cannot; when it would have blocked, the turn goes to the next slot of the table, round and round, and
 * the call is tried again when the turn is back. Nobody waits inside the kernel but for the turn. When all have tried in
 * vain, the one whose time limit ends first has reached it: limits are counted on a clock of ours that stands still while somebody
 * can go on, and that waits for the machine's when it moves.
 *
 * What runs here may call nothing of the C library: a program may have been stopped anywhere in it. */
#include "shim/shim.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <fcntl.h>
#include <unistd.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_ON 1
#endif
#define WATCH_NS 100000000ll  /* how long one waits for its turn before it looks whether the one who has it is still there */
#define STRANGE_LOOKS 10      /* such waits for a program that has not loaded this library yet */
#define NAP_NS 20000ll
#define NAP_MAX_NS 1000000ll
#define PIPE_PART 4096 /* what a pipe takes whole when it says that it takes anything */
#define SIGNAL_NS 200000000ll
#define NEVER INT64_MAX
#define PATIENCE 251 /* calls in one turn: a program may ask on and on for what only another can bring; odd, or it might always be the same call */

/* ---- calls that are not stopped: only those made here ---- */

__asm__(".pushsection .text.hps_gate,\"ax\",@progbits\n"
	".hidden hps_shim_gate\n.globl hps_shim_gate\nhps_shim_gate:\n"
	".hidden hps_shim_call\n.globl hps_shim_call\n.type hps_shim_call,@function\nhps_shim_call:\n"
	"	mov %rdi, %rax\n	mov %rsi, %rdi\n	mov %rdx, %rsi\n	mov %rcx, %rdx\n	mov %r8, %r10\n	mov %r9, %r8\n	mov 8(%rsp), %r9\n"
	"	syscall\n	ret\n"
	/* clone with a stack of the child's own: it goes on where the program was stopped, with the registers from there. */
	".hidden hps_shim_clone\n.globl hps_shim_clone\n.type hps_shim_clone,@function\nhps_shim_clone:\n"
	"	push %rbx\n	push %rbp\n	push %r12\n	push %r13\n	push %r14\n	push %r15\n"
	"	mov %rcx, %r10\n	mov %r9, %rax\n"
	"	mov 32(%rax), %r12\n	mov 40(%rax), %r13\n	mov 48(%rax), %r14\n	mov 56(%rax), %r15\n	mov 80(%rax), %rbp\n	mov 88(%rax), %rbx\n"
	"	mov 128(%rax), %r9\n	mov $56, %eax\n	syscall\n	test %rax, %rax\n	jz 1f\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbp\n	pop %rbx\n	ret\n"
	"1:	jmp *%r9\n"
	".hidden hps_shim_restorer\n.globl hps_shim_restorer\n.type hps_shim_restorer,@function\nhps_shim_restorer:\n"
	"	mov $15, %eax\n	syscall\n	ud2\n"
	".hidden hps_shim_gate_end\n.globl hps_shim_gate_end\nhps_shim_gate_end:\n"
	".popsection\n");
extern const char hps_shim_gate[], hps_shim_gate_end[];
long hps_shim_call(long nr, long a, long b, long c, long d, long e, long f);
long hps_shim_clone(long flags, long stack, long ptid, long ctid, long tls, const greg_t *registers);
void hps_shim_restorer(void);

#define CALL(nr, a, b, c, d, e, f) hps_shim_call(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static int64_t now(void)
{
	struct timespec t = { 0 };

	CALL(SYS_clock_gettime, CLOCK_MONOTONIC, &t, 0, 0, 0, 0);
	return t.tv_sec * NS + t.tv_nsec;
}

/* ---- slots ---- */

static struct hps_shim_slot_state *slots(void)
{
	return (void *)((char *)hps_shim.head + HPS_SHIM_SLOT_TABLE);
}

static struct hps_shim_slot_state *mine(void)
{
	return slots() + hps_shim_thread.slot;
}

static uint32_t after(uint32_t slot)
{
	uint32_t n = atomic_load(&hps_shim.head->n_slots);

	for (uint32_t i = 1; i <= n; i++)
		if (atomic_load(&slots()[(slot + i) % n].state) == HPS_SHIM_LIVE)
			return (slot + i) % n;
	return slot;
}

static void give(uint32_t from, uint32_t to)
{
	uint32_t was = from + 1;

	if (from == to || !atomic_compare_exchange_strong(&hps_shim.head->turn, &was, to + 1))
		return;
	CALL(SYS_futex, &hps_shim.head->turn, FUTEX_WAKE_BITSET, INT32_MAX, 0, 0, 1u << (to & 31));
}

/* A process that was killed has not passed its turn on. */
static bool is_dead(pid_t pid)
{
	long fd = CALL(SYS_pidfd_open, pid, 0, 0, 0, 0, 0);
	struct pollfd p = { .fd = (int)fd, .events = POLLIN };
	struct timespec none = { 0 };
	bool dead = fd == -ESRCH;

	if (fd >= 0) {
		dead = CALL(SYS_ppoll, &p, 1, &none, 0, 0, 0) == 1;
		CALL(SYS_close, fd, 0, 0, 0, 0, 0);
	}
	return dead;
}

static void look_after(uint32_t turn, unsigned looks)
{
	uint32_t holder = turn - 1, live = HPS_SHIM_LIVE, state = HPS_SHIM_LIVE;
	struct hps_shim_slot_state *s = slots() + holder;
	pid_t pid = atomic_load(&s->pid);

	if (pid && is_dead(pid))
		state = HPS_SHIM_EXITED;
	else if (!atomic_load(&s->attached) && looks >= STRANGE_LOOKS)
		state = HPS_SHIM_STRANGER;
	if (atomic_load(&s->state) == HPS_SHIM_LIVE && state == HPS_SHIM_LIVE)
		return;
	if (atomic_load(&hps_shim.head->turn) != turn) /* it has gone on meanwhile, and the slot may be another's */
		return;
	if (state != HPS_SHIM_LIVE && atomic_compare_exchange_strong(&s->state, &live, state))
		atomic_fetch_add(&hps_shim.head->n_taken, 1);
	give(holder, after(holder));
}

static void await_turn(void)
{
	struct hps_shim_head *h = hps_shim.head;
	uint32_t me = hps_shim_thread.slot, seen = 0;
	unsigned looks = 0;

	for (uint32_t turn; (turn = atomic_load(&h->turn)) != me + 1;) {
		struct timespec limit = { 0, WATCH_NS };

		looks = turn == seen ? looks : 0;
		seen = turn;
		/* FUTEX_WAIT takes a duration (FUTEX_WAIT_BITSET a point in time): each wait is one look long. */
		if (CALL(SYS_futex, &h->turn, FUTEX_WAIT, turn, &limit, 0, 0) == -ETIMEDOUT && turn)
			look_after(turn, ++looks);
	}
}

static void pass_turn(void)
{
	give(hps_shim_thread.slot, after(hps_shim_thread.slot));
}

/* The lowest slot that nobody has: whoever takes one has the turn. */
static uint32_t new_slot(pid_t pid, pid_t parent)
{
	uint32_t n = atomic_load(&hps_shim.head->n_slots), i = 0;
	struct hps_shim_slot_state *s = slots();

	while (i < n && atomic_load(&s[i].state) != HPS_SHIM_GONE)
		i++;
	if (i >= HPS_SHIM_SLOTS_MAX) {
		atomic_fetch_add(&hps_shim.head->n_taken, 1);
		return 0;
	}
	atomic_store(&s[i].pid, pid);
	atomic_store(&s[i].parent, parent);
	atomic_store(&s[i].attached, 0);
	s[i].limit = NEVER;
	atomic_store(&s[i].state, HPS_SHIM_LIVE);
	if (i == n)
		atomic_store(&hps_shim.head->n_slots, n + 1);
	return i;
}

/* ---- waiting ---- */

/* Whose limit ends first; of several the lowest slot, and not who comes by first. */
static uint32_t earliest(void)
{
	uint32_t first = UINT32_MAX;
	int64_t limit = NEVER;

	for (uint32_t i = 0, n = atomic_load(&hps_shim.head->n_slots); i < n; i++)
		if (atomic_load(&slots()[i].state) == HPS_SHIM_LIVE && slots()[i].limit < limit) {
			limit = slots()[i].limit;
			first = i;
		}
	return first;
}

static uint64_t n_live(void)
{
	uint64_t live = 0;

	for (uint32_t i = 0, n = atomic_load(&hps_shim.head->n_slots); i < n; i++)
		live += atomic_load(&slots()[i].state) == HPS_SHIM_LIVE;
	return live;
}

static void nap(int64_t ns)
{
	struct timespec t = { 0, ns };

	CALL(SYS_nanosleep, &t, 0, 0, 0, 0, 0);
}

struct waiting {
	int64_t limit, real_limit; /* on our clock; on the machine's */
};

static void begin_waiting(struct waiting *w, int64_t ns)
{
	w->limit = ns == NEVER || ns > NEVER / 2 ? NEVER : hps_shim.head->clock + (ns < 0 ? 0 : ns);
	w->real_limit = w->limit == NEVER ? NEVER : now() + (ns < 0 ? 0 : ns);
}

/* Tried in vain: the turn goes round. True: the limit is reached. */
static bool wait_a_round(const struct waiting *w)
{
	struct hps_shim_head *h = hps_shim.head;
	uint64_t n = ++h->idle, live = n_live();

	mine()->limit = w->limit;
	if (n > 2 * live) {
		bool first = earliest() == hps_shim_thread.slot;
		int64_t left = first ? w->real_limit - now() : NEVER, want = NAP_NS * (int64_t)(n - 2 * live);

		if (left <= 0) {
			h->clock = w->limit > h->clock ? w->limit : h->clock;
			h->idle = 0;
			mine()->limit = NEVER;
			return true;
		}
		want = want > NAP_MAX_NS ? NAP_MAX_NS : want;
		nap(want < left ? want : left);
	}
	pass_turn();
	await_turn();
	return false;
}

static void end_waiting(void)
{
	hps_shim.head->idle = 0;
	mine()->limit = NEVER;
}

/* Whoever looks whether something is there may look again at once: one round for the others. */
static void be_fair(void)
{
	hps_shim_thread.calls = 0;
	pass_turn();
	await_turn();
}

/* ---- calls that could block ---- */

static int64_t duration(const struct timespec *t)
{
	return !t ? NEVER : t->tv_sec > INT64_MAX / NS / 2 ? NEVER : t->tv_sec * NS + t->tv_nsec;
}

/* A point in time, as long from now as it was from what its thread was last told. */
static int64_t until(clockid_t clock, const struct timespec *t)
{
	int64_t latest = hps_shim_latest(clock);

	return !t ? NEVER : t->tv_sec > INT64_MAX / NS / 2 ? NEVER : t->tv_sec * NS + t->tv_nsec - latest;
}

/* Whoever waits for a word looks at it again when it is woken, for it may be woken for nothing: so it is, each time that its turn comes. */
static long on_futex(const long *a)
{
	int operation = (int)a[1] & FUTEX_CMD_MASK;
	struct shim_thread *me = &hps_shim_thread;
	const struct timespec *t = (const void *)a[3];
	struct waiting w;
	bool again;

	if ((operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET) || me->joining)
		return CALL(SYS_futex, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (atomic_load((_Atomic uint32_t *)a[0]) != (uint32_t)a[2]) {
		me->waits_for = 0;
		return -EAGAIN;
	}
	again = me->waits_for == (uint64_t)a[0] && me->waits_while == (uint32_t)a[2];
	if (!again) {
		hps_shim.head->idle = 0;
		me->waits_for = (uint64_t)a[0];
		me->waits_while = (uint32_t)a[2];
	}
	if (!again || me->limit.limit == NEVER || !t) { /* a limit of the same wait goes on */
		begin_waiting(&w, operation == FUTEX_WAIT ? duration(t) : until((int)a[1] & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC, t));
		me->limit.limit = w.limit;
		me->limit.real_limit = w.real_limit;
	} else {
		w = (struct waiting){ me->limit.limit, me->limit.real_limit };
	}
	if (!wait_a_round(&w))
		return 0;
	me->waits_for = 0;
	return -ETIMEDOUT;
}

static long ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	struct timespec none = { 0 };

	return CALL(SYS_ppoll, &p, 1, &none, 0, 0, 0);
}

/* Until fd has something, or takes something; what is no such file always has. */
static void await_ready(int fd, short events)
{
	struct waiting w;

	begin_waiting(&w, NEVER);
	while (ready(fd, events) == 0)
		if (wait_a_round(&w))
			break;
	end_waiting();
}

static long on_write(const long *a)
{
	struct stat s;
	long len = a[2];

	await_ready((int)a[0], POLLOUT);
	if (len > PIPE_PART && !CALL(SYS_fstat, a[0], &s, 0, 0, 0, 0) && (S_ISFIFO(s.st_mode) || S_ISSOCK(s.st_mode)))
		len = PIPE_PART;
	return CALL(SYS_write, a[0], a[1], len, 0, 0, 0);
}

/* A set of signals without the one that brings us every call; NULL stays NULL. */
static const uint64_t *without_ours(const uint64_t *set, uint64_t *own)
{
	if (!set)
		return NULL;
	*own = *set & ~(1ull << (SIGSYS - 1));
	return own;
}

static long on_poll(long nr, const long *a)
{
	struct timespec none = { 0 };
	const struct timespec *given = (const void *)a[2];
	uint64_t own;
	const uint64_t *mask = without_ours(nr == SYS_ppoll ? (const void *)a[3] : NULL, &own);
	struct waiting w;
	long r;

	begin_waiting(&w, nr == SYS_ppoll ? duration(given) : (int)a[2] < 0 ? NEVER : (int)a[2] * (NS / 1000));
	do
		r = CALL(SYS_ppoll, a[0], a[1], &none, mask, sizeof own, 0);
	while (!r && w.limit != hps_shim.head->clock && !wait_a_round(&w));
	end_waiting();
	be_fair();
	return r;
}

static long on_select(long nr, const long *a)
{
	fd_set sets[3];
	struct timespec none = { 0 };
	const struct timespec *spec = (const void *)a[4];
	const struct timeval *val = (const void *)a[4];
	struct {
		const uint64_t *mask;
		size_t size;
	} given = { NULL, sizeof(uint64_t) };
	uint64_t own;
	struct waiting w;
	long r;

	if (a[0] > FD_SETSIZE || a[0] < 0)
		return CALL(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	begin_waiting(&w, !a[4] ? NEVER : nr == SYS_pselect6 ? duration(spec) : val->tv_sec * NS + val->tv_usec * 1000);
	if (nr == SYS_pselect6 && a[5])
		given.mask = without_ours(*(const uint64_t *const *)a[5], &own);
	for (size_t i = 0; i < 3; i++)
		if (a[i + 1])
			sets[i] = *(const fd_set *)a[i + 1];
	for (;;) {
		r = CALL(SYS_pselect6, a[0], a[1], a[2], a[3], &none, &given);
		if (r || w.limit == hps_shim.head->clock || wait_a_round(&w))
			break;
		for (size_t i = 0; i < 3; i++)
			if (a[i + 1])
				*(fd_set *)a[i + 1] = sets[i];
	}
	end_waiting();
	be_fair();
	return r;
}

static long on_epoll(long nr, const long *a)
{
	uint64_t own;
	const uint64_t *mask = without_ours(nr == SYS_epoll_pwait ? (const void *)a[4] : NULL, &own);
	struct waiting w;
	long r;

	begin_waiting(&w, (int)a[3] < 0 ? NEVER : (int)a[3] * (NS / 1000));
	do
		r = CALL(SYS_epoll_pwait, a[0], a[1], a[2], 0, mask, sizeof own);
	while (!r && w.limit != hps_shim.head->clock && !wait_a_round(&w));
	end_waiting();
	be_fair();
	return r;
}

static long on_sleep(int64_t ns)
{
	struct waiting w;

	hps_shim.head->idle = 0;
	begin_waiting(&w, ns);
	while (!wait_a_round(&w))
		;
	return 0;
}

/* A thread that spins for another one. */
static long on_yield(void)
{
	struct waiting w;

	begin_waiting(&w, NEVER);
	wait_a_round(&w);
	return 0;
}

/* A child that has said that it ends is waited for; it has said so in its turn, and the kernel takes the time it takes. */
static uint32_t ended_child(long pid)
{
	pid_t own = (pid_t)CALL(SYS_getpid, 0, 0, 0, 0, 0, 0);

	for (uint32_t i = 0, n = atomic_load(&hps_shim.head->n_slots); i < n; i++)
		if (atomic_load(&slots()[i].state) == HPS_SHIM_EXITED && atomic_load(&slots()[i].parent) == own && (pid <= 0 || atomic_load(&slots()[i].pid) == pid))
			return i;
	return UINT32_MAX;
}

static void forget_child(long pid)
{
	for (uint32_t i = 0, n = atomic_load(&hps_shim.head->n_slots); i < n; i++)
		if (atomic_load(&slots()[i].state) != HPS_SHIM_LIVE && atomic_load(&slots()[i].pid) == pid)
			atomic_store(&slots()[i].state, HPS_SHIM_GONE);
}

/* Until a signal comes that is not in the mask; NULL: in that which is in force. That of a child which has said that it ends is on its way. */
static long on_suspend(const uint64_t *set)
{
	uint64_t own;
	const uint64_t *mask = without_ours(set, &own);
	struct waiting w;
	long r;

	begin_waiting(&w, NEVER);
	for (;;) {
		uint32_t child = ended_child(-1);
		bool told = child == UINT32_MAX || atomic_exchange(&slots()[child].attached, 2) == 2;
		struct timespec limit = { 0, told ? 0 : SIGNAL_NS };

		r = CALL(SYS_ppoll, 0, 0, &limit, mask, sizeof own, 0);
		if (r == -EINTR)
			break;
		wait_a_round(&w);
	}
	end_waiting();
	return r;
}

static long on_wait4(const long *a)
{
	struct waiting w;
	long r;

	begin_waiting(&w, NEVER);
	for (;;) {
		uint32_t child = ended_child((int)a[0]);

		if (child != UINT32_MAX)
			r = CALL(SYS_wait4, atomic_load(&slots()[child].pid), a[1], a[2] & ~WNOHANG, a[3], 0, 0);
		else
			r = CALL(SYS_wait4, a[0], a[1], a[2] | WNOHANG, a[3], 0, 0);
		if (r || a[2] & WNOHANG)
			break;
		wait_a_round(&w);
	}
	if (r > 0)
		forget_child(r);
	end_waiting();
	return r;
}

static long on_waitid(const long *a)
{
	siginfo_t none, *info = a[2] ? (siginfo_t *)a[2] : &none;
	struct waiting w;
	long r;

	begin_waiting(&w, NEVER);
	for (;;) {
		uint32_t child = a[0] == P_PID ? ended_child((int)a[1]) : a[0] == P_ALL ? ended_child(-1) : UINT32_MAX;

		info->si_pid = 0;
		if (child != UINT32_MAX)
			r = CALL(SYS_waitid, P_PID, atomic_load(&slots()[child].pid), info, a[3] & ~WNOHANG, a[4], 0);
		else
			r = CALL(SYS_waitid, a[0], a[1], info, a[3] | WNOHANG, a[4], 0);
		if (r || info->si_pid || a[3] & WNOHANG)
			break;
		wait_a_round(&w);
	}
	if (!r && info->si_pid && !(a[3] & WNOWAIT))
		forget_child(info->si_pid);
	end_waiting();
	return r;
}

static long on_lock(long nr, const long *a)
{
	struct waiting w;
	long r;

	begin_waiting(&w, NEVER);
	do
		r = nr == SYS_flock ? CALL(SYS_flock, a[0], a[1] | LOCK_NB, 0, 0, 0, 0) : CALL(SYS_fcntl, a[0], a[1] == F_SETLKW ? F_SETLK : F_OFD_SETLK, a[2], 0, 0, 0);
	while ((r == -EAGAIN || r == -EACCES) && !wait_a_round(&w));
	end_waiting();
	return r;
}

/* Waits for what only others can say: without the turn, and in the order in which they say it. */
static long out_of_turn(long nr, const long *a)
{
	long r;

	atomic_fetch_add(&hps_shim.head->n_open, 1);
	atomic_store(&mine()->state, HPS_SHIM_STRANGER);
	pass_turn();
	r = CALL(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	atomic_store(&mine()->state, HPS_SHIM_LIVE);
	await_turn();
	end_waiting();
	return r;
}

/* ---- ends and beginnings ---- */

static void dispatch(void)
{
	CALL(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, hps_shim_gate, hps_shim_gate_end - hps_shim_gate, 0, 0);
}

static void attach_slot(uint32_t slot)
{
	hps_shim_thread.slot = slot;
	hps_shim_thread.limit.limit = NEVER;
	hps_shim_thread.waits_for = 0;
	atomic_store(&mine()->pid, (pid_t)CALL(SYS_getpid, 0, 0, 0, 0, 0, 0));
	atomic_store(&mine()->attached, 1);
	dispatch();
	await_turn();
}

static void end_process(uint32_t state)
{
	pid_t own = (pid_t)CALL(SYS_getpid, 0, 0, 0, 0, 0, 0);

	for (uint32_t i = 0, n = atomic_load(&hps_shim.head->n_slots); i < n; i++)
		if (i != hps_shim_thread.slot && atomic_load(&slots()[i].pid) == own && atomic_load(&slots()[i].state) == HPS_SHIM_LIVE)
			atomic_store(&slots()[i].state, HPS_SHIM_GONE);
	atomic_store(&mine()->state, state);
}

static long on_exit_call(long nr, const long *a)
{
	if (nr == SYS_exit_group) {
		CALL(SYS_close_range, 0, ~0u, 0, 0, 0, 0); /* now, for those who wait for an end */
		end_process(HPS_SHIM_EXITED);
	} else {
		atomic_store(&mine()->state, HPS_SHIM_GONE);
	}
	hps_shim.head->idle = 0;
	pass_turn();
	return CALL(nr, a[0], 0, 0, 0, 0, 0);
}

static long on_exec(long nr, const long *a)
{
	long r;

	atomic_store(&mine()->attached, 0);
	r = CALL(nr, a[0], a[1], a[2], a[3], a[4], 0);
	atomic_store(&mine()->attached, 1);
	return r;
}

static void settle_slot(uint32_t slot, long pid)
{
	if (pid > 0)
		atomic_store(&slots()[slot].pid, (pid_t)pid);
	else
		atomic_store(&slots()[slot].state, HPS_SHIM_GONE);
}

static long on_fork(long flags, const long *a)
{
	pid_t own = (pid_t)CALL(SYS_getpid, 0, 0, 0, 0, 0, 0);
	uint32_t slot = new_slot(0, own);
	long pid = CALL(SYS_clone, flags & ~(CLONE_VM | CLONE_VFORK), 0, a[2], a[3], a[4], 0);

	hps_shim.head->idle = 0;
	if (pid == 0)
		attach_slot(slot);
	else
		settle_slot(slot, pid);
	return pid;
}

static long on_clone(const long *a, const greg_t *registers)
{
	pid_t own = (pid_t)CALL(SYS_getpid, 0, 0, 0, 0, 0, 0);
	uint32_t slot;
	long pid;

	if (!a[1])
		return on_fork(a[0], a);
	if (a[0] & CLONE_THREAD)
		return hps_shim_clone(a[0], a[1], a[2], a[3], a[4], registers);
	slot = new_slot(0, own); /* its program takes it */
	pid = hps_shim_clone(a[0], a[1], a[2], a[3], a[4], registers);
	settle_slot(slot, pid);
	hps_shim.head->idle = 0;
	return pid;
}

struct kernel_action {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

/* ---- signals: what this handler's own return would undo ---- */

static long on_mask(const long *a, ucontext_t *c)
{
	uint64_t before, *mask = (uint64_t *)(void *)&c->uc_sigmask;

	before = *mask;
	if (a[3] != 8)
		return -EINVAL;
	if (a[1]) {
		uint64_t set = *(const uint64_t *)a[1];

		*mask = a[0] == SIG_BLOCK ? before | set : a[0] == SIG_UNBLOCK ? before & ~set : set;
		*mask &= ~(1ull << (SIGSYS - 1));
	}
	if (a[2])
		*(uint64_t *)a[2] = before;
	return 0;
}

static long on_action(const long *a)
{
	struct kernel_action action;

	if (a[0] == SIGSYS)
		return 0;
	if (!a[1])
		return CALL(SYS_rt_sigaction, a[0], 0, a[2], a[3], 0, 0);
	action = *(const struct kernel_action *)a[1];
	action.mask &= ~(1ull << (SIGSYS - 1));
	return CALL(SYS_rt_sigaction, a[0], &action, a[2], a[3], 0, 0);
}

/* The end of another handler: its frame says where to go on. */
static void on_return(ucontext_t *c)
{
	const ucontext_t *to = (const void *)c->uc_mcontext.gregs[REG_RSP];

	c->uc_mcontext = to->uc_mcontext;
	memcpy(&c->uc_sigmask, &to->uc_sigmask, 8);
	c->uc_stack = to->uc_stack;
	((uint64_t *)(void *)&c->uc_sigmask)[0] &= ~(1ull << (SIGSYS - 1));
}

static long on_stack(const long *a, ucontext_t *c)
{
	long r = CALL(SYS_sigaltstack, a[0], a[1], 0, 0, 0, 0);

	if (!r && a[0])
		c->uc_stack = *(const stack_t *)a[0];
	return r;
}

/* ---- the table ---- */

static long act(long nr, const long *a, ucontext_t *c)
{
	switch (nr) {
	case SYS_futex:
		return on_futex(a);
	case SYS_read: case SYS_readv: case SYS_recvfrom: case SYS_recvmsg: case SYS_recvmmsg: case SYS_accept: case SYS_accept4:
		await_ready((int)a[0], POLLIN);
		return CALL(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	case SYS_write:
		return on_write(a);
	case SYS_writev: case SYS_sendto: case SYS_sendmsg: case SYS_sendmmsg:
		await_ready((int)a[0], POLLOUT);
		return CALL(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	case SYS_poll: case SYS_ppoll:
		return on_poll(nr, a);
	case SYS_select: case SYS_pselect6:
		return on_select(nr, a);
	case SYS_epoll_wait: case SYS_epoll_pwait:
		return on_epoll(nr, a);
	case SYS_nanosleep:
		return on_sleep(duration((const void *)a[0]));
	case SYS_clock_nanosleep:
		return on_sleep((int)a[1] & TIMER_ABSTIME ? until((clockid_t)a[0], (const void *)a[2]) : duration((const void *)a[2]));
	case SYS_sched_yield:
		return on_yield();
	case SYS_wait4:
		return on_wait4(a);
	case SYS_waitid:
		return on_waitid(a);
	case SYS_flock:
		return (int)a[1] & LOCK_NB ? CALL(nr, a[0], a[1], 0, 0, 0, 0) : on_lock(nr, a);
	case SYS_fcntl:
		return a[1] == F_SETLKW || a[1] == F_OFD_SETLKW ? on_lock(nr, a) : CALL(nr, a[0], a[1], a[2], 0, 0, 0);
	case SYS_pause:
		return on_suspend(NULL);
	case SYS_rt_sigsuspend:
		return on_suspend((const void *)a[0]);
	case SYS_rt_sigtimedwait: case SYS_semop: case SYS_semtimedop: case SYS_msgrcv: case SYS_msgsnd:
	case SYS_mq_timedreceive: case SYS_mq_timedsend: case SYS_io_getevents: case SYS_futex_waitv: case SYS_epoll_pwait2:
		return out_of_turn(nr, a);
	case SYS_exit: case SYS_exit_group:
		return on_exit_call(nr, a);
	case SYS_execve: case SYS_execveat:
		return on_exec(nr, a);
	case SYS_fork: case SYS_vfork:
		return on_fork(SIGCHLD, (const long[6]){ 0 });
	case SYS_clone:
		return on_clone(a, c->uc_mcontext.gregs);
	case SYS_clone3:
		return -ENOSYS;
	case SYS_rt_sigprocmask:
		return on_mask(a, c);
	case SYS_sigaltstack:
		return on_stack(a, c);
	case SYS_rt_sigaction:
		return on_action(a);
	default:
		return CALL(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	}
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	ucontext_t *c = context;
	greg_t *r = c->uc_mcontext.gregs;
	const long a[6] = { r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8], r[REG_R9] };

	(void)number;
	if (info->si_syscall == SYS_rt_sigreturn)
		on_return(c);
	else
		r[REG_RAX] = act(info->si_syscall, a, c);
	if (++hps_shim_thread.calls >= PATIENCE)
		be_fair();
}

/* ---- starting ---- */

static uint32_t find_slot(void)
{
	pid_t own = (pid_t)CALL(SYS_getpid, 0, 0, 0, 0, 0, 0), parent = (pid_t)CALL(SYS_getppid, 0, 0, 0, 0, 0, 0);
	uint32_t n = atomic_load(&hps_shim.head->n_slots);

	for (uint32_t i = 0; i < n; i++)
		if (atomic_load(&slots()[i].state) == HPS_SHIM_LIVE && !atomic_load(&slots()[i].attached) && atomic_load(&slots()[i].pid) == own)
			return i;
	for (uint32_t i = 0; i < n; i++)
		if (atomic_load(&slots()[i].state) == HPS_SHIM_LIVE && !atomic_load(&slots()[i].attached) && !atomic_load(&slots()[i].pid) &&
		    atomic_load(&slots()[i].parent) == parent)
			return i;
	if (n) /* started by a program that is not one of ours */
		atomic_fetch_add(&hps_shim.head->n_taken, 1);
	return new_slot(own, parent);
}

void hps_shim_order_begin(void)
{
	const struct kernel_action action = { on_signal, SA_SIGINFO | SA_NODEFER | SA_RESTART | 0x04000000 /* SA_RESTORER */, hps_shim_restorer, 0 };
	uint64_t sys = 1ull << (SIGSYS - 1);
	uint32_t slot, none = 0;

	if (!hps_shim.head->ordered)
		return;
	if (CALL(SYS_rt_sigaction, SIGSYS, &action, 0, 8, 0, 0) || CALL(SYS_rt_sigprocmask, SIG_UNBLOCK, &sys, 0, 8, 0, 0))
		return;
	slot = find_slot();
	atomic_compare_exchange_strong(&hps_shim.head->turn, &none, slot + 1);
	hps_shim.ordered = true;
	attach_slot(slot);
}

/* Before pthread_create(), which makes calls of its own: nobody gives it a turn yet. */
uint32_t hps_shim_order_slot(void)
{
	uint32_t slot;

	if (!hps_shim.ordered)
		return 0;
	slot = new_slot((pid_t)CALL(SYS_getpid, 0, 0, 0, 0, 0, 0), 0);
	atomic_store(&slots()[slot].state, HPS_SHIM_STRANGER);
	return slot;
}

void hps_shim_order_created(uint32_t slot, bool created)
{
	if (hps_shim.ordered)
		atomic_store(&slots()[slot].state, created ? HPS_SHIM_LIVE : HPS_SHIM_GONE);
}

void hps_shim_order_thread(uint32_t slot)
{
	uint64_t sys = 1ull << (SIGSYS - 1);

	if (!hps_shim.ordered)
		return;
	CALL(SYS_rt_sigprocmask, SIG_UNBLOCK, &sys, 0, 8, 0, 0);
	attach_slot(slot);
}

/* Until the thread of this slot has passed its last turn on; the kernel then takes the time it takes. */
void hps_shim_order_join(uint32_t slot)
{
	struct waiting w;

	if (!hps_shim.ordered)
		return;
	begin_waiting(&w, NEVER);
	while (atomic_load(&slots()[slot].state) == HPS_SHIM_LIVE)
		wait_a_round(&w);
	end_waiting();
}
