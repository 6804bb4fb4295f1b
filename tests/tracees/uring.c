/* Asks for io_uring; prints the error. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
	char parameters[120] = "";

	puts(syscall(SYS_io_uring_setup, 4, parameters) < 0 ? strerrorname_np(errno) : "made");
	return 0;
}
