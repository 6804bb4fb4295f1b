/* Goes down 120 directories with names of 100 letters, writes and reads a file there. Prints what it read. usage: deep DIR */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int c, char **v)
{
	char name[101], text[16] = "";
	int fd;

	memset(name, 'd', 100);
	name[100] = 0;
	if (chdir(v[1]))
		return 1;
	for (int i = 0; i < 120; i++)
		if (mkdir(name, 0755) || chdir(name))
			return 2;
	fd = open("bottom", O_CREAT | O_RDWR, 0644);
	if (fd < 0 || write(fd, "deep\n", 5) != 5 || close(fd))
		return 3;
	fd = open("bottom", O_RDONLY);
	if (fd < 0 || read(fd, text, 15) != 5 || rename("bottom", "renamed") || unlink("renamed"))
		return 4;
	fputs(text, stdout);
	return 0;
}
