/* The engine that runs the container, asked over HTTP: only when the user says so, for who can reach its socket is root. */
#include "recorder/container.h"

#include <string.h>

#include "recorder/identity.h"

#define ANSWER_MAX ((size_t)8 << 20)
#define LIMIT_NS 5000000000

static int get(const char *base, const char *path, const char *token, const char *ca, json_t **ret, char **ret_why)
{
	_cleanup_free_ char *url = hps_format("%s%s", base, path), *bearer = token ? hps_format("Authorization: Bearer %s", token) : NULL;
	const char *const headers[] = { bearer, NULL };
	const struct hps_http_request request = { .headers = bearer ? headers : NULL, .max = ANSWER_MAX, .timeout_ns = LIMIT_NS, .ca_file = ca };
	_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;
	_cleanup_buf_ struct hps_buf body = HPS_BUF_INIT;
	struct hps_http_reply reply = { 0 };
	int r = hps_http(&request, url, &body, &reply, &err);

	if (!r && (reply.status < 200 || reply.status > 299)) {
		r = -1;
		hps_error_set(&err, HPS_E_UNDECIDED, "%s: the answer was %d", path, reply.status);
	} else if (!r) {
		r = hps_json_parse(body.data ? body.data : "", body.len, ret, &err);
	}
	if (r && ret_why)
		*ret_why = hps_strdup(err.message ? err.message : "no answer");
	hps_http_reply_release(&reply);
	if (bearer)
		explicit_bzero(bearer, strlen(bearer));
	return r;
}

/* ---- Docker and Podman ---- */

static void add_image(struct hps_container *c, const char *base, const char *image)
{
	_cleanup_free_ char *path = hps_format("/images/%s/json", image);
	_cleanup_json_ json_t *answer = NULL;
	const json_t *item;
	size_t i;

	if (get(base, path, NULL, NULL, &answer, NULL)) {
		hps_identity_missing(c->rows, "container.repoDigest", "the engine knows the container and not its image");
		return;
	}
	json_array_foreach(json_object_get(answer, "RepoDigests"), i, item)
		if (i < 16)
			hps_container_add(c, "container.repoDigest", json_string_value(item), "engine, RepoDigests (of a manifest or an index)", HPS_ENGINE);
	hps_container_layers(c, hps_json_at(answer, "RootFS", "Layers", NULL), "engine, RootFS.Layers", HPS_ENGINE);
}

void hps_container_ask_docker(struct hps_container *c, const char *base)
{
	_cleanup_free_ char *path = c->id ? hps_format("/containers/%s/json", c->id) : NULL, *podman = c->id ? hps_format("/libpod/containers/%s/json", c->id) : NULL;
	_cleanup_free_ char *why = NULL;
	_cleanup_json_ json_t *answer = NULL, *more = NULL;
	const char *image;

	if (!path) {
		hps_identity_missing(c->rows, "container.engineAnswer", "which container this is cannot be learnt from inside: the engine was not asked");
		return;
	}
	if (get(base, path, NULL, NULL, &answer, &why)) {
		hps_identity_missing(c->rows, "container.engineAnswer", why);
		return;
	}
	image = hps_json_text(answer, "Image");
	/* With the containerd image store this is a manifest's or an index's digest: the name of the field is kept. */
	hps_container_add(c, "container.config", image, "engine, Image", HPS_ENGINE);
	hps_container_add(c, "container.image", hps_json_text(json_object_get(answer, "Config"), "Image"), "engine, Config.Image (as it was typed)", HPS_ENGINE);
	c->digest |= image != NULL;
	if (image && strspn(image, "0123456789abcdefsh:") == strlen(image))
		add_image(c, base, image);
	if (get(base, podman, NULL, NULL, &more, NULL) == 0)
		hps_container_add(c, "container.manifest", hps_json_text(more, "ImageDigest"), "podman, ImageDigest", HPS_ENGINE);
}

/* ---- Kubernetes ---- */

#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

static bool safe_name(const char *name)
{
	return name && *name && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.")] == '\0';
}

void hps_container_ask_kubernetes(struct hps_container *c, const char *base, const char *pod)
{
	_cleanup_free_ char *space = hps_identity_read_in(c->root, ACCOUNT "/namespace"), *token = hps_identity_read_in(c->root, ACCOUNT "/token");
	_cleanup_free_ char *ca = hps_format("%s" ACCOUNT "/ca.crt", c->root), *path = NULL, *why = NULL;
	_cleanup_json_ json_t *answer = NULL;
	const json_t *status;
	size_t i;

	if (!safe_name(space) || !safe_name(pod) || !token) {
		hps_identity_missing(c->rows, "container.engineAnswer", "no service account, or no pod's name (POD_NAME, HOSTNAME)");
		return;
	}
	path = hps_format("/api/v1/namespaces/%s/pods/%s", space, pod);
	if (get(base, path, token, strncmp(base, "https:", 6) ? NULL : ca, &answer, &why)) {
		hps_identity_missing(c->rows, "container.engineAnswer", why);
		return;
	}
	json_array_foreach(hps_json_at(answer, "status", "containerStatuses", NULL), i, status) {
		const char *id = hps_json_text(status, "containerID");

		if (c->id && id && !strstr(id, c->id))
			continue; /* a neighbour in the pod */
		hps_container_add(c, "container.image", hps_json_text(status, "image"), "Kubernetes, status.image", HPS_ENGINE);
		hps_container_add(c, "container.repoDigest", hps_json_text(status, "imageID"), c->id ? "Kubernetes, status.imageID" : "Kubernetes, status.imageID of a container of the pod", HPS_ENGINE);
		c->digest |= hps_json_text(status, "imageID") != NULL;
	}
	explicit_bzero(token, strlen(token));
}

/* ---- by option ---- */

void hps_container_ask(struct hps_container *c)
{
	_cleanup_free_ char *base = NULL;

	if (strcmp(c->engine, "kubernetes") != 0) {
		base = hps_format("unix:%s:", c->engine);
		hps_container_ask_docker(c, base);
	} else {
		const char *host = hps_environment_get(c->envp, "KUBERNETES_SERVICE_HOST"), *port = hps_environment_get(c->envp, "KUBERNETES_SERVICE_PORT");
		const char *pod = hps_environment_get(c->envp, "POD_NAME");

		base = hps_format("https://%s:%s", host ? host : "kubernetes.default.svc", port ? port : "443");
		hps_container_ask_kubernetes(c, base, pod ? pod : hps_environment_get(c->envp, "HOSTNAME"));
	}
}
