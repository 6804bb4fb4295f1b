/* Inside the namespaces: builds the view, then becomes the first process of the pid namespace, which starts the recorder and
 * reaps. What the parent must know goes into work/report, since a message on a socket has a size. */
#include "replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHIM_MAX ((size_t)4 << 20)
#define STATUS_FAILED 121 /* the report says why */

static json_t *holes_json(const struct hps_holes *h)
{
	json_t *list = json_array();

	for (size_t i = 0; i < h->n; i++) {
		json_t *item = json_object();

		hps_json_set(item, "what", hps_path_json(h->v[i].what));
		hps_json_set(item, "why", hps_path_json(h->v[i].why));
		hps_json_add(list, item);
	}
	return list;
}

/* Nobody reads it before we have ended, and nobody after a power cut: nothing is flushed. */
static void write_report(const char *path, const struct hps_buf *text)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0)
		(void)!hps_write_all(fd, text->data, text->len);
}

static void report(const struct hps_inside *in, const struct hps_view *v, const struct hps_error *error)
{
	_cleanup_json_ json_t *j = json_object();
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_free_ char *path = hps_format("%s/report", in->work);

	hps_json_set_int(j, "files", (int64_t)v->n_files);
	hps_json_set_int(j, "store", (int64_t)v->n_store);
	hps_json_set_int(j, "system", (int64_t)v->n_system);
	hps_json_set_int(j, "ghosts", (int64_t)v->n_ghosts);
	hps_json_set_int(j, "bytes", (int64_t)v->bytes);
	hps_json_set_int(j, "blank", (int64_t)v->n_blank);
	hps_json_set_text(j, "kind", hps_view_kind_name(v->kind));
	if (v->why)
		hps_json_set(j, "why", hps_path_json(v->why));
	hps_json_set(j, "problems", holes_json(&v->problems));
	hps_json_set(j, "holes", holes_json(&v->holes));
	if (error && error->code) {
		hps_json_set_int(j, "code", error->code);
		hps_json_set(j, "error", hps_path_json(error->message));
	}
	if (!hps_json_canonical(j, &text, NULL))
		write_report(path, &text);
}

/* ---- the recorder ---- */

static int open_work(const struct hps_inside *in, const char *name)
{
	_cleanup_free_ char *path = hps_format("%s/%s", in->work, name);

	return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

/* The file in the view that was the trial's standard input, output or error; else nothing to read, and a file of the machine to
 * write to, or our own standard error. */
static int open_standard(const struct hps_inside *in, int root_fd, int fd)
{
	static const char *const names[] = { NULL, "stdout", "stderr" };
	struct open_how how = { .flags = fd ? O_WRONLY | O_APPEND : O_RDONLY, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };

	if (in->plan->standard[fd])
		return (int)syscall(SYS_openat2, root_fd, in->plan->standard[fd] + 1, &how, sizeof how);
	if (!fd)
		return open("/dev/null", O_RDONLY);
	return in->verbose ? dup(STDERR_FILENO) : open_work(in, names[fd]);
}

static int redirect(const struct hps_inside *in, int root_fd, const struct hps_terminal *terminal, struct hps_error *err)
{
	int files[3];

	for (int fd = 0; fd <= 2; fd++) {
		files[fd] = in->terminal[fd] ? dup(terminal->slave_fd) : open_standard(in, root_fd, fd);
		if (files[fd] < 0)
			return hps_error_errno(err, "opening what was descriptor %d of the trial", fd);
	}
	for (int fd = 0; fd <= 2; fd++)
		if (dup2(files[fd], fd) < 0)
			return hps_error_errno(err, "opening what was descriptor %d of the trial", fd);
	return 0;
}

static void note_cannot(void *arg, const char *what, const char *why)
{
	hps_hole_add(&((struct hps_view *)arg)->holes, what, why);
}

/* What cannot be had is a hole of the view, which has been reported: it is said again. */
static void apply_surroundings(const struct hps_inside *in, const struct hps_view *built)
{
	struct hps_view v = *built;
	size_t n = v.holes.n;

	if (!in->surroundings)
		return;
	v.holes = (struct hps_holes){ NULL, 0 };
	for (size_t i = 0; i < n; i++)
		hps_hole_add(&v.holes, built->holes.v[i].what, built->holes.v[i].why);
	hps_surroundings_apply(in->surroundings, note_cannot, &v);
	if (v.holes.n > n)
		report(in, &v, NULL);
	hps_holes_release(&v.holes);
}

/* The trial must find no descriptor of ours (runc's CVE-2024-21626 was one), no terminal, no capability, no signal state. */
static int become_recorder(const struct hps_inside *in, const struct hps_view *v, int root_fd, const struct hps_terminal *terminal, struct hps_error *err)
{
	int r = redirect(in, root_fd, terminal, err);
	sigset_t none;

	apply_surroundings(in, v);
	r = r ? r : hps_sandbox_drop(&in->sandbox, err);
	if (r)
		return r;
	if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) || (in->passphrase_fd >= 0 && fcntl(in->passphrase_fd, F_SETFD, 0)) ||
	    fcntl(in->environment_fd, F_SETFD, 0))
		return hps_error_errno(err, "closing descriptors");
	if (setsid() < 0)
		return hps_error_errno(err, "leaving the terminal");
	if (terminal->slave_fd >= 0 && ioctl(terminal->slave_fd, TIOCSCTTY, 0))
		return hps_error_errno(err, "taking a terminal");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	umask(in->umask);
	execvpe(in->program, (char *const *)(uintptr_t)in->argv, (char *const *)(uintptr_t)in->envp);
	return hps_error_errno(err, "starting '%s'", in->program);
}

static int wait_for(pid_t pid)
{
	for (;;) {
		int status;
		pid_t ended = wait(&status);

		if (ended == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (ended < 0 && errno != EINTR)
			return STATUS_FAILED;
	}
}

/* The processes that the recorder sees are those of this namespace, and so must be both its /proc and the trial's. The trial's is
 * read-only: in /proc/sys root is root, whatever capabilities it has given up. */
static int mount_proc(const struct hps_inside *in, int root_fd, struct hps_error *err)
{
	_cleanup_fd_ int top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = hps_mount_new("proc", NULL, true, root_fd, "proc", err);

	if (r || top < 0)
		return hps_error_prefix(err, "the sandbox cannot be set up");
	r = hps_mount_new("proc", NULL, false, top, "proc", err);
	if (!r && in->plan->uses_sys)
		r = hps_mount_tree_readonly("/sys", root_fd, "sys", err);
	return r ? hps_error_prefix(err, "the sandbox cannot be set up") : 0;
}

/* What is written to it goes where it would without one, by a process that ends when nobody has it open any more. */
static int start_terminal(const struct hps_inside *in, int root_fd, struct hps_terminal *ret, pid_t *ret_drain, struct hps_error *err)
{
	_cleanup_fd_ int to = -1;
	int r;

	if (!in->terminal[0] && !in->terminal[1] && !in->terminal[2])
		return 0;
	r = hps_terminal_open(root_fd, hps_json_at(in->surroundings, "terminal", NULL), ret, err);
	if (r)
		return r;
	to = in->verbose ? dup(STDERR_FILENO) : open_work(in, "stdout");
	*ret_drain = fork();
	if (*ret_drain == 0) {
		hps_cleanup_fd(&ret->slave_fd);
		hps_terminal_drain(ret->master_fd, to);
		_exit(0);
	}
	hps_cleanup_fd(&ret->master_fd);
	return *ret_drain < 0 ? hps_error_errno(err, "making a terminal") : 0;
}

/* Numbers of processes that the kernel gives from here on; where it cannot be told, it goes on as it would. */
static void give_pids_from(pid_t first)
{
	_cleanup_fd_ int fd = first > 1 ? open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC) : -1;

	if (fd >= 0)
		dprintf(fd, "%d", first - 1);
}

static int init_process(const struct hps_inside *in, const struct hps_view *v, int root_fd)
{
	_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;
	struct hps_terminal terminal = { -1, -1 };
	pid_t pid, drain = 0;
	int status;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (mount_proc(in, root_fd, &err)) {
		report(in, v, &err);
		return STATUS_FAILED;
	}
	prctl(PR_SET_DUMPABLE, 0); /* what we hold open leads out of the view; the trial could reach it through /proc/1 */
	if (start_terminal(in, root_fd, &terminal, &drain, &err)) {
		report(in, v, &err);
		return STATUS_FAILED;
	}
	give_pids_from(in->recorder_pid);
	pid = fork();
	if (pid == 0) {
		give_pids_from(2); /* its own threads and helpers do not take the command's */
		(void)!become_recorder(in, v, root_fd, &terminal, &err);
		report(in, v, &err);
		_exit(STATUS_FAILED);
	}
	hps_cleanup_fd(&terminal.slave_fd);
	status = pid < 0 ? STATUS_FAILED : wait_for(pid);
	if (drain > 0)
		wait_for(drain);
	return status;
}

/* ---- the view ---- */

static int send_root(int sock_fd, int root_fd)
{
	char byte = 'R', control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { &byte, 1 };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &root_fd, sizeof root_fd);
	return sendmsg(sock_fd, &m, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

static int make_view(const struct hps_inside *in, struct hps_view *v, int *ret_root, struct hps_error *err)
{
	_cleanup_free_ char *path = hps_format("%s/view", in->work);
	struct hps_sources sources;
	struct hps_progress progress;
	int r;

	hps_sources_open(&sources, in->stores, in->n_stores);
	hps_progress_start(&progress, "rebuilding files", in->plan->n_files);
	r = hps_view_build(in->plan, &sources, in->kind, path, &progress, v, ret_root, err);
	hps_progress_end(&progress);
	hps_sources_release(&sources);
	if (!r && !v->problems.n) {
		r = hps_mount_devices(*ret_root, err);
		if (r)
			hps_error_prefix(err, "the sandbox cannot be set up");
	}
	return r;
}

/* In a directory that is ours in every view. */
static int place_shim(const struct hps_inside *in, int root_fd, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf library = HPS_BUF_INIT;
	int r;

	if (in->shim_fd < 0)
		return 0;
	r = hps_file_read_fd(in->shim_fd, SHIM_MAX, &library, err);
	r = r ? r : hps_file_write(root_fd, HPS_SHIM_PLACE + 1, 0755, library.data, library.len, err);
	return r ? hps_error_prefix(err, "making '%s' in the view", HPS_SHIM_PLACE) : 0;
}

static int write_shown(const struct hps_inside *in, const struct hps_view *v, struct hps_error *err)
{
	_cleanup_free_ char *path = hps_format("%s/layers", in->work);

	return hps_view_write_shown(v, path, err);
}

/* By the time the trial may have put anything in a file's place: a way out of the view, which is not followed, or what must not be opened by us (a
 * FIFO has another end), which O_PATH does not do. fds: our /proc/self/fd, since /proc is init's by then. */
static void open_plain(int fds, int root_fd, const char *path)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC | O_NOFOLLOW, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV };
	_cleanup_fd_ int at = (int)syscall(SYS_openat2, root_fd, path + 1, &how, sizeof how);
	char number[16];
	struct stat s;

	if (at < 0 || fstat(at, &s) || !S_ISREG(s.st_mode))
		return;
	(void)snprintf(number, sizeof number, "%d", at);
	hps_cleanup_fd(&(int){ openat(fds, number, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) });
}

/* The first opening of a file in an overlay looks its name up, and its content in the layers. While the recorder starts, there
 * is a processor for that. Until init has ended. */
static void open_ahead(const struct hps_plan *p, int fds, int root_fd, pid_t init)
{
	siginfo_t ended = { .si_pid = 0 };

	for (size_t i = 0, n = 0; i < p->n && !ended.si_pid; i++) {
		if (p->nodes[i].kind != HPS_PLAN_FILE)
			continue;
		open_plain(fds, root_fd, p->nodes[i].path);
		if (++n % 32 == 0)
			(void)!waitid(P_PID, (id_t)init, &ended, WEXITED | WNOHANG | WNOWAIT);
	}
}

static int run(const struct hps_inside *in, int sock_fd, struct hps_view *v, struct hps_error *err)
{
	_cleanup_fd_ int root = -1, fds = -1;
	int r = hps_sandbox_enter(&in->sandbox, sock_fd, err);
	pid_t init;

	r = r ? r : make_view(in, v, &root, err);
	r = r || v->problems.n ? r : place_shim(in, root, err);
	r = r || v->problems.n ? r : write_shown(in, v, err);
	r = r ? r : hps_sandbox_pid(err);
	if (r)
		return r;
	report(in, v, NULL);
	if (v->problems.n)
		_exit(0);
	r = send_root(sock_fd, root);
	if (r)
		return hps_error_set(err, r, "handing over the view: %s", strerror(-r));
	fds = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	init = fork();
	if (init == 0) {
		hps_cleanup_fd(&fds);
		_exit(init_process(in, v, root));
	}
	if (init < 0)
		return hps_error_errno(err, "the sandbox cannot be set up");
	if (v->kind == HPS_VIEW_OVERLAY)
		open_ahead(in->plan, fds, root, init);
	_exit(wait_for(init));
}

void hps_inside_main(const struct hps_inside *in, int sock_fd)
{
	struct hps_error err = HPS_ERROR_INIT;
	struct hps_view v = { 0 };

	if (run(in, sock_fd, &v, &err))
		report(in, &v, &err);
	_exit(STATUS_FAILED);
}
