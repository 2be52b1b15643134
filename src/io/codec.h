/* The ways to make blocks smaller that a store has: LZ4 and zstd. */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "kernel/kernel.h"

#define IO_CODEC_LZ4 1u
#define IO_CODEC_ZSTD 2u
#define IO_CODECS 2u

struct io_codecs;

/* All memory is taken here. */
MUST_USE enum err io_codecs_new(struct io_codecs **ret_codecs, struct errinfo *error);
void io_codecs_free(struct io_codecs *codecs);

/* IO_CODECS of them, which live as long as `codecs`. */
const struct kernel_codec *io_codecs_list(const struct io_codecs *codecs);

/* "none", "lz4", "zstd"; false: another word. */
MUST_USE bool io_codec_parse(struct slice word, uint8_t *ret_codec);
