/* hps-ledger: the table of its commands. */
#include "ledger/cmd.h"

int main(int argc, char **argv)
{
	const struct hps_command commands[] = { hps_cmd_init, hps_cmd_verify, hps_cmd_list, hps_cmd_show, hps_cmd_append, hps_cmd_push, hps_cmd_prove,
						hps_cmd_check, hps_cmd_attest, hps_cmd_witness, hps_cmd_monitor, hps_cmd_key,
						hps_cmd_serve, hps_cmd_enrol, hps_cmd_publish, hps_cmd_withdraw, hps_cmd_gc, hps_cmd_fsck };
	const struct hps_program program = { "hps-ledger", "The signed ledger of recorded trials.", commands, ARRAY_SIZE(commands) };

	return hps_main(&program, argc, argv);
}
