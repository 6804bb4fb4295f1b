/* Opens a name that lies in memory which this program itself fills, and fills it only when another file has been made. Alone it takes
 * no time; a recorder that reads the name and answers nobody meanwhile never ends. usage: heldup NAME OTHER */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static char *page;
static int opened;

static void *opener(void *unused)
{
	opened = open(page, O_RDONLY);
	return 0;
}
int main(int c, char **v)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_copy copy = { .len = 4096 };
	static char text[4096] __attribute__((aligned(4096)));
	struct uffd_msg message;
	pthread_t thread;
	int fd = syscall(SYS_userfaultfd, 0);

	page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	range.range.start = copy.dst = (unsigned long)page;
	range.range.len = 4096;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range)) {
		puts("no userfaultfd");
		return 0;
	}
	alarm(20);
	pthread_create(&thread, 0, opener, 0);
	read(fd, &message, sizeof message); /* somebody waits for the page */
	close(open(v[2], O_CREAT | O_WRONLY, 0644));
	strcpy(text, v[1]);
	copy.src = (unsigned long)text;
	ioctl(fd, UFFDIO_COPY, &copy);
	pthread_join(thread, 0);
	printf("opened %d\n", opened >= 0);
	return 0;
}
