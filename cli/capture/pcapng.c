// SPDX-License-Identifier: Apache-2.0
/* pcapng.c - packets as blocks of a pcapng file; see seeing.h. */
#include "cli/capture/seeing.h"

#include <string.h>
#include <time.h>

#define BLOCK_SECTION 0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_STATISTICS 5u
#define BLOCK_PACKET 6u
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define LINKTYPE_RAW 101u /* begins with the IP header, of either version */

#define OPT_END 0u
#define OPT_COMMENT 1u
#define SHB_USERAPPL 4u
#define IF_NAME 2u
#define IF_DESCRIPTION 3u
#define IF_TSRESOL 9u
#define ISB_IFRECV 4u
#define ISB_IFDROP 5u
#define EPB_FLAGS 2u
#define EPB_INBOUND 1u
#define EPB_OUTBOUND 2u
#define NANOSECONDS 9

static void add16(struct rs_strbuf *b, uint32_t v)
{
	uint16_t n = (uint16_t)v;

	rs_strbuf_add(b, &n, sizeof(n));
}

static void add32(struct rs_strbuf *b, uint32_t v)
{
	rs_strbuf_add(b, &v, sizeof(v));
}

/* Of a time, the upper half comes first. */
static void add_time(struct rs_strbuf *b, int64_t ns)
{
	add32(b, (uint32_t)((uint64_t)ns >> 32));
	add32(b, (uint32_t)ns);
}

static void add_padded(struct rs_strbuf *b, const void *data, size_t n)
{
	static const char zero[4];

	rs_strbuf_add(b, data, n);
	rs_strbuf_add(b, zero, -n % 4);
}

static void add_option(struct rs_strbuf *b, uint32_t code, const void *data, size_t n)
{
	if (n > UINT16_MAX)
		n = UINT16_MAX;
	add16(b, code);
	add16(b, (uint32_t)n);
	add_padded(b, data, n);
}

static void add_text(struct rs_strbuf *b, uint32_t code, const char *text)
{
	add_option(b, code, text, strlen(text));
}

/* A block bears its length at both ends. */
static size_t begin(struct rs_strbuf *b, uint32_t type)
{
	size_t at = b->len;

	add32(b, type);
	add32(b, 0);
	return at;
}

static void end(struct rs_strbuf *b, size_t at)
{
	uint32_t n;

	add32(b, OPT_END);
	n = (uint32_t)(b->len - at) + 4;
	add32(b, n);
	memcpy(b->s + at + 4, &n, sizeof(n));
}

void pcapng_begin(struct rs_strbuf *b, const char *interface, const char *about, uint32_t snaplen)
{
	uint8_t resolution = NANOSECONDS;
	size_t at = begin(b, BLOCK_SECTION);

	add32(b, BYTE_ORDER_MAGIC);
	add16(b, 1);
	add16(b, 0);
	add32(b, UINT32_MAX); /* the section's length, 64 bits: not known */
	add32(b, UINT32_MAX);
	add_text(b, SHB_USERAPPL, "ripstop " RIPSTOP_VERSION);
	end(b, at);
	at = begin(b, BLOCK_INTERFACE);
	add16(b, LINKTYPE_RAW);
	add16(b, 0);
	add32(b, snaplen);
	add_text(b, IF_NAME, interface);
	add_text(b, IF_DESCRIPTION, about);
	add_option(b, IF_TSRESOL, &resolution, sizeof(resolution));
	end(b, at);
}

void pcapng_packet(struct rs_strbuf *b, const struct rs_capture_packet *p, const char *comment)
{
	uint32_t flags = p->from_pod ? EPB_OUTBOUND : EPB_INBOUND;
	size_t at = begin(b, BLOCK_PACKET);

	add32(b, 0);
	add_time(b, p->time_ns);
	add32(b, (uint32_t)p->len);
	add32(b, p->full_len);
	add_padded(b, p->data, p->len);
	add_text(b, OPT_COMMENT, comment);
	add_option(b, EPB_FLAGS, &flags, sizeof(flags));
	end(b, at);
}

void pcapng_end(struct rs_strbuf *b, uint64_t packets, uint64_t lost)
{
	struct timespec now;
	size_t at = begin(b, BLOCK_STATISTICS);

	clock_gettime(CLOCK_REALTIME, &now);
	add32(b, 0);
	add_time(b, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
	add_option(b, ISB_IFRECV, &packets, sizeof(packets));
	add_option(b, ISB_IFDROP, &lost, sizeof(lost));
	end(b, at);
}
