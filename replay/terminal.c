/* A terminal for a trial that had one: programs ask whether they have, and write otherwise then. Nobody types: whoever reads finds the end. */
#include "replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ENDS 1024 /* reads that find the end of what was typed */

int hps_terminal_open(int root_fd, const json_t *size, struct hps_terminal *ret, struct hps_error *err)
{
	struct winsize window = { .ws_row = (unsigned short)hps_json_int(size, "rows", 24), .ws_col = (unsigned short)hps_json_int(size, "columns", 80) };
	char ends[ENDS];
	int unlock = 0;

	ret->master_fd = openat(root_fd, "dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (ret->master_fd < 0 || ioctl(ret->master_fd, TIOCSPTLCK, &unlock))
		return hps_error_errno(err, "making a terminal");
	ret->slave_fd = ioctl(ret->master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (ret->slave_fd < 0 || ioctl(ret->slave_fd, TIOCSWINSZ, &window))
		return hps_error_errno(err, "making a terminal");
	memset(ends, 4, sizeof ends); /* ^D */
	return write(ret->master_fd, ends, sizeof ends) < 0 ? hps_error_errno(err, "making a terminal") : 0;
}

void hps_terminal_drain(int master_fd, int to_fd)
{
	char block[4096];
	ssize_t n;

	while ((n = read(master_fd, block, sizeof block)) > 0 || (n < 0 && errno == EINTR)) /* EIO: nobody has it open any more */
		if (n > 0)
			(void)!hps_write_all(to_fd, block, (size_t)n);
}
