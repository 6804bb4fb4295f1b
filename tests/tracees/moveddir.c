/* Moves a directory and reads and writes below its new name. usage: moveddir DIR: "old/input" is there. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(int c, char **v)
{
	int fd;

	if (chdir(v[1]))
		return 1;
	fd = open("old/made", O_CREAT | O_WRONLY, 0644);
	if (fd < 0 || write(fd, "made\n", 5) != 5 || rename("old", "new"))
		return 2;
	return open("new/input", O_RDONLY) < 0;
}
