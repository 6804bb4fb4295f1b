/* Calls through the 32-bit and the x32 door; prints what each gives. usage: abi FILE */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int c, char **v)
{
	char *low = mmap((void *)0x10000000, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	long r;

	strcpy(low, v[1]);
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(5), "b"(low), "c"(O_RDONLY), "d"(0) : "memory", "r8", "r9", "r10", "r11");
	printf("i386 %ld\n", r);
	r = syscall(0x40000000 | SYS_open, v[1], O_RDONLY);
	printf("x32 %d\n", r < 0 ? -errno : 0);
	return 0;
}
