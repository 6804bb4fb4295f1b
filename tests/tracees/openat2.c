/* Opens with openat2, beneath a directory. usage: openat2 DIR FILE */
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
	return syscall(SYS_openat2, dir, v[2], &how, sizeof how) < 0;
}
