/* Calls that change a file's mode, owner, times or extended attributes. Made by us on the file that the name led to, or on
 * a copy of the program's own descriptor, so that what is recorded is what was changed. */
#include "recorder/recorder.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#define NAME_CAP 256
#define VALUE_MAX (64u << 10)
#define NONE (-1)

enum times { NANOSECONDS, MICROSECONDS, SECONDS };
/* How a call gives its arguments: the numbers of those that are a directory, a path, flags, and the first value. */
struct form {
	int nr, dirfd, path, flags, value;
	enum hps_attribute what;
	bool nofollow, removes;
	enum times times;
};
#define FORM(call, d, p, f, v, attribute, ...) { .nr = call, .dirfd = d, .path = p, .flags = f, .value = v, .what = HPS_SET_##attribute, __VA_ARGS__ }
static const struct form forms[] = {
	FORM(SYS_chmod, NONE, 0, NONE, 1, MODE,),
	FORM(SYS_fchmod, 0, NONE, NONE, 1, MODE,),
	FORM(SYS_fchmodat, 0, 1, NONE, 2, MODE,),
	FORM(452 /* fchmodat2 */, 0, 1, 3, 2, MODE,),
	FORM(SYS_chown, NONE, 0, NONE, 1, OWNER,),
	FORM(SYS_lchown, NONE, 0, NONE, 1, OWNER, .nofollow = true),
	FORM(SYS_fchown, 0, NONE, NONE, 1, OWNER,),
	FORM(SYS_fchownat, 0, 1, 4, 2, OWNER,),
	FORM(SYS_utime, NONE, 0, NONE, 1, TIMES, .times = SECONDS),
	FORM(SYS_utimes, NONE, 0, NONE, 1, TIMES, .times = MICROSECONDS),
	FORM(SYS_futimesat, 0, 1, NONE, 2, TIMES, .times = MICROSECONDS),
	FORM(SYS_utimensat, 0, 1, 3, 2, TIMES,),
	FORM(SYS_setxattr, NONE, 0, NONE, 1, EXTENDED,),
	FORM(SYS_lsetxattr, NONE, 0, NONE, 1, EXTENDED, .nofollow = true),
	FORM(SYS_fsetxattr, 0, NONE, NONE, 1, EXTENDED,),
	FORM(SYS_removexattr, NONE, 0, NONE, 1, EXTENDED, .removes = true),
	FORM(SYS_lremovexattr, NONE, 0, NONE, 1, EXTENDED, .nofollow = true, .removes = true),
	FORM(SYS_fremovexattr, 0, NONE, NONE, 1, EXTENDED, .removes = true),
};

struct setting {
	struct hps_supervisor *s;
	struct hps_call *c;
	const struct form *form;
	int fd;		     /* O_PATH, or a copy of the program's descriptor */
	bool by_descriptor;  /* the program's, with what that allows */
	bool unable;	     /* it could not be found out which file is meant */
	char link[32];	     /* below proc_fd */
	struct stat before;
};

static const struct form *form_of(int nr)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(forms) && forms[i].nr != nr)
		i++;
	assert(i < ARRAY_SIZE(forms)); /* each has its row in syscalls.c */
	return &forms[i];
}

static uint64_t argument(const struct setting *m, int number)
{
	return m->c->args[m->form->value + number];
}

/* ---- the file ---- */

/* A copy of the program's descriptor, which may do what the program's may. */
static int copy_descriptor(struct setting *m, int number)
{
	int fd = hps_tracee_descriptor(m->c->t, number);

	if (fd >= 0)
		return fd;
	m->unable = errno != EBADF;
	return -errno;
}

static int open_named(struct setting *m, const struct hps_target *target, uint64_t flags)
{
	bool nofollow = m->form->nofollow || flags & AT_SYMLINK_NOFOLLOW;
	struct open_how how = { .flags = O_PATH | O_CLOEXEC | (nofollow ? O_NOFOLLOW : 0u), .resolve = target->own ? 0 : RESOLVE_NO_MAGICLINKS };
	int fd = (int)syscall(SYS_openat2, target->base, target->path, &how, sizeof how);

	if (fd >= 0)
		return fd;
	m->unable = errno == ELOOP && !nofollow; /* through a link of /proc, which would mean ourselves */
	return -errno;
}

/* The file whose attributes are to be set; -errno. */
static int open_file(struct setting *m)
{
	const struct form *f = m->form;
	uint64_t flags = f->flags == NONE ? 0 : m->c->args[f->flags];
	int dirfd = f->dirfd == NONE ? AT_FDCWD : (int)m->c->args[f->dirfd], fd;
	struct hps_target target;
	char first;

	if (flags & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (f->path == NONE || (!m->c->args[f->path] && f->what == HPS_SET_TIMES)) {
		m->by_descriptor = true;
		return copy_descriptor(m, dirfd);
	}
	if (flags & AT_EMPTY_PATH && dirfd != AT_FDCWD && hps_memory_read(m->s, m->c->t, m->c->args[f->path], &first, 1) == 1 && !first)
		return copy_descriptor(m, dirfd);
	fd = hps_target_get(m->s, m->c, dirfd, m->c->args[f->path], &target);
	if (fd < 0)
		return fd;
	fd = target.len || !(flags & AT_EMPTY_PATH) ? open_named(m, &target, flags) : fcntl(target.base, F_DUPFD_CLOEXEC, 0);
	hps_target_release(&target);
	return fd;
}

/* ---- the change ---- */

static int read_times(const struct setting *m, struct timespec ret[2])
{
	enum times unit = m->form->times;
	size_t size = unit == SECONDS ? sizeof(struct utimbuf) : 2 * sizeof(struct timespec), step = unit == SECONDS ? 1 : 2;
	int64_t raw[4] = { 0 };

	if (hps_memory_read(m->s, m->c->t, argument(m, 0), raw, size) != (ssize_t)size)
		return -EFAULT;
	for (size_t i = 0; i < 2; i++) {
		int64_t part = unit == SECONDS ? 0 : raw[step * i + 1];

		if (unit == MICROSECONDS && (part < 0 || part >= 1000000))
			return -EINVAL;
		ret[i].tv_sec = raw[step * i];
		ret[i].tv_nsec = unit == MICROSECONDS ? part * 1000 : part;
	}
	return 0;
}

static int set_times(const struct setting *m)
{
	struct timespec times[2];
	int r = argument(m, 0) ? read_times(m, times) : 0;

	if (r)
		return r;
	/* By the program's own descriptor only what that allows. */
	if (syscall(SYS_utimensat, m->by_descriptor ? m->fd : m->s->proc_fd, m->by_descriptor ? NULL : m->link, argument(m, 0) ? times : NULL, 0))
		return -errno;
	return 0;
}

/* These calls have no directory to start from: the thread's own is /proc meanwhile. */
static int set_by_link(const struct setting *m, const char *name, const void *value, size_t size)
{
	_cleanup_fd_ int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = fchdir(m->s->proc_fd);

	if (!r)
		r = m->form->removes ? removexattr(m->link, name) : setxattr(m->link, name, value, size, (int)argument(m, 3));
	r = r ? -errno : 0;
	if (here < 0 || fchdir(here))
		return r ? r : -EIO;
	return r;
}

static int set_extended(const struct setting *m)
{
	_cleanup_free_ char *value = NULL;
	char name[NAME_CAP];
	ssize_t n = hps_memory_string(m->s, m->c->t, argument(m, 0), name, sizeof name);
	size_t size = m->form->removes ? 0 : argument(m, 2);
	int r;

	if (n < 0)
		return n == -ENAMETOOLONG ? -ERANGE : (int)n;
	if (size > VALUE_MAX)
		return -E2BIG;
	value = hps_alloc(size + 1);
	if (size && hps_memory_read(m->s, m->c->t, argument(m, 1), value, size) != (ssize_t)size)
		return -EFAULT;
	if (!m->by_descriptor)
		return set_by_link(m, name, value, size);
	r = m->form->removes ? fremovexattr(m->fd, name) : fsetxattr(m->fd, name, value, size, (int)argument(m, 3));
	return r ? -errno : 0;
}

static int set(const struct setting *m)
{
	uid_t uid = (uid_t)argument(m, 0);
	gid_t gid = (gid_t)argument(m, 1);
	mode_t mode = (mode_t)argument(m, 0);
	int r = 0;

	switch (m->form->what) {
	case HPS_SET_MODE:
		r = m->by_descriptor ? fchmod(m->fd, mode) : fchmodat(m->s->proc_fd, m->link, mode, 0);
		break;
	case HPS_SET_OWNER:
		r = m->by_descriptor ? fchown(m->fd, uid, gid) : fchownat(m->fd, "", uid, gid, AT_EMPTY_PATH);
		break;
	case HPS_SET_TIMES:
		return set_times(m);
	case HPS_SET_EXTENDED:
		return set_extended(m);
	}
	return r ? -errno : 0;
}

/* ---- what is noted ---- */

static bool noted(struct setting *m)
{
	mode_t type = m->before.st_mode & S_IFMT;

	return m->before.st_nlink && (type == S_IFREG || type == S_IFDIR || type == S_IFLNK) && !hps_supervisor_pseudo(m->s, m->fd, &m->before);
}

static void note(struct setting *m, struct hps_file *file)
{
	char target[HPS_PATH_CAP];
	ssize_t n;

	if (S_ISLNK(m->before.st_mode) && !hps_file_rare(file)->target && !file->product && (n = readlinkat(m->fd, "", target, sizeof target)) > 0)
		hps_file_rare_make(file)->target = hps_strndup(target, (size_t)n);
	if (S_ISREG(m->before.st_mode))
		hps_file_modify(m->s->files, file, m->fd, &m->before);
	else
		hps_file_change(m->s->files, file, m->fd, &m->before);
	hps_file_rare_make(file)->set |= m->form->what;
	hps_file_forget_now(file);
}

/* A change of mode can close the way for us, too: what is below, or in it, is kept open. */
static void keep_open(struct setting *m, struct hps_file *file)
{
	mode_t mode = (mode_t)argument(m, 0);

	if (m->form->what != HPS_SET_MODE || geteuid() == 0)
		return;
	if (S_ISDIR(m->before.st_mode) && !(mode & S_IXUSR))
		hps_files_hold_below(m->s->files, file->path);
	else if (S_ISREG(m->before.st_mode) && !(mode & S_IRUSR))
		hps_file_hold(m->s->files, file);
}

static int change(struct setting *m)
{
	struct hps_file *file;
	char real[HPS_PATH_CAP];
	int r;

	hps_supervisor_path(m->s, m->fd, &m->before, real);
	if (!noted(m) || !*real)
		return set(m);
	file = hps_files_get(m->s->files, real);
	hps_file_secure(m->s->files, file, m->fd, &m->before);
	keep_open(m, file);
	r = set(m);
	if (!r)
		note(m, file);
	else if (m->s->root && m->form->what == HPS_SET_OWNER && (r == -EPERM || r == -EINVAL)) /* an id that a rerun does not have */
		hps_gap_name(m->s->gaps, HPS_GAP_REFUSED, "chown");
	return r;
}

static void leave_to_program(struct setting *m)
{
	const struct form *f = m->form;

	if (m->c->t->foreign && f->path != NONE)
		hps_foreign_write(m->s, m->c, f->dirfd == NONE ? AT_FDCWD : (int)m->c->args[f->dirfd], m->c->args[f->path]);
	else if (m->c->t->foreign)
		hps_foreign_write_descriptor(m->s, m->c, (int)m->c->args[f->dirfd]);
	else
		hps_answer_continue(m->s, m->c);
}

void hps_act_attributes(struct hps_supervisor *s, struct hps_call *c)
{
	struct setting m = { .s = s, .c = c, .form = form_of(c->n->data.nr), .fd = -1 };
	int r;

	if (c->t->foreign) {
		leave_to_program(&m);
		return;
	}
	hps_tracees_settle(s, c->t);
	r = m.fd = open_file(&m);
	if (r >= 0) {
		snprintf(m.link, sizeof m.link, "self/fd/%d", m.fd);
		r = fstat(m.fd, &m.before) ? -errno : change(&m);
		close(m.fd);
	}
	if (r < 0 && (m.unable || c->t->opaque)) {
		if (!c->t->opaque)
			hps_gap_note(s->gaps, HPS_GAP_KERNEL);
		leave_to_program(&m);
	} else if (r < 0 && !hps_answer_exhausted(s, c, -r)) {
		hps_answer_error(s, c, -r);
	} else if (r >= 0) {
		hps_answer_value(s, c, 0);
	}
}
