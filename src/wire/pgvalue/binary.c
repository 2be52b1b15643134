/* Bytes of the binary format: network order, epochs of the year 2000, numerics in base 10,000. */
#include "wire/pgvalue/pgvalue_int.h"

#include "base/digits.h"

#define NUMERIC_NEGATIVE 0x4000u
#define NUMERIC_GROUPS_MAX 24

/* Groups of four digits from the decimal point both ways; the lowest first in `groups`. */
static int split_groups(unsigned __int128 magnitude, uint16_t groups[NUMERIC_GROUPS_MAX])
{
    int count = 0;
    while (magnitude > UINT64_MAX) {
        groups[count++] = (uint16_t)(magnitude % 10000);
        magnitude /= 10000;
    }
    for (uint64_t rest = (uint64_t)magnitude; rest > 0; rest /= 10000) {
        groups[count++] = (uint16_t)(rest % 10000);
    }
    return count;
}

void pg__put_numeric(unsigned __int128 magnitude, bool is_negative, int32_t scale, struct buf *out)
{
    static const uint16_t powers[] = {1, 10, 100, 1000};
    uint16_t groups[NUMERIC_GROUPS_MAX];
    int32_t shown = scale < 0 ? 0 : scale;
    int padding = (4 - (scale & 3)) & 3; /* zeros that fill up the last group (also scale < 0) */
    uint16_t carry = 0;
    int count = split_groups(magnitude, groups);
    for (int i = 0; padding > 0 && i < count; i++) { /* times 10^padding, which may not fit */
        uint32_t group = (uint32_t)groups[i] * powers[padding] + carry;
        groups[i] = (uint16_t)(group % 10000);
        carry = (uint16_t)(group / 10000);
    }
    if (carry > 0) {
        groups[count++] = carry;
    }
    int weight = count - 1 - (scale + padding) / 4;
    int first = 0;
    while (first < count && groups[first] == 0) {
        first++;
    }
    uint16_t bytes[4 + NUMERIC_GROUPS_MAX];
    size_t at = 0;
    bytes[at++] = (uint16_t)(count - first);
    bytes[at++] = count == first ? 0 : (uint16_t)(int16_t)weight;
    bytes[at++] = is_negative ? NUMERIC_NEGATIVE : 0;
    bytes[at++] = (uint16_t)shown;
    for (int i = count - 1; i >= first; i--) {
        bytes[at++] = groups[i];
    }
    for (size_t i = 0; i < at; i++) {
        bytes[i] = __builtin_bswap16(bytes[i]);
    }
    pg_put(out, bytes, at * sizeof(bytes[0]));
}

bool pg__parse_uuid(struct slice text, uint8_t ret_bytes[16])
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '-') {
            continue;
        }
        int digit = digits_hex(c);
        if (digit < 0 || count == 32) {
            return false;
        }
        ret_bytes[count / 2] =
            (uint8_t)(count % 2 == 0 ? digit << 4 : ret_bytes[count / 2] | digit);
        count++;
    }
    return count == 32;
}
