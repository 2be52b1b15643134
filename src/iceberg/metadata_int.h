/* Parts of a table's metadata document, each read by a file of its own. */
#pragma once

#include "iceberg/json_int.h"
#include "iceberg/metadata.h"

MUST_USE enum err iceberg__specs_read(const struct json_reader *reader,
                                      const struct json_place *place, const struct json *root,
                                      struct iceberg_metadata *metadata);
MUST_USE enum err iceberg__sort_orders_read(const struct json_reader *reader,
                                            const struct json_place *place, const struct json *root,
                                            struct iceberg_metadata *metadata);
MUST_USE enum err iceberg__snapshots_read(const struct json_reader *reader,
                                          const struct json_place *place, const struct json *root,
                                          struct iceberg_metadata *metadata);
/* Needs the snapshots. */
MUST_USE enum err iceberg__refs_read(const struct json_reader *reader,
                                     const struct json_place *place, const struct json *root,
                                     struct iceberg_metadata *metadata);
MUST_USE enum err iceberg__logs_read(const struct json_reader *reader,
                                     const struct json_place *place, const struct json *root,
                                     struct iceberg_metadata *metadata);
MUST_USE enum err iceberg__statistics_read(const struct json_reader *reader,
                                           const struct json_place *place, const struct json *root,
                                           struct iceberg_metadata *metadata);
