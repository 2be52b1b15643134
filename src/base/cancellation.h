/* How what a thread does for a statement ends with it: cancelled, or past its limit. Whatever waits
 * for other machines looks here. It belongs to the thread and is no parameter, because reads come
 * back through callbacks of an engine, and from objects that outlive a statement. Who may read is
 * never taken from here. */
#pragma once

#include "base/base.h"

struct cancellation {
    bool (*is_cancelled)(void *context); /* from any thread; cheap */
    void *context;
};

/* From now on this thread's waits end by `cancellation`, which outlives that (NULL: by none). Gives
 * the one before, to be entered again at the end. */
const struct cancellation *cancellation_enter(const struct cancellation *cancellation);
const struct cancellation *cancellation_here(void);

bool cancellation_is_set(const struct cancellation *cancellation); /* NULL: never */

/* False as soon as it is set; looked at about twenty times a second. */
bool cancellation_sleep_ms(const struct cancellation *cancellation, int64_t ms);
