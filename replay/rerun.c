/* The trial again: this process stays outside, starts the one that goes inside, gives it its ids, waits for it, cleans up. */
#include "replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAID_MAX 400

/* ---- what goes inside ---- */

#define DESCRIPTORS_MAX 1023 /* numbers, and how many of them */

static void add_descriptors(const struct hps_original *o, struct hps_strv *ret)
{
	const json_t *list = json_object_get(o->surroundings, "descriptors");

	for (size_t i = 0; i < json_array_size(list) && i < DESCRIPTORS_MAX; i++) {
		json_int_t fd = json_integer_value(json_array_get(list, i));

		if (fd < 3 || fd > DESCRIPTORS_MAX)
			continue;
		hps_strv_add(ret, "--descriptor");
		hps_strv_addf(ret, "%d", (int)fd);
	}
}

static void recorder_argv(struct hps_ledger *l, const struct hps_original *o, const struct hps_plan *p, const struct hps_controls *c, const char *work, int passphrase_fd,
			  int environment_fd, struct hps_strv *ret)
{
	_cleanup_free_ char *ledger = hps_path_absolute(hps_ledger_dir(l));

	hps_strv_add(ret, "hps-record");
	hps_strv_add(ret, "-q");
	hps_strv_add(ret, "--ledger");
	hps_strv_add(ret, ledger);
	hps_strv_add(ret, "--replay-of");
	hps_strv_add(ret, o->trial.id);
	hps_strv_add(ret, "--root");
	hps_strv_addf(ret, "%s/view", work);
	hps_strv_add(ret, "--cwd");
	hps_strv_add(ret, o->cwd);
	hps_strv_add(ret, "--id-file");
	hps_strv_addf(ret, "%s/id", work);
	if (o->metrics_path) {
		hps_strv_add(ret, "--metrics-path");
		hps_strv_add(ret, o->metrics_path);
	}
	hps_strv_add(ret, "--layers-from");
	hps_strv_addf(ret, "%s/layers", work);
	if (p->looks) {
		hps_strv_add(ret, "--looks-from");
		hps_strv_addf(ret, "%s/looks", work);
	}
	if (o->listings) {
		hps_strv_add(ret, "--listings-from");
		hps_strv_addf(ret, "%s/listings", work);
	}
	for (size_t i = 0; i < o->metrics.n; i++) {
		hps_strv_add(ret, "--metrics");
		hps_strv_add(ret, o->metrics.v[i]);
	}
	hps_strv_add(ret, "--level");
	hps_strv_addf(ret, "%u", c->level == 3 ? 2 : c->level);
	if (c->clocks) {
		hps_strv_add(ret, "--clocks-from");
		hps_strv_add(ret, c->clocks);
		hps_strv_add(ret, "--shim");
		hps_strv_add(ret, c->shim);
	}
	add_descriptors(o, ret);
	if (o->pid) {
		hps_strv_add(ret, "--pid");
		hps_strv_addf(ret, "%d", o->pid);
	}
	if (o->seed && c->level > 1) {
		_cleanup_free_ char *seed = hps_path_absolute(o->seed);

		hps_strv_add(ret, "--entropy-from");
		hps_strv_add(ret, seed);
	} else {
		hps_strv_add(ret, "--entropy");
		hps_strv_add(ret, "off");
	}
	if (o->seed && o->seeded_fully && c->level > 1)
		hps_strv_add(ret, "--entropy-full");
	if (o->no_network)
		hps_strv_add(ret, "--no-network");
	if (passphrase_fd >= 0) {
		hps_strv_add(ret, "--key-passphrase-fd");
		hps_strv_addf(ret, "%d", passphrase_fd);
	}
	hps_strv_add(ret, "--environment-fd");
	hps_strv_addf(ret, "%d", environment_fd);
	hps_strv_add(ret, "--");
	for (size_t i = 0; i < o->argv.n; i++)
		hps_strv_add(ret, o->argv.v[i]);
}

/* A pipe that holds the passphrase line: it is shorter than what a pipe takes at once. */
static int passphrase_pipe(const char *passphrase, int *ret, struct hps_error *err)
{
	_cleanup_fd_ int in = -1, out = -1;
	int ends[2], r;

	*ret = -1;
	if (!passphrase)
		return 0;
	if (pipe2(ends, O_CLOEXEC))
		return hps_error_errno(err, "passing the passphrase on");
	out = ends[0];
	in = ends[1];
	r = hps_write_all(in, passphrase, strlen(passphrase));
	r = r ? r : hps_write_all(in, "\n", 1);
	if (r)
		return hps_error_set(err, r, "passing the passphrase on: %s", strerror(-r));
	*ret = hps_take_fd(&out);
	return 0;
}

/* For --looks-from. */
static int write_looks(const struct hps_plan *p, const char *work, struct hps_error *err)
{
	_cleanup_free_ char *path = hps_format("%s/looks", work);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_json_ json_t *all = json_object();
	int r;

	for (size_t i = 0; i < p->n; i++) {
		const struct hps_attributes *a = p->nodes[i].attributes;
		_cleanup_json_ json_t *name = a ? hps_path_json(p->nodes[i].path) : NULL;

		if (a)
			hps_json_set(all, json_string_value(name), json_pack("[IIIIII]", (json_int_t)S_ISDIR(a->mode), (json_int_t)a->n_links, (json_int_t)a->size,
										(json_int_t)a->blocks, (json_int_t)a->ino, (json_int_t)a->device));
	}
	r = hps_json_canonical(all, &text, err);
	return r ? r : hps_file_write(AT_FDCWD, path, 0600, text.data, text.len, err);
}

/* For --listings-from, of a trial that listed names of its own making. */
static int write_listings(const struct hps_original *o, const char *work, struct hps_error *err)
{
	_cleanup_free_ char *path = hps_format("%s/listings", work);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_json_ json_t *all = json_object();
	int r;

	hps_json_set(all, "items", json_incref(o->listings));
	r = hps_json_canonical(all, &text, err);
	return r ? r : hps_file_write(AT_FDCWD, path, 0600, text.data, text.len, err);
}

static int make_work(const struct hps_plan *p, struct hps_temporary *ret, struct hps_error *err)
{
	_cleanup_free_ char *view = NULL;
	int r = hps_temporary_make(NULL, "hps-replay.run", ret, err);

	if (r)
		return r;
	view = hps_format("%s/view", ret->path);
	if (mkdir(view, 0700))
		return hps_error_errno(err, "making '%s'", view);
	return p->looks ? write_looks(p, ret->path, err) : 0;
}

/* ---- what comes out ---- */

static void read_holes(const json_t *list, struct hps_holes *ret)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, item) {
		_cleanup_buf_ struct hps_buf what = HPS_BUF_INIT, why = HPS_BUF_INIT;

		if (!hps_path_unescape(hps_json_text(item, "what"), &what, NULL) && !hps_path_unescape(hps_json_text(item, "why"), &why, NULL))
			hps_hole_add(ret, what.data ? what.data : "", why.data ? why.data : "");
	}
}

static int read_report(struct hps_rerun *run, struct hps_error *err)
{
	_cleanup_free_ char *path = hps_format("%s/report", run->work.path);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT, why = HPS_BUF_INIT;
	_cleanup_json_ json_t *j = NULL;

	if (hps_file_read(AT_FDCWD, path, HPS_JSON_MAX, &text, NULL) || hps_json_parse(text.data, text.len, &j, NULL))
		return hps_error_set(err, HPS_E_UNDECIDED, "rebuilding the view: its process ended without a word");
	run->view.n_files = (uint64_t)hps_json_int(j, "files", 0);
	run->view.n_store = (uint64_t)hps_json_int(j, "store", 0);
	run->view.n_system = (uint64_t)hps_json_int(j, "system", 0);
	run->view.n_ghosts = (uint64_t)hps_json_int(j, "ghosts", 0);
	run->view.bytes = (uint64_t)hps_json_int(j, "bytes", 0);
	run->view.n_blank = (uint64_t)hps_json_int(j, "blank", 0);
	if (hps_view_kind_parse(hps_json_text(j, "kind"), &run->view.kind))
		run->view.kind = HPS_VIEW_BEST;
	if (hps_json_text(j, "why"))
		run->view.why = hps_strdup(hps_json_text(j, "why"));
	read_holes(hps_json_at(j, "problems", NULL), &run->view.problems);
	read_holes(hps_json_at(j, "holes", NULL), &run->view.holes);
	if (!hps_json_text(j, "error"))
		return 0;
	if (hps_path_unescape(hps_json_text(j, "error"), &why, NULL))
		return hps_error_set(err, HPS_E_UNDECIDED, "rebuilding the view failed");
	return hps_error_set(err, HPS_E_UNDECIDED, "%s", why.data);
}

static int receive_root(int sock_fd)
{
	char byte, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { &byte, 1 };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	struct cmsghdr *c;
	int fd = -1;

	if (recvmsg(sock_fd, &m, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof fd);
	return fd;
}

static int read_id(struct hps_rerun *run)
{
	_cleanup_free_ char *path = hps_format("%s/id", run->work.path);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	struct hps_digest d;

	if (hps_file_read(AT_FDCWD, path, 4096, &text, NULL))
		return -1;
	while (text.len && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == ' '))
		text.data[--text.len] = '\0';
	if (!text.len || hps_digest_parse(text.data, &d))
		return -1;
	memcpy(run->id, text.data, sizeof run->id);
	return 0;
}

static void read_stderr(const struct hps_rerun *run, const struct hps_plan *p, struct hps_buf *ret)
{
	_cleanup_free_ char *path = hps_format("%s/stderr", run->work.path);
	_cleanup_fd_ int fd = p->standard[2] ? hps_rerun_open(run->root_fd, p->standard[2]) : open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)!hps_file_read_fd(fd, (size_t)64 << 20, ret, NULL);
	if (!ret->len && !p->standard[2]) { /* on a terminal both are one */
		_cleanup_free_ char *both = hps_format("%s/stdout", run->work.path);

		(void)!hps_file_read(AT_FDCWD, both, (size_t)64 << 20, ret, NULL);
	}
	while (ret->len && ret->data[ret->len - 1] == '\n')
		ret->data[--ret->len] = '\0';
}

/* The end of what the recorder said before it gave up. */
static int no_record(const struct hps_original *o, const struct hps_rerun *run, const struct hps_plan *p, int status, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_free_ char *shown = NULL;
	const char *said;

	read_stderr(run, p, &text);
	shown = hps_withheld_hide(o, text.len ? text.data : "nothing");
	said = strlen(shown) > SAID_MAX ? shown + strlen(shown) - SAID_MAX : shown;
	return hps_error_set(err, HPS_E_UNDECIDED, "the rerun left no record (status %d); its last words: %s", status, said);
}

/* ---- waiting ---- */

struct watch {
	pid_t pid;
	int pidfd, signal_fd, sock_fd;
	int64_t started_ns;
	struct hps_progress progress;
};

/* The root arrives when the view is complete; the end comes by the pidfd. A signal to us ends the whole. */
static int watch(struct watch *w, struct hps_rerun *run, struct hps_error *err)
{
	struct pollfd p[] = { { .fd = w->pidfd, .events = POLLIN }, { .fd = w->signal_fd, .events = POLLIN }, { .fd = w->sock_fd, .events = POLLIN } };
	struct signalfd_siginfo signal;

	for (;;) {
		if (poll(p, ARRAY_SIZE(p), 200) < 0 && errno != EINTR)
			return hps_error_errno(err, "waiting for the rerun");
		if (p[1].revents && read(w->signal_fd, &signal, sizeof signal) > 0) /* taken, or it would end us later */
			return hps_error_set(err, HPS_E_UNDECIDED, "interrupted: the rerun was stopped");
		if (p[2].revents & POLLIN && run->root_fd < 0) {
			run->root_fd = receive_root(w->sock_fd);
			run->build_ns = hps_time_monotonic_ns() - w->started_ns;
		}
		if (p[2].revents & POLLHUP || run->root_fd >= 0)
			p[2].fd = -1;
		if (p[0].revents)
			return 0;
		if (run->root_fd >= 0)
			hps_progress_update(&w->progress, (uint64_t)((hps_time_monotonic_ns() - w->started_ns - run->build_ns) / 1000000000));
	}
}

static int supervise(pid_t pid, const struct hps_original *o, int sock_fd, const sigset_t *signals, struct hps_rerun *run, int *ret_status,
		     struct hps_error *err)
{
	_cleanup_fd_ int pidfd = pidfd_open(pid, 0), signal_fd = signalfd(-1, signals, SFD_CLOEXEC);
	struct watch w = { .pid = pid, .pidfd = pidfd, .signal_fd = signal_fd, .sock_fd = sock_fd, .started_ns = hps_time_monotonic_ns() };
	int r;

	if (pidfd < 0 || signal_fd < 0)
		return hps_error_errno(err, "waiting for the rerun");
	hps_progress_start(&w.progress, "rerunning, seconds", (uint64_t)o->wall_seconds);
	r = watch(&w, run, err);
	hps_progress_end(&w.progress);
	if (r)
		(void)!kill(pid, SIGKILL);
	while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
		;
	run->run_ns = hps_time_monotonic_ns() - w.started_ns - run->build_ns;
	*ret_status = WIFEXITED(*ret_status) ? WEXITSTATUS(*ret_status) : 128 + WTERMSIG(*ret_status);
	return r;
}

static int start(const struct hps_inside *in, const struct hps_original *o, const sigset_t *signals, struct hps_rerun *run, int *ret_status,
		 struct hps_error *err)
{
	_cleanup_fd_ int ours = -1, theirs = -1;
	int ends[2], r;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return hps_error_errno(err, "starting the rerun");
	ours = ends[0];
	theirs = ends[1];
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(ours);
		hps_inside_main(in, theirs);
	}
	hps_cleanup_fd(&theirs);
	theirs = -1;
	r = pid < 0 ? hps_error_errno(err, "starting the rerun") : hps_sandbox_map(pid, &in->sandbox, ours, err);
	if (pid > 0 && r) {
		hps_cleanup_fd(&ours);
		ours = -1;
		while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
			;
		if (r == -EPIPE) /* it could not enter, and its report says why */
			r = read_report(run, err);
	} else if (pid > 0) {
		r = supervise(pid, o, ours, signals, run, ret_status, err);
	}
	return r;
}

/* Strings with their NUL. */
static void add_environment(const struct hps_strv *variables, struct hps_buf *ret)
{
	for (size_t i = 0; i < variables->n; i++)
		hps_buf_add(ret, variables->v[i], strlen(variables->v[i]) + 1);
}

/* For --environment-fd. What stands in it is the record's, and anybody may have written that: the recorder starts outside of the view, where the loader
 * and the libraries would do what such variables tell them. */
static int command_environment(const struct hps_original *o, struct hps_strv *pins, int *ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_fd_ int fd = memfd_create("environment", MFD_CLOEXEC);
	int r;

	hps_pins_choose(o, pins);
	add_environment(&o->environment, &text);
	add_environment(pins, &text);
	if (o->withheld)
		add_environment(&o->withheld->variables, &text);
	r = fd < 0 ? -errno : hps_write_all(fd, text.data ? text.data : "", text.len);
	if (!r && lseek(fd, 0, SEEK_SET))
		r = -errno;
	if (text.data)
		explicit_bzero(text.data, text.len);
	if (r)
		return hps_error_set(err, r, "passing the environment on: %s", strerror(-r));
	*ret = hps_take_fd(&fd);
	return 0;
}

/* The recorder's own: what it needs of ours. */
static void recorder_environment(struct hps_strv *ret)
{
	static const char *const names[] = {
		"PATH", "HOME", "USER", "XDG_STATE_HOME", "XDG_CACHE_HOME", "TMPDIR", "SSH_AUTH_SOCK", "LD_LIBRARY_PATH",
#ifdef __SANITIZE_ADDRESS__
		"ASAN_OPTIONS",
#endif
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (getenv(names[i]))
			hps_strv_addf(ret, "%s=%s", names[i], getenv(names[i]));
}

static int run_recorder(struct hps_ledger *l, const struct hps_original *o, const struct hps_plan *p, const struct hps_rerun_options *options,
			const sigset_t *signals, struct hps_rerun *ret, struct hps_error *err)
{
	_cleanup_free_ char *program = hps_sibling_program("hps-record"), *objects = hps_format("%s/objects", hps_ledger_dir(l)),
			    *own = hps_path_absolute(objects);
	_cleanup_strv_ struct hps_strv argv = HPS_STRV_INIT, environment = HPS_STRV_INIT;
	_cleanup_(hps_controls_release) struct hps_controls controls = HPS_CONTROLS_INIT;
	_cleanup_fd_ int passphrase = -1, variables = -1;
	static const char *const nothing[] = { NULL };
	int r = passphrase_pipe(options->passphrase, &passphrase, err), status = 0;

	if (!r && o->listings)
		r = write_listings(o, ret->work.path, err);
	r = r ? r : hps_controls_make(o, options->level, ret->work.path, &controls, err);
	r = r ? r : command_environment(o, &ret->pins, &variables, err);
	if (r)
		return r;
	recorder_environment(&environment);
	recorder_argv(l, o, p, &controls, ret->work.path, passphrase, variables, &argv);
	r = start(&(struct hps_inside){ .sandbox = { .uid = o->uid, .host = o->host, .network = options->network },
					.plan = p,
					.work = ret->work.path,
					.stores = options->n_stores ? options->stores : (const char *const[]){ own },
					.n_stores = options->n_stores ? options->n_stores : 1,
					.kind = options->kind,
					.program = program,
					.argv = (const char *const *)argv.v,
					.envp = environment.n ? (const char *const *)environment.v : nothing,
					.umask = o->umask,
					.surroundings = o->surroundings,
					.recorder_pid = o->recorder_pid,
					.terminal = { o->terminal[0], o->terminal[1], o->terminal[2] },
					.shim_fd = controls.shim_fd,
					.passphrase_fd = passphrase,
					.environment_fd = variables,
					.verbose = options->verbose },
		  o, signals, ret, &status, err);
	r = r ? r : read_report(ret, err);
	if (r || ret->view.problems.n)
		return r;
	if (ret->root_fd < 0)
		return hps_error_set(err, HPS_E_UNDECIDED, "rebuilding the view: its process ended with status %d", status);
	return read_id(ret) ? no_record(o, ret, p, status, err) : 0;
}

/* Nothing stays in the file system, whatever comes later: stdout and stderr live on in their descriptors. */
static void leave_work(struct hps_rerun *run)
{
	static const char *const names[] = { "stdout", "stderr" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = hps_format("%s/%s", run->work.path, names[i]);

		run->output_fds[i] = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	}
	(void)!hps_dir_remove(AT_FDCWD, run->work.path, NULL);
}

int hps_rerun_run(struct hps_ledger *l, const struct hps_original *o, const struct hps_plan *p, const struct hps_rerun_options *options,
		  struct hps_rerun *ret, struct hps_error *err)
{
	sigset_t signals, before;
	int r;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, &before);
	ret->network = options->network;
	r = make_work(p, &ret->work, err);
	r = r ? r : run_recorder(l, o, p, options, &signals, ret, err);
	if (ret->work.path)
		leave_work(ret);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return r;
}

int hps_rerun_open(int root_fd, const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV };
	int fd = (int)syscall(SYS_openat2, root_fd, path + (*path == '/'), &how, sizeof how);
	struct stat s;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &s) || !S_ISREG(s.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

void hps_rerun_release(struct hps_rerun *r)
{
	hps_temporary_remove(&r->work);
	hps_cleanup_fd(&r->root_fd);
	hps_cleanup_fd(&r->output_fds[0]);
	hps_cleanup_fd(&r->output_fds[1]);
	hps_view_release(&r->view);
	hps_strv_release(&r->pins);
	*r = (struct hps_rerun)HPS_RERUN_INIT;
}
