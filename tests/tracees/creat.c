/* Writes with creat. usage: creat FILE TEXT */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
int main(int c, char **v)
{
	int fd = creat(v[1], 0600);

	return fd < 0 || write(fd, v[2], strlen(v[2])) < 0;
}
