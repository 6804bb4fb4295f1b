/* Leaves a process behind that outlives it. usage: daemon SECONDS FILE: it writes FILE after so long. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
int main(int c, char **v)
{
	int fd;

	if (fork())
		return 0;
	setsid();
	if (fork())
		return 0;
	sleep(atoi(v[1]));
	fd = open(v[2], O_CREAT | O_WRONLY, 0644);
	return write(fd, "late\n", 5) != 5;
}
