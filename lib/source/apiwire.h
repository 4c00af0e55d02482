/* SPDX-License-Identifier: Apache-2.0 */
/* apiwire.h - how bytes get to the API server: transport, and who both ends are. */
#ifndef RIPSTOP_SOURCE_APIWIRE_H
#define RIPSTOP_SOURCE_APIWIRE_H

#include <curl/curl.h>

#include "source/apiconf.h"

/* c outlives the handle: certificates are not copied. */
void rs_apiwire_set(CURL *easy, const struct rs_apiconf *c);

#endif
