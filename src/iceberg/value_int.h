#pragma once

#include "iceberg/type.h"

/* 10^exponent, exponent up to 38. */
iceberg_int128 iceberg__power_of_ten(uint32_t exponent);
/* True if the unscaled value has at most `precision` digits. */
bool iceberg__decimal_fits(iceberg_int128 value, uint32_t precision);
