/* Serving in the foreground: for commands that end when they are told to. */
#include "ledger/cmd.h"

#include <signal.h>

int hps_serve_until_signal(const struct hps_serve_options *options, struct hps_error *err)
{
	struct hps_server *server = NULL;
	sigset_t stop;
	int sig, r;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGHUP);
	/* Blocked before the server's threads begin, which inherit it; a client that goes away is no reason to end. */
	pthread_sigmask(SIG_BLOCK, &stop, NULL);
	signal(SIGPIPE, SIG_IGN);
	r = hps_serve_start(options, &server, err);
	if (r)
		return r;
	hps_print_line("serving %s", hps_serve_address(server));
	fflush(stdout);
	while (sigwait(&stop, &sig))
		;
	hps_serve_stop(server);
	return 0;
}
