/* DDL on attached catalogs (run_lake.c), to which run_ddl.c turns for names in one. */
#pragma once

#include "query/lake/lake_int.h"
#include "query/run/run_int.h"

/* The attached catalog that the name is in, for those who administer; else NULL. */
MUST_USE enum err run_lake_target(struct query *query, const struct sql_name *written,
                                  const struct attached **ret_attached, struct errinfo *info);

/* The same to change tables and views in: with the transaction of the session, if there is one. */
MUST_USE enum err run_lake_to_change(struct query *query, const struct attached *attached,
                                     const struct attached **ret_attached, struct errinfo *info);

MUST_USE enum err run_lake_create_schema(struct query *query, const struct statement *statement,
                                         const struct attached *attached, struct errinfo *info);
/* CREATE SCHEMA ... WITH (properties), appended. */
MUST_USE enum err run_lake_show_schema(struct query *query, const struct statement *statement,
                                       struct buf *ret_text, struct errinfo *info);
MUST_USE enum err run_lake_register(struct query *query, const struct statement *statement,
                                    const struct attached *attached, struct errinfo *info);
MUST_USE enum err run_lake_drop(struct query *query, const struct statement *statement,
                                const struct attached *attached, struct errinfo *info);
MUST_USE enum err run_lake_rename(struct query *query, const struct statement *statement,
                                  const struct attached *attached, struct errinfo *info);
