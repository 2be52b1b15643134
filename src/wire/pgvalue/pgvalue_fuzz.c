/* The decoder of parameters: the first two bytes choose type and format. */
#include "base/fuzz.h"
#include "wire/pgvalue/pgvalue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t oids[] = {
        0,           PG_BOOL,   PG_BYTEA,   PG_INT2,      PG_INT4,
        PG_INT8,     PG_TEXT,   PG_OID,     PG_JSON,      PG_FLOAT4,
        PG_FLOAT8,   PG_DATE,   PG_TIME,    PG_TIMESTAMP, PG_TIMESTAMPTZ,
        PG_INTERVAL, PG_TIMETZ, PG_NUMERIC, PG_UUID,      PG_JSONB,
        1000,        1001,      1007,       1009,         1016,
        1185,        1231,      2951,       600,          PG_BIT,
        PG_VARBIT,   1561,      1563};
    if (size < 2) {
        return 0;
    }
    struct buf text CLEANUP(buf_fini) = {0};
    struct errinfo info;
    errinfo_init(&info);
    enum err err = pg_decode(oids[data[0] % ARRAY_COUNT(oids)], (enum pg_format)(data[1] & 1),
                             (struct slice){(const char *)data + 2, size - 2}, &text, &info);
    ASSERT(err == ERR_OK ? !buf_failed(&text) : info.message[0] != '\0');
    ASSERT(err != ERR_OK || slice_is_utf8(buf_slice(&text), NULL));
    return 0;
}
