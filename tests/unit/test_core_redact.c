/* Secrets: what is a name or value of one, and that nothing of it is written. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "core/redact.h"
#include "tests/unit/folder.h"
#include "tests/unit/ordinary_commands.h"
#include "tests/unit/ordinary_files.h"

static const struct hps_redactor redactor = { .key = "0123456789abcdef0123456789abcde" };

static void test_names(void **state)
{
	static const char *const secret[] = { "API_KEY", "apiKey", "WANDB_API_KEY", "db.password", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "authHeader", "session-id", "OPENAI_APIKEY", "PGPASSWORD", "MYTOKEN", "DB_PWD", "X-Amz-Signature", "pwd", "otp", "pin", "user-pin", "TOTP", "passcode" };
	static const char *const harmless[] = { "TOKENIZERS_PARALLELISM", "max_tokens", "mask_token", "keyboard", "monkey", "author", "passenger", "lr", "hidden_size", "compass", "tokenizer", "PWD", "pin_memory", "pinned", "spin", "opt", "laptop" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(secret); i++) {
		if (!hps_rule_name(secret[i], strlen(secret[i])))
			print_error("%s\n", secret[i]);
		assert_int_not_equal(hps_rule_name(secret[i], strlen(secret[i])), HPS_PLAIN);
	}
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++) {
		if (hps_rule_name(harmless[i], strlen(harmless[i])))
			print_error("%s\n", harmless[i]);
		assert_int_equal(hps_rule_name(harmless[i], strlen(harmless[i])), HPS_PLAIN);
	}
}

/* One that has learnt secrets passes over most bytes, and finds the same. */
static void check_passing_over(const char *text, const char *clean)
{
	struct hps_redactor learnt = redactor;
	_cleanup_free_ char *same = NULL;

	hps_redactor_learn(&learnt, NULL, NULL);
	same = hps_redact_text(&learnt, text);
	hps_redactor_release(&learnt);
	assert_string_equal(same, clean);
}

/* What is written for `text` has nothing of `secret`, and a tag. */
static void check_withheld(const char *text, const char *secret)
{
	_cleanup_free_ char *clean = hps_redact_text(&redactor, text), *again = hps_redact_text(&redactor, clean);

	if (strstr(clean, secret) || !strstr(clean, "hmac:"))
		print_error("%s -> %s\n", text, clean);
	assert_null(strstr(clean, secret));
	assert_non_null(strstr(clean, "hmac:"));
	if (strcmp(clean, again) != 0)
		print_error("%s -> %s -> %s\n", text, clean, again);
	assert_string_equal(clean, again);
	check_passing_over(text, clean);
}

static void check_kept(const char *text)
{
	_cleanup_free_ char *clean = hps_redact_text(&redactor, text);

	if (strcmp(clean, text) != 0)
		print_error("%s -> %s\n", text, clean);
	assert_string_equal(clean, text);
}

/* Tokens are put together here, so that no scanner finds one in this file. */
static void test_shapes(void **state)
{
	static const char *const prefixes[] = { "ghp_", "hf_", "glpat-", "sk-", "sk-proj-", "npm_", "xoxb-", "AIza", "gho_", "github_pat_", "pypi-", "dapi", "nvapi-", "hvs.", "r8_", "gsk_", "GOCSPX-", "sk_live_" };
	static const char *const harmless[] = { "sk-learn", "hf_hub", "0123456789abcdef0123456789abcdef01234567", "risk-0123456789abcdef0123456789", "model.bin", "epoch=3", "sk-learn-random-forest-experiment-2", "npm_config_registry", "dapicall" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		_cleanup_free_ char *token = hps_format("%s%s", prefixes[i], "0A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r");
		_cleanup_free_ char *text = hps_format("before=%s after", token), *clean = hps_redact_text(&redactor, text);

		check_withheld(text, token + strlen(prefixes[i]));
		assert_non_null(strstr(clean, " after"));
	}
	check_withheld("id " "AKIA" "0123456789ABCDEF x", "0123456789ABCDEF");
	check_withheld("x=" "eyJ" "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P", "dozjgNryP4J3");
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		check_kept(harmless[i]);
}

static void test_keys(void **state)
{
	_cleanup_free_ char *pem = hps_format("a\n-----BEGIN RSA %s KEY-----\nMIIEpAIBAAKCAQEA\nabc\n-----END RSA %s KEY-----\nrest", "PRIVATE", "PRIVATE");
	_cleanup_free_ char *public = hps_format("-----BEGIN %s KEY-----\nMIIBIjANBgkqhkiG9w0B\n-----END %s KEY-----\n", "PUBLIC", "PUBLIC");
	_cleanup_free_ char *clean = hps_redact_text(&redactor, pem);

	(void)state;
	check_withheld(pem, "MIIEpAIBAAKCAQEA");
	assert_non_null(strstr(clean, "\nrest"));
	check_kept(public);
}

static void test_urls(void **state)
{
	_cleanup_free_ char *clean = hps_redact_text(&redactor, "https://user:hunter2@example.org/a?lr=1&token=swordfish&x=2#y");

	(void)state;
	assert_null(strstr(clean, "hunter2"));
	assert_null(strstr(clean, "swordfish"));
	assert_non_null(strstr(clean, "@example.org/a?lr=1&token=hmac:"));
	assert_non_null(strstr(clean, "&x=2#y"));
	check_withheld("https://account.blob.core.windows.net/c/b?sv=2020-08-04&se=2025&sr=b&sig=aB3%2Bxyz%2F9k%3D&x=1", "aB3%2Bxyz");
	check_withheld("https://b.s3.amazonaws.com/k?X-Amz-Date=20240101T000000Z&X-Amz-Signature=fe5f80f77d5fa3bec", "fe5f80f77d5fa3bec");
	check_withheld("postgresql://me:pss/w0rd@db.example.org:5432/x", "ss/w0rd");
	check_withheld("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=Zm9vYmFy;EndpointSuffix=core.windows.net", "Zm9vYmFy");
	check_kept("https://example.org/a?lr=1&x=2#y");
	check_kept("http://host:8080/path@v1");
	check_kept("ssh://git@github.com/a/b");
}

static void test_texts(void **state)
{
	(void)state;
	check_withheld("Authorization: Bearer swordfish-is-long", "swordfish");
	check_withheld("{\"lr\": 0.1, \"api_key\": \"sword\\\"fish\", \"n\": 3}", "sword");
	check_withheld("{\"lr\": 0.1, \"api_key\": \"sword\\\"fish\", \"n\": 3}", "fish");
	check_withheld("{\\\"api_key\\\":\\\"swordfish\\\"}", "swordfish");
	check_withheld("lr: 0.1\npassword: my secret phrase\nn: 3\n", "secret phrase");
	check_withheld("[db]\nuser = me\npassword = sort,fish;x\nport = 1\n", "sort,fish;x");
	check_withheld("+password: swordfish\n-password: swordfisher\n", "swordfish");
	check_withheld("curl -H \"X-Api-Key: swordfish\" https://example.org", "swordfish");
	check_withheld("curl -u user:swordfish https://example.org", "swordfish");
	check_withheld("env MYTOKEN=swordfish python train.py", "swordfish");
	check_withheld("python train.py --api-key swordfish --lr 0.1", "swordfish");
	check_withheld("mysql -uroot -pswordfish db", "swordfish");
	check_withheld("Set-Cookie: sid=swordfish; Path=/", "swordfish");
	check_withheld("wandb login 0123456789abcdef0123456789abcdef01234567", "0123456789abcdef01");
	check_withheld("machine example.org login me password swordfish12", "swordfish12");
	check_withheld("aws configure set aws_secret_access_key wJalrXUtnFEMIK7MDENGbPxRfiCY1", "wJalrXUtn");
	check_withheld("token = \"\\\"swordfish1\"\n", "swordfish1");
	check_withheld("password: \"'swordfish1\"\n", "swordfish1");
	check_withheld("{\"secrets\": [\"swordfish\", \"x\"]}", "swordfish");
	check_withheld("api_key:swordfish1", "swordfish1");
	check_withheld("api_key:\tswordfish1\n", "swordfish1");
	check_withheld("{'api_key':'swordfish1'}", "swordfish1");
	check_withheld("<api_key>swordfish1</api_key>", "swordfish1");
	check_withheld("a?u=x%26api_key%3dswordfish1", "swordfish1");
	check_withheld("a?u=x%26api_key%3Dswordfish1", "swordfish1");
	check_withheld("a?u=x%26api_key%3aswordfish1", "swordfish1");
	check_withheld("a?u=x%26api_key%3Aswordfish1", "swordfish1");
	check_kept("hps-ledger: whoever reads the keys can sign; --key-passphrase-fd encrypts them");
}

/* One argument of a command line: of `argv` the last is withheld, or stays. */
static void check_arguments(const char *const *argv, bool kept)
{
	_cleanup_strv_ struct hps_strv list = list_of(argv);
	_cleanup_json_ json_t *clean = hps_redact_arguments(&redactor, list.v);
	const char *last = json_string_value(json_array_get(clean, list.n - 1));

	if (kept ? strcmp(last, list.v[list.n - 1]) != 0 : !strstr(last, "hmac:") || strstr(last, "hunter2"))
		print_error("%s -> %s\n", list.v[list.n - 1], last);
	if (kept)
		assert_string_equal(last, list.v[list.n - 1]);
	else
		assert_true(strstr(last, "hmac:") && !strstr(last, "hunter2"));
}
#define WITHHELD(...) check_arguments((const char *const[]){ __VA_ARGS__, NULL }, false)
#define KEPT(...) check_arguments((const char *const[]){ __VA_ARGS__, NULL }, true)

static void test_arguments(void **state)
{
	(void)state;
	WITHHELD("x", "--api-key", "hunter2");
	WITHHELD("x", "--api-key=hunter2");
	WITHHELD("x", "db.password=hunter2");
	WITHHELD("x", "+logger.api_key=hunter2 hunter2");
	WITHHELD("x", "--password", "my hunter2 phrase");
	WITHHELD("env", "MYTOKEN=hunter2");
	WITHHELD("curl", "-u", "user:hunter2");
	WITHHELD("true", "-u", "user:hunter2");
	WITHHELD("curl", "-H", "Authorization: Bearer hunter2");
	WITHHELD("curl", "-H", "X-Auth-Token: hunter2");
	WITHHELD("/usr/bin/mysql", "-phunter2");
	WITHHELD("true", "-phunter2a9Bx0c7");
	WITHHELD("sshpass", "-p", "hunter2");
	WITHHELD("docker", "login", "-p", "hunter2");
	WITHHELD("x", "--json", "{\"api_key\": \"hunter2\"}");
	WITHHELD("sh", "-c", "API_KEY=hunter2 python train.py");
	WITHHELD("x", "--pwd", "hunter2");
	WITHHELD("x", "--otp", "hunter2");
	WITHHELD("x", "--pin=hunter2");
	WITHHELD("x", "--note", "<login><password>hunter2</password></login>");
	KEPT("singularity", "exec", "--pwd", "/workspace/job");
	KEPT("x", "--token", "{seed}");
	KEPT("x", "--password", "<password>");
	KEPT("x", "--lr", "0.1");
	KEPT("x", "--max-tokens", "512");
	KEPT("x", "--use-token", "--lr");
	KEPT("x", "data/key=1/part");
	KEPT("x", "-p", "8080");
	KEPT("gcc", "-pthread");
	KEPT("docker", "run", "-u", "1000:1000");
	{
		_cleanup_strv_ struct hps_strv argv = LIST_OF("sh", "-c", "API_KEY=hunter2 python train.py --lr 0.1");
		_cleanup_json_ json_t *clean = hps_redact_arguments(&redactor, argv.v);

		assert_non_null(strstr(json_string_value(json_array_get(clean, 2)), " python train.py --lr 0.1"));
	}
}

/* The words of a line as a shell gives them; quotes that are part of a word stay. */
static struct hps_strv shell_words(const char *line)
{
	struct hps_strv list = HPS_STRV_INIT;
	_cleanup_buf_ struct hps_buf word = HPS_BUF_INIT;
	bool any = false;

	for (char quote = 0;; line++) {
		if (!*line || (*line == ' ' && !quote)) {
			if (any)
				hps_strv_add(&list, word.data ? word.data : "");
			hps_buf_reset(&word);
			any = false;
			if (!*line)
				return list;
		} else if (*line == '\'' && (!quote || quote == *line)) {
			quote = quote ? 0 : *line;
			any = true;
		} else {
			hps_buf_addc(&word, *line);
			any = true;
		}
	}
}

/* 100 and more ordinary command lines come out unchanged: as arguments, as one text, and word by word. */
static void test_ordinary(void **state)
{
	size_t wrong = 0;

	(void)state;
	assert_true(ARRAY_SIZE(ordinary_commands) >= 100);
	for (size_t i = 0; i < ARRAY_SIZE(ordinary_commands); i++) {
		const char *line = ordinary_commands[i];
		_cleanup_strv_ struct hps_strv argv = shell_words(line);
		_cleanup_json_ json_t *clean = hps_redact_arguments(NULL, argv.v);
		_cleanup_free_ char *text = hps_redact_text(NULL, line);

		for (size_t k = 0; k < argv.n; k++) {
			_cleanup_json_ json_t *same = hps_path_json(argv.v[k]);
			_cleanup_free_ char *alone = hps_redact_text(NULL, argv.v[k]);

			if (!json_equal(same, json_array_get(clean, k)) || strcmp(alone, argv.v[k]) != 0) {
				print_error("%s: %s -> %s, %s\n", line, argv.v[k], json_string_value(json_array_get(clean, k)), alone);
				wrong++;
			}
		}
		if (strcmp(text, line) != 0) {
			print_error("%s -> %s\n", line, text);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

static void test_files(void **state)
{
	static const char *const secret[] = { "/home/a/.netrc", "/w/.env", "/w/.env.local", "/w/prod.env", "/w/token.json", "/w/kaggle.json", "/w/secrets.yaml", "/w/credentials.json", "/home/a/.ssh/id_ed25519", "/root/.kube/config", "/home/a/.cache/huggingface/token", "/run/secrets/db", "/x/client_secret_123.json" };
	static const char *const harmless[] = { "/w/.env.example", "/w/tokenizer.json", "/usr/lib/python3.11/secrets.py", "/w/tokens.json", "/w/environment.yml", "/w/id_rsa.pub", "/w/key.npy", "/etc/ssl/certs/ca-certificates.crt", "/w/credentials.py" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(secret); i++) {
		if (!hps_rule_path(secret[i]))
			print_error("%s\n", secret[i]);
		assert_non_null(hps_rule_path(secret[i]));
	}
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++) {
		if (hps_rule_path(harmless[i]))
			print_error("%s\n", harmless[i]);
		assert_null(hps_rule_path(harmless[i]));
	}
}

/* Names that hold what they announce. */
static void test_named(void **state)
{
	static const char *const secret[] = { "out/token-hunter2a9Bx0c7.json", "apikey_hunter2a9Bx0c7", "loss/password=hunter2", "run.secret.hunter2a9Bx0c7" };
	static const char *const harmless[] = { "tokenizer-3f2a9b8c7d6e.json", "token_classification-3f2a9b8c7d6e", "password-reset-3f2a9b8c7d6e", "out/epoch-3f2a9b8c7d6e.pt", "secret-santa.csv" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(secret); i++)
		check_withheld(secret[i], "hunter2");
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		check_kept(harmless[i]);
	{
		_cleanup_free_ char *name = hps_redact_name(&redactor, "password=my hunter2 phrase");

		assert_null(strstr(name, "phrase"));
	}
}

static enum hps_content_secret content_of(const char *name, const char *text)
{
	_cleanup_free_ char *path = hps_format("./%s", name);
	_cleanup_fd_ int fd = -1;

	put(path, text);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return hps_redact_content(&redactor, fd);
}

/* Each of these is not stored; `guessable`: nor is its digest written down. */
static const struct {
	const char *name, *text;
	enum hps_content_secret expected;
} secret_files[] = {
	{ "request.txt", "GET / HTTP/1.1\nAuthorization: Bearer hunter2\n", HPS_CONTENT_GUESSABLE },
	{ "curl.log", "> Cookie: sid=hunter2hunter2\n", HPS_CONTENT_HOLDS },
	{ "proxy.log", "send: 'X-Api-Key: a9Bx0c7d8E2f4G6h'\n", HPS_CONTENT_HOLDS },
	{ "client.py", "h = {}\n# Authorization: Bearer a9Bx0c7d8E2f4G6h\n", HPS_CONTENT_HOLDS },
	{ "blob.dat", "\xff\x01" "redis://:a9Bx0c7d8E2f4G6h@cache\x02", HPS_CONTENT_HOLDS },
	{ "client.c", "\"redis://:a9Bx0c7d8E2f4G6h@cache:6379\"", HPS_CONTENT_HOLDS },
	{ "notes.txt", "see https://me:hunter2@example.org/x\n", HPS_CONTENT_GUESSABLE },
	{ "web.xml", "<c><password>hunter2</password></c>", HPS_CONTENT_GUESSABLE },
	{ "app.config", "<c><add key=\"DbPassword\" value=\"hunter2\"/></c>", HPS_CONTENT_GUESSABLE },
	{ "prefs.plist", "<?xml version=\"1.0\"?><dict><key>apiKey</key>\n<string>hunter2</string></dict>", HPS_CONTENT_GUESSABLE },
	{ "strings.xml", "<resources><string name=\"client_secret\">hunter2</string></resources>", HPS_CONTENT_GUESSABLE },
	{ "deploy.sh", "#!/bin/sh\nexport API_KEY=hunter2\n", HPS_CONTENT_GUESSABLE },
	{ "deploy", "#!/usr/bin/env bash\nmysql -uroot -phunter2 db\n", HPS_CONTENT_GUESSABLE },
	{ "go.sh", "python3 train.py \\\n  --password \\\n  hunter2\n", HPS_CONTENT_GUESSABLE },
	{ ".bash_history", "ls\ncurl -u me:hunter2 https://example.org\n", HPS_CONTENT_GUESSABLE },
	{ ".zshrc", "export WANDB_API_KEY=hunter2\n", HPS_CONTENT_GUESSABLE },
	{ "Dockerfile", "FROM debian:12\nENV DB_PASSWORD=hunter2\n", HPS_CONTENT_GUESSABLE },
	{ "my.cnf", "!includedir /etc/mysql/conf.d/\n[client]\nuser = me\npassword = hunter2\n", HPS_CONTENT_GUESSABLE },
	{ "dump.cnf", "[mysqldump]\npassword=hunter2\n", HPS_CONTENT_GUESSABLE },
	{ "service", "[db]\nhost = db\nuser = me\npassword = hunter2\n", HPS_CONTENT_GUESSABLE },
	{ "service.rc2", "# comment\nexport SECRET_KEY=hunter2\n", HPS_CONTENT_GUESSABLE },
	{ "users", "me:$apr1$x1Yz2Ab3$" "abcdefghijklmnopqrstu1\n", HPS_CONTENT_HOLDS },
	{ "users2", "me:$2y$10$" "abcdefghijklmnopqrstuvABCDEFGHIJKLMNOPQRSTUVWXYZ01234\n", HPS_CONTENT_HOLDS },
};

static void test_contents(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(secret_files); i++) {
		enum hps_content_secret found = content_of(secret_files[i].name, secret_files[i].text);

		if (found != secret_files[i].expected)
			print_error("%s: %d\n", secret_files[i].name, found);
		assert_int_equal(found, secret_files[i].expected);
	}
}

/* False alarms: each would be a hole in a replay. */
static void test_ordinary_files(void **state)
{
	size_t wrong = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ordinary_files); i++)
		if (content_of(ordinary_files[i].name, ordinary_files[i].text)) {
			print_error("%s\n", ordinary_files[i].name);
			wrong++;
		}
	assert_int_equal(wrong, 0);
}

static void test_environment(void **state)
{
	_cleanup_strv_ struct hps_strv envp = LIST_OF("PATH=/bin", "OMP_NUM_THREADS=2", "MY_NOTE=hello", "HPS_TOKEN=hunter2", "CUDA_PROXY=http://u:hunter2@h/");
	_cleanup_json_ json_t *clear = json_object(), *tags = json_object();
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	(void)state;
	hps_redact_environment(&redactor, envp.v, clear, tags);
	assert_ok(hps_json_canonical(clear, &text, err));
	assert_string_equal(text.data, "{\"OMP_NUM_THREADS\":\"2\",\"PATH\":\"/bin\"}");
	assert_int_equal(json_object_size(tags), 3);
	hps_buf_reset(&text);
	assert_ok(hps_json_canonical(tags, &text, err));
	assert_null(strstr(text.data, "hunter2"));
	assert_null(strstr(text.data, "hello"));
}

/* A secret that was seen under a name is found without one, in each of its forms, and always leaves the same tag. */
static void test_known(void **state)
{
	static const char *const forms[] = {
		"out/Sw0rd+F\"sh/9x.txt", "Sw0rd%2BF%22sh%2F9x", "Sw0rd%2bF%22sh/9x", "53773072642b46227368", "5377307264 53773072642B462273682F3978",
		"dXNlcjpTdzByZCtGInNoLzl4", "U3cwcmQrRiJzaC85eA==", "{\"x\": \"Sw0rd+F\\\"sh\\/9x\"}", "'Sw0rd+F\"sh/9x'",
	};
	struct hps_redactor r = redactor;
	_cleanup_strv_ struct hps_strv envp = LIST_OF("SERVICE_PASSWORD=Sw0rd+F\"sh/9x");
	_cleanup_free_ char *tag = hps_redact_tag(&r, "SERVICE_PASSWORD", "Sw0rd+F\"sh/9x", 13);

	(void)state;
	hps_redactor_learn(&r, NULL, envp.v);
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		_cleanup_free_ char *clean = hps_redact_text(&r, forms[i]);

		if (i == 3)
			continue; /* the beginning alone */
		if (!strstr(clean, tag))
			print_error("%s -> %s\n", forms[i], clean);
		assert_non_null(strstr(clean, tag));
	}
	hps_redactor_release(&r);
}

/* Equal values under one key and name are equal, and nothing else is. */
static void test_tags(void **state)
{
	struct hps_redactor other = redactor;
	_cleanup_free_ char *a = hps_redact_tag(&redactor, "X", "value", 5), *b = hps_redact_tag(&redactor, "X", "value", 5);
	_cleanup_free_ char *c = hps_redact_tag(&redactor, "Y", "value", 5), *d = hps_redact_tag(&redactor, "X", "valuf", 5), *e = NULL;

	(void)state;
	other.key[0] ^= 1;
	e = hps_redact_tag(&other, "X", "value", 5);
	assert_string_equal(a, b);
	assert_string_not_equal(a, c);
	assert_string_not_equal(a, d);
	assert_string_not_equal(a, e);
}

/* Of any text, also one made to confuse: what comes out has no known secret, nor what comes out of a second look. */
static void test_random_texts(void **state)
{
	static const char *const pieces[] = { "password", "=", ": ", "\"", "\\", "'", "\\\"", " ", "\n", "://", "@", "a", "{", "}", "[", "]", ",", "&", ";", "%3D", "Bearer ", "-u", "--api-key", "-p", "-c",
					      "hmac:0123456789abcdef0123456789abcdef", "token", "$X", "-----BEGIN ", "PRIVATE KEY-----", "-----END ", "eyJ", ".", "S3cr3tS3cr3t", "/", "?sig=", "\xff", "x:" };
	const char *given = getenv("HPS_SEED");
	uint64_t seed = 0;
	struct hps_redactor r = redactor;
	_cleanup_strv_ struct hps_strv envp = LIST_OF("A_PASSWORD=S3cr3tS3cr3t");
	unsigned wrong = 0;

	(void)state;
	if (!given || hps_parse_u64(given, UINT64_MAX, &seed))
		assert_ok(hps_random(&seed, sizeof seed, err));
	print_message("seed %llu (HPS_SEED repeats it)\n", (unsigned long long)seed);
	hps_redactor_learn(&r, NULL, envp.v);
	for (unsigned i = 0; i < 20000; i++) {
		_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
		_cleanup_free_ char *clean = NULL, *again = NULL;

		for (unsigned n = 0; n < 12; n++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			hps_buf_adds(&text, pieces[(seed >> 33) % ARRAY_SIZE(pieces)]);
		}
		clean = hps_redact_text(&r, text.data);
		again = hps_redact_text(&r, clean);
		if (strstr(clean, "S3cr3tS3cr3t") || strstr(again, "S3cr3tS3cr3t")) {
			print_error("%s\n -> %s\n -> %s\n", text.data, clean, again);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
	hps_redactor_release(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names), cmocka_unit_test(test_shapes),   cmocka_unit_test(test_keys),	     cmocka_unit_test(test_urls),
		cmocka_unit_test(test_texts), cmocka_unit_test(test_arguments), cmocka_unit_test(test_ordinary),    cmocka_unit_test(test_files),
		cmocka_unit_test(test_known), cmocka_unit_test(test_tags),	cmocka_unit_test(test_environment),
		cmocka_unit_test(test_named), cmocka_unit_test(test_contents), cmocka_unit_test(test_ordinary_files),
		cmocka_unit_test(test_random_texts),
	};

	return cmocka_run_group_tests_name("core_redact", tests, make_folder, remove_folder);
}
