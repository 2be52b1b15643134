/* CRC32C (Castagnoli), by the processor's instruction or by tables; both give the same. */
#pragma once

#include "base/base.h"

struct crc32c {
    bool is_hardware;
    uint32_t table[8][256];
    uint32_t lane[4][256]; /* what zeros behind it make of a checksum; for the instruction */
};

/* `is_hardware`: the host has seen that the processor has SSE 4.2. Ignored on other machines. */
void crc32c_init(struct crc32c *crc, bool is_hardware);

/* Over `bytes`, starting from an earlier result or a seed. */
uint32_t crc32c_run(const struct crc32c *crc, uint32_t seed, const void *bytes, size_t len);
