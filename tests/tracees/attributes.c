/* Sets mode, owner, times and extended attributes in every way there is, each on a file of its own in DIR, and prints what each
 * call said. usage: attributes DIR; "f<n>" are files, "d" is a directory, "l" a link to f0. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>
#define SAY(what, call) \
	do { \
		errno = 0; \
		int r = (int)(call); \
		printf("%s %s\n", what, r < 0 ? strerrorname_np(errno) : "ok"); \
	} while (0)
int main(int c, char **v)
{
	struct utimbuf u = { 1000000001, 1000000002 };
	struct timeval tv[2] = { { 1000000003, 4 }, { 1000000005, 6 } }, bad[2] = { { 1, 1000000 } };
	struct timespec ts[2] = { { 1000000007, 8 }, { 1000000009, 10 } }, omit[2] = { { 0, UTIME_OMIT }, { 0, UTIME_NOW } };
	int dir, fd, p;

	if (chdir(v[1]))
		return 1;
	dir = open(".", O_RDONLY | O_DIRECTORY);
	SAY("chmod", syscall(SYS_chmod, "f1", 0601));
	fd = open("f2", O_RDONLY);
	SAY("fchmod", syscall(SYS_fchmod, fd, 0602));
	SAY("fchmodat", syscall(SYS_fchmodat, dir, "f3", 0603));
	SAY("fchmodat2", syscall(452, dir, "f4", 0604, 0));
	SAY("fchmodat2 of a link itself", syscall(452, dir, "l", 0604, AT_SYMLINK_NOFOLLOW));
	SAY("chown", syscall(SYS_chown, "f5", getuid(), getgid()));
	SAY("lchown", syscall(SYS_lchown, "l", getuid(), getgid()));
	fd = open("f6", O_RDWR);
	SAY("fchown", syscall(SYS_fchown, fd, -1, getgid()));
	SAY("fchownat", syscall(SYS_fchownat, dir, "f7", getuid(), -1, 0));
	p = open("f8", O_PATH);
	SAY("fchownat of a descriptor", syscall(SYS_fchownat, p, "", getuid(), getgid(), AT_EMPTY_PATH));
	SAY("fchmod of a path", syscall(SYS_fchmod, p, 0600));
	SAY("utime", syscall(SYS_utime, "f9", &u));
	SAY("utimes", syscall(SYS_utimes, "f10", tv));
	SAY("utimes that are wrong", syscall(SYS_utimes, "f10", bad));
	SAY("futimesat", syscall(SYS_futimesat, dir, "f11", tv));
	SAY("utimensat", syscall(SYS_utimensat, dir, "f12", ts, 0));
	SAY("utimensat of a link itself", syscall(SYS_utimensat, dir, "l", ts, AT_SYMLINK_NOFOLLOW));
	fd = open("f13", O_RDONLY);
	SAY("futimens", syscall(SYS_utimensat, fd, NULL, ts, 0));
	SAY("utimensat of now", syscall(SYS_utimensat, dir, "f14", omit, 0));
	SAY("setxattr", setxattr("f15", "user.hps", "value", 5, 0));
	SAY("setxattr that is there", setxattr("f15", "user.hps", "value", 5, XATTR_CREATE));
	fd = open("f16", O_RDONLY);
	SAY("fsetxattr", fsetxattr(fd, "user.hps", "value", 5, 0));
	SAY("fremovexattr", fremovexattr(fd, "user.hps"));
	SAY("removexattr", removexattr("f17", "user.hps"));
	SAY("lsetxattr", lsetxattr("l", "user.hps", "value", 5, 0));
	SAY("through /proc", syscall(SYS_fchmodat, AT_FDCWD, "/proc/self/fd/3", 0755));
	SAY("a directory", syscall(SYS_chmod, "d", 0750));
	SAY("through a link", syscall(SYS_chmod, "l", 0640));
	SAY("nothing there", syscall(SYS_chmod, "nosuch", 0600));
	SAY("no descriptor", syscall(SYS_fchmod, 99, 0600));
	SAY("no memory", syscall(SYS_chmod, 1, 0600));
	SAY("wrong flags", syscall(SYS_fchownat, dir, "f7", -1, -1, 0x1));
	return 0;
}
