/* Runs a program from a descriptor without a name. usage: fexec PROGRAM ARGUMENT */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int c, char **v)
{
	int from = open(v[1], O_RDONLY), fd = memfd_create("program", 0);

	while (sendfile(fd, from, 0, 1 << 20) > 0)
		;
	syscall(SYS_execveat, fd, "", v + 1, (char *[]){ 0 }, AT_EMPTY_PATH);
	return 1;
}
