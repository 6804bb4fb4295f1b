/* One trial from the options to the exit status: `begin` is durable before the command starts, `trial` follows whatever
 * became of it. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "recorder/identity.h"
#include "recorder/network.h"

#define HYDRA_MAX 64 /* files of it that are read */
#define CHILDREN_END_MS 1000

struct trial {
	const struct hps_trial_options *o;
	struct hps_inherited inherited;
	struct hps_strv environment; /* of the command, before we add to it */
	struct hps_ledger *ledger;
	struct hps_redactor redactor;
	struct hps_record record;
	struct hps_gaps gaps;
	struct hps_files files;
	struct hps_cache *cache;
	struct hps_objects *store; /* the hasher's own handle */
	struct hps_hasher *hasher;
	struct hps_layers *layers; /* NULL: no view */
	struct hps_reaper reaper;
	struct hps_supervisor supervisor;
	struct hps_facts *facts;
	struct hps_entropy entropy;
	struct hps_clocks clocks;
	struct hps_strv pins; /* variables that --portable set */
	struct hps_launch launch;
	struct hps_launcher *launcher;
	pthread_t thread;
	pid_t child;
	int lease;
	struct hps_temporary own_dir; /* for the metrics and the socket, removed at the end */
	struct hps_marks *marks; /* NULL: no socket */
	char **envp;	   /* of the command: environment, and own_env */
	char *own_env[4];
	struct hps_strv unsaid; /* our standard error may be a file of the trial: words of ours would change it while it is hashed */
};

/* ---- the command's surroundings ---- */

static int make_own_dir(struct trial *t, struct hps_error *err)
{
	_cleanup_free_ char *beside = t->o->root ? hps_format("%s/..", t->o->root) : NULL; /* whoever made the root sweeps what lies there */
	int r = hps_temporary_make(beside, "hps-record", &t->own_dir, err);

	if (!r)
		t->record.metrics_path = t->o->metrics_path ? hps_strdup(t->o->metrics_path) : hps_format("%s/metrics.json", t->own_dir.path);
	return r;
}

/* Without it a program that sets marks runs on; a name of ours means nothing in another root. */
static void start_marks(struct trial *t)
{
	_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;
	_cleanup_free_ char *path = hps_format("%s/socket", t->own_dir.path), *name = hps_format("unix %s", path);

	if (t->o->root)
		return;
	if (hps_marks_start(t->ledger, &t->record, path, &t->marks, &err))
		hps_note("%s: the command gets no HPS_SOCKET", err.message);
	else
		*hps_map_slot(&t->supervisor.sockets, name) = t;
}

/* Those that we set: an outer recorder's would mislead. */
static bool is_own(const struct trial *t, const char *variable)
{
	static const char *const names[] = { "HPS_RECORD_ID=", "HPS_METRICS=", "HPS_SOCKET=" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strncmp(variable, names[i], strlen(names[i])))
			return true;
	return t->own_env[3] && !strncmp(variable, "LD_PRELOAD=", strlen("LD_PRELOAD="));
}

static void make_environment(struct trial *t)
{
	size_t n = t->environment.n, out = 0;

	t->envp = hps_alloc((n + 5) * sizeof *t->envp);
	t->own_env[3] = hps_clocks_preload(&t->clocks, hps_environment_get(t->environment.v, "LD_PRELOAD"));
	for (size_t i = 0; i < n; i++)
		if (!is_own(t, t->environment.v[i]))
			t->envp[out++] = t->environment.v[i];
	t->envp[out++] = t->own_env[0] = hps_format("HPS_RECORD_ID=%s", t->record.begin_id);
	t->envp[out++] = t->own_env[1] = hps_format("HPS_METRICS=%s", t->record.metrics_path);
	if (t->marks)
		t->envp[out++] = t->own_env[2] = hps_format("HPS_SOCKET=%s", hps_marks_path(t->marks));
	if (t->own_env[3])
		t->envp[out++] = t->own_env[3];
}

/* ---- the supervisor's thread ---- */

static void read_metrics(struct trial *t)
{
	const struct hps_strv *more = &t->o->metrics;

	for (size_t i = 0; i <= more->n; i++) {
		_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;
		_cleanup_free_ char *path = NULL;
		const char *pointer = NULL;

		if (i < more->n)
			hps_metrics_split(more->v[i], &path, &pointer);
		else
			path = hps_strdup(t->record.metrics_path);
		if (i < more->n && access(path, F_OK))
			hps_error_errno(&err, "--metrics '%s'", path);
		if (!err.code && hps_metrics_read(path, pointer, t->record.metrics, &err) == 0)
			continue;
		hps_gap_note(&t->gaps, HPS_GAP_METRICS);
		hps_strv_addf(&t->unsaid, "%s; the trial is recorded without them", err.message);
	}
}

static void read_hydra(struct trial *t)
{
	for (size_t i = 0, n = 0; i < t->files.n && n < HYDRA_MAX; i++) {
		const struct hps_file *file = t->files.all[i];
		const struct hps_final *final = hps_file_rare(file)->final;
		_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;

		if (!file->product || !final || !final->exists || !hps_hydra_is(file->path))
			continue;
		n++;
		if (hps_hydra_read(file->path, t->record.parameters, &err))
			hps_strv_add(&t->unsaid, err.message);
	}
}

static void *supervisor_main(void *arg)
{
	struct trial *t = arg;

	pthread_setname_np(pthread_self(), "supervisor");
	/* Root, directory and mask of this thread alone: names mean to it what they mean to the command. */
	if (unshare(CLONE_FS) == 0 && t->o->root && chroot(t->o->root) == 0 && chdir(t->o->cwd ? t->o->cwd : "/"))
		hps_gap_note(&t->gaps, HPS_GAP_FOREIGN);
	if (t->o->root && hps_drop_capabilities() == 0)
		hps_supervisor_rights_changed(&t->supervisor);
	umask(0);
	hps_supervisor_run(&t->supervisor);
	hps_peers_end(&t->supervisor);
	hps_files_settle(&t->files);
	hps_ending_look(&t->reaper.ending, &t->files);
	read_metrics(t);
	read_hydra(t);
	return NULL;
}

/* ---- steps ---- */

static int open_ledger(struct trial *t, struct hps_error *err)
{
	_cleanup_free_ char *dir = hps_ledger_path(t->o->ledger), *objects = NULL;
	char *passphrase = NULL;
	int r = hps_passphrase_read(t->o->has_passphrase_fd ? (int)t->o->passphrase_fd : -1, &passphrase, err);

	if (!r)
		r = hps_ledger_open(dir, HPS_LEDGER_APPEND, passphrase, &t->ledger, err);
	hps_wipe_free(passphrase);
	if (!r)
		r = hps_ledger_redact_key(t->ledger, t->redactor.key, err);
	if (!r)
		r = hps_lease_sweep(t->ledger, NULL, err);
	if (r)
		return r;
	hps_redactor_learn(&t->redactor, t->record.argv, t->record.envp);
	hps_redactor_learn(&t->redactor, t->o->params.v, NULL);
	t->record.objects = hps_ledger_objects(t->ledger);
	if (t->files.capture && t->record.objects) {
		objects = hps_format("%s/objects", hps_ledger_dir(t->ledger));
		r = hps_objects_open(AT_FDCWD, objects, false, &t->store, err);
		if (!r)
			hps_objects_defer(t->store);
	}
	return r;
}

static int prepare(struct trial *t, const sigset_t *watched, struct hps_error *err)
{
	int r = hps_supervisor_init(&t->supervisor, err); /* while we have one thread */

	if (!r)
		r = hps_reaper_init(&t->reaper, watched, err);
	if (r)
		return r;
	t->cache = hps_cache_open();
	t->hasher = hps_hasher_new(t->supervisor.proc_fd, t->store, t->cache, &t->gaps);
	hps_hasher_redact(t->hasher, &t->redactor);
	t->files.news = hps_facts_news(t->facts);
	hps_hasher_tell(t->hasher, t->files.news);
	hps_hasher_layers(t->hasher, t->layers);
	t->files.hasher = t->supervisor.hasher = t->hasher;
	r = hps_launcher_new(&t->launch, &t->gaps, &t->launcher, err);
	if (r)
		return r;
	t->supervisor.listener = hps_launcher_listener(t->launcher);
	t->supervisor.control_tid = hps_launcher_tid(t->launcher);
	return 0;
}

/* Descriptors that answering the command's calls takes: where there are too few, they would fail in the command. */
static int check_descriptors(struct hps_error *err)
{
	int spare[8], n = 0, r = 0;

	for (; !r && n < (int)ARRAY_SIZE(spare); n++) {
		spare[n] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (spare[n] < 0)
			r = hps_error_errno(err, "getting ready to answer the command's calls");
	}
	while (n-- > 0)
		hps_cleanup_fd(&spare[n]);
	return r;
}

static int append_begin(struct trial *t, struct hps_error *err)
{
	_cleanup_json_ json_t *statement = hps_record_begin(&t->record);
	int r = check_descriptors(err);

	if (!r)
		r = hps_ledger_append(t->ledger, statement, t->record.begin_id, NULL, err);

	return r ? r : hps_lease_take(t->ledger, t->record.begin_id, &t->lease, err);
}

/* A trial that read gigabytes for the first time ends some seconds before they are hashed: a terminal is told why. */
static void finish_hashing(struct trial *t)
{
	struct hps_progress progress;

	hps_progress_start(&progress, "hps-record: hashing what was read, MiB", 0);
	hps_hasher_finish(t->hasher, t->o->quiet ? NULL : &progress);
	hps_progress_end(&progress);
	t->record.hashed = true;
}

/* Starts the command and waits for its end. An exec that fails is a trial that failed, with the shell's status for it. */
static int run_command(struct trial *t, struct hps_error *err)
{
	int r;

	hps_inherited_use(&t->inherited, &t->supervisor);
	hps_ending_begin(&t->reaper.ending);
	hps_clocks_start(&t->clocks);
	t->record.started_ns = hps_time_now_ns();
	t->record.started_boot_ns = hps_time_monotonic_ns();
	hps_standby_start(&t->supervisor); /* here, so that all threads have their numbers before the command gets one */
	r = pthread_create(&t->thread, NULL, supervisor_main, t);
	if (r) {
		hps_standby_end(&t->supervisor);
		errno = r;
		return hps_error_errno(err, "starting a thread");
	}
	r = hps_launcher_start(t->launcher, &t->child);
	hps_inherited_drop(&t->inherited);
	if (r) {
		errno = -r;
		hps_note("'%s': %s", t->record.argv[0], strerror(errno));
	}
	if (t->child > 0)
		t->record.tree_ended = hps_reaper_wait(&t->reaper, t->child, t->o->wait, &t->record.status, &t->record.usage, &t->gaps);
	else
		t->record.tree_ended = true;
	if (r)
		t->record.status = (r == -ENOENT ? 127 : 126) << 8;
	t->record.finished_boot_ns = hps_time_monotonic_ns();
	t->record.finished_ns = hps_time_now_ns();
	hps_launcher_free(hps_take(t->launcher));
	pthread_join(t->thread, NULL);
	hps_marks_end(hps_take(t->marks));
	finish_hashing(t);
	for (size_t i = 0; i < t->unsaid.n; i++)
		hps_note("%s", t->unsaid.v[i]);
	hps_reaper_collect(&t->reaper);
	hps_reaper_note_cores(&t->reaper, t->record.status, &t->gaps);
	return 0;
}

static void spool(struct trial *t, const json_t *statement, struct hps_error *why)
{
	_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;
	_cleanup_free_ char *path = NULL;

	if (hps_spool_put(&t->record, hps_ledger_dir(t->ledger), statement, &path, &err))
		hps_note("the record could not be appended to the ledger (%s) nor kept aside (%s): it is lost", why->message, err.message);
	else
		hps_note("the record could not be appended to the ledger: %s; it is kept in '%s', and 'hps-ledger push' appends it", why->message, path);
}

/* How much the content store grew, of more than a MiB, and what was too large for it. */
static void add_stored(const struct trial *t, struct hps_buf *text)
{
	const struct hps_record *r = &t->record;
	uint64_t bytes = hps_objects_written(t->store) + hps_objects_written(r->objects);

	if (bytes >> 20)
		hps_buf_addf(text, ", %.1f MiB stored", (double)bytes / (1 << 20));
	if (r->n_large)
		hps_buf_addf(text, ", not stored: %llu of more than %lld MiB (%.1f MiB)", (unsigned long long)r->n_large, HPS_STORE_MAX >> 20, (double)r->large_bytes / (1 << 20));
}

static void say_summary(struct trial *t, const char *id)
{
	const struct hps_record *r = &t->record;
	_cleanup_buf_ struct hps_buf stored = HPS_BUF_INIT;
	_cleanup_free_ char *end = WIFSIGNALED(r->status) ? hps_format("killed by signal %d", WTERMSIG(r->status))
							  : hps_format("exit %d", WEXITSTATUS(r->status));
	int64_t ns = r->finished_boot_ns - r->started_boot_ns;

	if (t->o->quiet)
		return;
	add_stored(t, &stored);
	hps_note("recorded %.12s: %s, %llu files read, %llu written, %.2f s%s; coverage %s", id, end, (unsigned long long)r->n_read,
		 (unsigned long long)r->n_written, (double)ns / 1e9, stored.data ? stored.data : "", hps_coverage_complete(r) ? "complete" : "has gaps ('hps-ledger show' names them)");
}

static int write_id(const struct trial *t, const char *id, struct hps_error *err)
{
	_cleanup_free_ char *line = hps_format("%s\n", id);

	return t->o->id_file ? hps_file_output(t->o->id_file, 0644, line, strlen(line), err) : 0;
}

/* Not all that was put has arrived: say of each content what is true. */
static void forget_stored(struct trial *t)
{
	for (size_t i = 0; i < t->files.n; i++) {
		const struct hps_final *final = hps_file_rare(t->files.all[i])->final;
		struct hps_content *both[] = { t->files.all[i]->first, final ? final->content : NULL };

		for (size_t j = 0; j < ARRAY_SIZE(both); j++)
			if (both[j] && both[j]->stored)
				both[j]->stored = hps_objects_has(t->store, &both[j]->digest);
	}
}

/* A secret of an inner command line may be part of a file's name, and files come first. */
static void learn_executions(struct trial *t)
{
	for (size_t i = 0; i < t->supervisor.n_executions; i++) {
		_cleanup_free_ char **argv = hps_shape_words(&t->supervisor.executions[i]);

		hps_redactor_learn(&t->redactor, argv, NULL);
	}
}

/* The trial has run: from here on nothing changes its status, and what fails is said. */
static void write_record(struct trial *t)
{
	_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;
	_cleanup_json_ json_t *statement = NULL;
	char id[65];

	if (t->store && hps_objects_sync(t->store, &err)) {
		hps_note("storing contents: %s", err.message);
		hps_gap_note(&t->gaps, HPS_GAP_STORE);
		hps_error_release(&err);
		forget_stored(t);
	}
	learn_executions(t);
	if (hps_record_trial(&t->record, &statement, &err)) {
		hps_note("%s: this trial has no record", err.message);
		return;
	}
	if (t->record.objects && hps_objects_sync(t->record.objects, &err)) {
		spool(t, statement, &err);
		return;
	}
	if (t->record.spooled) {
		hps_error_set(&err, -EIO, "the content store could not be written");
		spool(t, statement, &err);
		return;
	}
	if (hps_ledger_append(t->ledger, statement, id, NULL, &err)) {
		spool(t, statement, &err);
		return;
	}
	hps_lease_end(t->ledger, t->record.begin_id, t->lease);
	t->lease = -1;
	hps_cache_save(t->cache);
	if (write_id(t, id, &err))
		hps_note("writing the id: %s", err.message);
	say_summary(t, id);
}

static void release(struct trial *t)
{
	hps_marks_end(t->marks);
	if (t->launcher)
		hps_launcher_free(t->launcher);
	hps_hasher_free(t->hasher);
	hps_layers_free(t->layers);
	hps_objects_free(t->store);
	hps_cache_free(t->cache);
	hps_facts_end(t->facts);
	t->reaper.told = NULL;
	hps_files_release(&t->files);
	hps_reaper_release(&t->reaper);
	hps_supervisor_release(&t->supervisor);
	hps_entropy_release(&t->entropy);
	hps_clocks_release(&t->clocks);
	hps_strv_release(&t->pins);
	hps_strv_release(&t->unsaid);
	hps_gaps_release(&t->gaps);
	hps_ledger_close(t->ledger);
	hps_redactor_release(&t->redactor);
	if (t->own_dir.path && hps_dir_remove(AT_FDCWD, t->own_dir.path, NULL))
		hps_note("removing '%s' failed", t->own_dir.path);
	hps_temporary_remove(&t->own_dir);
	free(t->own_env[0]);
	free(t->own_env[1]);
	free(t->own_env[2]);
	free(t->own_env[3]);
	free(t->envp);
	hps_strv_release(&t->environment);
	free(t->record.cwd);
	free(t->record.metrics_path);
	json_decref(t->record.params);
	json_decref(t->record.parameters);
	json_decref(t->record.metrics);
	json_decref(t->record.spooled);
	json_decref(t->record.drawing);
	json_decref(t->record.surroundings);
	json_decref(t->record.portable);
	json_decref(t->record.patient);
}

/* An outer recorder sees all that the command does, and the kernel allows one listener: the command runs as part of the
 * outer record. */
static int run_unrecorded(struct trial *t, struct hps_error *err)
{
	hps_facts_end(hps_take(t->facts)); /* the command must find no children that it does not know … */
	for (int ms = 0; ms < CHILDREN_END_MS && waitpid(-1, NULL, WNOHANG) >= 0; ms++) /* … nor one that was being made just then */
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	hps_note("already inside the recording %.12s: the command becomes part of it and gets no record of its own", getenv("HPS_RECORD_ID"));
	hps_inherited_restore(&t->inherited);
	execvpe(t->record.argv[0], t->record.argv, t->record.envp);
	return hps_error_errno(err, "'%s'", t->record.argv[0]);
}

static int run(struct trial *t, const sigset_t *watched, struct hps_outcome *outcome, struct hps_error *err)
{
	_cleanup_free_ char *dir = hps_command_repository(t->record.argv);
	struct hps_facts_request request = { .dir = dir, .datasets = &t->o->datasets, .root = t->o->root, .engine = t->o->engine, .envp = t->record.envp };
	int r = t->o->root ? 0 : hps_command_look(t->record.argv[0]);

	if (r) {
		hps_error_set(err, r == 127 ? -ENOENT : -EACCES, "'%s': %s", t->record.argv[0],
			      errno == ENOENT ? "command not found" : errno == EACCES ? "not executable" : strerror(errno));
		outcome->status = r;
		return err->code;
	}
	r = hps_facts_start(&request, &t->facts, err); /* before there are keys in our memory */
	if (!r)
		r = open_ledger(t, err);
	if (r)
		return r;
	t->record.facts = t->facts;
	t->reaper.helper = t->supervisor.helper = hps_facts_pid(t->facts);
	t->reaper.told = hps_facts_signals(t->facts);
	r = prepare(t, watched, err);
	if (r == -EBUSY && !t->o->root && getenv("HPS_RECORD_ID"))
		return run_unrecorded(t, err);
	if (!r)
		r = make_own_dir(t, err);
	if (!r)
		r = append_begin(t, err);
	if (!r)
		r = hps_entropy_keep(&t->entropy, hps_ledger_dir(t->ledger), t->record.begin_id, err);
	if (r)
		return r;
	start_marks(t);
	make_environment(t);
	t->launch.envp = t->envp;
	r = run_command(t, err);
	if (r)
		return r;
	outcome->started = true;
	outcome->status = WIFSIGNALED(t->record.status) ? 128 + WTERMSIG(t->record.status) : WEXITSTATUS(t->record.status);
	outcome->signal = WIFSIGNALED(t->record.status) ? WTERMSIG(t->record.status) : 0;
	write_record(t);
	return 0;
}

/* Standard descriptors that were closed are stubs of ours by now. */
static bool is_closed(const int closed[4], int fd)
{
	for (size_t i = 0; i < 4 && closed[i] >= 0; i++)
		if (closed[i] == fd)
			return true;
	return false;
}

/* What the user has set stays. */
static bool set_unless(struct trial *t, const char *name, const char *value)
{
	if (hps_environment_get(t->environment.v, name))
		return false;
	hps_strv_addf(&t->environment, "%s=%s", name, value);
	return true;
}

/* Before anything looks at the environment. */
static void set_portable(struct trial *t)
{
	if (!t->o->portable)
		return;
	hps_pins_portable(&t->pins);
	t->record.portable = json_array();
	for (size_t i = 0; i < t->pins.n; i++) {
		char *equals = strchr(t->pins.v[i], '=');

		*equals = '\0';
		if (set_unless(t, t->pins.v[i], equals + 1))
			hps_json_add(t->record.portable, json_string(t->pins.v[i]));
	}
}

/* Who spins for another thread spins in vain while that one has to wait for its turn. */
static void set_patient(struct trial *t)
{
	static const char *const patient[][2] = { { "GOMP_SPINCOUNT", "0" }, { "KMP_BLOCKTIME", "0" }, { "OMP_WAIT_POLICY", "PASSIVE" } };

	if (hps_trial_level(t->o) < 4)
		return;
	t->record.patient = json_array();
	for (size_t i = 0; i < ARRAY_SIZE(patient); i++)
		if (set_unless(t, patient[i][0], patient[i][1]))
			hps_json_add(t->record.patient, json_string(patient[i][0]));
}

static const char *entropy_mode(const struct hps_trial_options *o)
{
	return !o->entropy && hps_trial_level(o) < 2 ? "off" : o->entropy;
}

int hps_trial_run(const struct hps_trial_options *o, char *const *argv, const int closed[4], struct hps_outcome *outcome, struct hps_error *err)
{
	struct trial *t = hps_alloc(sizeof *t);
	static char *const nothing[] = { NULL };
	sigset_t watched;
	int r = hps_trial_check(o, &t->files.capture, err);

	t->o = t->record.o = o;
	t->own_dir = (struct hps_temporary)HPS_TEMPORARY_INIT;
	t->lease = t->supervisor.listener = t->supervisor.proc_fd = t->reaper.epoll_fd = t->reaper.signal_fd = -1;
	t->redactor.more = &o->allow_env;
	t->files.rerun = o->replay_of != NULL;
	t->files.gaps = t->supervisor.gaps = t->record.gaps = &t->gaps;
	t->supervisor.files = t->record.files = &t->files;
	t->supervisor.reaper = t->record.reaper = &t->reaper;
	t->supervisor.root = o->root;
	t->record.supervisor = &t->supervisor;
	t->record.redactor = &t->redactor;
	t->supervisor.clocks = &t->clocks;
	t->clocks.fd = -1;
	if (!r)
		r = hps_trial_environment(o, &t->environment, err);
	set_portable(t);
	set_patient(t);
	t->record.argv = argv;
	t->record.envp = t->environment.v ? t->environment.v : nothing;
	t->record.metrics = json_object();
	t->supervisor.entropy = &t->entropy;
	t->supervisor.no_network = o->no_network;
	if (!r)
		r = hps_inherited_stand_in(&o->descriptors, err); /* before those numbers are ours */
	if (!r && o->looks_from)
		r = hps_looks_load(o->looks_from, &t->supervisor.looks, err);
	if (!r && o->layers_from)
		r = hps_layers_load(o->layers_from, &t->layers, err);
	if (!r && o->listings_from)
		r = hps_listings_load(o->listings_from, &t->supervisor.listings, err);
	if (!r)
		r = hps_entropy_init(&t->entropy, entropy_mode(o), o->entropy_from, o->entropy_full || hps_trial_level(o) > 2, err);
	if (!r)
		r = hps_clocks_init(&t->clocks, o, err);
	if (!r)
		r = hps_parameters_parse(&o->params, &t->record.params, err);
	if (!r) {
		t->record.parameters = json_object();
		hps_parameters_option(t->record.parameters, t->record.params);
		hps_parameters_argv(t->record.parameters, argv);
		t->record.cwd = hps_trial_directory(o);
		t->record.umask = umask(0);
		umask(t->record.umask & 0077); /* what we write ourselves we must be able to open again */
		memcpy(t->inherited.closed, closed, sizeof t->inherited.closed);
		hps_inherited_note(&t->inherited, o);
		for (int fd = 0; fd <= 2; fd++)
			t->record.standard[fd] = is_closed(closed, fd) ? "closed" : hps_inherited_kind(fd);
		hps_inherited_block_signals(&t->inherited, &watched);
		t->record.surroundings = hps_surroundings();
		hps_json_set(t->record.surroundings, "descriptors", hps_inherited_json(&t->inherited));
		hps_inherited_take_limits(&t->inherited);
		prctl(PR_SET_DUMPABLE, 0);
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		t->launch = (struct hps_launch){
			.argv = argv,
			.root = o->root,
			.cwd = o->cwd,
			.looks = t->supervisor.looks != NULL,
			.listings = t->supervisor.listings.n != 0,
			.umask = t->record.umask,
			.inherited = &t->inherited,
			.fixed_places = t->entropy.full,
			.pid = (pid_t)o->pid,
		};
		r = run(t, &watched, outcome, err);
	}
	release(t);
	free(t);
	return r;
}
