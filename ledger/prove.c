/* Evidence about one entry as a folder: every file is bytes that a common tool can check, and a README that says with which command.
 * What the files say is derived from the published tiles and checked before it leaves here. */
#include "ledger/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ledger/prove/: the checkers that go into each folder, as they are. */
#define EMBED(name, file)                                                                                            \
	__asm__(".section .rodata\n.global hps_prove_" #name "\n.global hps_prove_" #name "_end\n"                   \
		"hps_prove_" #name ":\n.incbin \"ledger/prove/" file "\"\nhps_prove_" #name "_end:\n.byte 0\n.previous\n"); \
	extern const char hps_prove_##name[], hps_prove_##name##_end[]
EMBED(sh, "verify.sh");
EMBED(go, "verify.go");
EMBED(mjs, "verify.mjs");

void hps_evidence_release(struct hps_evidence *e)
{
	for (size_t i = 0; i < e->n; i++) {
		free(e->files[i].name);
		hps_buf_release(&e->files[i].bytes);
	}
	free(e->files);
	memset(e, 0, sizeof *e);
}

const struct hps_buf *hps_evidence_file(const struct hps_evidence *e, const char *name)
{
	for (size_t i = 0; i < e->n; i++)
		if (!strcmp(e->files[i].name, name))
			return &e->files[i].bytes;
	return NULL;
}

/* The bytes of the new file; valid until the next one is added. */
static struct hps_buf *add(struct hps_evidence *e, const char *name, const char *ending)
{
	e->files = hps_grow(e->files, e->n, sizeof *e->files);
	e->files[e->n].name = hps_format("%s%s", name, ending);
	hps_buf_init(&e->files[e->n].bytes, HPS_BUF_MAX);
	return &e->files[e->n++].bytes;
}

static void add_pem(struct hps_evidence *e, const char *name, const struct hps_buf *spki)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	struct hps_buf *out = add(e, name, ".key.pem");

	hps_base64(&text, spki->data, spki->len);
	hps_buf_adds(out, "-----BEGIN PUBLIC KEY-----\n");
	for (size_t at = 0; at < text.len; at += 64)
		hps_buf_addf(out, "%.64s\n", text.data + at);
	hps_buf_adds(out, "-----END PUBLIC KEY-----\n");
}

int hps_evidence_entry(struct hps_evidence *e, const char *name, const struct hps_sigstore *s, const struct hps_vkey *log, struct hps_error *err)
{
	_cleanup_(hps_leaf_release) struct hps_leaf leaf = HPS_LEAF_INIT;
	struct hps_buf *out;
	int r = hps_leaf_read(s->leaf.data, s->leaf.len, &leaf, err);

	if (r)
		return r;
	out = add(e, name, ".statement.json");
	hps_buf_add(out, s->envelope.payload.data, s->envelope.payload.len);
	out = add(e, name, ".pae");
	hps_pae(s->envelope.type, s->envelope.payload.data, s->envelope.payload.len, out);
	out = add(e, name, ".sig");
	hps_buf_add(out, s->envelope.signature.data, s->envelope.signature.len);
	add_pem(e, name, &leaf.spki);
	hps_envelope_write(&s->envelope, add(e, name, ".envelope.json"));
	out = add(e, name, ".leaf");
	hps_buf_add(out, s->leaf.data, s->leaf.len);
	hps_tlog_proof_write(&s->proof, add(e, name, ".tlog-proof"));
	return hps_sigstore_write(s, log, add(e, name, ".sigstore.json"), err);
}

static int add_handovers(struct hps_evidence *e, const struct hps_vkey *log, struct hps_error *err)
{
	_cleanup_strv_ struct hps_strv notes = HPS_STRV_INIT;
	_cleanup_json_ json_t *list = NULL;

	hps_vkey_handovers(log, &notes);
	if (!notes.n)
		return 0;
	list = hps_handovers_json(&notes);
	return hps_json_canonical(list, add(e, HPS_HANDOVERS_FILE, ""), err);
}

int hps_evidence_ledger(struct hps_evidence *e, const struct hps_trust *trust, const struct hps_buf *note, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf spki = HPS_BUF_INIT;
	struct hps_buf *out;
	size_t text_len;
	int r = hps_note_open(note->data, note->len, &trust->log, 1, &text_len, err);

	if (r)
		return r;
	hps_key_spki(trust->log.key, &spki);
	add_pem(e, "log", &spki);
	hps_buf_adds(add(e, "policy.tlog", ""), trust->policy_text);
	out = add(e, "checkpoint", "");
	hps_buf_add(out, note->data, note->len);
	out = add(e, "checkpoint.txt", "");
	hps_buf_add(out, note->data, text_len);
	r = hps_note_signature(note->data, note->len, &trust->log, add(e, "checkpoint.sig", ""), err);
	if (!r)
		r = add_handovers(e, &trust->log, err);
	return r ? r : hps_sigstore_trusted_root(&trust->log, add(e, "trusted_root.json", ""), err);
}

/* ---- the README ---- */

static bool is_ed25519(const struct hps_evidence *e, const char *name)
{
	_cleanup_free_ char *file = hps_format("%s.leaf", name);
	const struct hps_buf *leaf = hps_evidence_file(e, file);

	return leaf && leaf->data && strstr(leaf->data, "\"PKIX_ED25519\"");
}

static void describe_entry(const struct hps_evidence *e, const char *name, struct hps_buf *out)
{
	hps_buf_addf(out, "{ printf 'DSSEv1 28 application/vnd.in-toto+json %%d ' \"$(wc -c <%s.statement.json)\"; cat %s.statement.json; } | cmp - %s.pae\n", name, name, name);
	if (is_ed25519(e, name))
		hps_buf_addf(out, "openssl pkeyutl -verify -rawin -pubin -inkey %s.key.pem -in %s.pae -sigfile %s.sig\n", name, name, name);
	else
		hps_buf_addf(out, "openssl dgst -sha256 -verify %s.key.pem -signature %s.sig %s.pae\n", name, name, name);
	hps_buf_addf(out, "grep -F \"\\\"digest\\\":\\\"$(openssl dgst -sha256 -binary %s.pae | openssl base64 -A)\\\"\" %s.leaf >/dev/null\n", name, name);
	hps_buf_addf(out, "grep -F \"\\\"content\\\":\\\"$(openssl base64 -A -in %s.sig)\\\"\" %s.leaf >/dev/null\n", name, name);
	hps_buf_addf(out, "grep -F \"$(openssl pkey -pubin -in %s.key.pem -outform DER | openssl base64 -A)\" %s.leaf >/dev/null\n", name, name);
	hps_buf_addf(out, "sh verify.sh %s\n", name);
	hps_buf_addf(out, "sed '1,/^$/d' %s.tlog-proof | cmp - checkpoint\n", name);
}

static void describe_checkpoint(const struct hps_evidence *e, const struct hps_trust *trust, struct hps_buf *out)
{
	_cleanup_free_ char *vkey = hps_vkey_format(trust->origin, trust->log.key);

	hps_buf_adds(out, "\n## The checkpoint\nIts first three lines are the log's name, the number of entries and the root; the log's key signs them (Ed25519).\n"
			  "```sh\nhead -c \"$(wc -c <checkpoint.txt)\" checkpoint | cmp - checkpoint.txt\n"
			  "openssl pkeyutl -verify -rawin -pubin -inkey log.key.pem -in checkpoint.txt -sigfile checkpoint.sig\n```\n");
	if (hps_evidence_file(e, "checkpoint.tsr"))
		hps_buf_adds(out, "An authority has signed when it saw the checkpoint (RFC 3161). `openssl ts -reply -in checkpoint.tsr -text` shows the time.\n"
				  "If the authority's certificate has run out since, add `-attime` with that time in seconds.\n"
				  "```sh\nopenssl ts -verify -data checkpoint.txt -in checkpoint.tsr -CAfile tsa.pem\n```\n");
	hps_buf_addf(out, "Compare the log's key with one that you got from somewhere else: `%s`.\n", vkey);
	if (hps_evidence_file(e, HPS_HANDOVERS_FILE))
		hps_buf_adds(out, "If you got an earlier key of the log: it was replaced, and `" HPS_HANDOVERS_FILE "` has a note for each time, which the former and the next key have\n"
				  "both signed. `hps-ledger check` follows them from a trust file with any of these keys; Go's packages (below) show them.\n");
}

static void describe_tools(const char *names, bool handovers, struct hps_buf *out)
{
	hps_buf_addf(out,
		     "\n## The same with Go's transparency-log packages\nThey check the log's signature, the witnesses that `policy.tlog` asks for, and the way to the root. On Debian:\n"
		     "`apt-get install golang-go golang-golang-x-mod-dev`.\n"
		     "```sh\nGO111MODULE=off GOFLAGS= GOPATH=/usr/share/gocode go run verify.go %s%s\n```\n"
		     "\n## The same with Sigstore's verifier\nIt needs the npm packages `@sigstore/verify` 4.1.3 and those that it names.\n"
		     "```sh\nnpm install --no-audit --no-fund --ignore-scripts --force @sigstore/verify@4.1.3 @sigstore/bundle@5.0.1 @sigstore/core@4.0.1 @sigstore/protobuf-specs@0.5.2\n"
		     "node verify.mjs %s\n```\n", handovers ? "-handovers " : "", names, names);
}

static void add_readme(struct hps_evidence *e, const struct hps_trust *trust, const struct hps_entry *entry, bool has_begin)
{
	struct hps_buf *out = add(e, "README.md", "");

	hps_buf_addf(out, "# Evidence about one entry of a ledger\nThis folder shows that the log `%s` holds, as entry %llu, the statement in `entry.statement.json`\n"
			  "(kind `%s`), signed by the key in `entry.key.pem`%s. Nothing of hps is needed to check it; run the commands in this folder.\n"
			  "With hps: `hps-ledger check --trust FILE .`, FILE being a trust file that you got from somebody you trust.\n\n"
			  "It does not show that the statement is true, that the signer is who you think (compare the keys), or that the log has no other entries.\n"
			  "The entry's id is `%s`, the SHA-256 of `entry.pae`:\n```sh\n",
		     trust->origin, (unsigned long long)entry->index, entry->kind, has_begin ? "; `begin.*` are of the entry that announced the trial before it ran" : "", entry->id);
	hps_buf_addf(out, "echo '%s  entry.pae' | sha256sum -c\n```\n\n## The signed statement and its place in the tree\n"
			  "`NAME.pae` is what was signed (DSSE), `NAME.leaf` what was logged: digest, signature and key. Each command fails when something does not fit.\n```sh\n", entry->id);
	describe_entry(e, "entry", out);
	if (has_begin)
		describe_entry(e, "begin", out);
	hps_buf_adds(out, "```\n");
	describe_checkpoint(e, trust, out);
	describe_tools(has_begin ? "entry begin" : "entry", hps_evidence_file(e, HPS_HANDOVERS_FILE), out);
}

static void add_checkers(struct hps_evidence *e)
{
	const struct {
		const char *name, *start, *end;
	} rows[] = { { "verify.sh", hps_prove_sh, hps_prove_sh_end }, { "verify.go", hps_prove_go, hps_prove_go_end }, { "verify.mjs", hps_prove_mjs, hps_prove_mjs_end } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		hps_buf_add(add(e, rows[i].name, ""), rows[i].start, (size_t)(rows[i].end - rows[i].start));
}

/* ---- out of the tiles ---- */

/* The checkpoint that the evidence leads to: one that others have signed, or the newest. */
static int choose_checkpoint(struct hps_ledger *l, uint64_t index, struct hps_buf *ret_note, struct hps_buf *ret_timestamp, bool *ret_unwitnessed, struct hps_error *err)
{
	int r = hps_attested_find(l->tilesfd, &l->trust, index, ret_note, ret_timestamp, err);

	if (r != HPS_E_NOTFOUND)
		return r;
	*ret_unwitnessed = !l->trust.policy.no_quorum;
	if (!l->trust.policy.no_quorum && l->trust.closed)
		return hps_error_set(err, HPS_E_UNDECIDED, "proving entry %llu: no quorum of witnesses has cosigned a checkpoint that covers it, and the trust file forbids to give it out before; run 'hps-ledger attest'",
				     (unsigned long long)index);
	hps_buf_reset(ret_note);
	return hps_file_read(l->tilesfd, "checkpoint", HPS_NOTE_MAX, ret_note, err);
}

static int find_envelope(struct hps_ledger *l, const struct hps_buf *leaf_text, struct hps_envelope *ret, struct hps_error *err)
{
	_cleanup_(hps_leaf_release) struct hps_leaf leaf = HPS_LEAF_INIT;
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	char path[HPS_TILE_PATH];
	int r = hps_leaf_read(leaf_text->data, leaf_text->len, &leaf, err);

	if (r)
		return r;
	hps_envelope_path(&leaf.id, path);
	r = hps_file_read(l->tilesfd, path, HPS_ENVELOPE_MAX, &text, err);
	if (r == -ENOENT)
		return hps_error_set(err, HPS_E_NOTFOUND, "proving: the envelope 'tiles/%s' is withheld or lost", path);
	return r ? r : hps_envelope_read_stored(text.data, text.len, ret, err);
}

static int prove_entry(struct hps_ledger *l, uint64_t index, const struct hps_buf *note, struct hps_sigstore *ret, struct hps_error *err)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	struct hps_tiles tiles = { .tilesfd = l->tilesfd };
	struct hps_merkle_source source = { hps_tiles_node, &tiles };
	struct hps_digest hash;
	int r = hps_checkpoint_open(note->data, note->len, &l->trust.log, &c, err);

	tiles.size = c.size;
	if (!r)
		r = hps_tiles_leaf(&tiles, index, &ret->leaf, err);
	if (!r)
		r = find_envelope(l, &ret->leaf, &ret->envelope, err);
	if (!r)
		r = hps_merkle_prove_inclusion(&source, index, c.size, &ret->proof.proof, err);
	if (r)
		return r;
	ret->proof.index = index;
	hps_buf_add(&ret->proof.note, note->data, note->len);
	hps_merkle_leaf(ret->leaf.data, ret->leaf.len, &hash);
	r = hps_merkle_check_inclusion(index, c.size, &hash, ret->proof.proof.hash, ret->proof.proof.n, &c.root, err);
	return r ? hps_error_prefix(err, "the tiles do not give a proof of entry %llu; 'hps-ledger verify' shows what is damaged", (unsigned long long)index) : 0;
}

static int add_entry(struct hps_ledger *l, const char *name, uint64_t index, const struct hps_buf *note, struct hps_evidence *e, struct hps_error *err)
{
	_cleanup_(hps_sigstore_release) struct hps_sigstore s = HPS_SIGSTORE_INIT;
	int r = prove_entry(l, index, note, &s, err);

	return r ? r : hps_evidence_entry(e, name, &s, &l->trust.log, err);
}

static int prove(struct hps_ledger *l, const struct hps_entry *entry, struct hps_evidence *e, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT, timestamp = HPS_BUF_INIT;
	_cleanup_(hps_entry_release) struct hps_entry begin = { .number = -1 };
	int r = choose_checkpoint(l, entry->index, &note, &timestamp, &e->unwitnessed, err);

	if (!r)
		r = add_entry(l, "entry", entry->index, &note, e, err);
	if (!r && entry->begin)
		r = hps_ledger_find(l, entry->begin, &begin, err);
	if (!r && entry->begin)
		r = add_entry(l, "begin", begin.index, &note, e, err);
	if (!r)
		r = hps_evidence_ledger(e, &l->trust, &note, err);
	if (r)
		return r;
	if (timestamp.len) {
		struct hps_buf *out = add(e, "checkpoint.tsr", "");

		hps_buf_add(out, timestamp.data, timestamp.len);
		out = add(e, "tsa.pem", "");
		hps_buf_add(out, l->trust.authorities.data, l->trust.authorities.len);
	}
	r = hps_file_read(l->dirfd, HPS_TRUST_FILE, HPS_NOTE_MAX, add(e, HPS_TRUST_FILE, ""), err);
	add_checkers(e);
	add_readme(e, &l->trust, entry, entry->begin != NULL);
	return r;
}

int hps_ledger_prove(struct hps_ledger *l, uint64_t index, struct hps_evidence *ret, struct hps_error *err)
{
	_cleanup_(hps_entry_release) struct hps_entry entry = { .number = -1 };
	int r = hps_ledger_load(l, index, &entry, err);

	if (!r)
		r = prove(l, &entry, ret, err);
	if (r)
		hps_evidence_release(ret);
	return r;
}
