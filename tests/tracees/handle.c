/* Opens a file by handle; prints the error. usage: handle FILE */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int c, char **v)
{
	struct file_handle *h = calloc(1, sizeof *h + MAX_HANDLE_SZ);
	int mount;

	h->handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(AT_FDCWD, v[1], h, &mount, 0))
		return 1;
	puts(open_by_handle_at(open("/", O_RDONLY), h, O_RDONLY) < 0 ? strerrorname_np(errno) : "opened");
	return 0;
}
