/* Renames, links, removes. usage: names DIR: "in" and "gone" are there; leaves "renamed", "link", "symlink", "sub". */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int c, char **v)
{
	int dir = open(v[1], O_RDONLY | O_DIRECTORY), fd = openat(dir, "temporary", O_CREAT | O_EXCL | O_WRONLY, 0644);

	if (fd < 0 || write(fd, "made\n", 5) != 5 || renameat(dir, "temporary", dir, "final") || renameat(dir, "in", dir, "renamed"))
		return 1;
	if (linkat(dir, "final", dir, "link", 0) || symlinkat("final", dir, "symlink") || mkdirat(dir, "sub", 0700))
		return 2;
	if (unlinkat(dir, "gone", 0) || mkdirat(dir, "passing", 0700) || unlinkat(dir, "passing", AT_REMOVEDIR))
		return 3;
	return 0;
}
