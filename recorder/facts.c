/* A process beside the recorder that learns what needs other programs and libraries: the machine, the repository, GPUs,
 * datasets while the trial runs; owners, names and build-ids of files when it has ended. What hangs or crashes there costs a
 * gap, not the record. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "recorder/container.h"
#include "recorder/dataset.h"
#include "recorder/gpu.h"
#include "recorder/identity.h"

#define GPU_LIMIT_MS 10000
#define ANSWER_LIMIT_MS 120000
#define QUIET_MS 300
#define WITNESS_END_MS 1000
#define FRAME_MAX ((size_t)512 << 20)

struct witness {
	_Atomic pid_t pid; /* 0: none */
	_Atomic int64_t told_ns[HPS_FACTS_SIGNALS];
};
struct hps_facts {
	int fd;
	pid_t pid;
	struct witness *witness; /* shared with it; NULL: no memory for that */
	struct hps_news news;
};

/* ---- frames: a length and bytes ---- */

static int send_frame(int fd, const void *data, size_t len)
{
	uint64_t n = len;
	int r = hps_write_all(fd, &n, sizeof n);

	return r ? r : hps_write_all(fd, data, len);
}

static int receive(int fd, void *to, size_t len, int limit_ms)
{
	char *at = to;

	while (len) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int ready = poll(&p, 1, limit_ms);
		ssize_t n;

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return -ETIMEDOUT;
		n = read(fd, at, len);
		if (n == 0)
			return -EPIPE;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int receive_frame(int fd, struct hps_buf *ret, int limit_ms)
{
	uint64_t n = 0;
	void *to;
	int r = receive(fd, &n, sizeof n, limit_ms);

	if (r)
		return r;
	hps_buf_init(ret, FRAME_MAX);
	to = n < FRAME_MAX ? hps_buf_reserve(ret, n) : NULL;
	if (!to)
		return -EMSGSIZE;
	r = receive(fd, to, n, limit_ms);
	if (!r) {
		ret->len = n;
		ret->data[n] = '\0';
	}
	return r;
}

static int send_json(int fd, const json_t *value)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	return hps_json_canonical(value, &text, NULL) ? -EINVAL : send_frame(fd, text.data, text.len);
}

static int receive_json(int fd, json_t **ret, int limit_ms)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	int r = receive_frame(fd, &text, limit_ms);

	return r ? r : hps_json_parse(text.data ? text.data : "", text.len, ret, NULL);
}

/* ---- in the process: facts about the machine ---- */

static json_t *dataset_item(const char *option, const char *cache_dir)
{
	const char *equals = strchr(option, '='), *path = equals ? equals + 1 : option;
	_cleanup_free_ char *name = equals ? hps_strndup(option, (size_t)(equals - option)) : hps_strdup(option);
	_cleanup_free_ char *absolute = hps_path_absolute(path), *real = realpath(absolute, NULL);
	_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;
	const struct hps_dataset_options options = { .cache_dir = cache_dir };
	struct hps_dataset dataset;
	json_t *item = json_object();

	hps_json_set(item, "name", hps_path_json(name));
	if (hps_dataset_digest(path, &options, &dataset, &err)) {
		hps_json_set_text(item, "missing", err.message);
		return item;
	}
	hps_json_set(item, "digest", hps_dataset_digest_json(&dataset));
	hps_json_set(item, "annotations", hps_dataset_size_json(&dataset, real ? real : absolute));
	return item;
}

/* The repository and the cards' state first, and at full priority: the trial changes them. The rest takes what the trial leaves. */
static json_t *gather_machine(const struct hps_facts_request *request, const char *cache_dir)
{
	json_t *facts = json_object(), *rows = json_array(), *datasets = json_array();
	struct sched_param idle = { 0 };

	hps_identity_git(rows, request->dir);
	hps_identity_gpu(rows, "", NULL, "before", GPU_LIMIT_MS);
	sched_setscheduler(0, SCHED_IDLE, &idle);
	hps_identity_cpu(rows, "");
	hps_identity_limits(rows, "");
	hps_identity_host(rows, "");
	hps_identity_scheduler(rows, "", request->envp);
	hps_identity_container(rows, "", request->envp, request->engine);
	for (size_t i = 0; request->datasets && i < request->datasets->n; i++)
		hps_json_add(datasets, dataset_item(request->datasets->v[i], cache_dir));
	hps_json_set(facts, "identities", rows);
	hps_json_set(facts, "datasets", datasets);
	return facts;
}

/* ---- the process ---- */

/* Until the empty one that ends it. */
static int receive_question(int fd, struct hps_touched *ret)
{
	for (;;) {
		_cleanup_buf_ struct hps_buf question = HPS_BUF_INIT;
		int r = receive_frame(fd, &question, -1);

		if (r || !question.len)
			return r;
		hps_touched_add(ret, question.data, question.len);
	}
}

/* Finds things out before they are asked, until they are: again when there are many more files, or no more for a while. */
static void work_ahead(int fd, int news_fd, int cache_dir, struct hps_touched *told)
{
	_cleanup_buf_ struct hps_buf rest = HPS_BUF_INIT;
	struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = news_fd, .events = POLLIN } };
	size_t n_known = 0;
	int wait_ms = -1;

	while (poll(p, ARRAY_SIZE(p), wait_ms) >= 0 || errno == EINTR) {
		bool news = p[1].revents;

		if (news && !hps_news_receive(news_fd, &rest, told))
			p[1].fd = -1;
		if (p[0].revents)
			break;
		if (news)
			wait_ms = cache_dir < 0 ? -1 : QUIET_MS;
		if (cache_dir < 0 || (news && told->owners.n <= n_known + n_known / 2))
			continue;
		n_known = told->owners.n;
		hps_touched_ahead(told, cache_dir, fd);
		wait_ms = -1;
	}
}

/* ---- a witness of signals ---- */

/* Nothing is done about a signal, but that it came is told. */
static void *note_signals(void *arg)
{
	struct witness *w = arg;
	sigset_t blocked;
	int number;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* of a thread, not of its process */
	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	sigdelset(&blocked, SIGCHLD);
	for (;;)
		if (sigwait(&blocked, &number) == 0 && number < HPS_FACTS_SIGNALS)
			atomic_store(&w->told_ns[number], hps_time_monotonic_ns());
	return NULL;
}

/* What comes to it must have come to the command: it must not be found as the recorder is, by pidof, pkill or killall. A process whose first thread has ended
 * has no program file and no command line any more, and its other threads live on. */
static void start_witness(struct witness *w)
{
	pid_t facts = getpid(), pid = w ? fork() : -1;
	pthread_t thread;

	if (pid > 0)
		atomic_store(&w->pid, pid);
	if (pid)
		return;
	syscall(SYS_close_range, 0u, ~0u, 0u);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "witness");
	if (getppid() != facts || pthread_create(&thread, NULL, note_signals, w))
		_exit(1);
	syscall(SYS_exit, 0);
}

static void facts_main(int fd, int news_fd, const struct hps_facts_request *request)
{
	_cleanup_json_ json_t *facts = NULL, *answer = NULL;
	_cleanup_free_ char *cache = hps_cache_dir();
	struct hps_touched told = { 0 }, touched = { .envp = request->envp };
	int64_t started_ns = hps_time_monotonic_ns();
	int dir = -1;

	facts = gather_machine(request, cache);
	if (cache && (hps_dir_make(AT_FDCWD, cache, 0700, NULL) || hps_dir_open(AT_FDCWD, cache, &dir, NULL)))
		dir = -1;
	/* Compiled files are compared by a program of that root, which has no more rights than the command. */
	if (request->root && (chroot(request->root) || chdir("/") || hps_drop_capabilities()))
		_exit(1);
	if (send_json(fd, facts))
		_exit(1);
	work_ahead(fd, news_fd, dir, &told);
	if (receive_question(fd, &touched))
		_exit(1);
	answer = hps_touched_answer(&touched, &told, dir, json_object_get(facts, "identities"), hps_time_monotonic_ns() - started_ns);
	_exit(send_json(fd, answer) ? 1 : 0);
}

/* ---- in the recorder ---- */

/* Keeps nothing of the trial's open: a reader of its output must see the end when the trial closes it. */
static void detach(int *fd, int *news_fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), own = fcntl(*fd, F_DUPFD_CLOEXEC, 5), news = fcntl(*news_fd, F_DUPFD_CLOEXEC, 5);

	for (int i = 0; i < 3 && null >= 0; i++)
		dup2(null, i);
	*fd = dup3(own, 3, O_CLOEXEC);
	*news_fd = dup3(news, 4, O_CLOEXEC);
	syscall(SYS_close_range, 5u, ~0u, 0u);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "facts");
}

static int make_pair(int *ret_a, int *ret_b)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -1;
	*ret_a = ends[0];
	*ret_b = ends[1];
	return 0;
}

int hps_facts_start(const struct hps_facts_request *request, struct hps_facts **ret, struct hps_error *err)
{
	_cleanup_fd_ int own = -1, its = -1, news = -1, its_news = -1;
	struct witness *witness = mmap(NULL, sizeof *witness, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct hps_facts *f;
	pid_t pid = -1;

	if (witness == MAP_FAILED)
		witness = NULL;
	if (!make_pair(&own, &its) && !make_pair(&news, &its_news))
		pid = fork();
	if (pid == 0) {
		detach(&its, &its_news);
		start_witness(witness);
		facts_main(its, its_news, request);
	}
	if (pid < 0)
		return hps_error_errno(err, "starting the process that gathers facts");
	f = hps_alloc(sizeof *f);
	f->fd = hps_take_fd(&own);
	f->pid = pid;
	f->witness = witness;
	hps_news_init(&f->news, hps_take_fd(&news));
	*ret = f;
	return 0;
}

struct hps_news *hps_facts_news(struct hps_facts *f)
{
	return &f->news;
}

const _Atomic int64_t *hps_facts_signals(const struct hps_facts *f)
{
	return f->witness ? f->witness->told_ns : NULL;
}

pid_t hps_facts_pid(const struct hps_facts *f)
{
	return f->pid;
}

/* Datasets may take their time, so there is no limit here: the process ends, or answers. */
int hps_facts_machine(struct hps_facts *f, json_t **ret)
{
	return receive_json(f->fd, ret, -1);
}

int hps_facts_ask(struct hps_facts *f, struct hps_buf *question)
{
	int r = question->len ? send_frame(f->fd, question->data, question->len) : 0;

	hps_buf_reset(question);
	return r;
}

int hps_facts_end_question(struct hps_facts *f)
{
	return send_frame(f->fd, "", 0);
}

int hps_facts_files(struct hps_facts *f, json_t **ret)
{
	return receive_json(f->fd, ret, ANSWER_LIMIT_MS);
}

/* It dies with its parent and is ours then: whoever is process 1 in a container may never take what is left of it. */
static void await_witness(const struct witness *w)
{
	pid_t pid = atomic_load(&w->pid);

	for (int ms = 0; pid && ms < WITNESS_END_MS && waitpid(pid, NULL, WNOHANG) == 0; ms++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

void hps_facts_end(struct hps_facts *f)
{
	if (!f)
		return;
	close(f->fd);
	close(f->news.fd);
	hps_news_release(&f->news);
	kill(f->pid, SIGKILL);
	while (waitpid(f->pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (f->witness) {
		await_witness(f->witness);
		munmap(f->witness, sizeof *f->witness);
	}
	free(f);
}
