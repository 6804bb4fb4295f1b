/* The job that the trial is part of: what schedulers put into the environment, told apart from what can be seen without it. */
#include "recorder/identity.h"

#include <string.h>

static const char *const variables[] = {
	"SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_STEP_ID", "SLURM_PROCID", "SLURM_RESTART_COUNT", "SLURM_CLUSTER_NAME",
	"SLURM_JOB_PARTITION", "SLURM_JOB_ACCOUNT", "SLURM_JOB_QOS", "SLURM_JOB_NODELIST", "SLURM_NODEID", "SLURM_CPUS_PER_TASK", "SLURM_JOB_GPUS",
	"PBS_JOBID", "PBS_ARRAY_INDEX", "PBS_QUEUE", "LSB_JOBID", "LSB_JOBINDEX", "LSB_QUEUE", "JOB_ID", "SGE_TASK_ID", "OAR_JOB_ID",
	"COBALT_JOBID", "FLUX_JOB_ID", "_CONDOR_JOB_AD", "KUBERNETES_SERVICE_HOST", "POD_NAME", "POD_NAMESPACE", "POD_UID", "NODE_NAME", "JOB_COMPLETION_INDEX",
};

/* What made the environment that the job found: environment modules, Spack, Guix, Nix, conda. */
static const char *const software[] = { "LOADEDMODULES", "_LMFILES_", "SPACK_ENV", "GUIX_ENVIRONMENT", "IN_NIX_SHELL", "CONDA_DEFAULT_ENV", "EBROOTGCCCORE" };

const char *hps_environment_get(char *const *envp, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; envp && envp[i]; i++)
		if (!strncmp(envp[i], name, len) && envp[i][len] == '=')
			return envp[i] + len + 1;
	return NULL;
}

/* "…/job_123/step_0/…" below slurmstepd's group: the job, whatever the environment says. */
static bool add_slurm(json_t *rows, const char *cgroups)
{
	const char *slurm = cgroups ? strstr(cgroups, "slurm") : NULL, *job = slurm ? strstr(slurm, "/job_") : NULL;
	_cleanup_free_ char *id = job ? hps_strndup(job + 5, strspn(job + 5, "0123456789")) : NULL;

	if (!id || !*id)
		return false;
	hps_identity_add(rows, "scheduler.slurm.job", id, "/proc/self/cgroup", HPS_OBSERVED);
	return true;
}

/* "kubepods…/…pod<uid>…": with '_' for '-' where systemd made the group. */
static bool add_kubernetes(json_t *rows, const char *root, const char *cgroups)
{
	const char *pods = cgroups ? strstr(cgroups, "kubepods") : NULL, *pod = pods;
	_cleanup_free_ char *space = hps_identity_read_in(root, "/var/run/secrets/kubernetes.io/serviceaccount/namespace"), *uid = NULL;

	while (pod && (pod = strstr(pod, "pod")) && strspn(pod + 3, "0123456789abcdef-_") != 36)
		pod += 3;
	if (pod) {
		uid = hps_strndup(pod + 3, 36);
		for (char *c = uid; *c; c++)
			*c = *c == '_' ? '-' : *c;
		hps_identity_add(rows, "scheduler.kubernetes.podUid", uid, "/proc/self/cgroup", HPS_OBSERVED);
	}
	if (space)
		hps_identity_add(rows, "scheduler.kubernetes.namespace", space, "service account", HPS_DECLARED);
	return pod || space;
}

void hps_identity_scheduler(json_t *rows, const char *root, char *const *envp)
{
	_cleanup_free_ char *cgroups = hps_identity_read_in(root, "/proc/self/cgroup");
	bool any = add_slurm(rows, cgroups);

	any |= add_kubernetes(rows, root, cgroups);
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		const char *value = hps_environment_get(envp, variables[i]);
		_cleanup_free_ char *name = hps_format("scheduler.%s", variables[i]);

		if (!value)
			continue;
		any = true;
		hps_identity_add(rows, name, value, "environment", HPS_DECLARED);
	}
	for (size_t i = 0; i < ARRAY_SIZE(software); i++) {
		const char *value = hps_environment_get(envp, software[i]);
		_cleanup_free_ char *name = hps_format("software.%s", software[i]);

		if (value && *value)
			hps_identity_add(rows, name, value, "environment", HPS_DECLARED);
	}
	if (!any)
		hps_identity_missing(rows, "scheduler", "no scheduler's job variables are set, and no control group is one's");
}
