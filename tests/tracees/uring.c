/* Asks for io_uring, or with an argument to use a ring that it does not have; prints the error. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int c, char **v)
{
	char parameters[120] = "";

	puts((c > 1 ? syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0) : syscall(SYS_io_uring_setup, 4, parameters)) < 0 ? strerrorname_np(errno) : "made");
	return 0;
}
