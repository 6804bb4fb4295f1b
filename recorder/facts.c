/* A process beside the recorder that learns what needs other programs and libraries: the machine, the repository, GPUs,
 * datasets while the trial runs; owners, names and build-ids of files when it has ended. What hangs or crashes there costs a
 * gap, not the record. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder/container.h"
#include "recorder/dataset.h"
#include "recorder/gpu.h"
#include "recorder/identity.h"
#include "recorder/package.h"

extern char **environ;

#define GPU_LIMIT_MS 10000
#define ANSWER_LIMIT_MS 120000
#define BYTECODE_LEAST_NS 250000000
#define BYTECODE_MOST_NS 2000000000
#define FRAME_MAX ((size_t)512 << 20)

struct hps_facts {
	int fd;
	pid_t pid;
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
	hps_identity_scheduler(rows, "", environ);
	hps_identity_container(rows, "", environ, request->engine);
	for (size_t i = 0; request->datasets && i < request->datasets->n; i++)
		hps_json_add(datasets, dataset_item(request->datasets->v[i], cache_dir));
	hps_json_set(facts, "identities", rows);
	hps_json_set(facts, "datasets", datasets);
	return facts;
}

/* ---- in the process: facts about files ---- */

static void set_at_path(json_t *object, const char *path, json_t *value)
{
	_cleanup_json_ json_t *key = hps_path_json(path);

	hps_json_set(object, json_string_value(key), value);
}

/* "1.2.13" of libz.so.1.2.13: all that most libraries tell of their version; NULL when the name says none. */
static const char *version_in_name(const char *path)
{
	const char *name = strrchr(path, '/'), *so = strstr(name ? name : path, ".so.");

	return so && so[4] >= '0' && so[4] <= '9' ? so + 4 : NULL;
}

static json_t *elf_of(const char *path)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct hps_elf elf = { 0 };
	json_t *item = json_object();

	if (fd >= 0 && hps_elf_read(fd, &elf)) {
		if (elf.soname)
			hps_json_set(item, "soname", hps_path_json(elf.soname));
		hps_json_set_text(item, "buildId", elf.build_id);
		if (elf.note)
			hps_json_set(item, "packageNote", hps_path_json(elf.note));
	}
	hps_elf_release(&elf);
	if (version_in_name(path))
		hps_json_set(item, "version", hps_path_json(version_in_name(path)));
	return item;
}

/* Many files have the same owner: each is said once. */
static int64_t owner_index(struct hps_map *seen, json_t *owners, const struct hps_owner *o)
{
	_cleanup_free_ char *key = o->package ? hps_format("%s\n%s\n%d", o->manager, o->package, o->pristine) : NULL;
	json_t *item;
	void **slot;

	if (!key)
		return -1;
	slot = hps_map_slot(seen, key);
	if (*slot)
		return (int64_t)(intptr_t)*slot - 1;
	item = json_object();
	hps_json_set(item, "package", hps_path_json(o->package));
	hps_json_set_text(item, "manager", o->manager);
	if (o->pristine != HPS_PRISTINE_UNKNOWN)
		hps_json_set(item, "pristine", json_boolean(o->pristine == HPS_PRISTINE_YES));
	hps_json_add(owners, item);
	*slot = (void *)(intptr_t)json_array_size(owners);
	return (int64_t)json_array_size(owners) - 1;
}

static void set_owners(json_t *answer, const struct hps_map *files, size_t n)
{
	json_t *runs = json_array(), *owners = json_array();
	struct hps_map seen = HPS_MAP_INIT;
	int64_t last = -1, index;
	size_t begin = 0;

	for (size_t i = 0; i <= n; i++) {
		index = i < n ? owner_index(&seen, owners, files->items[i].value) : -2;
		if (index == last)
			continue;
		hps_json_add(runs, json_integer((json_int_t)(i - begin)));
		hps_json_add(runs, json_integer(last));
		begin = i;
		last = index;
	}
	hps_map_release(&seen);
	hps_json_set(answer, "files", runs);
	hps_json_set(answer, "owners", owners);
}

/* What the trial touched, by kind: see hps_facts_files(). */
struct touched {
	struct hps_map owners;
	struct hps_strv libraries, programs, devices;
};

static void add_file(struct touched *t, const char *text, bool system)
{
	struct hps_owner *o;
	char hex[HPS_DIGEST_HEX];

	if (strlen(text) < 64)
		return;
	o = hps_owner_slot(&t->owners, text + 64);
	memcpy(hex, text, 64);
	hex[64] = '\0';
	o->hashed = hps_digest_parse(hex, &o->content) == 0;
	o->system = system;
}

static void parse_question(const struct hps_buf *question, struct touched *ret)
{
	for (size_t at = 0; at < question->len; at += strlen(question->data + at) + 1) {
		const char *text = question->data + at + 1;

		switch (text[-1]) {
		case 'P':
		case 'F':
			add_file(ret, text, text[-1] == 'P');
			break;
		case 'E':
			hps_strv_add(&ret->libraries, text);
			break;
		case 'X':
			hps_strv_add(&ret->programs, text);
			break;
		case 'D':
			hps_strv_add(&ret->devices, text);
			break;
		}
	}
}

static bool has_row(const json_t *rows, const char *name)
{
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
		if (!strcmp(hps_json_text(row, "name"), name))
			return true;
	return false;
}

/* Until the empty one that ends it. */
static int receive_question(int fd, struct touched *ret)
{
	for (;;) {
		_cleanup_buf_ struct hps_buf question = HPS_BUF_INIT;
		int r = receive_frame(fd, &question, -1);

		if (r || !question.len)
			return r;
		parse_question(&question, ret);
	}
}

/* Sources that were never compiled before take a second or two: a short trial does not wait for all of them. */
static int64_t bytecode_limit(int64_t trial_ns)
{
	int64_t part = trial_ns / 20;

	return part < BYTECODE_LEAST_NS ? BYTECODE_LEAST_NS : part > BYTECODE_MOST_NS ? BYTECODE_MOST_NS : part;
}

static json_t *gather_files(int cache_dir, const json_t *machine, struct touched *touched, int64_t trial_ns)
{
	json_t *answer = json_object(), *elf = json_object(), *rows = json_array();
	struct touched t = *touched;
	size_t n_files = t.owners.n;
	int r;

	for (size_t i = 0; i < t.libraries.n; i++)
		set_at_path(elf, t.libraries.v[i], elf_of(t.libraries.v[i]));
	r = hps_owners_find(cache_dir, "", &t.owners, rows);
	if (r == -ENOENT)
		hps_identity_missing(rows, "packages", "no database of dpkg, rpm or apk is there");
	hps_conda_find("", &t.owners);
	hps_json_set(answer, "python", hps_python_distributions("", &t.owners, &(struct hps_python_options){ &t.programs, cache_dir, bytecode_limit(trial_ns) }));
	hps_packages_check("", &t.owners, 0);
	set_owners(answer, &t.owners, n_files);
	hps_json_set(answer, "elf", elf);
	hps_identity_python(rows, "", &t.programs, &t.owners);
	hps_identity_blas(rows, "", &t.libraries, environ);
	if (!has_row(machine, "gpu"))
		hps_identity_gpu(rows, "", NULL, "after", GPU_LIMIT_MS);
	hps_identity_gpu_use(rows, machine, &t.devices, environ);
	hps_json_set(answer, "identities", rows);
	hps_owners_release(&t.owners);
	hps_strv_release(&t.libraries);
	hps_strv_release(&t.programs);
	hps_strv_release(&t.devices);
	return answer;
}

static void facts_main(int fd, const struct hps_facts_request *request)
{
	_cleanup_json_ json_t *facts = NULL, *answer = NULL;
	_cleanup_free_ char *cache = hps_cache_dir();
	struct touched touched = { 0 };
	int64_t started_ns = hps_time_monotonic_ns();
	int dir = -1;

	facts = gather_machine(request, cache);
	if (cache && (hps_dir_make(AT_FDCWD, cache, 0700, NULL) || hps_dir_open(AT_FDCWD, cache, &dir, NULL)))
		dir = -1;
	if (request->root && (chroot(request->root) || chdir("/")))
		_exit(1);
	if (send_json(fd, facts) || receive_question(fd, &touched))
		_exit(1);
	answer = gather_files(dir, json_object_get(facts, "identities"), &touched, hps_time_monotonic_ns() - started_ns);
	_exit(send_json(fd, answer) ? 1 : 0);
}

/* ---- in the recorder ---- */

/* Keeps nothing of the trial's open: a reader of its output must see the end when the trial closes it. */
static void detach(int *fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	*fd = dup2(*fd, 3);
	for (int i = 0; i < 3 && null >= 0; i++)
		dup2(null, i);
	syscall(SYS_close_range, 4u, ~0u, 0u);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "facts");
}

int hps_facts_start(const struct hps_facts_request *request, struct hps_facts **ret, struct hps_error *err)
{
	struct hps_facts *f;
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return hps_error_errno(err, "starting the process that gathers facts");
	pid = fork();
	if (pid == 0) {
		detach(&ends[1]);
		facts_main(ends[1], request);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return hps_error_errno(err, "starting the process that gathers facts");
	}
	f = hps_alloc(sizeof *f);
	f->fd = ends[0];
	f->pid = pid;
	*ret = f;
	return 0;
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

void hps_facts_end(struct hps_facts *f)
{
	if (!f)
		return;
	close(f->fd);
	kill(f->pid, SIGKILL);
	while (waitpid(f->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(f);
}
