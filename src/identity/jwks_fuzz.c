/* Key sets as an issuer could send them: never a crash; each key that is kept can be used. */
#include "base/fuzz.h"
#include "identity/jose_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct jwks *jwks CLEANUP(jwks_cleanup) = NULL;
    struct slice text = {(const char *)data, size};
    static const char zeros[64];
    if (jwks_parse(text, &jwks, NULL) != ERR_OK) {
        return 0;
    }
    ASSERT(jwks_count(jwks) > 0 && jwks_count(jwks) <= JWKS_KEYS_MAX);
    for (size_t i = 0; i < jwks_count(jwks); i++) {
        const struct jose_key *key = jwks_key(jwks, i);
        const char *name = key->family == JOSE_RSA  ? "RS256"
                           : key->family == JOSE_ED ? "EdDSA"
                                                    : "ES256";
        ASSERT(key->pkey != NULL);
        ASSERT(!jose_verify(key, jose_algorithm(slice_of(name)), SLICE("x"),
                            (struct slice){zeros, sizeof(zeros)}));
    }
    return 0;
}
