/* Denies itself all reading, then opens a file; prints the error. usage: landlock FILE */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int c, char **v)
{
	struct landlock_ruleset_attr a = { .handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE };
	int rules = syscall(SYS_landlock_create_ruleset, &a, sizeof a, 0);

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (rules < 0 || syscall(SYS_landlock_restrict_self, rules, 0))
		return 1;
	puts(open(v[1], O_RDONLY) < 0 ? strerrorname_np(errno) : "opened");
	return 0;
}
