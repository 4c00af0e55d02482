// SPDX-License-Identifier: Apache-2.0
/* cmd_capture.c - `ripstop capture`: what was asked for; capture/ sees the packets. */
#include "cli/cli.h"

#include <string.h>

#include "cli/world/cliworld.h"

static int check_port(const struct cli_run *r)
{
	static const char hint[] = "ripstop capture shop/db-0 --port tcp/5432";
	struct cli_port port;
	rs_auto_err err = { 0 };

	if (!r->opt.port)
		return 0;
	if (cli_port_parse(r->opt.port, &port, &err) < 0) {
		cli_error(hint, "capture: --port: %s", rs_err_str(&err));
		return CLI_USAGE;
	}
	if (port.name) {
		cli_error(hint,
			  "capture: --port %s: a name is a number only at its pod; write that",
			  r->opt.port);
		return CLI_USAGE;
	}
	return 0;
}

int cli_peer_parse(const char *text, struct rs_cidr *out, struct rs_err *err)
{
	struct rs_addr a;
	int rc;

	if (strchr(text, '/'))
		return rs_cidr_parse(text, out, NULL, err);
	rc = rs_addr_parse(text, &a, err);
	if (rc < 0)
		return rc;
	*out = (struct rs_cidr){ .addr = a, .len = (uint8_t)rs_addr_bits(a.family) };
	return 0;
}

static int check_peer(const struct cli_run *r)
{
	struct rs_cidr c;
	rs_auto_err err = { 0 };

	if (!r->opt.peer || cli_peer_parse(r->opt.peer, &c, &err) == 0)
		return 0;
	cli_error("an address or a CIDR: --peer 10.0.3.7; ripstop pods tells those of pods",
		  "capture: --peer: %s", rs_err_str(&err));
	return CLI_USAGE;
}

int cli_cmd_capture(struct cli_run *r)
{
	int code = check_port(r);

	if (code == 0)
		code = check_peer(r);
	if (code == 0)
		code = cli_bundle_check(r);
	return code ? code : cli_self.capture(r);
}
