/* Private header of the containers. What can be learnt from inside is mostly claims: each row names its source, and nothing is said that nobody
 * said. Digests of images come from whoever started the container (a hand-off), from its engine when asked (--engine), or not at all. */
#ifndef HPS_RECORDER_CONTAINER_H
#define HPS_RECORDER_CONTAINER_H

#include "core/core.h"

#define HPS_ENGINE_TREE "tree" /* as --engine: nobody is asked, the files are hashed */

struct hps_container {
	json_t *rows;
	const char *root; /* prefix of each path that is read */
	char *const *envp;
	const char *engine; /* --engine: a socket's path, "kubernetes" or "tree"; NULL: nobody is asked */
	char *id;	    /* of the container, when it is known: 64 hex digits */
	bool inside;	    /* something says that there is a container */
	bool digest;	    /* a digest of the image is known, however */
};

/* ---- identity_container.c ---- */
void hps_identity_container(json_t *rows, const char *root, char *const *envp, const char *engine);
void hps_container_add(struct hps_container *c, const char *name, const char *value, const char *source, const char *strength); /* value NULL: no row */

/* ---- container_id.c: the id, from control groups and mounts ---- */
/* The id in a group's path: 64 hex digits behind an engine's mark, of which ret_engine is the engine. Heap, or NULL. */
char *hps_container_id_in_cgroup(const char *text, const char **ret_engine);
/* In mountinfo: only the files that engines mount over those of the image tell; a pod's sandbox is not the container (*ret_sandbox, heap or NULL). Cuts the text. */
char *hps_container_id_in_mounts(char *text, char **ret_sandbox);

/* ---- container_image.c: hand-off by the launcher, and OCI layouts ---- */
void hps_container_handed(struct hps_container *c);
/* "sha256:<hex>" of the layers' uncompressed digests: OCI image specification 1.1, "ChainID". Heap; NULL: they are none. */
char *hps_container_chain(const json_t *diff_ids);
void hps_container_layers(struct hps_container *c, const json_t *diff_ids, const char *source, const char *strength);

/* ---- container_engine.c: who started it, asked over HTTP ---- */
/* Docker's API (v1.24 and later; Podman answers the same): base is a URL without a slash at the end. */
void hps_container_ask_docker(struct hps_container *c, const char *base);
void hps_container_ask_kubernetes(struct hps_container *c, const char *base, const char *pod);
void hps_container_ask(struct hps_container *c); /* by c->engine */

#endif
