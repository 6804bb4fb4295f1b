/* The machine and its system: CPU, kernel, memory, distribution, C library, user, clock, scheduler. */
#include "recorder/identity.h"

#include <fcntl.h>
#include <gnu/libc-version.h>
#include <pwd.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#define CPUINFO_MAX (1 << 20)

/* The value of "key<space>: value" in text, first occurrence. Heap, or NULL. */
static char *field(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		const char *at;

		line += *line == '\n';
		at = strncmp(line, key, len) ? NULL : line + len + strspn(line + len, " \t");
		if (at && (*at == ':' || *at == '=')) {
			at += 1 + strspn(at + 1, " \t\"");
			return hps_strndup(at, strcspn(at, "\"\n"));
		}
	}
	return NULL;
}

static void add_field(json_t *rows, const char *name, const char *text, const char *key, const char *source)
{
	_cleanup_free_ char *value = field(text, key);

	if (value && *value)
		hps_identity_add(rows, name, value, source, HPS_OBSERVED);
	else
		hps_identity_missing(rows, name, "not said there");
}

/* The x86-64 psABI micro-architecture levels, by the flags that each needs besides those of the one below. */
static const struct {
	const char *name, *flags[10];
} isa_levels[] = {
	{ "x86-64-v2", { "cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3" } },
	{ "x86-64-v3", { "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave" } },
	{ "x86-64-v4", { "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl" } },
};

static bool has_flag(const char *flags, const char *flag)
{
	size_t len = strlen(flag);

	for (const char *at = strstr(flags, flag); at; at = strstr(at + 1, flag))
		if ((at == flags || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
			return true;
	return false;
}

static void add_isa(json_t *rows, const char *cpuinfo)
{
	_cleanup_free_ char *flags = field(cpuinfo, "flags");
	const char *level = "x86-64-v1";

	if (!flags) {
		hps_identity_missing(rows, "cpu.isa", "/proc/cpuinfo has no flags line");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(isa_levels); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(isa_levels[i].flags) && isa_levels[i].flags[k]; k++)
			if (!has_flag(flags, isa_levels[i].flags[k]))
				goto done;
		level = isa_levels[i].name;
	}
done:
	hps_identity_add(rows, "cpu.isa", level, "/proc/cpuinfo", HPS_OBSERVED);
	hps_identity_add(rows, "cpu.virtual", has_flag(flags, "hypervisor") ? "true" : "false", "/proc/cpuinfo", HPS_OBSERVED);
}

static void add_cpu(json_t *rows)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_free_ char *count = NULL;
	cpu_set_t allowed;

	hps_buf_init(&text, CPUINFO_MAX);
	if (hps_file_read(AT_FDCWD, "/proc/cpuinfo", CPUINFO_MAX, &text, NULL) || !text.data) {
		hps_identity_missing(rows, "cpu.model", "/proc/cpuinfo cannot be read");
	} else {
		_cleanup_free_ char *family = field(text.data, "cpu family"), *model = field(text.data, "model"), *step = field(text.data, "stepping");
		_cleanup_free_ char *signature = hps_format("%s/%s/%s", family ? family : "?", model ? model : "?", step ? step : "?");

		add_field(rows, "cpu.vendor", text.data, "vendor_id", "/proc/cpuinfo");
		add_field(rows, "cpu.model", text.data, "model name", "/proc/cpuinfo");
		hps_identity_add(rows, "cpu.signature", signature, "/proc/cpuinfo", HPS_OBSERVED);
		add_field(rows, "cpu.microcode", text.data, "microcode", "/proc/cpuinfo");
		add_isa(rows, text.data);
	}
	if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
		count = hps_format("%d of %d", CPU_COUNT(&allowed), get_nprocs_conf());
		hps_identity_add(rows, "cpu.count", count, "sched_getaffinity", HPS_OBSERVED);
	}
}

static void add_memory(json_t *rows)
{
	_cleanup_free_ char *text = hps_identity_read("/proc/meminfo");

	add_field(rows, "memory.total", text ? text : "", "MemTotal", "/proc/meminfo");
	hps_identity_add_file(rows, "", "memory.hugepages", "/sys/kernel/mm/transparent_hugepage/enabled");
}

static void add_system(json_t *rows)
{
	_cleanup_free_ char *release = hps_identity_read("/etc/os-release");
	struct utsname u;

	if (uname(&u) == 0) {
		hps_identity_add(rows, "kernel.release", u.release, "uname", HPS_OBSERVED);
		hps_identity_add(rows, "kernel.version", u.version, "uname", HPS_OBSERVED);
		hps_identity_add(rows, "kernel.machine", u.machine, "uname", HPS_OBSERVED);
		hps_identity_add(rows, "host.name", u.nodename, "uname", HPS_OBSERVED);
	}
	add_field(rows, "os.release", release ? release : "", "PRETTY_NAME", "/etc/os-release");
	hps_identity_add(rows, "libc.version", gnu_get_libc_version(), "gnu_get_libc_version", HPS_OBSERVED);
	hps_identity_add_file(rows, "", "host.bootId", "/proc/sys/kernel/random/boot_id");
	hps_identity_add_file(rows, "", "kernel.addressRandomization", "/proc/sys/kernel/randomize_va_space");
	hps_identity_add_file(rows, "", "clock.source", "/sys/devices/system/clocksource/clocksource0/current_clocksource");
}

static void add_user(json_t *rows)
{
	_cleanup_free_ char *ids = hps_format("%u:%u", (unsigned)getuid(), (unsigned)getgid());
	struct passwd *p = getpwuid(getuid());

	hps_identity_add(rows, "user.id", ids, "getuid", HPS_OBSERVED);
	if (p)
		hps_identity_add(rows, "user.name", p->pw_name, "passwd", HPS_OBSERVED);
	else
		hps_identity_missing(rows, "user.name", "this uid has no entry in the user database");
}

static void add_clock(json_t *rows)
{
	struct timex t = { 0 };
	int state = adjtimex(&t);

	if (state < 0)
		hps_identity_missing(rows, "clock.synchronized", "adjtimex failed");
	else
		hps_identity_add(rows, "clock.synchronized", state == TIME_ERROR || (t.status & STA_UNSYNC) ? "false" : "true", "adjtimex", HPS_OBSERVED);
}

/* Job identifiers that the common schedulers put into a job's environment. */
static const char *const scheduler_variables[] = {
	"SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT", "PBS_JOBID", "LSB_JOBID", "JOB_ID", "KUBERNETES_SERVICE_HOST",
};

static void add_scheduler(json_t *rows)
{
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(scheduler_variables); i++) {
		const char *value = getenv(scheduler_variables[i]);
		_cleanup_free_ char *name = hps_format("scheduler.%s", scheduler_variables[i]);

		if (!value)
			continue;
		any = true;
		hps_identity_add(rows, name, value, "environment", HPS_DECLARED);
	}
	if (!any)
		hps_identity_missing(rows, "scheduler", "no scheduler's job variables are set");
}

void hps_identity_host(json_t *rows)
{
	add_cpu(rows);
	add_memory(rows);
	add_system(rows);
	add_user(rows);
	add_clock(rows);
	add_scheduler(rows);
}
