/* SPDX-License-Identifier: MIT */
/* Shared by tx_seal.c and the library that it opens. */
#ifndef TX_SEAL_H
#define TX_SEAL_H

#include <static_call.h>

int tx_one(void);
int tx_seal_library(void);
DECLARE_STATIC_CALL(tx_shared, tx_one);

#endif
