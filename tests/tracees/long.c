/* Opens DIR/name by a path of N bytes, filled up with slashes; prints the error or what it read. usage: long DIR NAME N */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int c, char **v)
{
	int n = atoi(v[3]), head = (int)strlen(v[1]), tail = (int)strlen(v[2]), fd;
	char path[8192], text[64] = "";

	memset(path, '/', sizeof path);
	memcpy(path, v[1], (size_t)head);
	strcpy(path + n - tail, v[2]);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return !puts(strerrorname_np(errno));
	read(fd, text, sizeof text - 1);
	fputs(text, stdout);
	return 0;
}
