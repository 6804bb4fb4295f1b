/* Gives a nameless file a name. usage: tmpfile DIR FILE TEXT */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int c, char **v)
{
	int fd = open(v[1], O_TMPFILE | O_RDWR, 0644);
	char own[64];

	snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
	return fd < 0 || write(fd, v[3], strlen(v[3])) < 0 || linkat(AT_FDCWD, own, AT_FDCWD, v[2], AT_SYMLINK_FOLLOW);
}
