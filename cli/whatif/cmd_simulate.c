// SPDX-License-Identifier: Apache-2.0
/* cmd_simulate.c - `ripstop simulate -f DIR`: who reaches whom by these manifests, without a
 * cluster. */
#include "cli/whatif/simulate.h"

static int run(struct cli_run *r, struct sim *s)
{
	struct cli_world *worlds[SIDES] = { s->cw, NULL };
	rs_auto_err err = { 0 };
	int rc = whatif_new(r, worlds, NULL, &s->w, &err);

	if (rc == 0)
		sim_make(s);
	if (rc == 0 && s->traffic)
		rc = sim_read_traffic(s, r->opt.traffic, &err);
	if (rc < 0) {
		cli_error(err.hint, "%s", rs_err_str(&err));
		return cli_world_code(rc);
	}
	if (r->opt.n_files && !s->traffic && !cli_wants_object(r) && !cli_only_tables(r))
		s->hint = r->opt.files[0];
	if (cli_wants_object(r)) {
		rs_autojson struct json_object *o = sim_json(s);

		cli_put_object(r, o);
	} else {
		sim_text(r, s);
	}
	return s->n_denied ? CLI_NO : CLI_YES;
}

int cli_cmd_simulate(struct cli_run *r)
{
	struct sim s = { .by = r->opt.by, .traffic = r->opt.traffic };
	int code = traffic_check(r);

	if (code == 0)
		code = cli_world_open(r, &s.cw);
	if (code == 0)
		code = run(r, &s);
	sim_free(&s);
	whatif_free(s.w);
	cli_world_free(s.cw);
	return code;
}
