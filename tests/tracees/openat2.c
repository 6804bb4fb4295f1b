/* Opens with openat2, beneath a directory, then as if it were the root; /proc/self is not beneath it. usage: openat2 DIR /FILE */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int c, char **v)
{
	struct open_how how = { .flags = O_RDONLY, .resolve = RESOLVE_BENEATH }, bad = { .flags = 1ull << 40 };
	int dir = open(v[1], O_PATH | O_DIRECTORY);

	if (syscall(SYS_openat2, dir, v[2], &bad, sizeof bad) >= 0)
		return 2;
	if (syscall(SYS_openat2, dir, v[2] + 1, &how, sizeof how) < 0)
		return 1;
	if (syscall(SYS_openat2, dir, "/proc/self/status", &how, sizeof how) >= 0 || syscall(SYS_openat2, dir, v[2], &how, sizeof how) >= 0)
		return 3;
	how.resolve = RESOLVE_IN_ROOT;
	return syscall(SYS_openat2, dir, v[2], &how, sizeof how) < 0 ? 4 : 0;
}
