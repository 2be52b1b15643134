/* Numbers: the shortest text that reads back as the same value, decimals to the digit. */
#include "arrow/arrow_int.h"

#include <float.h>
#include <math.h>

/* A decimal of 15 digits survives a double (DBL_DIG), so if any shorter text round-trips, 15 digits
 * find it; otherwise 16 or 17 are needed. Plain notation from 1e-4 to below 1e16, as the engine. */
static void print_shortest(double value, bool is_single, struct buf *out)
{
    if (isnan(value)) {
        buf_append_str(out, "NaN");
        return;
    }
    if (isinf(value)) {
        buf_append_str(out, value < 0 ? "-Infinity" : "Infinity");
        return;
    }
    char digits[40];
    /* Below the smallest normal number there are fewer digits to begin with. */
    bool is_normal = fabs(value) >= (is_single ? (double)FLT_MIN : DBL_MIN);
    int precision = !is_normal ? 1 : is_single ? FLT_DIG : DBL_DIG;
    int precision_max = is_single ? 9 : 17;
    for (; precision <= precision_max; precision++) {
        (void)snprintf(digits, sizeof(digits), "%.*e", precision - 1, value);
        if (is_single ? strtof(digits, NULL) == (float)value : strtod(digits, NULL) == value) {
            break;
        }
    }
    char *e = strchr(digits, 'e');
    ASSERT(e != NULL);
    int exponent = (int)strtol(e + 1, NULL, 10);
    char *end = e;
    while (end[-1] == '0' && memchr(digits, '.', (size_t)(end - digits)) != NULL) {
        end--;
    }
    end -= end[-1] == '.';
    size_t len = (size_t)(end - digits);
    int significant = (int)len - (digits[0] == '-') - (memchr(digits, '.', len) != NULL);
    if (exponent < -4 || exponent >= 16) {
        buf_append(out, digits, len);
        buf_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    int decimals = significant - 1 - exponent;
    buf_printf(out, "%.*f", decimals < 1 ? 1 : decimals, value);
}

void arrow__print_double(double value, struct buf *out)
{
    print_shortest(value, false, out);
}

void arrow__print_float(float value, struct buf *out)
{
    print_shortest((double)value, true, out);
}

double arrow__half(uint16_t bits)
{
    int exponent = bits >> 10 & 0x1F;
    double mantissa = bits & 0x3FF;
    double value = exponent == 0    ? ldexp(mantissa, -24)
                   : exponent == 31 ? (mantissa == 0 ? HUGE_VAL : nan(""))
                                    : ldexp(mantissa + 1024, exponent - 25);
    return (bits & 0x8000) != 0 ? -value : value;
}

void arrow__print_decimal(const struct arrow_type *type, const struct ArrowArray *array,
                          int64_t index, struct buf *out)
{
    __int128 value;
    if (type->width_bits == 128) {
        memcpy(&value, (const char *)array->buffers[1] + index * 16, 16);
    } else {
        value = type->width_bits == 64 ? ((const int64_t *)array->buffers[1])[index]
                                       : ((const int32_t *)array->buffers[1])[index];
    }
    unsigned __int128 magnitude =
        value < 0 ? 0 - (unsigned __int128)value : (unsigned __int128)value;
    char digits[96];
    char *at = digits + sizeof(digits);
    int scale = type->scale;
    for (int i = scale; i < 0; i++) { /* a negative scale is trailing zeros */
        *--at = '0';
    }
    int count = 0;
    do {
        *--at = (char)('0' + (int)(magnitude % 10));
        magnitude /= 10;
        count++;
        if (count == scale) {
            *--at = '.';
            count = scale + 1;
            scale = -1000; /* placed */
            if (magnitude == 0) {
                *--at = '0';
            }
        }
    } while (magnitude != 0 || (scale > 0 && count < scale));
    if (value < 0) {
        *--at = '-';
    }
    buf_append(out, at, (size_t)(digits + sizeof(digits) - at));
}
