/* What the tests of this module share: a relation of six columns, people, grants in a line. */
#pragma once

#include "base/test.h"
#include "policy/policy_int.h"

#define FIXTURE_UUID "0191b2c3-0000-7000-8000-000000000001"

static const struct relation_column fixture_columns[] = {
    {1, {"id", 2}, {"id", 2}, {"BIGINT", 6}},
    {2, {"region", 6}, {"region", 6}, {"VARCHAR", 7}},
    {4, {"email", 5}, {"email", 5}, {"VARCHAR", 7}},
    {5, {"born", 4}, {"born", 4}, {"DATE", 4}},
    {7, {"Odd \"name\"", 10}, {"odd", 3}, {"DECIMAL(15,2)", 13}},
    {8, {"seen", 4}, {"seen", 4}, {"TIMESTAMP WITH TIME ZONE", 24}},
};

static const struct relation fixture_relation = {
    .kind = RELATION_TABLE,
    .name = {{"moat", 4}, {"main", 4}, {"customer", 8}},
    .uuid = {FIXTURE_UUID, sizeof(FIXTURE_UUID) - 1},
    .owner = {"olga", 4},
    .columns = fixture_columns,
    .column_count = ARRAY_COUNT(fixture_columns),
};

/* `ann`, analyst and public, region EU; or somebody else with the same roles. */
UNUSED static struct identity *fixture_person(const char *subject, bool is_owner)
{
    static const struct slice roles[] = {{"analyst", 7}, {"public", 6}};
    static const struct identity_attribute attributes[] = {{{"region", 6}, {"EU", 2}}};
    struct identity_spec spec = {
        .subject = slice_of(subject),
        .provider = SLICE("local"),
        .client = SLICE("embedded"),
        .is_owner = is_owner,
        .roles = roles,
        .role_count = ARRAY_COUNT(roles),
        .attributes = attributes,
        .attribute_count = ARRAY_COUNT(attributes),
    };
    struct identity *who = NULL;
    struct errinfo info;
    CHECK_OK(identity_new(&spec, &who, &info));
    return who;
}

/* SELECT on everything to role analyst; tests change what they need. */
UNUSED static struct grant fixture_grant(uint64_t id)
{
    return (struct grant){
        .id = id,
        .effect = GRANT_ALLOW,
        .privileges = PRIVILEGE_SELECT,
        .grantee_kind = GRANTEE_ROLE,
        .grantee = SLICE("analyst"),
        .object_uuid = SLICE(FIXTURE_UUID),
        .all_columns = true,
    };
}
