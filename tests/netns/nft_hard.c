// SPDX-License-Identifier: Apache-2.0
/* nft_hard.c */
#include "nft_check.h"
void test_hard(void)
{
}
