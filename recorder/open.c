/* open and kin. Where the program could lie about the name we open the file ourselves and hand the descriptor in; where it
 * cannot (memory.c) the kernel goes on with the call after we have looked at the same name. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The bits that open(2) knows; it ignores others, openat2(2) refuses them. */
#define KNOWN_FLAGS (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | O_ASYNC | O_DIRECT | 0100000 | \
		     O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | O_TMPFILE)
#define LARGEFILE 0100000 /* the kernel's O_LARGEFILE, which open(2) sets and openat2(2) does not */

struct request {
	struct hps_supervisor *s;
	struct hps_call *c;
	struct hps_target target;
	struct open_how how; /* as the program asked */
	const char *name; /* absolute, as given */
	struct hps_buf joined; /* holds it when the program gave a relative one */
	bool direct; /* no link was on the way: `name` is the real path */
	struct stat before; /* a regular file that is opened for writing, and its path; valid when before_fd is open */
	int before_fd;	    /* O_PATH, or -1 */
	char before_path[HPS_PATH_CAP];
};

static bool writes(const struct open_how *how)
{
	return (how->flags & O_ACCMODE) != O_RDONLY || how->flags & (O_TRUNC | O_CREAT) || (how->flags & O_TMPFILE) == O_TMPFILE;
}

static bool creates(const struct open_how *how)
{
	return how->flags & O_CREAT || (how->flags & O_TMPFILE) == O_TMPFILE;
}

static int open_at(const struct request *r, const char *path, uint64_t flags, uint64_t mode)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.mode = mode,
		.resolve = r->how.resolve | (r->target.own ? 0 : RESOLVE_NO_MAGICLINKS),
	};

	return (int)syscall(SYS_openat2, r->target.base, path, &how, sizeof how);
}

/* A link below /proc that is no name (another process's descriptor, root or program). Resolved by us it is what the program
 * would get, unless it can mean ourselves. */
static bool foreign_link(const struct request *r)
{
	char ours[32];

	snprintf(ours, sizeof ours, "/%d", getpid());
	return !strstr(r->name, "self") && !strstr(r->name, ours);
}

static int open_through(struct request *r, uint64_t flags, uint64_t mode)
{
	int fd = open_at(r, r->target.path, flags, mode);

	if (fd >= 0 || errno != ELOOP || r->how.flags & O_NOFOLLOW || r->target.own)
		return fd;
	errno = ELOOP;
	if (!foreign_link(r))
		return -1;
	r->target.own = true; /* from here on as with its own: no name of a file, links may be magic */
	return open_at(r, r->target.path, flags, mode);
}

/* An absolute name without "//", "/." or "/" at its end. */
static bool is_plain(const char *name)
{
	const char *slash = name;

	while (*slash == '/' && slash[1] != '/' && slash[1] != '.' && slash[1])
		slash = strchrnul(slash + 1, '/');
	return slash != name && !*slash;
}

/* Most names have no links in them: to be told so by the kernel is cheaper than to ask for the real path. */
static int open_direct(struct request *r, uint64_t flags)
{
	uint64_t asked = r->how.resolve;
	int fd;

	if (r->target.own || !is_plain(r->target.given))
		return open_through(r, flags, 0);
	r->how.resolve |= RESOLVE_NO_SYMLINKS;
	fd = open_at(r, r->target.path, flags, 0);
	r->how.resolve = asked;
	if (fd < 0 && errno == ELOOP)
		return open_through(r, flags, 0);
	r->direct = fd >= 0;
	return fd;
}

static int look(const struct request *r, struct stat *ret)
{
	return fstatat(r->target.base, r->target.path, ret, r->how.flags & O_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0);
}

/* Where the name cannot change the kernel may read it once more. */
static bool stable(struct request *r)
{
	return !r->c->t->foreign && !r->how.resolve && hps_target_stable(r->s, &r->target);
}

/* ---- letting the kernel go on ---- */

static void go_on(struct request *r, struct hps_file *file)
{
	if (file && !stable(r))
		file->unverified = true;
	if (file && stable(r)) {
		r->c->t->in_flight = file;
		r->c->t->in_flight_nr = r->c->n->data.nr;
		r->s->tracees.n_in_flight++;
	}
	hps_answer_continue(r->s, r->c);
}

/* The program's own process directory has one name for all runs. */
static void name_special(const struct request *r, struct hps_buf *ret)
{
	char own[32];
	int n = snprintf(own, sizeof own, "/proc/%d", r->c->t->pid);

	hps_target_name(&r->target, ret);
	if (n > 0 && !strncmp(ret->data, own, (size_t)n) && (ret->data[n] == '/' || !ret->data[n])) {
		_cleanup_free_ char *rest = hps_strdup(ret->data + n);

		hps_buf_reset(ret);
		hps_buf_addf(ret, "/proc/self%s", rest);
	}
}

static struct hps_file *special_file(struct request *r, const struct stat *st)
{
	_cleanup_buf_ struct hps_buf path = HPS_BUF_INIT;
	struct hps_file *file;

	hps_buf_init(&path, 2 * HPS_PATH_CAP);
	name_special(r, &path);
	file = hps_files_get(r->s->files, path.data);
	if (file->product) /* a pipe or link of the trial's own making */
		return file;
	file->special = true;
	file->uses |= writes(&r->how) ? HPS_USE_WRITE : HPS_USE_READ;
	if (!file->mode)
		file->mode = st->st_mode;
	return file;
}

/* null, zero, full, random, urandom: the same for whoever opens them. */
static bool plain_device(const struct stat *st)
{
	unsigned m = minor(st->st_rdev);

	return S_ISCHR(st->st_mode) && major(st->st_rdev) == 1 && (m == 3 || m == 5 || (m >= 7 && m <= 9));
}

static void open_special(struct request *r, const struct stat *st)
{
	struct hps_file *file = special_file(r, st);
	int fd;

	if (hps_entropy_open(r->s, r->c, st, r->how.flags))
		return;
	if (!stable(r) && plain_device(st)) {
		fd = open_at(r, r->target.path, (r->how.flags & KNOWN_FLAGS) | LARGEFILE, creates(&r->how) ? r->how.mode & 07777 : 0);
		if (fd >= 0) {
			hps_answer_descriptor(r->s, r->c, fd, r->how.flags & O_CLOEXEC, false);
			return;
		}
	}
	if (!stable(r)) {
		hps_gap_name(r->s->gaps, HPS_GAP_SPECIAL, file->path);
		file->unverified = true;
	}
	hps_answer_continue(r->s, r->c);
}

/* ---- results ---- */

static void refuse(struct request *r, int error)
{
	_cleanup_buf_ struct hps_buf path = HPS_BUF_INIT;

	if (hps_answer_exhausted(r->s, r->c, error))
		return;
	if (error == EAGAIN || error == EINTR || (error == ELOOP && !(r->how.flags & O_NOFOLLOW) && !r->target.own)) {
		hps_gap_note(r->s->gaps, HPS_GAP_KERNEL);
		hps_answer_continue(r->s, r->c);
		return;
	}
	if (error == EACCES && r->target.own) { /* one's own /proc is open to oneself, not always to us */
		hps_answer_continue(r->s, r->c);
		return;
	}
	if (error == ENOENT || error == ENOTDIR || error == EACCES || error == EPERM) {
		hps_buf_init(&path, 2 * HPS_PATH_CAP);
		hps_target_walk(r->s, &r->target, true, &path);
		hps_files_miss(r->s->files, path.data, error);
	}
	hps_answer_error(r->s, r->c, error);
}

/* The entry of what fd is open on: that of its name (or NULL) when nothing has changed there, else that of its real path. */
static struct hps_file *identify(struct request *r, struct hps_file *file, int fd, const struct stat *st)
{
	_cleanup_buf_ struct hps_buf walked = HPS_BUF_INIT;
	struct hps_identity id;
	char real[HPS_PATH_CAP];

	hps_identity_of(st, &id);
	if (file && hps_file_is_now(file, &id))
		return file;
	*real = '\0';
	if (!r->direct)
		hps_supervisor_path(r->s, fd, st, real);
	hps_buf_init(&walked, 2 * HPS_PATH_CAP);
	if (!r->direct && strcmp(real, r->name) != 0 && !r->target.own)
		hps_target_walk(r->s, &r->target, true, &walked);
	file = hps_files_get(r->s->files, *real ? real : r->name);
	hps_files_name(r->s->files, r->name, r->target.own ? NULL : file);
	return file;
}

/* A file of a process of which all depends on whose it is and on who uses it, nothing on who opened it. */
static bool impartial(const struct request *r, const char *real)
{
	static const char *const set[] = { "comm", "coredump_filter", "oom_score_adj" }; /* Java does at its start */
	static const char *const told[] = { "stat", "statm", "status", "comm", "cmdline", "cgroup" }; /* to everybody, of us, too */
	char process[32];
	int n = snprintf(process, sizeof process, "/proc/%d/", writes(&r->how) ? r->c->t->pid : getpid());

	for (size_t i = 0; !strncmp(real, process, (size_t)n) && i < (writes(&r->how) ? ARRAY_SIZE(set) : ARRAY_SIZE(told)); i++)
		if (!strcmp(real + n, writes(&r->how) ? set[i] : told[i]))
			return true;
	return false;
}

/* Opened by us, and procfs or kin: content of the moment, made for whoever opened it. */
static void open_pseudo(struct request *r, int fd, const struct stat *st)
{
	char real[HPS_PATH_CAP], ours[32];
	int n = snprintf(ours, sizeof ours, "/proc/%d", getpid());
	bool mine;

	hps_supervisor_path(r->s, fd, st, real);
	mine = !strncmp(real, ours, (size_t)n) && (real[n] == '/' || !real[n]);
	if (stable(r) || ((writes(&r->how) || mine) && !impartial(r, real))) {
		close(fd);
		open_special(r, st);
		return;
	}
	special_file(r, st);
	hps_answer_descriptor(r->s, r->c, fd, r->how.flags & O_CLOEXEC, writes(&r->how));
}

/* ---- reading ---- */

/* The same file as at the last look: its content is queued or hashed already. */
static bool seen_before(const struct request *r, struct hps_file *file, const struct stat *st)
{
	struct hps_identity id;

	if (!file || r->target.own || !(file->product || file->uses & HPS_USE_READ) || !(S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)))
		return false;
	hps_identity_of(st, &id);
	return hps_file_is_now(file, &id);
}

/* A name of which nothing is known, or that may be left to the kernel, is looked at first: most are not there, or were seen before. True
 * when the look was enough. */
static bool open_by_look(struct request *r, struct hps_file *file)
{
	struct stat st;

	if (file && !r->target.alone)
		return false;
	if (look(r, &st)) {
		if (r->how.resolve || (errno != ENOENT && errno != ENOTDIR))
			return false;
		refuse(r, errno);
	} else if (seen_before(r, file, &st) && stable(r)) {
		go_on(r, file);
	} else if (!file && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode)) {
		open_special(r, &st);
	} else {
		return false;
	}
	return true;
}

static void open_read(struct request *r)
{
	struct hps_file *file = hps_files_named(r->s->files, r->name);
	struct stat st;
	int fd;

	if (open_by_look(r, file))
		return;
	/* Not to wait for a writer of a pipe that has just taken the name. */
	fd = open_direct(r, (r->how.flags & KNOWN_FLAGS) | LARGEFILE | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		refuse(r, errno);
		return;
	}
	if (fstat(fd, &st) || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
		close(fd);
		open_special(r, &st);
		return;
	}
	if (hps_supervisor_pseudo(r->s, fd, &st)) {
		open_pseudo(r, fd, &st);
		return;
	}
	file = identify(r, file, fd, &st);
	hps_file_use(r->s->files, file, fd, &st, HPS_USE_READ);
	if (stable(r)) {
		close(fd);
		go_on(r, file);
		return;
	}
	if (!(r->how.flags & O_NONBLOCK))
		fcntl(fd, F_SETFL, (int)(r->how.flags & (O_APPEND | O_DIRECT | O_NOATIME | O_ASYNC)));
	hps_answer_descriptor(r->s, r->c, fd, r->how.flags & O_CLOEXEC, false);
}

/* ---- writing ---- */

/* What is about to be changed is hashed before anybody can write it. r->before: what it was, when it was there. */
static void before_writing(struct request *r)
{
	if (faccessat(r->target.base, r->target.path, W_OK, AT_EACCESS))
		return; /* will fail */
	r->before_fd = open_through(r, O_PATH | (r->how.flags & O_NOFOLLOW), 0);
	if (r->before_fd < 0 || fstat(r->before_fd, &r->before) || !S_ISREG(r->before.st_mode) ||
	    hps_supervisor_pseudo(r->s, r->before_fd, &r->before)) {
		if (r->before_fd >= 0)
			close(hps_take_fd(&r->before_fd));
		return;
	}
	hps_supervisor_path(r->s, r->before_fd, &r->before, r->before_path);
	hps_file_secure(r->s->files, hps_files_get(r->s->files, *r->before_path ? r->before_path : r->name), r->before_fd, &r->before);
}

static void note_product(struct request *r, int fd, const struct stat *st)
{
	bool nameless = (r->how.flags & O_TMPFILE) == O_TMPFILE;
	struct hps_file *file;

	if (nameless) { /* until it is linked */
		hps_inode_made(&r->s->files->inodes, fd, st);
		return;
	}
	file = identify(r, NULL, fd, st);
	if (r->before_fd >= 0 && (st->st_ino == r->before.st_ino || !strcmp(r->before_path, file->path))) {
		if ((r->how.flags & O_ACCMODE) == O_RDWR && !(r->how.flags & O_TRUNC))
			hps_file_use(r->s->files, file, r->before_fd, &r->before, HPS_USE_READ);
		hps_file_modify(r->s->files, file, r->before_fd, &r->before);
	} else if (r->before_fd >= 0 || st->st_size) {
		hps_gap_note(r->s->gaps, HPS_GAP_CHANGED); /* somebody else put it there this instant */
		hps_file_modify(r->s->files, file, -1, st);
	} else {
		hps_file_made(r->s->files, file, fd, st);
	}
	hps_file_forget_now(file);
	hps_supervisor_wrote(r->s, st->st_ino);
}

static void set_umask(struct hps_supervisor *s, struct hps_tracee *t)
{
	int mask = hps_tracee_umask(t);

	if (mask != s->current_umask)
		umask((mode_t)mask);
	s->current_umask = mask;
}

static void open_write(struct request *r)
{
	struct stat st;
	bool exists = !look(r, &st);
	int fd;

	if (exists && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode)) {
		open_special(r, &st);
		return;
	}
	hps_tracees_settle(r->s, r->c->t);
	if (exists && S_ISREG(st.st_mode) && !(r->how.flags & O_EXCL))
		before_writing(r);
	if (creates(&r->how))
		set_umask(r->s, r->c->t);
	fd = open_through(r, (r->how.flags & KNOWN_FLAGS) | LARGEFILE | O_NOCTTY, creates(&r->how) ? r->how.mode & 07777 : 0);
	if (fd < 0) {
		refuse(r, errno);
		return;
	}
	if (fstat(fd, &st) || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
		close(fd);
		open_special(r, &st);
		return;
	}
	if (hps_supervisor_pseudo(r->s, fd, &st)) {
		if (strstr(r->name, "/mem"))
			r->s->memory_untrusted = true;
		open_pseudo(r, fd, &st);
		return;
	}
	if (S_ISREG(st.st_mode))
		note_product(r, fd, &st);
	hps_answer_descriptor(r->s, r->c, fd, r->how.flags & O_CLOEXEC, true);
}

/* ---- the calls ---- */

static void open_any(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at, const struct open_how *how)
{
	bool inside = how->resolve & RESOLVE_IN_ROOT;
	struct request r;
	int error = (inside ? hps_target_get_inside : hps_target_get)(s, c, dirfd, at, &r.target);

	if (error) {
		if (c->t->opaque)
			hps_answer_continue(s, c);
		else if (!hps_answer_exhausted(s, c, -error))
			hps_answer_error(s, c, -error);
		return;
	}
	if (r.target.own && how->resolve) { /* whether a link of /proc may be followed then is the kernel's to say */
		hps_answer_unseen(s, c);
		hps_target_release(&r.target);
		return;
	}
	r.s = s;
	r.c = c;
	r.how = *how;
	r.before_fd = -1;
	r.direct = false;
	hps_buf_init(&r.joined, 2 * HPS_PATH_CAP);
	r.name = r.target.given;
	if (r.target.given[0] != '/') {
		hps_target_name(&r.target, &r.joined);
		r.name = r.joined.data;
	}
	if (hps_clocks_open(s, c, r.target.given)) {
		hps_buf_release(&r.joined);
		hps_target_release(&r.target);
		return;
	}
	if (c->t->foreign)
		hps_foreign_open(s, c, &r.target, how->flags, writes(how));
	else if (how->flags & O_PATH) /* gives no content; ADDFD cannot pass it on */
		go_on(&r, NULL);
	else if (writes(how))
		open_write(&r);
	else
		open_read(&r);
	if (r.before_fd >= 0)
		close(r.before_fd);
	hps_buf_release(&r.joined);
	hps_target_release(&r.target);
}

void hps_act_open(struct hps_supervisor *s, struct hps_call *c)
{
	struct open_how how = { .flags = (unsigned)c->args[1], .mode = c->args[2] };

	open_any(s, c, AT_FDCWD, c->args[0], &how);
}

void hps_act_creat(struct hps_supervisor *s, struct hps_call *c)
{
	struct open_how how = { .flags = O_CREAT | O_WRONLY | O_TRUNC, .mode = c->args[1] };

	open_any(s, c, AT_FDCWD, c->args[0], &how);
}

void hps_act_openat(struct hps_supervisor *s, struct hps_call *c)
{
	struct open_how how = { .flags = (unsigned)c->args[2], .mode = c->args[3] };

	open_any(s, c, (int)c->args[0], c->args[1], &how);
}

void hps_act_openat2(struct hps_supervisor *s, struct hps_call *c)
{
	struct open_how how;
	char rest[256];
	uint64_t size = c->args[3];
	ssize_t n;

	/* A structure of another size than ours is the kernel's to judge: what it knows more we cannot pass on. */
	if (size != sizeof how) {
		size = size < sizeof how || size > sizeof rest ? 0 : size;
		n = size ? hps_memory_read(s, c->t, c->args[2], rest, size) : -1;
		for (size_t i = sizeof how; n == (ssize_t)size && i < size; i++)
			n = rest[i] ? -1 : n;
		if (n < 0 || n != (ssize_t)size) {
			hps_answer_error(s, c, size ? E2BIG : EINVAL);
			return;
		}
	}
	n = hps_memory_read(s, c->t, c->args[2], &how, sizeof how);
	if (n != sizeof how) {
		hps_answer_error(s, c, EFAULT);
		return;
	}
	if (how.flags & ~(uint64_t)KNOWN_FLAGS || (how.mode && !creates(&how)))
		hps_answer_error(s, c, EINVAL);
	else
		open_any(s, c, (int)c->args[0], c->args[1], &how);
}
