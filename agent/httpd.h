/* SPDX-License-Identifier: Apache-2.0 */
/* httpd.h - /metrics, /healthz, /livez and /readyz over HTTP, and nothing else. */
#ifndef RIPSTOP_AGENT_HTTPD_H
#define RIPSTOP_AGENT_HTTPD_H

#include "agent/agent.h"

/* Listens on opt.metrics_address ("IP:PORT", "[IP6]:PORT"); an empty one starts nothing. */
int rs_httpd_start(struct rs_agent *a, struct rs_err *err);
void rs_httpd_stop(struct rs_httpd *h);
void rs_httpd_sweep(struct rs_httpd *h); /* once a second */

#endif
