/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base.h - lib/base holds what every other room needs and nothing that knows what a pod is:
 * errors, release at scope end, checked allocation, growing strings and arrays, addresses, files.
 *
 * Including this one header brings them all. Nothing here prints, exits, or keeps global state.
 */
#ifndef RIPSTOP_BASE_BASE_H
#define RIPSTOP_BASE_BASE_H

#include <ripstop/addr.h>
#include <ripstop/error.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strbuf.h"
#include "base/vec.h"

#define RS_KIB 1024UL
#define RS_MIB (1024UL * 1024UL)

#define RS_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
