/* Tokens as foreign text: never a crash; what parses is one token in one form, and nobody's. */
#include "base/fuzz.h"
#include "identity/jose_int.h"

static const char keys[] =
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\","
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct jwks *jwks;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 0);
    struct slice text = {(const char *)data, size};
    struct jwt jwt;
    int64_t seconds;
    if (jwks == NULL && jwks_parse(slice_of(keys), &jwks, NULL) != ERR_OK) {
        return 0;
    }
    if (jwt_parse(text, arena, &jwt, NULL) == ERR_OK) {
        ASSERT(jwt.algorithm != NULL && jwt.claims->type == JSON_OBJECT);
        ASSERT(jwt.input.ptr == text.ptr && jwt.input.len < text.len);
        (void)jwt_is_like(text);
        (void)!jwt_time(jwt.claims, "exp", &seconds);
        (void)jwt_verify(&jwt, jwks, 0xFFFFFFFFu);
    }
    return 0;
}
