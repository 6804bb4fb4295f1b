/* Containers: what each engine leaves to be seen from inside, by made-up trees of the documented form, and an engine's answers, by a server that
 * answers as the API's documents say (tests/stubs/engine.py). */
#include "tests/unit/folder.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder/container.h"
#include "recorder/identity.h"

#define ID "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define OTHER "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
#define ONES "sha256:1111111111111111111111111111111111111111111111111111111111111111"

#define USR_TREE "8638739dc17bf21a5d2895267ac86c46ed449cb6a4c592e4e5cd91f6150674fe"
#define ALL_TREES "0f82ae469d7a7f5530d82bd5574525be334a5236efc557f47d97d001181ac315"

static char *source;

static int set_up(void **state)
{
	const char *from = getenv("HPS_SOURCE");

	source = from ? hps_strdup(from) : hps_path_absolute(".");
	return make_folder(state);
}

static int tear_down(void **state)
{
	free(source);
	return remove_folder(state);
}

static void assert_row(const json_t *rows, const char *name, const char *value, const char *strength)
{
	const char *got = hps_json_text(row(rows, name), "value");

	if (!got)
		fail_msg("no value of '%s'", name);
	assert_string_equal(got, value);
	assert_string_equal(hps_json_text(row(rows, name), "strength"), strength);
}

static json_t *look(const char *root, const char *const *environment, const char *engine)
{
	struct hps_strv envp = list_of(environment);
	json_t *rows = json_array();

	hps_identity_container(rows, root, envp.v, engine);
	hps_strv_release(&envp);
	return rows;
}

static const char *const nothing[] = { NULL };

static void test_none(void **state)
{
	_cleanup_json_ json_t *rows = NULL;

	(void)state;
	put("none/proc/self/cgroup", "0::/user.slice/user-1000.slice/session-2.scope\n");
	put("none/proc/self/mountinfo", "1 1 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:5 / /usr/lib/libcuda.so.1 rw - tmpfs t rw\n");
	rows = look("none", nothing, NULL);
	assert_non_null(hps_json_text(row(rows, "container"), "why"));
	assert_row(rows, "container.rootFilesystem", "ext4", HPS_OBSERVED);
	assert_null(row(rows, "container.hostFile"));
}

/* --engine tree: expected by sha256sum over the records of docs/FORMATS.md, "Dataset digests". */
static void test_tree(void **state)
{
	_cleanup_json_ json_t *rows = NULL, *again = NULL, *other = NULL, *partly = NULL;
	_cleanup_free_ char *before = NULL;

	(void)state;
	put("t/proc/self/cgroup", "0::/\n");
	put("t/proc/self/mountinfo", "1 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
	put("t/.dockerenv", "");
	put("t/usr/lib/x.so", "x");
	put("t/opt/tool/run", "r");
	assert_int_equal(symlink("usr/lib", "t/lib"), 0);
	put("t/home/u/notes", "1");
	rows = look("t", nothing, HPS_ENGINE_TREE);
	assert_row(rows, "container.tree.usr", USR_TREE, HPS_OBSERVED);
	assert_null(row(rows, "container.tree.lib"));
	assert_null(row(rows, "container.tree.home"));
	before = hps_strdup(hps_json_text(row(rows, "container.tree"), "value"));
	assert_string_equal(before, ALL_TREES);
	put("t/home/u/notes", "2");
	again = look("t", nothing, HPS_ENGINE_TREE);
	assert_row(again, "container.tree", before, HPS_OBSERVED);
	put("t/opt/tool/run", "R");
	other = look("t", nothing, HPS_ENGINE_TREE);
	assert_string_not_equal(hps_json_text(row(other, "container.tree"), "value"), before);
	put("t/opt/tool/run", "r");
	assert_int_equal(mkfifo("t/opt/tool/pipe", 0600), 0);
	partly = look("t", nothing, HPS_ENGINE_TREE); /* (The first thing that could not be read left no digest at all.) */
	assert_row(partly, "container.tree", before, HPS_GUESSED);
	assert_row(partly, "container.tree.usr", USR_TREE, HPS_OBSERVED);
	assert_row(partly, "container.tree.unreadable", "/opt/tool/pipe", HPS_OBSERVED);
	assert_non_null(strstr(hps_json_text(row(partly, "container.tree.opt"), "source"), "without the 1 names that could not be read"));
}

static void test_docker(void **state)
{
	_cleanup_json_ json_t *v1 = NULL, *v2 = NULL;

	(void)state;
	put("d1/proc/self/cgroup", "12:memory:/docker/" ID "\n0::/docker/" ID "\n");
	put("d1/proc/self/mountinfo", "1 1 0:50 / / rw - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/" OTHER "/diff\n"
				      "2 1 8:1 /usr/lib/libcuda.so.535.1 /usr/lib/x86_64-linux-gnu/libcuda.so.1 ro - ext4 /dev/sda1 rw\n");
	put("d1/.dockerenv", "");
	v1 = look("d1", nothing, NULL);
	assert_row(v1, "container.id", ID, HPS_OBSERVED);
	assert_row(v1, "container.engine", "docker", HPS_OBSERVED);
	assert_row(v1, "container.marker", "docker", HPS_GUESSED);
	assert_row(v1, "container.rootFilesystem", "overlay", HPS_OBSERVED);
	assert_row(v1, "container.hostFile", "/usr/lib/x86_64-linux-gnu/libcuda.so.1", HPS_OBSERVED);
	assert_non_null(strstr(hps_json_text(row(v1, "container.digest"), "why"), "--engine"));
	/* Version 2 with a private namespace shows nothing; overlay's directories have 64 digits, too. */
	put("d2/proc/self/cgroup", "0::/\n");
	put("d2/proc/self/mountinfo", "1 1 0:50 / / rw - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/" OTHER "/diff\n"
				      "2 1 8:1 /var/lib/docker/containers/" ID "/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n"
				      "3 1 8:1 /home/u/containers/" OTHER "/x /data rw - ext4 /dev/sda1 rw\n");
	v2 = look("d2", nothing, NULL);
	assert_row(v2, "container.id", ID, HPS_OBSERVED);
	assert_string_equal(hps_json_text(row(v2, "container.id"), "source"), "/proc/self/mountinfo");
}

static void test_podman(void **state)
{
	_cleanup_json_ json_t *rows = NULL;

	(void)state;
	put("po/proc/self/cgroup", "0::/user.slice/libpod-" ID ".scope/container\n");
	put("po/proc/self/mountinfo", "2 1 8:1 /containers/overlay-containers/" ID "/userdata/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n");
	put("po/run/.containerenv", "engine=\"podman-4.3.1\"\nname=\"eager\"\nid=\"" ID "\"\nimage=\"docker.io/library/debian:12\"\nimageid=\"" ONES "\"\nrootless=1\n");
	rows = look("po", nothing, NULL);
	assert_row(rows, "container.id", ID, HPS_OBSERVED);
	assert_row(rows, "container.engine", "podman", HPS_OBSERVED);
	assert_row(rows, "container.name", "eager", HPS_ENGINE);
	assert_row(rows, "container.config", ONES, HPS_ENGINE);
	assert_null(row(rows, "container.digest"));
}

/* On Kubernetes /etc/hostname belongs to the pod's sandbox: its id is not the container's. */
static void test_kubernetes_sandbox(void **state)
{
	_cleanup_json_ json_t *rows = NULL, *fs = NULL;

	(void)state;
	put("k/proc/self/cgroup", "0::/../cri-containerd-" ID ".scope\n");
	put("k/proc/self/mountinfo", "2 1 8:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/" OTHER "/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n");
	rows = look("k", nothing, NULL);
	assert_row(rows, "container.id", ID, HPS_OBSERVED);
	assert_row(rows, "container.engine", "containerd", HPS_OBSERVED);
	assert_row(rows, "container.sandbox", OTHER, HPS_OBSERVED);
	put("kf/proc/self/cgroup", "3:cpu:/kubepods/burstable/pod0123abcd-0123-4567-89ab-0123456789ab/" ID "\n");
	put("kf/proc/self/mountinfo", "");
	fs = look("kf", nothing, NULL);
	assert_row(fs, "container.id", ID, HPS_OBSERVED);
}

static void test_apptainer_and_enroot(void **state)
{
	static const char *const apptainer[] = { "APPTAINER_CONTAINER=/images/t.sif", "APPTAINER_NAME=t.sif", NULL };
	static const char *const gone[] = { "SINGULARITY_CONTAINER=/images/away.sif", NULL };
	static const char *const enroot[] = { "ENROOT_ROOTFS=/raid/enroot/t", NULL };
	_cleanup_json_ json_t *a = NULL, *b = NULL, *c = NULL;

	(void)state;
	put("ap/.singularity.d/labels.json", "{}");
	put("ap/images/t.sif", "content");
	put("ap/proc/self/mountinfo", "");
	a = look("ap", apptainer, NULL);
	assert_row(a, "container.image", "/images/t.sif", HPS_DECLARED);
	assert_row(a, "container.marker", "apptainer", HPS_GUESSED);
	assert_row(a, "container.sif", "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73", HPS_DECLARED);
	b = look("ap", gone, NULL);
	assert_true(json_is_true(json_object_get(row(b, "container.sif"), "missing")));
	c = look("ap", enroot, NULL);
	assert_row(c, "container.image", "/raid/enroot/t", HPS_DECLARED);
}

static void test_handed(void **state)
{
	static const char *const image[] = { "HPS_IMAGE=example.org/t@" ONES, NULL };
	static const char *const file[] = { "HPS_IMAGE_FILE=/handed.json", NULL }, *const bad[] = { "HPS_IMAGE_FILE=/no.json", NULL };
	_cleanup_json_ json_t *a = NULL, *b = NULL, *c = NULL, *d = NULL;

	(void)state;
	put("h/proc/self/cgroup", "0::/\n");
	a = look("h", image, NULL);
	assert_row(a, "container.image", "example.org/t@" ONES, HPS_DECLARED);
	assert_null(row(a, "container.digest"));
	put("h/handed.json", "{\"reference\":\"t:1\",\"manifest\":\"" ONES "\",\"diffIds\":[\"" ONES "\"]}");
	b = look("h", file, NULL);
	assert_row(b, "container.manifest", ONES, HPS_DECLARED);
	assert_row(b, "container.chain", ONES, HPS_DECLARED); /* of one layer: itself */
	c = look("h", bad, NULL);
	assert_true(json_is_true(json_object_get(row(c, "container.handed"), "missing")));
	put("h/run/hps/image.json", "{\"reference\":\"mounted:2\"}");
	d = look("h", nothing, NULL);
	assert_row(d, "container.image", "mounted:2", HPS_DECLARED);
	assert_non_null(row(d, "container.digest")); /* a name is no digest */
}

/* OCI image specification: chain(n) = sha256(chain(n - 1) + " " + diffID(n)); the value is sha256sum's. */
static void test_chain(void **state)
{
	_cleanup_json_ json_t *ids = json_pack("[s, s]", ONES, "sha256:2222222222222222222222222222222222222222222222222222222222222222"), *bad = json_pack("[s]", "sha256:x");
	_cleanup_free_ char *chain = hps_container_chain(ids), *text = hps_format("%s %s", ONES, "sha256:2222222222222222222222222222222222222222222222222222222222222222"), *want = NULL;
	struct hps_digest d;
	char hex[HPS_DIGEST_HEX];

	(void)state;
	hps_digest_of(text, strlen(text), &d);
	hps_digest_hex(&d, hex);
	want = hps_format("sha256:%s", hex);
	assert_string_equal(chain, want);
	assert_null(hps_container_chain(bad));
	assert_null(hps_container_chain(NULL));
}

static char *blob(const char *text)
{
	struct hps_digest d;
	char hex[HPS_DIGEST_HEX];
	_cleanup_free_ char *path = NULL;

	hps_digest_of(text, strlen(text), &d);
	hps_digest_hex(&d, hex);
	path = hps_format("oci/l/blobs/sha256/%s", hex);
	put(path, text);
	return hps_format("sha256:%s", hex);
}

static void test_oci_layout(void **state)
{
	static const char *const layout[] = { "HPS_IMAGE_LAYOUT=/l", NULL };
	_cleanup_free_ char *config = NULL, *manifest_text = NULL, *manifest = NULL, *index = NULL, *path = NULL;
	_cleanup_json_ json_t *good = NULL, *damaged = NULL;

	(void)state;
	config = blob("{\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" ONES "\"]}}");
	manifest_text = hps_format("{\"schemaVersion\":2,\"config\":{\"digest\":\"%s\"},\"layers\":[]}", config);
	manifest = blob(manifest_text);
	index = hps_format("{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"%s\"}]}", manifest);
	put("oci/l/index.json", index);
	good = look("oci", layout, NULL);
	assert_row(good, "container.manifest", manifest, HPS_DECLARED);
	assert_row(good, "container.config", config, HPS_DECLARED);
	assert_row(good, "container.layer", ONES, HPS_DECLARED);
	path = hps_format("oci/l/blobs/sha256/%s", config + 7);
	put(path, "{\"rootfs\":{\"diff_ids\":[]}}");
	damaged = look("oci", layout, NULL);
	assert_non_null(strstr(hps_json_text(row(damaged, "container.layout"), "why"), "digest"));
	assert_null(row(damaged, "container.manifest"));
}

/* ---- engines ---- */

static pid_t serve(const char *where, const char *kind, char line[16])
{
	_cleanup_free_ char *script = hps_format("%s/tests/stubs/engine.py", source);
	int ends[2];
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test does not come to stop() */
		dup2(ends[1], 1);
		execl("/usr/bin/python3", "python3", script, where, kind, NULL);
		_exit(127);
	}
	close(ends[1]);
	n = read(ends[0], line, 15);
	assert_true(n > 0);
	line[strcspn(line, "\n")] = '\0';
	close(ends[0]);
	return pid;
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_docker_engine(void **state)
{
	_cleanup_json_ json_t *rows = NULL, *podman = NULL, *stranger = NULL, *unknown = NULL;
	char line[16] = "";
	pid_t pid = serve("docker.sock", "docker", line);

	(void)state;
	rows = look("d1", nothing, "docker.sock");
	assert_row(rows, "container.config", ONES, HPS_ENGINE);
	assert_row(rows, "container.image", "registry.example.org/team/train:latest", HPS_ENGINE);
	assert_row(rows, "container.repoDigest", "registry.example.org/team/train@sha256:2222222222222222222222222222222222222222222222222222222222222222", HPS_ENGINE);
	assert_non_null(row(rows, "container.chain"));
	assert_null(row(rows, "container.digest"));
	put("x1/proc/self/cgroup", "0::/docker/" OTHER "\n");
	stranger = look("x1", nothing, "docker.sock");
	assert_non_null(strstr(hps_json_text(row(stranger, "container.engineAnswer"), "why"), "404"));
	unknown = look("none", nothing, "docker.sock");
	assert_non_null(strstr(hps_json_text(row(unknown, "container.engineAnswer"), "why"), "cannot be learnt"));
	stop(pid);
	pid = serve("podman.sock", "podman", line);
	podman = look("po", nothing, "podman.sock");
	assert_row(podman, "container.manifest", "sha256:3333333333333333333333333333333333333333333333333333333333333333", HPS_ENGINE);
	stop(pid);
}

/* Nobody there, and nobody asked: the engine's socket is not touched without the option. */
static void test_no_engine(void **state)
{
	_cleanup_json_ json_t *gone = NULL, *silent = NULL;

	(void)state;
	gone = look("d1", nothing, "nobody.sock");
	assert_non_null(hps_json_text(row(gone, "container.engineAnswer"), "why"));
	silent = look("d1", nothing, NULL);
	assert_null(row(silent, "container.engineAnswer"));
}

static void test_kubernetes_engine(void **state)
{
	struct hps_container c = { .rows = json_array(), .root = "kube", .id = NULL };
	_cleanup_free_ char *base = NULL, *id = hps_strdup(ID);
	_cleanup_json_ json_t *mine = NULL, *all = NULL, *denied = NULL;
	char line[16] = "";
	pid_t pid = serve("-", "kubernetes", line);

	(void)state;
	base = hps_format("http://127.0.0.1:%s", line);
	put("kube/var/run/secrets/kubernetes.io/serviceaccount/namespace", "team-a");
	put("kube/var/run/secrets/kubernetes.io/serviceaccount/token", "token-of-the-account\n");
	c.id = id;
	hps_container_ask_kubernetes(&c, base, "trial-7");
	mine = c.rows;
	assert_row(mine, "container.image", "train:1", HPS_ENGINE);
	assert_row(mine, "container.repoDigest", "train@sha256:5555555555555555555555555555555555555555555555555555555555555555", HPS_ENGINE);
	assert_true(c.digest);
	c.rows = all = json_array();
	c.id = NULL;
	hps_container_ask_kubernetes(&c, base, "trial-7");
	assert_int_equal(json_array_size(all), 4); /* all that the pod has */
	c.rows = denied = json_array();
	put("kube/var/run/secrets/kubernetes.io/serviceaccount/token", "another\n");
	hps_container_ask_kubernetes(&c, base, "trial-7");
	assert_non_null(strstr(hps_json_text(row(denied, "container.engineAnswer"), "why"), "401"));
	hps_container_ask_kubernetes(&c, base, "../../secrets");
	assert_int_equal(json_array_size(denied), 2);
	stop(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none), cmocka_unit_test(test_tree), cmocka_unit_test(test_docker), cmocka_unit_test(test_podman), cmocka_unit_test(test_kubernetes_sandbox),
		cmocka_unit_test(test_apptainer_and_enroot), cmocka_unit_test(test_handed), cmocka_unit_test(test_chain), cmocka_unit_test(test_oci_layout),
		cmocka_unit_test(test_docker_engine), cmocka_unit_test(test_no_engine), cmocka_unit_test(test_kubernetes_engine),
	};

	return cmocka_run_group_tests_name("recorder_container", tests, set_up, tear_down);
}
