/* Exchanges two files, and two directories in which it made a file each and read one afterwards. usage: exchange FILE FILE DIR DIR */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
static int make(const char *dir)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof path, "%s/made", dir);
	fd = open(path, O_CREAT | O_WRONLY, 0644);
	return fd < 0 || dprintf(fd, "%s\n", dir) < 0 || close(fd);
}
static int look(const char *dir)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/in", dir);
	return open(path, O_RDONLY) < 0;
}
int main(int c, char **v)
{
	if (make(v[3]) || make(v[4]))
		return 1;
	if (renameat2(AT_FDCWD, v[1], AT_FDCWD, v[2], RENAME_EXCHANGE) || renameat2(AT_FDCWD, v[3], AT_FDCWD, v[4], RENAME_EXCHANGE))
		return 2;
	return look(v[3]) || look(v[4]);
}
