/* Messages of the protocol: reading what a client sent, writing what it gets. Internal. */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "wire/pgvalue/pgvalue.h"

/* A message's body. A read past its end fails, and so does all after it. */
struct pg_reader {
    struct slice rest;
    bool failed;
};

uint8_t pg__read8(struct pg_reader *reader);
uint16_t pg__read16(struct pg_reader *reader);
uint32_t pg__read32(struct pg_reader *reader);
struct slice pg__read_bytes(struct pg_reader *reader, size_t len);
struct slice pg__read_text(struct pg_reader *reader); /* up to its NUL */

/* Numbers of the wire at the start of bytes that are long enough. */
uint32_t pg__peek32(const char *bytes);

/* pg__begin, then the body, then pg__end with what pg__begin gave. */
size_t pg__begin(struct buf *out, char type);
void pg__end(struct buf *out, size_t begun);
void pg__write_text(struct buf *out, struct slice text); /* with a NUL; cut at one in it */

void pg__write_empty(struct buf *out, char type);
void pg__write_ready(struct buf *out, char status);
void pg__write_tag(struct buf *out, const char *tag);
void pg__write_count_tag(struct buf *out, const char *words, uint64_t count); /* "SELECT ", 1 */
void pg__write_parameter(struct buf *out, const char *name, const char *value);
/* `statement`: what info->position counts bytes of, for the character's number; empty: no
 * position. `offset`: of that statement in the text that the client sent, in characters. */
void pg__write_error(struct buf *out, const char *severity, const struct errinfo *info,
                     struct slice statement, size_t offset);
/* The same with a CONTEXT, unless that is empty. */
void pg__write_error_in(struct buf *out, const char *severity, const struct errinfo *info,
                        struct slice statement, size_t offset, const char *context);
void pg__write_notice(struct buf *out, const char *severity, const char *sqlstate,
                      const char *message);
