/* The thread that carries the filter and the root, and starts the command. Its children inherit both; no other
 * thread of the recorder has them. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder/identity.h"

#define PID_ATTEMPTS 40

struct hps_launcher {
	const struct hps_launch *launch;
	struct hps_gaps *gaps;
	struct hps_error err;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t step;
	enum step { STARTING, READY, FAILED, GO, AGAIN, GONE, END } state; /* under the lock */
	int listener, fence; /* -1: none */
	pid_t tid, child;
	int attempts; /* to get the number that the command is to have */
	volatile int error;   /* of the exec; set by the child, in our memory */
	volatile bool fenced; /* so is this */
};

static void set_state(struct hps_launcher *l, enum step state)
{
	pthread_mutex_lock(&l->lock);
	l->state = state;
	pthread_cond_broadcast(&l->step);
	pthread_mutex_unlock(&l->lock);
}

static void await(struct hps_launcher *l, enum step state)
{
	pthread_mutex_lock(&l->lock);
	while (l->state < state)
		pthread_cond_wait(&l->step, &l->lock);
	pthread_mutex_unlock(&l->lock);
}

static void await_again(struct hps_launcher *l)
{
	pthread_mutex_lock(&l->lock);
	while (l->state == AGAIN)
		pthread_cond_wait(&l->step, &l->lock);
	pthread_mutex_unlock(&l->lock);
}

/* Under another root a capability is a way out of it, but for root's over files. Nothing gives them back: no_new_privs is set with
 * the filter. What is not permitted any more is not ambient either (capabilities(7)). */
int hps_drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct of[2];
	unsigned kept = hps_call_capabilities();

	if (syscall(SYS_capget, &head, of))
		return -errno;
	of[0].effective &= kept;
	of[0].permitted &= kept;
	of[0].inheritable &= kept;
	memset(&of[1], 0, sizeof of[1]);
	return syscall(SYS_capset, &head, of) ? -errno : 0;
}

static int enter(struct hps_launcher *l)
{
	const struct hps_launch *launch = l->launch;

	if (!launch->root && !launch->cwd)
		return 0;
	/* Root and directory of this thread alone. */
	if (unshare(CLONE_FS))
		return hps_error_errno(&l->err, "leaving the recorder's own directories");
	if (launch->root && (chroot(launch->root) || chdir("/")))
		return hps_error_errno(&l->err, "entering the root '%s'", launch->root);
	if (launch->cwd && chdir(launch->cwd))
		return hps_error_errno(&l->err, "entering the directory '%s'", launch->cwd);
	if (launch->root && hps_drop_capabilities())
		return hps_error_errno(&l->err, "giving up capabilities");
	return 0;
}

/* As execvpe(3), which would look along our own PATH: in a rerun the command has another. */
static void execute(const struct hps_launch *launch)
{
	const char *name = launch->argv[0], *path = hps_environment_get(launch->envp, "PATH");
	size_t name_len = strlen(name), n;
	char full[PATH_MAX];
	bool denied = false;

	if (strchr(name, '/') || !*name) {
		execvpe(name, launch->argv, launch->envp);
		return;
	}
	for (const char *at = path ? path : "/bin:/usr/bin"; at; at = at[n] ? at + n + 1 : NULL) {
		n = strcspn(at, ":");
		if (n + name_len + 3 > sizeof full)
			continue;
		memcpy(full, n ? at : ".", n ? n : 1);
		full[n ? n : 1] = '/';
		memcpy(full + (n ? n : 1) + 1, name, name_len + 1);
		execvpe(full, launch->argv, launch->envp);
		denied = denied || errno == EACCES;
		if (errno != EACCES && errno != ENOENT && errno != ENOTDIR && errno != ESTALE && errno != ENODEV && errno != ETIMEDOUT)
			return;
	}
	errno = denied ? EACCES : ENOENT;
}

/* In the vforked child: only what is safe with the parent's memory, and what the command must find as it would without us. */
static void become(struct hps_launcher *l)
{
	const struct hps_launch *launch = l->launch;

	/* Another process was quicker to take the number. No exit_group: that one is intercepted. */
	if (launch->pid && getpid() != launch->pid && l->attempts < PID_ATTEMPTS)
		syscall(SYS_exit, 0);
	/* Without its recorder the command could open nothing any more and would not be on record. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	l->fenced = l->fence >= 0 && hps_fence_enter(l->fence) == 0;
	hps_inherited_restore(launch->inherited);
	umask(launch->umask);
	if (launch->fixed_places)
		personality((unsigned)personality(0xffffffff) | ADDR_NO_RANDOMIZE);
	execute(launch);
	l->error = errno;
	_exit(127);
}

/* True: it has the wrong number and is gone; the next one shall be told again. */
static bool start_child(struct hps_launcher *l)
{
	l->attempts++;
	l->child = vfork();
	if (l->child == 0)
		become(l);
	if (l->child < 0)
		l->error = errno;
	if (l->child <= 0 || !l->launch->pid || l->child == l->launch->pid || l->attempts >= PID_ATTEMPTS)
		return false;
	while (waitpid(l->child, NULL, 0) < 0 && errno == EINTR)
		;
	set_state(l, AGAIN);
	await_again(l);
	return true;
}

static void *launcher_main(void *arg)
{
	struct hps_launcher *l = arg;

	pthread_setname_np(pthread_self(), "launcher");
	l->tid = (pid_t)syscall(SYS_gettid);
	if (enter(l)) {
		set_state(l, FAILED);
		return NULL;
	}
	l->fence = hps_fence_new();
	if (hps_filter_install(l->gaps, l->launch->root != NULL, l->launch->looks, l->launch->listings, &l->listener, &l->err)) {
		set_state(l, FAILED);
		return NULL;
	}
	set_state(l, READY);
	await(l, GO);
	if (l->state == GO) {
		while (start_child(l))
			;
		if (!l->fenced)
			hps_gap_note(l->gaps, HPS_GAP_FENCE);
		set_state(l, GONE);
		await(l, END);
		/* An intercepted call of this thread is the supervisor's sign to end. Without one nobody would answer it. */
		syscall(SYS_rmdir, NULL);
	}
	return NULL;
}

int hps_launcher_new(const struct hps_launch *launch, struct hps_gaps *gaps, struct hps_launcher **ret, struct hps_error *err)
{
	struct hps_launcher *l = hps_alloc(sizeof *l);
	int r;

	l->launch = launch;
	l->gaps = gaps;
	l->listener = l->fence = -1;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->step, NULL);
	r = pthread_create(&l->thread, NULL, launcher_main, l);
	if (r) {
		errno = r;
		hps_error_errno(err, "starting a thread");
		free(l);
		return -r;
	}
	await(l, READY);
	if (l->state != FAILED) {
		*ret = l;
		return 0;
	}
	r = hps_error_set(err, l->err.code, "%s", l->err.message);
	pthread_join(l->thread, NULL);
	hps_error_release(&l->err);
	free(l);
	return r;
}

int hps_launcher_listener(const struct hps_launcher *l)
{
	return l->listener;
}

pid_t hps_launcher_tid(const struct hps_launcher *l)
{
	return l->tid;
}

/* The kernel counts on from what stands there. Only this thread still may write it. */
static void count_on(pid_t pid)
{
	_cleanup_fd_ int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
	char text[16];
	int n = snprintf(text, sizeof text, "%d", pid - 1);

	if (fd >= 0)
		(void)!write(fd, text, (size_t)n);
}

int hps_launcher_start(struct hps_launcher *l, pid_t *ret_pid)
{
	do {
		if (l->launch->pid)
			count_on(l->launch->pid);
		set_state(l, GO);
		await(l, AGAIN);
	} while (l->state == AGAIN);
	*ret_pid = l->child;
	return -l->error;
}

void hps_launcher_free(struct hps_launcher *l)
{
	if (!l)
		return;
	set_state(l, END);
	pthread_join(l->thread, NULL);
	if (l->fence >= 0)
		close(l->fence);
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->step);
	hps_error_release(&l->err);
	free(l);
}
