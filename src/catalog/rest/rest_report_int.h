/* The hub's thread that tells catalogs what statements did (rest_report.c). */
#pragma once

#include "base/err.h"

/* "rest-metrics-reporting-enabled" of a catalog's configuration. */
enum rest_reports {
    REST_REPORTS_UNSAID,
    REST_REPORTS_WANTED,
    REST_REPORTS_UNWANTED,
};

struct rest;
struct rest_reporter;

MUST_USE enum err rest_reporter__new(struct rest *rest, struct rest_reporter **ret_reporter,
                                     struct errinfo *info);
/* A catalog wants reports: until one does, or rest_options.sends_reports is set, none is made. */
void rest_reporter__want(struct rest_reporter *reporter);
/* Waits for its thread, and for no request. */
void rest_reporter__free(struct rest_reporter *reporter);
