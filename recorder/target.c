/* The name that a call gives: read once, resolved from the program's own directory or descriptor. Names that mean "my own
 * process" or "my own descriptors" are rewritten, for resolved by us they would mean ours. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
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

/* What a bad descriptor or a directory that cannot be entered gives the program. */
static int base_error(int dirfd)
{
	return errno == ENOENT && dirfd != AT_FDCWD ? -EBADF : -errno;
}

int hps_target_get(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at, struct hps_target *ret)
{
	ssize_t n = hps_memory_string(s, c->t, at, ret->given, sizeof ret->given - 1);
	char link[32];
	struct stat st;

	ret->base = AT_FDCWD;
	ret->own = ret->stable = false;
	ret->base_path[0] = '\0';
	if (n < 0)
		return (int)n;
	ret->len = (size_t)n;
	ret->path = ret->given;
	if (ret->given[0] == '/') {
		if ((ret->given[1] == 'p' || ret->given[1] == 'd') && rewrite(ret, c->t->pid, (pid_t)c->n->pid)) {
			ret->own = true;
			ret->base = s->proc_fd;
			ret->path = ret->rewritten;
		}
		return 0;
	}
	if (dirfd == AT_FDCWD)
		snprintf(link, sizeof link, "../cwd");
	else
		snprintf(link, sizeof link, "../fd/%d", dirfd);
	if (c->t->launching) /* our memory, our descriptors, and /proc/PID is shut until its exec */
		ret->base = dirfd == AT_FDCWD ? open(".", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	else
		ret->base = openat(c->t->task_fd, link, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ret->base < 0) {
		ret->base = AT_FDCWD;
		return base_error(dirfd);
	}
	if (fstat(ret->base, &st) == 0)
		hps_supervisor_path(s, ret->base, &st, ret->base_path);
	if (!strcmp(ret->base_path, "/"))
		ret->base_path[0] = '\0';
	return 0;
}

void hps_target_release(struct hps_target *t)
{
	if (t->base >= 0 && !t->own)
		close(t->base);
	t->base = AT_FDCWD;
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
