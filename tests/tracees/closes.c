/* Closes every descriptor, then writes a file and ends with 3. usage: closes FILE */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>
int main(int c, char **v)
{
	int fd;

	close_range(0, ~0u, 0);
	fd = open(v[1], O_CREAT | O_WRONLY, 0644);
	return fd != 0 || write(fd, "closed\n", 7) != 7 ? 1 : 3;
}
