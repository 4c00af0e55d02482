/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ebpf.h - the handle behind rs_dp_ebpf and what its files share.
 *
 * The model is what the maps say at the current epoch, as far as we know: from a read or from the
 * last commit. What is in the maps beside it (leavings) is absent at this epoch, and is deleted by
 * a later commit, when no program can still be looking at it.
 */
#ifndef RIPSTOP_DATAPLANE_EBPF_EBPF_H
#define RIPSTOP_DATAPLANE_EBPF_EBPF_H

#include <libmnl/libmnl.h>

#include <ripstop/dataplane.h>

#include "dataplane/ebpf/bpfbook.h"
#include "dataplane/ebpf/bpfload.h"
#include "dataplane/ebpf/bpfplan.h"
#include "base/vec.h"
#include "dataplane/nft/grace.h"

struct ring_buffer;

struct rs_ebpf_log {
	int fd; /* of an epoll around the ring's, which comes with the first set; -1: not open */
	struct ring_buffer *ring;
	rs_dp_drop_fn *fn; /* during a read */
	void *arg;
	size_t left;
	uint64_t received;
};

/* What may tell that somebody else was at our rules. */
struct rs_ebpf_watch {
	int fd;			/* of an epoll around all of these */
	struct mnl_socket *nft; /* somebody may flush the anchor */
	int pins;		/* an inotify of the set's folder */
	int folder;		/* its watch; -1 */
	int timer;		/* for what tells nothing: links and maps */
	unsigned int looks;
};

/* Devices, and whether each is a pod's link, as 2 * index + is one. */
struct rs_bpf_devs rs_vec(uint64_t);

struct rs_bpf_tc {
	struct mnl_socket *nl;
	struct mnl_socket *watch; /* ebpf-tc: devices come and go */
	struct rs_bpf_devs known; /* our programs stand there; sorted */
	bool missing;		  /* an audit found one gone: all are to be put again */
	bool asked_tcx, tcx;	  /* where a filter would cost packets: links */
	char *why;		  /* where they cannot; for people */
};

struct rs_ebpf {
	struct rs_dp dp;
	struct rs_dp_config cfg;
	char *dir; /* behind cfg.bpf_dir */
	struct mnl_socket *nl;
	struct rs_ebpf_watch watch;
	struct rs_bpf_set set;	 /* set.obj NULL: none is loaded */
	struct rs_bpf_set spare; /* one that nobody has used: what the probe loaded */
	bool known;		 /* model says what the kernel holds (NULL: nothing usable) */
	bool open_node;		 /* no program of ours judges at all */
	struct rs_bpf_plan *model;
	struct rs_bpf_book *book; /* of the rules that the model's cells name; NULL: of none */
	struct rs_bpf_table leavings[RS_BPF_MAPS];
	struct rs_nft_grace grace;
	struct rs_bpf_tc tc;
	struct rs_ebpf_log log;
	char *why_not; /* why what is pinned could not be adopted */
};

static inline struct rs_ebpf *rs_ebpf_of(struct rs_dp *dp)
{
	return (struct rs_ebpf *)dp; /* its first member */
}

/* Find a pinned set that can be adopted; make the model known. */
int rs_ebpf_load(struct rs_ebpf *e, struct rs_err *err);
/* Pins, hooks and anchor are as they were made. -ESTALE. */
int rs_ebpf_check(struct rs_ebpf *e, struct rs_err *err);
/* Both are taken. */
void rs_ebpf_set_model(struct rs_ebpf *e, struct rs_bpf_plan *p, struct rs_bpf_book *book);

int rs_ebpf_commit(struct rs_dp *dp, const struct rs_ir *next, struct rs_dp_commit *done,
		   struct rs_err *err);
int rs_ebpf_shift(struct rs_dp *dp, const struct rs_ir *now, const struct rs_ir_moves *m,
		  struct rs_dp_commit *done, struct rs_err *err);
int rs_ebpf_audit(struct rs_dp *dp, struct rs_dp_drifts *out, struct rs_err *err);
int rs_ebpf_holding(struct rs_dp *dp, struct rs_dp_holding *want, struct rs_dp_holding *have,
		    struct rs_err *err);
int rs_ebpf_stats(struct rs_dp *dp, struct rs_dp_stats *out, struct rs_err *err);
int rs_ebpf_probe(const struct rs_dp_config *cfg, struct rs_err *err);

int rs_ebpf_log_open(struct rs_dp *dp, struct rs_err *err);
int rs_ebpf_log_fd(const struct rs_dp *dp);
int rs_ebpf_log_read(struct rs_dp *dp, size_t max, rs_dp_drop_fn *fn, void *arg,
		     struct rs_err *err);
int rs_ebpf_log_counts(struct rs_dp *dp, struct rs_dp_log_counts *out, struct rs_err *err);
void rs_ebpf_log_close(struct rs_ebpf *e);
/* Records come from another set now: who waits for them hears those too. */
void rs_ebpf_log_follow(struct rs_ebpf *e);

int rs_ebpf_watch_open(struct rs_ebpf *e, struct rs_err *err);
void rs_ebpf_watch_close(struct rs_ebpf *e);
/* One more descriptor whose input wakes the watch. -errno. */
int rs_ebpf_watch_also(struct rs_ebpf *e, int fd);
/* The pins are in another folder now. */
void rs_ebpf_watch_follow(struct rs_ebpf *e);
int rs_ebpf_watch_fd(const struct rs_dp *dp);
int rs_ebpf_watch_read(struct rs_dp *dp, bool *foreign, char **who, struct rs_err *err);

/*
 * What the maps hold at the current epoch. Leavings go to left (may be NULL). mend: slots of a
 * commit that was never finished are emptied; else they are passed over.
 */
int rs_bpf_dump(const struct rs_bpf_set *s, bool mend, struct rs_bpf_plan **out,
		struct rs_bpf_table *left, struct rs_err *err);

struct rs_bpf_judged rs_vec(struct rs_dp_judged);

/* How often each cell was looked up for a flow's first packet, by key. */
int rs_bpf_dump_judged(const struct rs_bpf_set *s, struct rs_bpf_judged *out, struct rs_err *err);

/* ---- rules that count ------------------------------------------------------------------------ */

int rs_bpf_rules_read(const struct rs_bpf_set *s, const struct rs_bpf_plan *model,
		      struct rs_bpf_book **out, struct rs_err *err);
/* Slots of rules that are new begin at 0, and bear their names. */
int rs_bpf_rules_write(const struct rs_bpf_set *s, const struct rs_bpf_book *book,
		       struct rs_err *err);
/* Names of those that `now` has no longer; both may be NULL. */
void rs_bpf_rules_forget(const struct rs_bpf_set *s, const struct rs_bpf_book *before,
			 const struct rs_bpf_book *now);
/* What each has let through. */
int rs_bpf_rules_count(const struct rs_bpf_set *s, const struct rs_bpf_book *book,
		       struct rs_dp_stats *out, struct rs_err *err);

/* ---- one step of the maps from a state to another -------------------------------------------- */

enum rs_bpf_step_op {
	RS_BPF_STEP_ADD,  /* a new element */
	RS_BPF_STEP_SET,  /* another value from the next epoch on */
	RS_BPF_STEP_KEEP, /* nothing to write: only `leaves` */
};

struct rs_bpf_step {
	enum rs_bpf_map map;
	enum rs_bpf_step_op op;
	bool leaves;	      /* not in the new state: a leaving */
	const uint8_t *key;   /* into one of the two plans */
	const uint8_t *value; /* likewise, or absent */
	uint32_t before;      /* of an added prefix: what the wider one says until then */
	bool made;	      /* by apply: the element is new */
};

struct rs_bpf_steps rs_vec(struct rs_bpf_step);

/* from NULL: nothing. */
void rs_bpf_steps_make(const struct rs_bpf_plan *from, const struct rs_bpf_plan *to,
		       struct rs_bpf_steps *out);

/* All steps for the epoch that comes, or none of them. */
int rs_bpf_steps_apply(const struct rs_bpf_set *s, const struct rs_bpf_steps *steps, uint64_t epoch,
		       struct rs_err *err);

/* Write the steps and turn the epoch; and what comes after that, or after a failure. book: rules
 * that may be new, or NULL. now: the state that is in force then. */
int rs_ebpf_carry_out(struct rs_ebpf *e, struct rs_bpf_steps *steps, const struct rs_bpf_book *book,
		      uint64_t generation, struct rs_dp_commit *done, struct rs_err *err);
void rs_ebpf_settle(struct rs_ebpf *e, const struct rs_bpf_steps *steps,
		    const struct rs_bpf_plan *now, bool carried_out);

/* A link's program stands at its hook of this network namespace. */
bool rs_bpf_hook_stands(struct mnl_socket *nl, const struct rs_bpf_set *s, int link);
/* All of them do. -ESTALE. */
int rs_bpf_hooks_check(struct mnl_socket *nl, const struct rs_bpf_set *s, struct rs_err *err);

/* Programs stand at all priorities of one of our places in this network namespace, whoever has
 * their pins. False where the kernel has no nfnetlink_hook and we have no CAP_BPF. */
bool rs_bpf_hooks_stand(struct mnl_socket *nl);

/* Nothing stands at the priorities of a place: ours could. -EBUSY names the first that is taken. */
int rs_bpf_priorities_free(const struct rs_bpf_set *s, char place, struct rs_err *err);

/* Pins can be put into the folder, nobody else's are there, and there is a place at the hooks, of
 * which ebpf-tc has none. */
int rs_bpf_place_check(const struct rs_dp_config *cfg, const struct rs_bpf_set *s,
		       struct rs_err *err);

/* ---- programs at devices --------------------------------------------------------------------- */

/* Behind rs_ebpf_watch_open(): of ebpf-tc, devices that come and go wake that watch too. */
int rs_ebpf_tc_open(struct rs_ebpf *e, struct rs_err *err);
void rs_ebpf_tc_close(struct rs_ebpf *e);
/* Drain what is said of devices, and put programs where they are missing. */
void rs_ebpf_tc_hear(struct rs_ebpf *e);

/*
 * The programs of s, which is at place, stand where `to` needs them. An error of ebpf-tc is a pod
 * that would be without; all else goes to tc.why.
 */
int rs_ebpf_tc_sync(struct rs_ebpf *e, struct rs_bpf_set *s, char place,
		    const struct rs_bpf_plan *to, struct rs_err *err);
/* Look again at every device. */
void rs_ebpf_tc_forget(struct rs_ebpf *e);
/* Let go of links whose devices are gone. */
void rs_ebpf_tc_tidy(struct rs_ebpf *e);

typedef void rs_bpf_tc_fn(char *what, void *arg);
/* Names each program that is missing; caller of fn's owns the text. */
void rs_ebpf_tc_audit(struct rs_ebpf *e, rs_bpf_tc_fn *fn, void *arg);
/* Take away the filters that stand at place (0: at both). Links go with their pins. */
int rs_ebpf_tc_remove(struct rs_ebpf *e, char place, struct rs_err *err);
/* Take away filters that stand at place, and are not this front end's: those of an ebpf-tc whose
 * pins were lost would judge for ever. */
int rs_ebpf_tc_remove_strays(struct rs_ebpf *e, char place, struct rs_err *err);

/* The nft table that keeps conntrack at work in this network namespace. */
int rs_ebpf_anchor_check(struct mnl_socket *nl, struct rs_err *err); /* -ESTALE: it is gone */
int rs_ebpf_anchor_keep(struct mnl_socket *nl, struct rs_err *err);
int rs_ebpf_anchor_remove(struct mnl_socket *nl, struct rs_err *err);

#endif
