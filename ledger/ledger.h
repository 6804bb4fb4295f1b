/* Private header of ledger/: a transparency log in formats that others read. Each room has a header of its own, grouped by implementing
 * file (README.md says which is where); this one is all of them. The public promise is include/hps/ledger.h, the stored bytes are docs/FORMATS.md ("Ledger").
 *
 * Words: a *leaf* is the bytes hashed into the tree, one an entry; an *envelope* is the signed statement beside it; *stored*
 * (store.c) is what the database holds, *published* is what tiles/ holds under the newest signed checkpoint. */
#ifndef HPS_LEDGER_PRIVATE_H
#define HPS_LEDGER_PRIVATE_H

#include "ledger/care.h"
#include "ledger/database.h"
#include "ledger/evidence.h"
#include "ledger/handle.h"
#include "ledger/journal.h"
#include "ledger/keys.h"
#include "ledger/note.h"
#include "ledger/publish.h"
#include "ledger/running.h"
#include "ledger/shared.h"
#include "ledger/statement.h"
#include "ledger/tree.h"
#include "ledger/trust.h"
#include "ledger/verify.h"
#include "ledger/witness.h"

#endif
