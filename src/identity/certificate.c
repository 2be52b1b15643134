#include "identity/certificate_int.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/mem.h"

static const struct {
    const char *word;
    enum certificate_field field;
} fields[] = {
    {"subject", CERTIFICATE_SUBJECT}, {"cn", CERTIFICATE_CN},   {"dns", CERTIFICATE_DNS},
    {"email", CERTIFICATE_EMAIL},     {"uri", CERTIFICATE_URI},
};

/* ---- names of a certificate ---- */

static enum err bad_certificate(struct errinfo *info, const char *why)
{
    return errinfo_set(info, ERR_INVALID, "28000", "the certificate cannot be read: %s", why);
}

/* Text with a NUL or another control in it has been two names to two readers before. */
static bool is_plain(struct slice text)
{
    if (text.len == 0 || text.len > 1024 || !slice_is_utf8(text, NULL)) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x20 || c == 0x7F) {
            return false;
        }
    }
    return true;
}

static enum err add_name(struct certificate_names *names, enum certificate_field field,
                         struct slice text, struct arena *arena, struct errinfo *info)
{
    if (!is_plain(text)) {
        return bad_certificate(info, "a name has characters that names have not");
    }
    if (names->count == CERTIFICATE_NAMES_MAX) {
        return bad_certificate(info, "it has too many names");
    }
    struct certificate_name *name = &names->names[names->count];
    name->field = field;
    if (!arena_slice(arena, text, &name->text)) {
        return errinfo_nomem(info);
    }
    names->count++;
    return ERR_OK;
}

static void free_bio(BIO **bio)
{
    BIO_free(*bio);
}

static void free_x509(X509 **x509)
{
    X509_free(*x509);
}

static void free_general_names(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

static void free_openssl(unsigned char **bytes)
{
    OPENSSL_free(*bytes);
}

static enum err read_subject(X509_NAME *subject, struct certificate_names *names,
                             struct arena *arena, struct errinfo *info)
{
    BIO *bio CLEANUP(free_bio) = BIO_new(BIO_s_mem());
    char *text = NULL;
    /* UTF-8 as it is; what would change the meaning of a name escaped. */
    unsigned long flags = XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
    if (X509_NAME_entry_count(subject) == 0) {
        return ERR_OK;
    }
    if (bio == NULL || X509_NAME_print_ex(bio, subject, 0, flags) < 0) {
        return bad_certificate(info, "its subject cannot be written");
    }
    long len = BIO_get_mem_data(bio, &text);
    struct slice name = {text, len < 0 ? 0 : (size_t)len};
    return add_name(names, CERTIFICATE_SUBJECT, name, arena, info);
}

static enum err read_common_name(X509_NAME *subject, struct certificate_names *names,
                                 struct arena *arena, struct errinfo *info)
{
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) {
        return ERR_OK; /* with two, which is meant? */
    }
    unsigned char *text CLEANUP(free_openssl) = NULL;
    int len =
        ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (len < 0) {
        return bad_certificate(info, "its common name is no text");
    }
    struct slice name = {(const char *)text, (size_t)len};
    return add_name(names, CERTIFICATE_CN, name, arena, info);
}

static enum err read_alternatives(const X509 *x509, struct certificate_names *names,
                                  struct arena *arena, struct errinfo *info)
{
    int critical = 0;
    GENERAL_NAMES *list CLEANUP(free_general_names) =
        X509_get_ext_d2i(x509, NID_subject_alt_name, &critical, NULL);
    if (list == NULL) {
        return critical == -1 ? ERR_OK : bad_certificate(info, "its alternative names are broken");
    }
    for (int i = 0; i < sk_GENERAL_NAME_num(list); i++) {
        int type;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(list, i), &type);
        enum certificate_field field = type == GEN_DNS     ? CERTIFICATE_DNS
                                       : type == GEN_EMAIL ? CERTIFICATE_EMAIL
                                                           : CERTIFICATE_URI;
        if (type != GEN_DNS && type != GEN_EMAIL && type != GEN_URI) {
            continue;
        }
        struct slice text = {(const char *)ASN1_STRING_get0_data(value),
                             (size_t)ASN1_STRING_length(value)};
        TRY(add_name(names, field, text, arena, info));
    }
    return ERR_OK;
}

static bool expiry_of(const X509 *x509, int64_t *ret_wall_us)
{
    int days = 0;
    int seconds = 0;
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    bool is_known =
        epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notAfter(x509)) == 1;
    ASN1_TIME_free(epoch);
    *ret_wall_us = ((int64_t)days * 86400 + seconds) * 1000000;
    return is_known && *ret_wall_us > 0;
}

enum err certificate_read(struct slice der, struct arena *arena,
                          struct certificate_names *ret_names, struct errinfo *info)
{
    const unsigned char *at = (const unsigned char *)der.ptr;
    struct certificate_names names = {0};
    if (der.len == 0 || der.len > CERTIFICATE_BYTES_MAX) {
        return bad_certificate(info, "its size is not that of one");
    }
    X509 *x509 CLEANUP(free_x509) = d2i_X509(NULL, &at, (long)der.len);
    if (x509 == NULL || at != (const unsigned char *)der.ptr + der.len) {
        return bad_certificate(info, "it is no certificate");
    }
    X509_NAME *subject = X509_get_subject_name(x509);
    if (!expiry_of(x509, &names.expires_wall_us)) {
        return bad_certificate(info, "it does not say until when it holds");
    }
    TRY(read_alternatives(x509, &names, arena, info));
    TRY(read_common_name(subject, &names, arena, info));
    TRY(read_subject(subject, &names, arena, info));
    *ret_names = names;
    return ERR_OK;
}

/* ---- rules ---- */

static bool find_field(struct slice word, enum certificate_field *ret_field)
{
    for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
        if (slice_equal_fold(word, slice_of(fields[i].word))) {
            *ret_field = fields[i].field;
            return true;
        }
    }
    return false;
}

static enum err parse_rule(struct slice item, enum certificate_field *ret_field,
                           struct name_rule *ret_rule, struct errinfo *info)
{
    size_t colon = slice_find(item, SLICE(":"));
    if (colon == SIZE_MAX || !find_field(slice_trim((struct slice){item.ptr, colon}), ret_field)) {
        (void)errinfo_set(info, ERR_INVALID, "22023", "\"%.*s\" is not a rule for certificates",
                          SLICE_ARGS(item));
        errinfo_hint(info, "Write \"field:pattern => user\"; fields are subject, cn, dns, email "
                           "and uri.");
        return ERR_INVALID;
    }
    struct slice rest = {item.ptr + colon + 1, item.len - colon - 1};
    return name_rule_parse(rest, ret_rule, info);
}

enum err certificate_check_rules(struct slice rules, struct errinfo *info)
{
    struct slice item;
    enum certificate_field field;
    struct name_rule rule;
    while (list_next(&rules, ';', &item)) {
        TRY(parse_rule(item, &field, &rule, info));
    }
    return ERR_OK;
}

enum err certificate_map(const struct certificate_names *names, struct slice rules,
                         struct arena *arena, bool *ret_found, struct slice *ret_user,
                         bool *ret_is_exact, struct errinfo *info)
{
    struct slice item;
    while (list_next(&rules, ';', &item)) {
        enum certificate_field field;
        struct name_rule rule;
        TRY(parse_rule(item, &field, &rule, info));
        for (size_t i = 0; i < names->count; i++) {
            bool applies = false;
            if (names->names[i].field == field) {
                TRY(name_rule_apply(&rule, names->names[i].text, arena, &applies, ret_user, info));
            }
            if (applies) {
                *ret_is_exact = rule.is_exact;
                *ret_found = true;
                return ERR_OK;
            }
        }
    }
    *ret_found = false;
    return ERR_OK;
}
