/* execve and execveat: the program and its arguments. The kernel opens those files itself, so the call goes on
 * after we have looked, and what really runs is asked of /proc/PID/exe at the process's next call. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MAX_ARGUMENTS (256u << 10)

/* ---- arguments ---- */

/* Up to n pointers at `at`, fewer when the vector ends just before an unmapped page; what is not there reads as the end. */
static int read_pointers(struct hps_supervisor *s, struct hps_tracee *t, uint64_t at, uint64_t *to, size_t n)
{
	size_t page = (4096 - at % 4096) / sizeof *to;

	memset(to, 0, n * sizeof *to);
	if (t->launching) /* our own memory: not beyond the vector */
		n = 1;
	if (hps_memory_read(s, t, at, to, n * sizeof *to) >= 0)
		return (int)n;
	if (page && page < n && hps_memory_read(s, t, at, to, page * sizeof *to) >= 0)
		return (int)page;
	return 0;
}

static bool add_argument(struct hps_supervisor *s, struct hps_tracee *t, uint64_t at, struct hps_buf *ret)
{
	char text[4096];
	ssize_t n = hps_memory_string(s, t, at, text, sizeof text);

	if (n < 0 && n != -ENAMETOOLONG)
		return false;
	hps_buf_add(ret, text, n < 0 ? sizeof text - 1 : (size_t)n);
	if (n < 0)
		hps_buf_adds(ret, "…"); /* a long argument: its start, and a mark */
	hps_buf_addc(ret, '\0');
	return true;
}

/* The strings of an argument vector, each with its NUL. */
static void read_arguments(struct hps_supervisor *s, struct hps_tracee *t, uint64_t at, struct hps_buf *ret)
{
	char starts[64][HPS_MEMORY_START];
	uint64_t pointers[64];
	ssize_t lens[64];
	int used;

	hps_buf_init(ret, MAX_ARGUMENTS);
	while (at && !ret->full) {
		int n = read_pointers(s, t, at, pointers, ARRAY_SIZE(pointers));

		if (!n)
			return;
		used = 0;
		while (used < n && pointers[used])
			used++;
		hps_memory_starts(t, pointers, (size_t)used, starts, lens);
		for (int i = 0; i < used; i++)
			if (lens[i] >= 0)
				hps_buf_add(ret, starts[i], (size_t)lens[i] + 1);
			else if (!add_argument(s, t, pointers[i], ret))
				return;
		if (used < n)
			return;
		at += (uint64_t)n * sizeof *pointers;
	}
}

/* A child that makes its first call while its parent waits is where that is. */
static char *directory_of(const struct hps_supervisor *s, const struct hps_tracee *t)
{
	const struct hps_tracee *at_home = t->at_home || t->own_memory != HPS_NO ? t : hps_memory_lender(s, t);
	char path[HPS_PATH_CAP], link[32];
	ssize_t n;

	if (at_home && at_home->at_home && !at_home->pending && !s->unseen)
		return hps_strdup(s->executions[at_home->execution].cwd);
	snprintf(link, sizeof link, "%d/cwd", t->caller);
	n = t->launching ? readlink("/proc/self/cwd", path, sizeof path - 1) : readlinkat(t->task_fd, link, path, sizeof path - 1);

	return n > 0 ? hps_strndup(path, (size_t)n) : hps_strdup("");
}

static bool same_file(dev_t dev, ino_t ino, const struct stat *st)
{
	return st->st_ino == ino && st->st_dev == dev;
}

/* What will tell afterwards whether the exec was one: the file that runs now and, where that may be the next one too, its memory. */
static void look_before(struct hps_tracee *t, pid_t tid, const struct stat *next)
{
	struct stat now;
	char path[32], byte;

	snprintf(path, sizeof path, "%d/exe", tid); /* the first thread may have ended */
	if (!t->pending) {
		if (fstatat(t->task_fd, path, &now, 0))
			now = (struct stat){ 0 };
		t->exe_dev = now.st_dev;
		t->exe_ino = now.st_ino;
	}
	if (t->launching || t->before_fd >= 0 || (t->exe_ino && next->st_ino && !same_file(t->exe_dev, t->exe_ino, next)))
		return;
	snprintf(path, sizeof path, "%d/mem", tid);
	t->before_fd = openat(t->task_fd, path, O_RDONLY | O_CLOEXEC);
	if (t->before_fd >= 0 && !pread(t->before_fd, &byte, 1, 0)) /* it was killed */
		close(hps_take_fd(&t->before_fd));
}

static void prepare(struct hps_supervisor *s, struct hps_call *c, const char *program, uint64_t argv, const struct stat *running, bool stable,
		    const struct hps_executable *p)
{
	struct hps_execution *e = hps_alloc(sizeof *e);
	struct hps_buf arguments;

	read_arguments(s, c->t, argv, &arguments);
	look_before(c->t, (pid_t)c->n->pid, running);
	*e = (struct hps_execution){
		.parent = c->t->execution,
		.pid = c->t->pid,
		.tid = (pid_t)c->n->pid,
		.older = c->t->pending,
		.program = hps_strdup(program),
		.argv_len = arguments.len,
		.cwd = directory_of(s, c->t),
		.start_ns = hps_time_monotonic_ns(),
		.tracee = c->t->index,
		.exe_dev = running->st_dev,
		.exe_ino = running->st_ino,
		.stable = stable,
		.script = p && p->script ? hps_strdup(p->script->path) : NULL,
	};
	if (p && p->privileged)
		hps_gap_name(s->gaps, HPS_GAP_PRIVILEGE, program);
	e->argv = hps_buf_take(&arguments);
	/* Until somebody moves it, another of its threads even before the program runs. */
	c->t->at_home = !s->sharing_possible && !c->t->cwd_mover && !c->t->shares && !c->t->pending;
	c->t->pending = e;
}

/* ---- the calls ---- */

/* The file that the call names; -errno. */
static int open_program(struct hps_call *c, const struct hps_target *target, int dirfd, int flags)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };
	char link[32];
	int fd;

	if (flags & AT_EMPTY_PATH && !target->len) {
		snprintf(link, sizeof link, "../fd/%d", dirfd);
		fd = openat(c->t->task_fd, link, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		return fd < 0 ? -errno : fd;
	}
	how.flags |= flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0;
	fd = c->t->foreign && target->given[0] == '/' ? hps_executable_open_inside(c->t, target->given)
						      : (int)syscall(SYS_openat2, target->base, target->path, &how, sizeof how);
	return fd < 0 ? -errno : fd;
}

static bool gives_privileges(int fd, const struct stat *st)
{
	if ((st->st_mode & S_ISUID && st->st_uid != geteuid()) || ((st->st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && st->st_gid != getegid()))
		return true;
	return geteuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0;
}

static void exec_file(struct hps_supervisor *s, struct hps_call *c, struct hps_target *target, int fd, uint64_t argv, int flags)
{
	struct stat st, running;
	struct hps_file *file;
	bool named = !(flags & AT_EMPTY_PATH && !target->len) && !target->own;
	struct hps_executable p = { .usable = named && target->given[0] == '/' && !c->t->foreign && !(flags & AT_SYMLINK_NOFOLLOW) };

	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		hps_answer_continue(s, c); /* EACCES is coming */
		return;
	}
	running = st;
	file = hps_executable_file(s, fd, &st, named ? target->given : NULL, target->base_path, HPS_USE_EXEC);
	p.file = file;
	p.privileged = gives_privileges(fd, &st);
	if (c->t->foreign) {
		file->unverified = true;
		hps_gap_note(s->gaps, HPS_GAP_FOREIGN);
	}
	if (!hps_executable_interpreters(s, c, fd, target->base_path, &running, &p)) {
		hps_executable_drop(&p);
		hps_gap_note(s->gaps, HPS_GAP_ABI);
		hps_answer_error(s, c, ENOEXEC);
		return;
	}
	p.running_dev = running.st_dev;
	p.running_ino = running.st_ino;
	if (p.usable)
		hps_executable_keep(s, target->given, &p);
	else
		hps_executable_drop(&p);
	prepare(s, c, file->path, argv, &running, hps_target_stable(s, target), &p);
	hps_answer_continue(s, c);
}

static void exec_any(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at, uint64_t argv, int flags)
{
	struct hps_target target;
	const struct hps_executable *known;
	bool stable;
	int fd, r = hps_target_get(s, c, flags & AT_EMPTY_PATH ? AT_FDCWD : dirfd, at, &target);

	if (r || (flags & AT_EMPTY_PATH && target.len && target.given[0] != '/')) {
		hps_target_release(&target);
		if (hps_answer_exhausted(s, c, -r))
			return;
		if (!c->t->launching) /* what runs is asked afterwards */
			prepare(s, c, r ? "" : target.given, argv, &(struct stat){ 0 }, false, NULL);
		hps_answer_continue(s, c);
		return;
	}
	/* A vforked child is alone with its parent's memory while the parent waits; only a parent with threads could lie. */
	stable = hps_target_stable(s, &target);
	known = !c->t->foreign && target.given[0] == '/' && !target.own && !flags ? hps_executable_known(s, target.given) : NULL;
	if (known) {
		prepare(s, c, known->file->path, argv, &(struct stat){ .st_dev = known->running_dev, .st_ino = known->running_ino }, stable,
			known);
		hps_answer_continue(s, c);
		hps_target_release(&target);
		return;
	}
	fd = open_program(c, &target, dirfd, flags);
	if (fd >= 0) {
		exec_file(s, c, &target, fd, argv, flags);
		close(fd);
	} else if (!c->t->foreign && (fd == -ENOENT || fd == -ENOTDIR)) {
		_cleanup_buf_ struct hps_buf path = HPS_BUF_INIT;

		hps_buf_init(&path, 2 * HPS_PATH_CAP);
		hps_target_walk(s, &target, true, &path);
		if (!c->t->launching)
			hps_files_miss(s->files, path.data, -fd);
		hps_answer_error(s, c, -fd);
	} else {
		/* Not readable, or something that the kernel judges: the program that runs is asked for afterwards. */
		prepare(s, c, target.given, argv, &(struct stat){ 0 }, stable, NULL);
		hps_answer_continue(s, c);
	}
	hps_target_release(&target);
}

void hps_act_execve(struct hps_supervisor *s, struct hps_call *c)
{
	exec_any(s, c, AT_FDCWD, c->args[0], c->args[1], 0);
}

void hps_act_execveat(struct hps_supervisor *s, struct hps_call *c)
{
	exec_any(s, c, (int)c->args[0], c->args[1], c->args[2], (int)c->args[4]);
}

/* ---- afterwards ---- */

static void accept_execution(struct hps_supervisor *s, struct hps_tracee *t, bool runs)
{
	struct hps_execution *e = hps_take(t->pending);

	if (runs) {
		e->cpu_start_ns = hps_tracee_cpu_ns(t);
		hps_environ_note(s, t, e);
		s->n_confirmed++;
	} else {
		s->n_assumed++;
	}

	if (t->execution >= 0 && s->executions[t->execution].pid == t->pid && s->executions[t->execution].tracee == t->index) {
		s->executions[t->execution].replaced = true;
		s->executions[t->execution].end_ns = e->start_ns;
		s->executions[t->execution].cpu_ns = e->cpu_start_ns - s->executions[t->execution].cpu_start_ns;
	}
	s->executions = hps_grow(s->executions, s->n_executions, sizeof *s->executions);
	s->executions[s->n_executions] = *e;
	t->execution = (int)s->n_executions++;
	free(e);
}

static void free_execution(struct hps_execution *e)
{
	free(e->program);
	free(e->argv);
	free(e->cwd);
	free(e->script);
	free(e);
}

static struct hps_execution **pending_of(struct hps_tracee *t, pid_t tid)
{
	struct hps_execution **at = &t->pending;

	while (*at && (*at)->tid != tid)
		at = &(*at)->older;
	return at;
}

/* The thread's exec, if it was told to go on with one, has failed. */
static void drop_execution(struct hps_tracee *t, pid_t tid)
{
	struct hps_execution **at = pending_of(t, tid), *e = *at;

	if (!e)
		return;
	*at = e->older;
	free_execution(e);
	t->at_home = false;
	if (!t->pending)
		hps_tracee_forget_memory(t);
}

static void keep_one(struct hps_tracee *t, struct hps_execution *kept)
{
	struct hps_execution *older;

	for (struct hps_execution *e = t->pending; e; e = older) {
		older = e->older;
		if (e != kept)
			free_execution(e);
	}
	if (kept)
		kept->older = NULL;
	t->pending = kept;
}

/* Other bytes run than the name led us to: a swapped name, or a format that the kernel knows (binfmt_misc). */
static void note_running(struct hps_supervisor *s, struct hps_tracee *t, const struct stat *st)
{
	_cleanup_fd_ int fd = openat(t->task_fd, "../exe", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct hps_file *file;

	t->pending->exe_dev = st->st_dev;
	t->pending->exe_ino = st->st_ino;
	if (fd < 0) {
		hps_gap_note(s->gaps, HPS_GAP_UNREADABLE);
		return;
	}
	file = hps_executable_file(s, fd, st, NULL, "", HPS_USE_EXEC);
	free(t->pending->program);
	t->pending->program = hps_strdup(file->path);
}

/* The kernel's own copy of the arguments, when others could have changed those that we read. */
static void reread_arguments(struct hps_supervisor *s, struct hps_tracee *t)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	hps_buf_init(&text, MAX_ARGUMENTS);
	if (hps_file_read(t->task_fd, "../cmdline", MAX_ARGUMENTS, &text, NULL) || !text.len) {
		hps_gap_note(s->gaps, HPS_GAP_ARGUMENTS);
		return;
	}
	free(t->pending->argv);
	t->pending->argv_len = text.len;
	t->pending->argv = hps_buf_take(&text);
}

/* Which of them is it, when it is one? That of the file that runs, or else the process's own, the last. */
static struct hps_execution *likely(struct hps_tracee *t, const struct stat *st)
{
	struct hps_execution *e = t->pending, *own = *pending_of(t, t->pid);

	while (e && !same_file(e->exe_dev, e->exe_ino, st))
		e = e->older;
	return e ? e : own ? own : t->pending;
}

/* Is it still there under its number? An exec would have given it the process's. */
static bool thread_lives(const struct hps_tracee *t, pid_t tid)
{
	char path[16];

	snprintf(path, sizeof path, "%d", tid);
	return tid != t->pid && faccessat(t->task_fd, path, F_OK, 0) == 0;
}

/* Has it executed e, or something in its place? It runs the file st. */
static enum hps_answer executed(struct hps_supervisor *s, struct hps_tracee *t, const struct hps_execution *e, const struct stat *st)
{
	bool as_read = same_file(e->exe_dev, e->exe_ino, st), other = t->exe_ino && !same_file(t->exe_dev, t->exe_ino, st);
	char byte;

	if (t->launching)
		return as_read ? HPS_YES : HPS_NO;
	if (other || (t->before_fd >= 0 && !pread(t->before_fd, &byte, 1, 0)))
		return HPS_YES;
	if (thread_lives(t, e->tid) || (t->exe_ino && e->exe_ino && !as_read))
		return HPS_NO; /* it runs what it ran before */
	/* Nobody else would keep its memory of before. */
	if (t->before_fd >= 0 && t->own_memory == HPS_YES && !t->shares)
		return HPS_NO;
	return hps_tracee_own_memory(s, t) == HPS_NO ? HPS_NO : HPS_UNKNOWN;
}

void hps_exec_confirm(struct hps_supervisor *s, struct hps_tracee *t, pid_t tid)
{
	struct hps_execution *own = *pending_of(t, tid), *e;
	enum hps_answer runs;
	struct stat st;

	if (tid != t->pid) {
		drop_execution(t, tid);
		return;
	}
	if (fstatat(t->task_fd, "../exe", &st, 0)) {
		if (own || !thread_lives(t, t->pending->tid))
			hps_exec_assume(s, t);
		return;
	}
	e = likely(t, &st);
	runs = executed(s, t, e, &st);
	if (runs == HPS_NO) { /* another thread's may be under way */
		drop_execution(t, tid);
		return;
	}
	keep_one(t, e);
	if (!same_file(e->exe_dev, e->exe_ino, &st))
		note_running(s, t, &st);
	if (!e->stable)
		reread_arguments(s, t);
	hps_entropy_places(s->entropy, t->task_fd);
	hps_tracee_executed(t, runs == HPS_YES);
	accept_execution(s, t, true);
}

void hps_exec_assume(struct hps_supervisor *s, struct hps_tracee *t)
{
	keep_one(t, t->pending);
	hps_tracee_forget_memory(t);
	if (!t->pending->stable)
		hps_gap_note(s->gaps, HPS_GAP_ARGUMENTS);
	accept_execution(s, t, false);
}

void hps_exec_drop(struct hps_tracee *t)
{
	keep_one(t, NULL);
}
