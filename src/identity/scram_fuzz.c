/* Verifiers as foreign text: never a crash; what is accepted has one form only.
 * Input: the password, NUL, the verifier. */
#include "base/fuzz.h"
#include "identity/identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size == 0 ? NULL : memchr(data, 0, size);
    size_t password_len = nul == NULL ? 0 : (size_t)(nul - data);
    size_t verifier_at = nul == NULL ? 0 : password_len + 1;
    struct slice password = {(const char *)data, password_len};
    struct slice verifier = {(const char *)data + verifier_at, size - verifier_at};
    bool is_valid = scram_verifier_is_valid(verifier);
    bool belongs = false;
    /* A million rounds are allowed, but teach the fuzzer nothing. */
    if (slice_starts_with(verifier, SLICE("SCRAM-SHA-256$1:")) || !is_valid) {
        belongs = scram_verifier_check(verifier, password);
    }
    ASSERT(!belongs || is_valid);
    ASSERT(!is_valid || verifier.len < SCRAM_VERIFIER_BYTES);
    return 0;
}
