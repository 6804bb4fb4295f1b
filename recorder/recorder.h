/* Private header of recorder/: one command under observation, from `begin` to the signed record. Each room has a header of its own,
 * grouped by implementing file; this one is all that belong to the life of a trial.
 *
 * Threads. The launcher thread carries the filter and starts the command, so the listener descriptor never has to be handed
 * over. The supervisor thread answers notifications and alone changes tracees, files and executions while the command runs.
 * The hasher thread hashes and stores. The main thread waits for processes and passes signals on; it reads the tables
 * after the supervisor has been joined. A separate process gathers facts about the machine and the files (facts.c), so that no
 * library or program it uses can hang or crash the recorder.
 */
#ifndef HPS_RECORDER_H
#define HPS_RECORDER_H

#include "recorder/calls.h"
#include "recorder/content.h"
#include "recorder/entropy.h"
#include "recorder/facts.h"
#include "recorder/files.h"
#include "recorder/gap.h"
#include "recorder/record.h"
#include "recorder/supervisor.h"
#include "recorder/tracee.h"
#include "recorder/trial.h"

#endif
