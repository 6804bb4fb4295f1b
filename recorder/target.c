/* The name that a call gives: read once, resolved from the program's own directory or descriptor. Names that mean "my own
 * process" or "my own descriptors" are rewritten, for resolved by us they would mean ours. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* Prefixes (whole names or followed by a slash) and what they stand for below /proc. */
static const struct {
	const char *name, *means; /* %d: the process; a second one: the thread */
} own_names[] = {
	{ "/proc/self", "%d" },
	{ "/proc/thread-self", "%d/task/%d" },
	{ "/proc/mounts", "%d/mounts" },
	{ "/proc/net", "%d/net" },
	{ "/dev/stdin", "%d/fd/0" },
	{ "/dev/stdout", "%d/fd/1" },
	{ "/dev/stderr", "%d/fd/2" },
	{ "/dev/fd", "%d/fd" },
};

static bool rewrite(struct hps_target *t, pid_t pid, pid_t tid)
{
	for (size_t i = 0; i < ARRAY_SIZE(own_names); i++) {
		size_t n = strlen(own_names[i].name);
		int len;

		if (strncmp(t->given, own_names[i].name, n) != 0 || (t->given[n] && t->given[n] != '/'))
			continue;
		len = i == 1 ? snprintf(t->rewritten, sizeof t->rewritten, "%d/task/%d", pid, tid)
			     : snprintf(t->rewritten, sizeof t->rewritten, "%d%s", pid, own_names[i].means + 2);
		snprintf(t->rewritten + len, sizeof t->rewritten - (size_t)len, "%s", t->given + n);
		return true;
	}
	return false;
}

static void path_of_base(struct hps_supervisor *s, int fd, char out[HPS_PATH_CAP])
{
	struct stat st;

	*out = '\0';
	if (fstat(fd, &st))
		return;
	hps_supervisor_path(s, fd, &st, out);
	if (!*out && st.st_nlink) { /* a name that nothing has stands for it */
		hps_gap_note(s->gaps, HPS_GAP_DEEP);
		snprintf(out, HPS_PATH_CAP, "/\342\200\246/%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	}
	if (!strcmp(out, "/"))
		*out = '\0';
}

/* The current directory is kept open until the process moves on: most names are relative to the same one. */
static int use_cwd(struct hps_supervisor *s, struct hps_tracee *t, pid_t tid, struct hps_target *ret)
{
	if (t->task_fd < 0)
		return -EMFILE;
	if (t->cwd_fd < 0) {
		char link[32];
		int fd;

		snprintf(link, sizeof link, "%d/cwd", tid);
		fd = t->launching ? open(".", O_PATH | O_DIRECTORY | O_CLOEXEC) : openat(t->task_fd, link, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		path_of_base(s, fd, ret->base_buffer);
		if (t->cwd_mover || t->shares || t->launching || t->own_memory != HPS_YES) {
			ret->base = fd;
			ret->base_path = ret->base_buffer;
			return 0;
		}
		t->cwd_fd = fd;
		t->cwd = hps_strdup(ret->base_buffer);
	}
	ret->base = t->cwd_fd;
	ret->base_path = t->cwd;
	ret->borrowed = true;
	return 0;
}

static int use_descriptor(struct hps_supervisor *s, struct hps_tracee *t, pid_t tid, int dirfd, struct hps_target *ret)
{
	char link[48];
	int fd;

	if (t->task_fd < 0)
		return -EMFILE;
	snprintf(link, sizeof link, "%d/fd/%d", tid, dirfd);
	fd = openat(t->task_fd, link, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -EBADF : -errno;
	ret->base = fd;
	path_of_base(s, fd, ret->base_buffer);
	ret->base_path = ret->base_buffer;
	return 0;
}

static int read_name(struct hps_supervisor *s, struct hps_call *c, uint64_t at, struct hps_target *ret)
{
	ssize_t n;

	ret->alone = hps_memory_alone(s, c->t);
	n = hps_memory_string(s, c->t, at, ret->given, sizeof ret->given - 1);
	ret->at = at;
	ret->stable = HPS_UNKNOWN;
	ret->base = AT_FDCWD;
	ret->own = ret->borrowed = false;
	ret->base_path = "";
	if (n < 0)
		return (int)n;
	ret->len = (size_t)n;
	ret->path = ret->given;
	return 0;
}

static int find_base(struct hps_supervisor *s, struct hps_call *c, int dirfd, struct hps_target *ret)
{
	pid_t tid = (pid_t)c->n->pid;

	if (ret->given[0] != '/')
		return dirfd == AT_FDCWD ? use_cwd(s, c->t, tid, ret) : use_descriptor(s, c->t, tid, dirfd, ret);
	if ((ret->given[1] == 'p' || ret->given[1] == 'd') && rewrite(ret, c->t->pid, tid)) {
		ret->own = ret->borrowed = true;
		ret->base = s->proc_fd;
		ret->path = ret->rewritten;
	}
	return 0;
}

int hps_target_get(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at, struct hps_target *ret)
{
	int r = read_name(s, c, at, ret);

	return r ? r : find_base(s, c, dirfd, ret);
}

int hps_target_get_inside(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at, struct hps_target *ret)
{
	int r = read_name(s, c, at, ret);
	size_t slashes = r ? 0 : strspn(ret->given, "/");

	if (slashes) {
		ret->len -= slashes;
		memmove(ret->given, ret->given + slashes, ret->len + 1);
	}
	if (slashes && !ret->len)
		ret->len = (size_t)snprintf(ret->given, sizeof ret->given, ".");
	return r ? r : find_base(s, c, dirfd, ret);
}

void hps_target_release(struct hps_target *t)
{
	if (t->base >= 0 && !t->borrowed)
		close(t->base);
	t->base = AT_FDCWD;
}

bool hps_target_stable(struct hps_supervisor *s, struct hps_target *t)
{
	if (t->stable == HPS_UNKNOWN)
		t->stable = hps_memory_private(s, t->alone, t->at, t->len + 1) ? HPS_YES : HPS_NO;
	return t->stable == HPS_YES;
}

void hps_target_name(const struct hps_target *t, struct hps_buf *ret)
{
	hps_buf_reset(ret);
	if (t->given[0] != '/') {
		hps_buf_adds(ret, t->base_path);
		hps_buf_addc(ret, '/');
	}
	hps_buf_add(ret, t->given, t->len);
}

void hps_target_walk(struct hps_supervisor *s, const struct hps_target *t, bool follow, struct hps_buf *ret)
{
	hps_walk(s->files, t->base_path, t->given, follow, ret);
}
