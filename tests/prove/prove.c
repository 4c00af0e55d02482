// SPDX-License-Identifier: Apache-2.0
/*
 * prove - the differential test at length: random clusters, every flow judged by readers that share no
 * code, and all must agree.
 *
 *	prove --cases N --seed S [--from I] [--jobs N] [--out DIR] [--readers oracle,ir,...]
 *	      [--first]	end at the first mismatch, unshrunk; no table
 *	prove --export-packets FILE --packets N --seed S
 *	prove --case FILE
 *
 * Run it from the top of the tree (it starts tests/prove/oracle2.py). World number i of a seed is the
 * same whatever the number of workers.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include <ripstop/dataplane.h>

#include "base/jsonio.h"
#include "tests/prove/prove_run.h"
#include "tests/prove/second.h"

#define PROGRESS_S 20

static const char *const reader_names[PV_READERS] = { "oracle",	 "ir",	    "ruleset", "second",
						      "explain", "offline", "ebpf" };

struct pv_shape pv_default_shape(bool strict)
{
	return (struct pv_shape){
		.max_pods = 60,
		.max_policies = 40,
		.flows = PV_MAX_FLOWS,
		.max_nodes = strict ? 2 : PV_MAX_NODES,
		.strict = strict,
	};
}

/* ---- workers --------------------------------------------------------------------------------- */

static int own_namespace(void)
{
	if (unshare(CLONE_NEWNET) == 0)
		return 0;
	return errno == EPERM ? unshare(CLONE_NEWUSER | CLONE_NEWNET) : -1;
}

static int worker_main(struct pv_worker *w, uint64_t first, uint64_t end)
{
	rs_auto_err err = { 0 };
	int rc;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (own_namespace() < 0) {
		fprintf(stderr, "prove: no network namespace: %s\n", strerror(errno));
		return 1;
	}
	if (pv_judge_new(w->o->readers, &w->judge, &err) < 0) {
		fprintf(stderr, "prove: %s\n", rs_err_str(&err));
		return 1;
	}
	rc = pv_work(w, first, end);
	pv_judge_free(w->judge);
	pv_case_free(&w->before);
	return rc;
}

static void progress(const struct pv_tally *t, unsigned int jobs, int64_t since)
{
	uint64_t cases = 0, worlds = 0;

	for (unsigned int i = 0; i < jobs; i++) {
		cases += t[i].cases;
		worlds += t[i].worlds;
	}
	fprintf(stderr, "prove: %" PRIu64 " cases in %" PRIu64 " worlds, %" PRId64 " s\n", cases,
		worlds, rs_now_s() - since);
}

/* Wait for all; a worker that did not end by itself names the world that it was at. */
static unsigned int wait_workers(const pid_t *pids, const struct pv_tally *t, unsigned int jobs,
				 int64_t since)
{
	unsigned int bad = 0, left = jobs;
	int64_t shown = rs_now_s();
	int status;

	while (left) {
		struct timespec nap = { 0, 50000000 };
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid == 0)
			nanosleep(&nap, NULL);
		if (rs_now_s() - shown >= PROGRESS_S) {
			shown = rs_now_s();
			progress(t, jobs, since);
		}
		for (unsigned int i = 0; pid > 0 && i < jobs; i++) {
			if (pids[i] != pid)
				continue;
			left--;
			if (status == 0)
				continue;
			bad++;
			printf("FAIL worker %u ended with %s %d at world %" PRIu64 "\n", i,
			       WIFSIGNALED(status) ? "signal" : "code",
			       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
			       t[i].now);
		}
	}
	return bad;
}

static unsigned int run_round(const struct pv_options *o, const struct pv_ids *ids,
			      struct pv_tally *t, uint64_t first, uint64_t worlds, int64_t since)
{
	rs_autofree pid_t *pids = rs_new0(pid_t, o->jobs);

	fflush(NULL);
	for (unsigned int i = 0; i < o->jobs; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct pv_worker w = {
				.o = o, .ids = ids, .t = &t[i], .all = t, .number = i
			};
			int rc = worker_main(&w, first + i, first + worlds);

			fflush(NULL);
			_exit(rc);
		}
		if (pids[i] < 0) {
			perror("prove: fork");
			exit(1);
		}
	}
	return wait_workers(pids, t, o->jobs, since);
}

static void sum_up(const struct pv_tally *t, unsigned int jobs, struct pv_tally *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (unsigned int i = 0; i < jobs; i++) {
		sum->worlds += t[i].worlds;
		sum->cases += t[i].cases;
		sum->deny += t[i].deny;
		sum->explained += t[i].explained;
		sum->findings += t[i].findings;
		sum->morphed += t[i].morphed;
		for (size_t k = 0; k < PV_MAX_IDS; k++)
			sum->hits[k] += t[i].hits[k];
		for (size_t k = 0; k < PV_MAX_MORPHS; k++) {
			sum->morph[k] += t[i].morph[k];
			if (t[i].morph_name[k][0])
				memcpy(sum->morph_name[k], t[i].morph_name[k],
				       sizeof(sum->morph_name[k]));
		}
	}
}

/* ---- the run --------------------------------------------------------------------------------- */

static int load_ids(const struct pv_options *o, struct pv_ids *ids, struct rs_err *err)
{
	char *save = NULL, *word;

	if (!(o->readers & 1u << PV_SECOND))
		return 0;
	if (pv_second_ids(&ids->text, err) < 0)
		return -EIO;
	for (word = strtok_r(ids->text, "\n", &save); word; word = strtok_r(NULL, "\n", &save)) {
		char *space = strchr(word, ' ');

		if (ids->n == PV_MAX_IDS)
			return rs_err_set(err, E2BIG, "more than %d ids", PV_MAX_IDS);
		if (space)
			*space = '\0';
		ids->means[ids->n] = space ? space + 1 : "";
		ids->id[ids->n++] = word;
	}
	return 0;
}

/* Worlds have at most 100 flows, some have fewer: rounds until there are enough cases. */
static int run(const struct pv_options *o)
{
	struct pv_tally *t, sum = { 0 };
	unsigned int dead = 0, misses, lines = 0;
	int64_t since = rs_mono_ms();
	struct pv_ids ids = { 0 };
	rs_auto_err err = { 0 };
	uint64_t next = o->from, worlds;

	if (load_ids(o, &ids, &err) < 0) {
		fprintf(stderr, "prove: %s\n", rs_err_str(&err));
		return 1;
	}
	t = mmap(NULL, o->jobs * sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		 0);
	if (t == MAP_FAILED)
		rs_oom();
	while (sum.cases < o->cases && !dead && !sum.findings) {
		uint64_t each = sum.worlds ? sum.cases / sum.worlds : PV_MAX_FLOWS;

		worlds = (o->cases - sum.cases + each - 1) / (each ? each : 1);
		dead = run_round(o, &ids, t, next, worlds, rs_now_s());
		next += worlds;
		sum_up(t, o->jobs, &sum);
	}
	misses = o->first ? 0 : pv_table(o, &ids, &sum, &lines);
	printf("seed %" PRIu64 ": %" PRIu64 " cases in %" PRIu64 " worlds, %" PRIu64
	       " changed worlds, %" PRIu64 " mismatches, %.1f s, %u workers\n",
	       o->seed, sum.cases, sum.worlds, sum.morphed, sum.findings,
	       (double)(rs_mono_ms() - since) / 1000, o->jobs);
	printf("%" PRIu64 " passed, %" PRIu64 " failed, 0 skipped\n",
	       sum.worlds + sum.morphed - sum.findings + lines - misses,
	       sum.findings + misses + dead);
	munmap(t, o->jobs * sizeof(*t));
	free(ids.text);
	return sum.findings || misses || dead;
}

/* ---- one case -------------------------------------------------------------------------------- */

static int show_one(const struct pv_options *o)
{
	rs_autofree char *text = NULL;
	rs_auto_strbuf b = { 0 };
	rs_auto_err err = { 0 };
	struct pv_finding f = { 0 };
	struct pv_case c = { 0 };
	struct pv_judge *j = NULL;
	size_t len;
	int rc = rs_file_read(o->one, 16 * RS_MIB, &text, &len, &err);

	if (rc == 0)
		rc = rs_json_parse(text, len, 64, &c.root, &err);
	if (rc == 0 && own_namespace() < 0)
		rc = rs_err_sys(&err, errno, "no network namespace");
	if (rc == 0)
		rc = pv_judge_new(o->readers, &j, &err);
	if (rc < 0) {
		fprintf(stderr, "prove: %s\n", rs_err_str(&err));
		return 1;
	}
	pv_print_case(&b, j, &c);
	fputs(rs_strbuf_str(&b), stdout);
	pv_judge_find(j, &c, true, NULL, &f);
	printf("%s\n", f.kind == PV_AGREED ? "all agree" : f.text);
	pv_judge_free(j);
	pv_case_free(&c);
	return f.kind != PV_AGREED;
}

/* ---- options --------------------------------------------------------------------------------- */

static const struct option longopts[] = {
	{ "cases", 1, NULL, 'c' },
	{ "seed", 1, NULL, 's' },
	{ "from", 1, NULL, 'f' },
	{ "first", 0, NULL, 'F' },
	{ "oracle2", 1, NULL, '2' },
	{ "jobs", 1, NULL, 'j' },
	{ "packets", 1, NULL, 'p' },
	{ "export-packets", 1, NULL, 'x' },
	{ "readers", 1, NULL, 'r' },
	{ "out", 1, NULL, 'o' },
	{ "case", 1, NULL, '1' },
	{ "help", 0, NULL, 'h' },
	{ 0 },
};

static void usage(void)
{
	fputs("usage: prove --cases N --seed S [--from I] [--jobs N] [--out DIR]\n"
	      "             [--readers oracle,ir,ruleset,second,explain,offline,ebpf] "
	      "[--oracle2 FILE] "
	      "[--first]\n"
	      "       prove --export-packets FILE --packets N --seed S\n"
	      "       prove --case FILE [--readers ...]\n",
	      stderr);
	exit(2);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-')
		usage();
	return v;
}

static unsigned int readers(char *text)
{
	char *save = NULL, *word;
	unsigned int bits = 0;
	size_t i;

	for (word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		for (i = 0; i < PV_READERS && strcmp(reader_names[i], word) != 0; i++)
			;
		if (i == PV_READERS)
			usage();
		bits |= 1u << i;
	}
	return bits;
}

static void parse(int argc, char **argv, struct pv_options *o)
{
	int c;

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->cases = number(optarg);
			break;
		case 's':
			o->seed = number(optarg);
			break;
		case 'f':
			o->from = number(optarg);
			break;
		case 'F':
			o->first = true;
			break;
		case '2':
			pv_second_use(optarg);
			break;
		case 'j':
			o->jobs = (unsigned int)number(optarg);
			break;
		case 'p':
			o->packets = number(optarg);
			break;
		case 'x':
			o->export = optarg;
			break;
		case 'r':
			o->readers = readers(optarg);
			break;
		case 'o':
			o->out = optarg;
			break;
		case '1':
			o->one = optarg;
			break;
		default:
			usage();
		}
	}
	if (optind != argc || !o->jobs || o->jobs > 256)
		usage();
}

/* All; the eBPF programs where this kernel takes them. */
static unsigned int default_readers(void)
{
	struct rs_dp_config cfg;

	rs_dp_config_default(&cfg);
	if (rs_dp_ebpf.probe(&cfg, NULL) == 0)
		return PV_ALL_READERS;
	printf("this kernel does not take the eBPF programs: they are not asked\n");
	return PV_ALL_READERS & ~(1u << PV_EBPF);
}

int main(int argc, char **argv)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct pv_options o = {
		.seed = 1,
		.jobs = cpus > 0 ? (unsigned int)cpus : 1,
		.out = "build/prove",
	};
	rs_auto_err err = { 0 };

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv, &o);
	if (!o.readers)
		o.readers = default_readers();
	if (o.one)
		return show_one(&o);
	if (o.export && pv_export(&o, &err) < 0) {
		fprintf(stderr, "prove: %s\n", rs_err_str(&err));
		return 1;
	}
	if (o.export)
		return 0;
	if (!o.cases)
		usage();
	return run(&o);
}
