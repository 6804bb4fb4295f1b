/* Study files: what a good one compiles to, byte for byte, and what each kind of bad one is told, character for character. */
#include <stdlib.h>
#include <string.h>

#include "search/search.h"
#include "tests/unit/unit.h"

#define HEAD "hps: 1\nstudy: t\n"
#define SPACE "space:\n  lr: {type: float, low: 1e-4, high: 0.1, log: true}\n"
#define METRICS "metrics: {loss: {goal: min}}\n"
#define SEARCH "search: {sampler: random}\n"
#define BUDGET "budget: {trials: 3}\n"
#define COMMAND "command: [run, '{lr}']\n"

static char *compiled(const char *text, size_t len)
{
	_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;
	_cleanup_buf_ struct hps_buf bytes = HPS_BUF_INIT;
	_cleanup_json_ json_t *study = NULL;

	if (hps_study_compile("s.yaml", text, len, &study, &err)) {
		assert_int_equal(err.code, HPS_E_USAGE);
		return hps_strdup(err.message);
	}
	assert_int_equal(hps_json_canonical(study, &bytes, NULL), 0);
	return hps_buf_take(&bytes);
}

static bool differs(const char *text, const char *want)
{
	_cleanup_free_ char *got = compiled(text, strlen(text));

	if (!strcmp(got, want))
		return false;
	print_message("for:\n%s\ngot:    %s\nwanted: %s\n", text, got, want);
	return true;
}

static void expect(const char *text, const char *want)
{
	assert_false(differs(text, want));
}

static void test_smallest(void **state)
{
	(void)state;
	expect(HEAD SPACE METRICS SEARCH BUDGET COMMAND,
	       "{\"budget\":{\"trials\":3},\"command\":[\"run\",\"{lr}\"],\"dataset\":[],\"env\":{},\"hps\":1,\"metrics\":[{\"goal\":\"min\","
	       "\"name\":\"loss\"}],\"search\":{\"sampler\":\"random\"},\"space\":[{\"high\":\"0.1\",\"log\":true,\"low\":\"0.0001\",\"name\":\"lr\","
	       "\"type\":\"float\"}],\"study\":\"t\",\"workers\":1}");
}

static void test_everything(void **state)
{
	(void)state;
	expect("# a comment\nstudy: every.thing-2\nhps: 0x1\nteam: vision\nworkers: 4\n"
	       "command:\n- python3\n- train.py\n- --w={w}\n- \"{{{o}}}\"\n- 007\n- \"{seed} {number} {study} {out}\"\n"
	       "env: {LEVEL: 3, MODE: no, EMPTY: \"\"}\ndataset: [train=data/a, data/b]\n"
	       "metrics:\n  acc: {goal: max, tolerance: {rtol: 1E-3}}\n  val/loss: {goal: min}\n"
	       "space:\n  w: {type: int, low: +8, high: 0o100, steps: 3}\n  o: {type: choice, of: [yes, 1e-3, \"null\", 12:30:00]}\n"
	       "search: {sampler: grid, seed: 9223372036854775807}\n",
	       "{\"budget\":{\"trials\":12},\"command\":[\"python3\",\"train.py\",\"--w={w}\",\"{{{o}}}\",\"007\",\"{seed} {number} {study} {out}\"],"
	       "\"dataset\":[\"train=data/a\",\"data/b\"],\"env\":{\"EMPTY\":\"\",\"LEVEL\":\"3\",\"MODE\":\"no\"},\"hps\":1,"
	       "\"metrics\":[{\"goal\":\"max\",\"name\":\"acc\",\"tolerance\":{\"atol\":\"0\",\"rtol\":\"0.001\"}},{\"goal\":\"min\",\"name\":\"val/loss\"}],"
	       "\"search\":{\"sampler\":\"grid\",\"seed\":\"9223372036854775807\"},"
	       "\"space\":[{\"high\":\"64\",\"log\":false,\"low\":\"8\",\"name\":\"w\",\"steps\":3,\"type\":\"int\"},"
	       "{\"name\":\"o\",\"of\":[\"yes\",\"1e-3\",\"null\",\"12:30:00\"],\"type\":\"choice\"}],"
	       "\"study\":\"every.thing-2\",\"team\":\"vision\",\"workers\":4}");
}

/* Order, quoting, comments and JSON instead of YAML change nothing in the compiled study. */
static void test_json_is_yaml(void **state)
{
	_cleanup_free_ char *want = compiled(HEAD SPACE METRICS SEARCH BUDGET COMMAND, strlen(HEAD SPACE METRICS SEARCH BUDGET COMMAND));

	(void)state;
	expect("{\"command\": [\"run\", \"{lr}\"], \"budget\": {\"trials\": 3}, \"search\": {\"sampler\": \"random\"}, \"metrics\": {\"loss\": "
	       "{\"goal\": \"min\"}}, \"space\": {\"lr\": {\"log\": true, \"high\": 1e-1, \"low\": 0.00010, \"type\": \"float\"}}, \"study\": \"t\", "
	       "\"hps\": 1}",
	       want);
}

static const struct {
	const char *text, *want;
} bad[] = {
	/* the YAML itself */
	{ "", "s.yaml:1:1: the study file is empty" },
	{ "# only a comment\n", "s.yaml:1:1: the study file is empty" },
	{ "- a\n", "s.yaml:1:1: the study file must be a map, not a list" },
	{ "hps: 1\nstudy: &name t\n", "s.yaml:2:8: anchors ('&name') are not used in study files: write the value out" },
	{ "hps: 1\nstudy: *name\n", "s.yaml:2:8: aliases ('*name') are not used in study files: write the value out" },
	{ "hps: !!int 1\n", "s.yaml:1:6: tags ('!name') are not used in study files; quote a text that looks like a number" },
	{ "hps: 1\nspace:\n  <<: {a: 1}\n", "s.yaml:3:3: merge keys ('<<') are not used in study files: write the keys out" },
	{ "hps: 1\nstudy: a\nhps: 1\n", "s.yaml:3:1: key 'hps' is given twice" },
	{ "hps: 1\n---\nhps: 1\n", "s.yaml:2:1: a second document: a study file holds one" },
	{ "%YAML 1.1\n---\nhps: 1\n", "s.yaml:1:1: directives ('%') are not used in study files" },
	{ "[a, b]: 1\n", "s.yaml:1:1: a key must be one word, not a list or map" },
	{ "hps: 1\ncommand: [run, --lr={lr}]\n",
	  "s.yaml:2:21: while parsing a flow sequence: did not find expected ',' or ']'; quote a word that holds {, }, [, ] or a comma" },
	{ "hps: 1\nstudy: a: b\n", "s.yaml:2:9: mapping values are not allowed in this context; quote a text that holds ': '" },
	{ "hps: 1\n\tstudy: t\n", "s.yaml:2:1: while scanning a plain scalar: found a tab character that violates indentation; indent with spaces" },
	{ "hps: 1\nstudy: @t\n",
	  "s.yaml:2:8: while scanning for the next token: found character that cannot start any token; indent with spaces, and quote a text "
	  "that starts with a special character" },
	{ "hps: 1\nstudy: t\xff\n", "s.yaml:2:9: not UTF-8 text: invalid leading UTF-8 octet at byte 15" },
	{ "a: [[[[[[[[[[[[[[[[[[[[[[[[1\n", "s.yaml:1:19: nested more than 16 levels deep" },

	/* keys */
	{ HEAD SPACE METRICS "search:\n  sampelr: sobol\n" BUDGET COMMAND, "s.yaml:7:3: unknown key 'sampelr' in 'search': did you mean 'sampler'?" },
	{ HEAD "comand: [run]\n", "s.yaml:3:1: unknown key 'comand' in the study file: did you mean 'command'?" },
	{ HEAD "zzzzzzzz: 1\n", "s.yaml:3:1: unknown key 'zzzzzzzz' in the study file; known: 'hps', 'study', 'team', 'space', 'metrics', 'search', "
				"'budget', 'workers', 'command', 'dataset', 'env'" },
	{ HEAD SPACE METRICS SEARCH BUDGET, "s.yaml:1:1: the study file needs the key 'command'" },
	{ HEAD SPACE METRICS "search: {seed: 1}\n" BUDGET COMMAND, "s.yaml:6:9: 'search' needs the key 'sampler'" },
	{ HEAD SPACE METRICS SEARCH COMMAND, "s.yaml:1:1: the study file needs the key 'budget' with 'trials', 1000000 at most" },

	/* values of the study */
	{ "hps: 2\nstudy: t\n", "s.yaml:1:6: 'hps', the version of the format, must be 1, not 2" },
	{ "hps: 1\nstudy: [t]\n", "s.yaml:2:8: study must be a word, not a list" },
	{ "hps: 1\nstudy: ../t\n", "s.yaml:2:8: study '../t': a name has letters, digits, '_', '-' and '.', starts with a letter or digit and has 64 at most" },
	{ HEAD SPACE METRICS SEARCH "budget: {trials: 0}\n" COMMAND, "s.yaml:7:18: 'trials' of 'budget' must be between 1 and 1000000, not 0" },
	{ HEAD SPACE METRICS SEARCH "budget: {trials: '3'}\n" COMMAND, "s.yaml:7:18: 'trials' of 'budget' must be a whole number, not text" },
	{ HEAD SPACE METRICS SEARCH "budget: {trials: 3.0}\n" COMMAND, "s.yaml:7:18: 'trials' of 'budget' must be a whole number, not 3.0" },
	{ HEAD SPACE METRICS SEARCH BUDGET "workers: 257\n" COMMAND, "s.yaml:8:10: 'workers' must be between 1 and 256, not 257" },
	{ HEAD SPACE METRICS SEARCH BUDGET "workers:\n" COMMAND, "s.yaml:8:9: 'workers' must be a whole number, not empty" },
	{ HEAD SPACE METRICS SEARCH BUDGET "env: {HPS_LEDGER: x}\n" COMMAND,
	  "s.yaml:8:7: variable 'HPS_LEDGER' of 'env': names that start with HPS_ are set by hps itself" },
	{ HEAD SPACE METRICS SEARCH BUDGET "dataset: [~]\n" COMMAND, "s.yaml:8:11: a word of 'dataset' must be a word, not empty" },

	/* metrics */
	{ HEAD SPACE "metrics: {}\n", "s.yaml:5:10: 'metrics' is empty: the first metric is what the search is for" },
	{ HEAD SPACE "metrics: {loss: {gaol: min}}\n", "s.yaml:5:18: unknown key 'gaol' in metric 'loss': did you mean 'goal'?" },
	{ HEAD SPACE "metrics: {loss: {goal: mni}}\n", "s.yaml:5:24: unknown goal 'mni': did you mean 'min'?" },
	{ HEAD SPACE "metrics: {loss: {goal: min, tolerance: {rtol: -1}}}\n", "s.yaml:5:47: 'rtol' must not be below 0" },
	{ HEAD SPACE "metrics: {loss: {goal: min, tolerance: {atol: .nan}}}\n",
	  "s.yaml:5:47: 'atol' must be 0 or of a size between 1e-300 and 1e300, not .nan" },

	/* space */
	{ HEAD "space: {}\n", "s.yaml:3:8: 'space' is empty: declare at least one parameter" },
	{ HEAD "space: {lr: {tpye: float, low: 0, high: 1}}\n", "s.yaml:3:14: unknown key 'tpye' in parameter 'lr': did you mean 'type'?" },
	{ HEAD "space: {c: {tpye: choice, of: [a, b]}}\n", "s.yaml:3:13: unknown key 'tpye' in parameter 'c': did you mean 'type'?" },
	{ HEAD "space: {lr: {low: 1}}\n", "s.yaml:3:13: parameter 'lr' needs the key 'type'" },
	{ HEAD "space: {lr: {type: flaot}}\n", "s.yaml:3:20: unknown type 'flaot': did you mean 'float'?" },
	{ HEAD "space: {lr: {type: float, low: 1, high: 2, of: [1]}}\n",
	  "s.yaml:3:44: unknown key 'of' in parameter 'lr'; known: 'type', 'low', 'high', 'log', 'steps', 'points'" },
	{ HEAD "space: {lr: {type: float, low: 1, hihg: 2}}\n", "s.yaml:3:35: unknown key 'hihg' in parameter 'lr': did you mean 'high'?" },
	{ HEAD "space: {lr: {type: float, low: 2, high: 1}}\n", "s.yaml:3:41: 'high' of 'lr' must be above 'low' (2), not 1" },
	{ HEAD "space: {lr: {type: float, low: 0, high: 1, log: true}}\n", "s.yaml:3:49: a log scale needs a 'low' above 0, not 0" },
	{ HEAD "space: {lr: {type: float, low: 0, high: 1, log: yes}}\n", "s.yaml:3:49: 'log' of 'lr' must be true or false, not text" },
	{ HEAD "space: {lr: {type: float, low: 1e-4x, high: 1}}\n", "s.yaml:3:32: 'low' of 'lr' must be a number, not text" },
	{ HEAD "space: {lr: {type: float, low: 0, high: 1e999}}\n", "s.yaml:3:41: 'high' of 'lr' must be 0 or of a size between 1e-300 and 1e300, not 1e999" },
	{ HEAD "space: {n: {type: int, low: 1, high: 2.5}}\n", "s.yaml:3:38: 'high' of 'n' must be a whole number, not 2.5" },
	{ HEAD "space: {n: {type: int, low: 1, high: 9007199254740992}}\n",
	  "s.yaml:3:38: 'high' of 'n' must be between -9007199254740991 and 9007199254740991, not 9007199254740992" },
	{ HEAD "space: {o: {type: choice, of: []}}\n", "s.yaml:3:31: 'of' of 'o' is empty" },
	{ HEAD "space: {o: {type: choice, of: [a, b, a]}}\n", "s.yaml:3:38: 'of' of 'o' has 'a' twice" },
	{ HEAD "space: {seed: {type: int, low: 1, high: 2}}\n",
	  "s.yaml:3:9: parameter 'seed': {seed} in the command has a meaning of its own; take another name" },
	{ HEAD "space: {a b: {type: int, low: 1, high: 2}}\n",
	  "s.yaml:3:9: parameter 'a b': a name has letters, digits, '_', '-' and '.', starts with a letter or digit and has 64 at most" },

	/* command */
	{ HEAD SPACE METRICS SEARCH BUDGET "command: [run, '--lr={lrr}']\n", "s.yaml:8:16: unknown placeholder 'lrr': did you mean 'lr'?" },
	{ HEAD SPACE METRICS SEARCH BUDGET "command: [run, '{nubmer}', '{lr}']\n", "s.yaml:8:16: unknown placeholder 'nubmer': did you mean 'number'?" },
	{ HEAD SPACE METRICS SEARCH BUDGET "command: [run, '{lr']\n",
	  "s.yaml:8:16: a lone '{' in the command: placeholders are {name}, braces are written twice" },
	{ HEAD SPACE METRICS SEARCH BUDGET "command: [run, '}{lr}']\n",
	  "s.yaml:8:16: a lone '}' in the command: placeholders are {name}, braces are written twice" },
	{ HEAD SPACE METRICS SEARCH BUDGET "command: [run]\n",
	  "s.yaml:8:10: no word of the command holds {lr}: the trials would not see the parameter 'lr'" },
	{ HEAD SPACE METRICS SEARCH BUDGET "command: run {lr}\n", "s.yaml:8:10: 'command' must be a list, not text" },

	/* samplers */
	{ HEAD SPACE METRICS "search: {sampler: sobl}\n" BUDGET COMMAND, "s.yaml:6:19: unknown sampler 'sobl': did you mean 'sobol'?" },
	{ HEAD SPACE METRICS "search: {sampler: random, seed: -1}\n" BUDGET COMMAND, "s.yaml:6:33: 'seed' must be between 0 and 9223372036854775807, not -1" },
	{ HEAD SPACE METRICS "search: {sampler: random, trials: 3}\n" BUDGET COMMAND,
	  "s.yaml:6:27: 'trials' of 'search' is for the sampler 'list' (the number of trials is 'trials' of 'budget')" },
	{ HEAD SPACE METRICS "search: {sampler: grid}\n" COMMAND, "s.yaml:4:7: parameter 'lr' needs 'steps' or 'points' for the sampler 'grid'" },
	{ HEAD "space: {lr: {type: float, low: 0, high: 1, steps: 3}}\n" METRICS SEARCH BUDGET COMMAND,
	  "s.yaml:3:44: 'steps' of 'lr' is for the sampler 'grid', not 'random'" },
	{ HEAD "space: {lr: {type: float, low: 0, high: 1, steps: 3, points: [1]}}\n" METRICS "search: {sampler: grid}\n" COMMAND,
	  "s.yaml:3:54: 'steps' and 'points' of 'lr' exclude each other" },
	{ HEAD "space: {lr: {type: float, low: 0, high: 1, points: [0.5, 2]}}\n" METRICS "search: {sampler: grid}\n" COMMAND,
	  "s.yaml:3:58: a value of 'lr' must be between 0 and 1, not 2" },
	{ HEAD "space: {lr: {type: int, low: 1, high: 3, steps: 5}}\n" METRICS "search: {sampler: grid}\n" COMMAND,
	  "s.yaml:3:49: 'steps' of 'lr' gives the value 2 twice: take fewer" },
	{ HEAD "space: {lr: {type: int, low: 1, high: 3}}\n" METRICS "search: {sampler: grid}\nbudget: {trials: 4}\n" COMMAND,
	  "s.yaml:6:18: the sampler 'grid' has only 3 trials to propose" },
	{ HEAD SPACE METRICS "search: {sampler: list}\n" COMMAND,
	  "s.yaml:6:9: the sampler 'list' needs the key 'trials' with at least one map of parameters" },
	{ HEAD SPACE METRICS "search: {sampler: list, trials: [{lr: 1e-3}, {lrr: 1}]}\n" COMMAND, "s.yaml:6:47: unknown parameter 'lrr': did you mean 'lr'?" },
	{ HEAD SPACE METRICS "search: {sampler: list, trials: [{lr: 1e-3}, {}]}\n" COMMAND, "s.yaml:6:46: a listed trial needs a value for 'lr'" },
	{ HEAD SPACE METRICS "search: {sampler: list, trials: [{lr: 5}]}\n" COMMAND, "s.yaml:6:39: a value of 'lr' must be between 0.0001 and 0.1, not 5" },
	{ HEAD "space: {lr: {type: choice, of: [sgd, adam]}}\n" METRICS "search: {sampler: list, trials: [{lr: adma}]}\n" COMMAND,
	  "s.yaml:5:39: unknown value 'adma' of 'lr': did you mean 'adam'?" },
};

static void test_bad_files(void **state)
{
	size_t n_different = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		n_different += differs(bad[i].text, bad[i].want);
	assert_int_equal(n_different, 0);
}

static void test_nul_and_size(void **state)
{
	static const char nul[] = "hps: \"a\0b\"\n";
	_cleanup_free_ char *got = compiled(nul, sizeof(nul) - 1), *large = hps_alloc(HPS_STUDY_FILE_MAX + 2), *big = NULL;

	(void)state;
	assert_string_equal(got, "s.yaml:1:8: not UTF-8 text: control characters are not allowed at byte 7");
	memset(large, '#', HPS_STUDY_FILE_MAX + 1);
	big = compiled(large, HPS_STUDY_FILE_MAX + 1);
	assert_string_equal(big, "s.yaml:1:1: the study file is larger than 1 MiB");
}

/* No cut of a good file crashes, and none but the whole (or what lacks only the last line's end) compiles. */
static void test_every_prefix(void **state)
{
	static const char text[] = HEAD SPACE METRICS SEARCH BUDGET COMMAND;

	(void)state;
	for (size_t len = 0; len < sizeof(text) - 2; len++) {
		_cleanup_free_ char *got = compiled(text, len);

		assert_memory_equal(got, "s.yaml:", 7);
	}
}

/* A compiled study from elsewhere (a ledger) is checked before decide() sees it. */
static void test_foreign_json(void **state)
{
	static const char *const foreign[] = {
		"{}",
		"{\"budget\":{\"trials\":3},\"search\":{\"sampler\":\"random\"},\"space\":[]}",
		"{\"budget\":{\"trials\":3},\"search\":{\"sampler\":\"random\"},\"space\":[{\"name\":\"a\",\"type\":\"int\",\"low\":\"2\",\"high\":\"1\"}]}",
		"{\"budget\":{\"trials\":3},\"search\":{\"sampler\":\"random\"},\"space\":[{\"name\":\"a\",\"type\":\"int\",\"low\":\"0.5\",\"high\":\"1\"}]}",
		"{\"budget\":{\"trials\":3},\"search\":{\"sampler\":\"grid\"},\"space\":[{\"name\":\"a\",\"type\":\"float\",\"low\":\"0\",\"high\":\"1\"}]}",
		"{\"budget\":{\"trials\":3},\"search\":{\"sampler\":\"list\",\"trials\":[{\"b\":\"1\"}]},\"space\":[{\"name\":\"a\",\"type\":\"choice\",\"of\":[\"1\"]}]}",
		"{\"budget\":{\"trials\":3},\"search\":{\"sampler\":\"list\",\"trials\":[{\"a\":\"1\"}]},\"space\":[{\"name\":\"a\",\"type\":\"choice\",\"of\":[\"1\"]}]}",
		"{\"budget\":{\"trials\":3},\"search\":{\"sampler\":\"gp\"},\"space\":[{\"name\":\"a\",\"type\":\"choice\",\"of\":[\"1\"]}]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
		_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;
		_cleanup_json_ json_t *j = NULL;
		struct hps_space space;

		assert_int_equal(hps_json_parse(foreign[i], strlen(foreign[i]), &j, NULL), 0);
		assert_int_equal(hps_space_from_json(j, &space, &err), HPS_E_FORMAT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_smallest),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_json_is_yaml),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_nul_and_size),
		cmocka_unit_test(test_every_prefix),
		cmocka_unit_test(test_foreign_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
