/* Takes a descriptor from a unix socket and prints what it reads from it. usage: receive PATH (connects) | receive -FD (has it) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int c, char **v)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char byte, text[64] = "", control[CMSG_SPACE(sizeof(int))];
	struct iovec io = { &byte, 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	int s = *v[1] == '-' ? atoi(v[1] + 1) : socket(AF_UNIX, SOCK_STREAM, 0), fd;

	strncpy(a.sun_path, v[1], sizeof a.sun_path - 1);
	if (*v[1] != '-' && connect(s, (struct sockaddr *)&a, sizeof a))
		return 1;
	if (recvmsg(s, &m, 0) != 1 || !CMSG_FIRSTHDR(&m))
		return 2;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
	if (read(fd, text, sizeof text - 1) <= 0)
		return 3;
	fputs(text, stdout);
	return 0;
}
