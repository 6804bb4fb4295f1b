/* One thread connects again and again, another changes the port in the address between two: prints how often each was reached,
 * when both were often enough.  * usage: connectflip PORT PORT TIMES */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
static volatile struct sockaddr_in a;
static volatile int end;
static int ports[2], reached[2];
static void *flip(void *arg)
{
	for (unsigned i = 0; !end; i++)
		a.sin_port = htons(ports[i & 1]);
	return NULL;
}
int main(int c, char **v)
{
	pthread_t t;
	int times = atoi(v[3]);

	a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	ports[0] = atoi(v[1]), ports[1] = atoi(v[2]);
	pthread_create(&t, NULL, flip, NULL);
	while (times-- && (reached[0] < 5 || reached[1] < 5)) {
		int s = socket(AF_INET, SOCK_STREAM, 0);
		struct sockaddr_in got;
		socklen_t len = sizeof got;

		if (!connect(s, (struct sockaddr *)&a, sizeof a) && !getpeername(s, (struct sockaddr *)&got, &len))
			reached[ntohs(got.sin_port) == ports[1]]++;
		close(s);
	}
	end = 1;
	pthread_join(t, NULL);
	printf("%d %d\n", reached[0], reached[1]);
	return 0;
}
