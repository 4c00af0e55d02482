/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl.h - the control protocol between plugin or command line (clients) and agent (server).
 *
 * Transport: a SOCK_STREAM Unix socket (default /run/ripstop/agent.sock, mode 0600, peer uid
 * checked by the agent). A frame is a 4-byte big-endian length and that many bytes of one JSON
 * object: at most RS_CTL_MAX_FRAME bytes, at most RS_CTL_MAX_DEPTH deep. One request, one answer,
 * in order; a connection may carry several.
 *
 *	request	 {"protocol":1,"op":"explain", ...operands...}
 *	answer	 {"protocol":1,"ok":true,"result":{...}}
 *		 {"protocol":1,"ok":false,"error":{"errno":2,"cni":11,"message":"...","hint":"..."}}
 *
 * The server answers protocol N and N-1; another number gets an error that names both.
 *
 * Operations:
 *	attach	{containerID, ifname, deadlineMs}	the record exists: program it; answered
 *						after the commit; result {generation, dataplane}
 *	detach	{containerID, ifname, takeLink?}	remove its elements (unknown key is fine);
 *						result {generation}; the record is the plugin's to
 *						remove.
 *						takeLink: the host link first, with others', then
 *						the elements. Where the result says linkGone it is;
 *						else the agent knows of none, and it is the
 *						plugin's. EBUSY: it could not be deleted, and the
 *						elements are still there
 *	check	{containerID, ifname}		its elements are in the kernel as they should be
 *	report	{verb, containerID, ifname, pod, cni, message, ms}	one line for the agent's log
 *	status | pods {namespace?, all?} | policies {namespace?, name?} | rules {pod}
 *	explain	{src, dst, port, family?}		operands as typed by the user; family 4 or 6
 *	records	{from?, last?, max?, sinceMs?, pod?, namespace?, reason?, direction?}
 *						drop records from that id on, or the last so many
 *	version
 *	objects	{of, after?, max?}		objects of a kind (Namespace, Pod, NetworkPolicy,
 *						Node) in the order of (namespace, name), from behind
 *						"ns/name" (`after`); result {revision, items, next?}:
 *						`next` is the `after` of the next page. Another
 *						revision than that of the first page: begin again
 * The CLI operations answer with the same object that `-o json` prints
 * ({"apiVersion":"ripstop.dev/v1","kind":...}). What they tell of policies and pods is in force:
 * objects that the agent has heard of are committed before it answers, if they can be.
 */
#ifndef RIPSTOP_CTL_H
#define RIPSTOP_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json_types.h>

#include <ripstop/error.h>

#define RS_CTL_PROTOCOL 1
#define RS_CTL_MAX_FRAME (1024u * 1024u)
#define RS_CTL_MAX_DEPTH 32
#define RS_CTL_SOCKET "/run/ripstop/agent.sock"

/* ---- frames, for both sides; pure ------------------------------------------------------------ */

/*
 * Look for one whole frame at the start of buf. Returns its total length (prefix included) and sets
 * *body and *body_len; 0 when more bytes are needed; -EMSGSIZE when the length is 0 or too large.
 */
long rs_ctl_frame_peek(const void *buf, size_t len, const char **body, size_t *body_len,
		       struct rs_err *err);

/* Parse a body: one JSON object, depth and size bounded, no trailing bytes. Caller puts *out. */
int rs_ctl_parse(const char *body, size_t len, struct json_object **out, struct rs_err *err);

/* Serialise with its length prefix; caller frees *out. -EMSGSIZE when it would not fit. */
int rs_ctl_frame_make(struct json_object *o, char **out, size_t *len, struct rs_err *err);

/* Error object of an answer from an error, and back. */
struct json_object *rs_ctl_error_to_json(const struct rs_err *err);
void rs_ctl_error_from_json(struct json_object *o, struct rs_err *err);

/* ---- client ---------------------------------------------------------------------------------- */

/*
 * One request and its answer. Adds "protocol" to request (borrowed, not consumed). *result is the
 * answer's "result" (caller puts it; NULL pointer legal). timeout_ms bounds the whole call.
 *
 * Errors: -ECONNREFUSED, -ENOENT, -EACCES as connect(2) says; -ETIMEDOUT when the agent accepts and
 * does not answer; -ECONNRESET when it goes away unanswered (these but -EACCES are CNI code 11);
 * -EPROTO when the answer is no frame of ours; and, when the agent answered with an error, that
 * error (its errno negated; its CNI code and hint in err).
 */
int rs_ctl_call(const char *socket_path, struct json_object *request, int timeout_ms,
		struct json_object **result, struct rs_err *err);

/* The same, but a refused or missing socket, and an agent that goes away unanswered, is tried again
 * every 100 ms until the time is up: an agent that restarts must not fail an ADD. So the request
 * may be served twice. */
int rs_ctl_call_retry(const char *socket_path, struct json_object *request, int timeout_ms,
		      struct json_object **result, struct rs_err *err);

/* Either of the two; *nobody tells whether the socket was missing or refused at every try, so
 * that no agent can have seen the request. An error alone does not tell: an agent may answer it. */
int rs_ctl_call_told(const char *socket_path, struct json_object *request, int timeout_ms,
		     bool retry, struct json_object **result, bool *nobody, struct rs_err *err);

/* As with retry, and the caller has work of its own that needs no answer: meanwhile() is called
 * once, when the request is on its way or nobody was there to take it. When it fails, that ends the
 * call, and its error is the call's. A request that gets no answer may not have called it. */
typedef int rs_ctl_meanwhile_fn(void *arg, struct rs_err *err);
int rs_ctl_call_while(const char *socket_path, struct json_object *request, int timeout_ms,
		      rs_ctl_meanwhile_fn *meanwhile, void *arg, bool *nobody, struct rs_err *err);

#endif
